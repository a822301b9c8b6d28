"""TR1xx, the contract: the plugin loads, its hooks fit, and importing it changes nothing else."""

from __future__ import annotations

from typing import Any

from trialrun.testing.checks.shared import can_bind, list_points, require_load, require_training
from trialrun.testing.context import CheckContext
from trialrun.testing.observation import Observation
from trialrun.testing.registry import check

__all__ = ["OWN_IMPORT_S", "WITH_LIBRARIES_S"]

OWN_IMPORT_S = 2.0
WITH_LIBRARIES_S = 20.0
BIGGEST_MODULE = 16 * 1024 * 1024

_SIGNATURE = "docs/how-to/plugins.md#train, #tune: the parameters, in order and by position"
_IMPORT = "docs/how-to/plugins.md#where-it-runs: a plugin is imported in every worker"


def _find_load_owner(observation: Observation) -> str:
    """The check that a plugin which does not load belongs to."""
    error = observation.error
    if observation.ok or error is None or not observation.has_ended:
        return "" if observation.ok else "TR101"
    job = observation.facts["error"].get("job") or {}  # what the loader made of it
    kind, text = job.get("type", error.type), job.get("message", error.message)
    if kind == "PluginRefused":
        if "must implement a hook" in text or "must have `train(" in text:
            return "TR102"
        for hook, owner in (("train", "TR103"), ("tune", "TR104")):
            if f", {hook}()" in text.partition("\n")[0]:
                return owner
        return "TR105"
    return "TR115" if "config.yaml" in text and kind != "PluginAbsent" else "TR101"


def _check_load(context: CheckContext, owner: str, signature: str) -> None:
    """Fail when loading failed in this check's way; Vacuous when it failed in another's."""
    observation = context.load()
    found = _find_load_owner(observation)
    if found == owner:
        where = observation.error.where if observation.error else None
        context.fail(f"the plugin was refused: {observation.status_text}", signature=signature, where=where)
    if found:
        context.raise_vacuous(f"the plugin does not load: see {found}")


@check(
    id="TR101",
    title="loads in a fresh interpreter",
    clause="docs/how-to/plugins.md#pass-it-to-trialrun: a plugin is a module that can be imported",
    why="Every worker imports the plugin anew. What needs your shell, your path or your packages fails there.",
    fix="Import it alone, in a new interpreter and another folder: what it needs is installed or beside it.",
    before="import helpers  # found only because the shell stood in that folder",
    after="from . import helpers  # beside this file, in the same package",
)
def loads_in_fresh_process(context: CheckContext) -> None:
    observation = context.load()
    if _find_load_owner(observation) not in ("", "TR101"):
        return  # it imports; what is wrong with its hooks is told by TR102 to TR105 and TR115
    where = observation.error.where if observation.error else None
    kind = observation.error.type if observation.error else "timed out" if observation.timed_out else "died"
    context.expect(
        observation.ok,
        f"importing the plugin failed: {observation.status_text}",
        signature=f"import: {kind}",
        where=where,
    )
    context.note(hooks=sorted(observation.hook_signatures))


@check(
    id="TR102",
    title="has a train() that can be called",
    clause="docs/how-to/plugins.md#train: a plugin has train(run, dataset, hyperparameter, checkpoint)",
    why="Training mode calls train(); tuning falls back on it when there is no tune().",
    fix="Define train() at the top of the module that you hand over, or import it there.",
    before="def fit(run, dataset, hyperparameter, checkpoint): ...",
    after="def train(run, dataset, hyperparameter, checkpoint, **kwargs): ...",
)
def has_train(context: CheckContext) -> None:
    _check_load(context, "TR102", "no train")
    context.expect("train" in context.load().hook_signatures, "there is no train()", signature="no train")


@check(
    id="TR103",
    title="train() takes its four arguments in order",
    clause=_SIGNATURE,
    why="The platform passes them by position, and train() and tune() differ in order.",
    fix="Write `def train(run, dataset, hyperparameter, checkpoint, **kwargs)`, a plain function that returns.",
    before="def train(hyperparameter, run, dataset, checkpoint): ...",
    after="def train(run, dataset, hyperparameter, checkpoint, **kwargs): ...",
)
def train_takes_its_arguments(context: CheckContext) -> None:
    _check_load(context, "TR103", "train signature")


