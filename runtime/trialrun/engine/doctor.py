"""The machine before a run: versions, resources, what is missing, and what in the environment will bite."""

from __future__ import annotations

import contextlib
import platform
import re
import resource
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import psutil

from trialrun._version import __version__
from trialrun.executors.gpus import list_gpu_names
from trialrun.executors.ray_tune import cluster
from trialrun.executors.ray_tune.environment import VariableFinding, list_variable_findings
from trialrun_hookspecs.errors import UsageError

__all__ = ["DoctorFinding", "DoctorReport", "examine_machine"]

_SHARED = Path("/dev/shm")  # noqa: S108  # where Ray keeps its objects
_FEW_FILES = 1024
_FULL = 0.95  # beyond it Ray places no objects on the disk
_SMALL_STORE_GB = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorFinding:
    """Something to know: `error`s fail or slow a run, `notes` are worth knowing."""

    level: Literal["error", "note"]
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorReport:
    """What was found. `missing` are the extras that are not installed, with what each would bring."""

    versions: dict[str, str]
    resources: dict[str, float]
    gpus: list[str] = field(default_factory=list)
    missing: dict[str, list[str]] = field(default_factory=dict)
    variables: list[VariableFinding] = field(default_factory=list)
    troubles: list[DoctorFinding] = field(default_factory=list)

    @property
    def has_errors(self) -> bool:
        return any(trouble.level == "error" for trouble in self.troubles)

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "ok": not self.has_errors}


def examine_machine(environment: Mapping[str, str], *, address: str | None = None) -> DoctorReport:
    """Look at this machine. Nothing is started; a cluster is only asked whether it listens."""
    wanted, extras = _read_requirements()
    versions = {
        "python": platform.python_version(),
        "trialrun": __version__,
        **_find_versions([*wanted, *_list_packages(extras)]),
    }
    variables = list_variable_findings(environment)
    return DoctorReport(
        versions=versions,
        resources=_measure_resources(),
        gpus=list_gpu_names(),
        missing=_find_missing(extras),
        variables=variables,
        troubles=[
            *_check_versions(wanted, extras),
            *(DoctorFinding(level="error", what=f"{f.name}={f.value}: {f.note}") for f in variables if f.is_error),
            *(
                DoctorFinding(level="note", what=f"{f.name} is set and does nothing: {f.note}")
                for f in variables
                if f.fate == "gone"
            ),
            *_check_surroundings(environment, address),
        ],
    )


Requirements = Mapping[str, Any]  # a distribution's name -> the specifiers that trialrun asks for


def _read_requirements() -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """What trialrun needs, and what each extra would add; those for developing trialrun are left out."""
    from packaging.requirements import Requirement

    wanted: dict[str, Any] = {}
    extras: dict[str, dict[str, Any]] = {}
    for text in metadata.requires("trialrun") or ():
        requirement = Requirement(text)
        named = re.search(r"extra == ['\"]([\w-]+)", text)
        if named is None:
            wanted[requirement.name] = requirement.specifier
        elif named[1] not in ("dev", "docs"):
            extras.setdefault(named[1], {})[requirement.name] = requirement.specifier
    return wanted, extras


def _list_packages(extras: Mapping[str, Requirements]) -> list[str]:
    return [name for requirements in extras.values() for name in requirements]


def _find_versions(names: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _find_missing(extras: Mapping[str, Requirements]) -> dict[str, list[str]]:
    absent = {extra: [n for n in names if not _find_versions([n])] for extra, names in sorted(extras.items())}
    return {extra: names for extra, names in absent.items() if names}


def _check_versions(wanted: Requirements, extras: Mapping[str, Requirements]) -> Iterator[DoctorFinding]:
    """Libraries that are there in a version that trialrun was not made for, or needed and not there."""
    for name, specifier in {**{n: s for e in extras.values() for n, s in e.items()}, **wanted}.items():
        version = _find_versions([name]).get(name)
        if version is None and name in wanted:
            yield DoctorFinding(level="error", what=f"{name} is not installed: pip install '{name}{specifier}'")
        elif version is not None and not specifier.contains(version, prereleases=True):
            yield DoctorFinding(level="error", what=f"{name} {version} does not fit: pip install '{name}{specifier}'")


def _measure_resources() -> dict[str, float]:
    size = cluster.get_local_capacity({})
    memory = psutil.virtual_memory().total
    return {**size, "memory_gb": round(memory / 2**30, 1), "shared_memory_gb": _free_gb(_SHARED)}


def _free_gb(folder: Path) -> float:
    return round(shutil.disk_usage(folder).free / 2**30, 1) if folder.is_dir() else 0.0


def _check_surroundings(environment: Mapping[str, str], address: str | None) -> Iterator[DoctorFinding]:
    where = address or environment.get("RAY_ADDRESS")
    try:
        cluster.check_reachable(where)
    except UsageError as error:
        yield DoctorFinding(level="error", what=str(error))
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if 0 <= most < _FEW_FILES:
        yield DoctorFinding(
            level="error", what=f"only {most} open files are allowed, and Ray needs thousands: ulimit -n 65536"
        )
    for folder in dict.fromkeys((Path(tempfile.gettempdir()), Path.cwd())):
        usage = shutil.disk_usage(folder)
        if usage.used / usage.total > _FULL:
            what = f"the disk of {folder} is {usage.used / usage.total:.0%} full: Ray stores nothing on one beyond 95%"
            yield DoctorFinding(level="error", what=what)
    if _free_gb(_SHARED) < _SMALL_STORE_GB:
        what = f"{_SHARED} is small, so objects go through the disk: docker run --shm-size=8g"
        yield DoctorFinding(level="note", what=what)
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and list_gpu_names():
        yield DoctorFinding(level="note", what=f"CUDA_VISIBLE_DEVICES={visible!r} limits the GPUs that Ray sees")
