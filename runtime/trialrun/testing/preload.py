"""Preloading of a plugin's libraries in the fork server.

Every run imports the plugin afresh. Importing its libraries afresh as well proves nothing more, and takes seconds each
time. They are imported once, in the process that runs are forked from, where this makes no difference: neither code of
the plugin itself nor a library that starts a thread or changes the process is preloaded.
"""

from __future__ import annotations

import importlib
import os
import random
import site
import sys
import sysconfig
import threading
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from trialrun.testing.audit import read_process_state

__all__ = ["SLOW_S", "import_libraries", "renew_random_state", "select_shareable"]

SLOW_S = 0.5  # preloading a faster import costs more than it saves
_DECIDES = ("RAY_", "TRIALRUN_", "CUDA_", "PATH", "HOME", "TMPDIR", "PYTHON", "LD_")
_FORKS_WELL = ("jemalloc_bg_thd",)  # pyarrow's allocator, which starts that thread again in the child
_OURS = frozenset({"trialrun", "trialrun_hookspecs", "trialrun_reference"})


def select_shareable(names: Iterable[str], plugin: str) -> list[str]:
    """Return the modules of installed libraries among `names`, which loading the module `plugin` imported, in order."""
    own = _sibling_packages(plugin.partition(".")[0]) | _OURS
    folders = tuple(os.path.realpath(folder) + os.sep for folder in _site_folders())
    return [
        name
        for name in names
        if name.partition(".")[0] not in own and _source_path(sys.modules.get(name)).startswith(folders)
    ]


def _sibling_packages(package: str) -> frozenset[str]:
    """Return the top-level packages that were installed by the same distribution as this one."""
    found = metadata.packages_distributions()
    together = set(found.get(package, ()))
    return frozenset({package, *(name for name, owners in found.items() if together & set(owners))})


def _site_folders() -> set[str]:
    paths = sysconfig.get_paths()
    return {paths["purelib"], paths["platlib"], *site.getsitepackages(), site.getusersitepackages()}


def _source_path(module: ModuleType | None) -> str:
    origin = getattr(getattr(module, "__spec__", None), "origin", None)
    return os.path.realpath(origin) if isinstance(origin, str) else ""


def import_libraries(names: Iterable[str]) -> str:
    """Import the modules here. Return why runs must not be forked from this process afterwards, or "".

    Native threads are counted after a fork, because a fork-safe library ends its threads before one.
    """
    environment, state = dict(os.environ), read_process_state()
    for name in names:
        try:
            importlib.import_module(name)
        except Exception:  # noqa: BLE001, S112  # the plugin may import it differently, and will report the error
            continue
    return _describe_changes(environment, state) or _describe_threads()


def _describe_changes(environment: Mapping[str, str], state: Mapping[str, Any]) -> str:
    now = read_process_state()
    changed = [name for name, value in state.items() if name in now and now[name] != value]
    names = environment.keys() | os.environ.keys()
    changed += [name for name in names if environment.get(name) != os.environ.get(name) and name.startswith(_DECIDES)]
    return f"importing its libraries changes {', '.join(sorted(changed))}" if changed else ""


def _describe_threads() -> str:
    left = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if not left:
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        left = _native_threads()
    return f"importing its libraries starts threads: {', '.join(left)}" if left else ""


def _native_threads() -> list[str]:
    """Return the names of other threads of this process that a fork would lose, from /proc."""
    tasks = Path("/proc/self/task")
    others = [path for path in tasks.iterdir() if path.name != str(os.getpid())] if tasks.is_dir() else []
    names = [(path / "comm").read_text(encoding="utf-8", errors="replace").strip() for path in others]
    return [name for name in names if name not in _FORKS_WELL]


def renew_random_state() -> None:
    """Reseed the global generators after a fork, so that unseeded draws differ between processes as after an import."""
    random.seed()
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()