@check(
    id="TR104",
    title="tune() takes its four arguments in order",
    clause=_SIGNATURE,
    why="A tune() in the order of train() gets the hyperparameters as its run, and fails far from the cause.",
    fix="Write `def tune(hyperparameter, run, dataset, checkpoint, **kwargs)`.",
    before="def tune(run, dataset, hyperparameter, checkpoint): ...",
    after="def tune(hyperparameter, run, dataset, checkpoint, **kwargs): ...",
)
def tune_takes_its_arguments(context: CheckContext) -> None:
    _check_load(context, "TR104", "tune signature")
    if "tune" not in context.load().hook_signatures:
        context.raise_not_applicable("the plugin has no tune()")


@check(
    id="TR105",
    title="what is marked as a hook is one, once",
    clause="docs/how-to/plugins.md#as-an-object: @hookimpl marks hooks",
    why="A misspelt hook is never called, and of two hooks of one name only one is: both look as if they worked.",
    fix="Use the hook's name, once; the hook reference lists them all.",
    before="@hookimpl\ndef reports(event): ...",
    after="@hookimpl\ndef report(event): ...",
)
def marked_hooks_are_hooks(context: CheckContext) -> None:
    _check_load(context, "TR105", "marked hooks")


@check(
    id="TR106",
    title="an extra keyword argument does no harm",
    clause="docs/how-to/plugins.md#train: **kwargs lets a later version hand you more",
    why="A newer platform passes more. What is handed on unread to a model or an optimiser makes that fail.",
    fix="Take **kwargs and leave alone what you do not know.",
    before="def train(run, dataset, hyperparameter, checkpoint, **kwargs):\n    model = Model(**kwargs)",
    after="def train(run, dataset, hyperparameter, checkpoint, **kwargs):\n    model = Model(**hyperparameter)",
)
def extra_keywords_do_no_harm(context: CheckContext) -> None:
    require_training(context)
    observation = context.train(extra={"conformance_extra": 1})
    where = observation.error.where if observation.error else None
    message = f"train() was called with one more keyword argument, and failed: {observation.status_text}"
    context.expect(observation.ok, message, signature="extra keyword", where=where or context.locate_hook())


@check(
    id="TR107",
    title="a decorated hook takes what its signature says",
    clause=_SIGNATURE,
    why="functools.wraps copies the inner function's signature: a wrapper that takes fewer looks right until called.",
    fix="Let the wrapper take `*args, **kwargs` and pass all of them on.",
    before="@functools.wraps(f)\ndef wrapper(run, dataset, hyperparameter): ...",
    after="@functools.wraps(f)\ndef wrapper(*args, **kwargs):\n    return f(*args, **kwargs)",
)
def decorated_hooks_take_their_arguments(context: CheckContext) -> None:
    observation = context.require_ok(context.load())
    for name in ("train", "tune"):
        if not can_bind(observation, name):
            written = f"{name}{observation.hook_signatures[name]['text']}"
            message = f"{written} is wrapped in a function that does not take these arguments"
            context.fail(message, signature="decorated hook", where=context.locate_hook(name))


@check(
    id="TR108",
    title="importing starts nothing",
    clause=_IMPORT,
    why="A thread, a process or a Ray of your own would run once per worker, and nobody would stop it.",
    fix="Start it inside train() or tune(), and end it there.",
    before="POOL = multiprocessing.Pool(4)",
    after="def train(…):\n    with multiprocessing.Pool(4) as pool: ...",
)
def importing_starts_nothing(context: CheckContext) -> None:
    observation = require_load(context)
    threads = observation.load_facts.get("threads", [])
    context.expect(
        not threads, f"importing the plugin started a thread: {_format_few(threads)}", signature="thread at import"
    )
    _expect_no_event(context, observation.process_starts, "started a process", "process at import", key="what")


@check(
    id="TR109",
    title="importing writes no file",
    clause=_IMPORT,
    why="`trialrun plugins`, a documentation build or a second worker imports it too: files appear or are overwritten.",
    fix="Write inside train() or tune(), into the folder that they run in.",
    before='LOG = open("plugin.log", "w")',
    after='def train(run, dataset, hyperparameter, checkpoint, **kwargs):\n    log = open("plugin.log", "w")',
)
def importing_writes_nothing(context: CheckContext) -> None:
    observation = require_load(context)
    written = [found for found in observation.files_outside if "__pycache__" not in found["path"]]
    _expect_no_event(context, written, "wrote a file", "file at import", key="path")
    inside = [path.name for path in (observation.folder / "work").glob("*")]
    context.expect(
        not inside,
        f"importing the plugin wrote {_format_few(inside)}",
        signature="file at import",
        where=context.locate_hook(),
    )


@check(
    id="TR110",
    title="importing needs no network",
    clause=_IMPORT,
    why="Workers may have none, and every one repeats the download, before anybody sees a progress bar.",
    fix="Download inside train(), and say so with run.log_message().",
    before="WEIGHTS = hub.load('resnet')",
    after="def train(run, dataset, hyperparameter, checkpoint, **kwargs):\n    weights = hub.load('resnet')",
)
def importing_needs_no_network(context: CheckContext) -> None:
    _expect_no_event(
        context, require_load(context).network_events, "used the network", "network at import", key="address"
    )


_RESERVED_PREFIXES = ("RAY_", "TRIALRUN_")
_SHARED_VARIABLES = ("PATH", "HOME", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH")


@check(
    id="TR111",
    title="leaves the process as it found it",
    clause=_IMPORT,
    why="The process is Ray's worker, and runs other code after yours: patches and signal handlers stay behind.",
    fix="Do not replace functions of others, signal handlers or settings of the whole process.",
    before="signal.signal(signal.SIGTERM, save_and_exit)",
    after="try: ...\nfinally: save()",
)
def leaves_the_process_as_it_was(context: CheckContext) -> None:
    observation = require_load(context)
    _expect_unchanged(context, observation, ("load",))
    run = context.train()
    if run.has_ended:
        _expect_unchanged(context, run, ("load", "run"))


def _expect_unchanged(context: CheckContext, observation: Observation, phases: tuple[str, ...]) -> None:
    for phase in phases:
        during = "importing the plugin" if phase == "load" else "a hook"
        for name, (before, _) in observation.state_changes.get(phase, {}).items():
            if (phase == "run" and name == "working directory") or (name == "temporary folder" and before == "None"):
                continue  # the one is put back, the other was only asked for
            context.fail(f"{during} changed {name}", signature=f"changed: {name}", where=context.locate_hook())
        for name in observation.environment_changes.get(phase, {}):
            if name.startswith(_RESERVED_PREFIXES) or name in _SHARED_VARIABLES:
                context.fail(
                    f"{during} changed the variable {name}", signature=f"changed: {name}", where=context.locate_hook()
                )


@check(
    id="TR112",
    title="imports within its budget of time",
    clause=_IMPORT,
    why="Every worker pays for it before its first trial, and so does every command that only lists plugins.",
    fix="Read data and build models inside train(). Import heavy libraries where they are used.",
    before="MODEL = build_and_warm_up()",
    after="@functools.cache\ndef model(): ...",
)
def imports_within_budget(context: CheckContext) -> None:
    observation = require_load(context)
    seconds = float(observation.import_seconds or 0.0)
    budget = WITH_LIBRARIES_S if _has_libraries(observation) else OWN_IMPORT_S
    context.note(import_seconds=round(seconds, 2), budget_s=budget)
    message = f"importing the plugin took {seconds:.1f} s; at most {budget:g} s are in order"
    context.expect(seconds <= budget, message, signature="slow import", where=context.locate_hook())


def _has_libraries(observation: Observation) -> bool:
    import sys

    return bool(
        {name for name in observation.modules if not name.startswith("_")}
        - set(sys.stdlib_module_names)
        - {_own_module_name(observation)}
    )


def _own_module_name(observation: Observation) -> str:
    from pathlib import Path

    return Path(str(observation.load_facts.get("inside") or "")).stem


@check(
    id="TR113",
    title="loads a second time in the same process",
    clause="docs/how-to/plugins.md#where-it-runs: worker processes are used for one trial after another",
    why="A worker or a notebook may load it anew. A name that can be registered once only makes the second time fail.",
    fix="Guard what can be done once: look it up before you register it.",
    before='codecs.register_error("mine", handler)\nregistry.add("mine")  # raises when it is there',
    after='if "mine" not in registry:\n    registry.add("mine")',
)
def loads_twice(context: CheckContext) -> None:
    require_load(context)
    observation = context.probe("trialrun.testing.checks.probes:load_again")
    where = observation.error.where if observation.error else None
    context.expect(
        observation.ok,
        f"loading it again failed: {observation.status_text}",
        signature="second load",
        where=where or context.locate_hook(),
    )


@check(
    id="TR114",
    title="holds no data at module level",
    clause="docs/how-to/plugins.md#train: the dataset is handed over, and shared between trials",
    why="What a module holds, every worker holds: a dataset is there once per process instead of once per machine.",
    fix="Take rows from `dataset`, which trials share, or read them inside train().",
    before='TABLE = numpy.load("table.npy")',
    after='def train(…):\n    table = numpy.load("table.npy", mmap_mode="r")',
)
def holds_no_data(context: CheckContext) -> None:
    require_load(context)
    observation = context.require_ok(context.probe("trialrun.testing.checks.probes:find_largest_value"))
    context.note(module_bytes=observation.probe_answer["bytes"])
    message = (
        f"{observation.probe_answer['name']} holds {observation.probe_answer['bytes'] // 2**20} MiB, in every worker"
    )
    context.expect(
        observation.probe_answer["bytes"] <= BIGGEST_MODULE,
        message,
        signature="data at module level",
        where=context.locate_hook(),
    )


@check(
    id="TR115",
    title="config.yaml agrees with the code",
    clause="docs/how-to/plugins.md#pass-it-to-trialrun: config.yaml names the function",
    why="The platform starts what config.yaml names, not what is there.",
    fix="Name a function that exists: `actions: {train: {entrypoint: plugin.train.train}}`.",
    before="entrypoint: plugin.train.main",
    after="entrypoint: plugin.train.train",
)
def config_agrees_with_code(context: CheckContext) -> None:
    _check_load(context, "TR115", "config.yaml")
    if find_config_file(context) is None:
        context.raise_not_applicable("the plugin has no config.yaml")


@check(
    id="TR116",
    title="declares what it can do",
    level="extended",
    clause="docs/how-to/conformance.md: declared capabilities are confirmed by observation, both ways",
    why="What is not declared is not checked, and nobody learns that it works.",
    fix="Add the capability to `conformance = {'capabilities': [...]}`.",
    before="conformance = {'capabilities': []}",
    after="conformance = {'capabilities': ['tunes', 'resumes', 'deterministic']}",
    timeout_s=40.0,
)
def declares_what_it_can(context: CheckContext) -> None:
    observation = require_load(context)
    _expect_declared(context, "tunes", "tune" in observation.hook_signatures, "it has a tune()")
    first = require_training(context)
    again = context.train(seed=first.scenario.seed, environment={"CONFORMANCE_AGAIN": "1"})
    same = again.ok and list_points(first) == list_points(again) and bool(list_points(first))
    _expect_declared(context, "deterministic", same, "two runs with one seed logged the same")
    if first.artifact_path is not None and same:
        resumed = context.train(checkpoint=first.artifact_path)
        goes_on = resumed.ok and list_points(resumed) != list_points(first)
        _expect_declared(context, "resumes", goes_on, "it went on from its artifact")


def _expect_declared(context: CheckContext, capability: str, seen: bool, how: str) -> None:
    message = f"{how}, and the plugin does not declare {capability!r}"
    context.expect(
        context.is_declared(capability) or not seen,
        message,
        signature=f"undeclared: {capability}",
        where=context.locate_hook(),
    )


def find_config_file(context: CheckContext) -> Any:
    """The plugin's config.yaml, or None."""
    from pathlib import Path

    folder = Path(context.target.spec)
    file = folder if folder.name == "config.yaml" else folder / "config.yaml"
    return file if file.is_file() else None


def _expect_no_event(context: CheckContext, found: list[dict[str, Any]], did: str, signature: str, *, key: str) -> None:
    seen = [event for event in found if event["phase"] == "load"]
    if seen:
        where = tuple(seen[0]["where"]) if seen[0]["where"] else context.locate_hook()
        context.fail(
            f"importing the plugin {did}: {_format_few([e[key] for e in seen])}", signature=signature, where=where
        )


def _format_few(found: list[Any]) -> str:
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return ", ".join(str(item) for item in found[:3]) + more
