"""The harness: every check of the contract against one plugin. The doors are fed from here."""

from __future__ import annotations

import datetime as dt
import platform
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from trialrun._version import __version__
from trialrun.testing.context import CheckContext
from trialrun.testing.observation import Observation
from trialrun.testing.registry import Check, all_checks, select_checks
from trialrun.testing.repro import attach_repro
from trialrun.testing.sandbox import SandboxBroken
from trialrun.testing.sandbox_pool import SandboxPool
from trialrun.testing.scenario import Scenario
from trialrun.testing.settings import find_pyproject, read_config
from trialrun.testing.target import Target, hash_files, resolve_spec
from trialrun.testing.verdicts import CheckFailed, NotApplicable, Outcome, Report, Vacuous, Verdict
from trialrun.testing.waivers import Waiver, apply_waiver, read_waivers
from trialrun_hookspecs.errors import PluginAbsent, Problem, UsageError

__all__ = ["Session", "check_plugin", "iterate"]

Profile = Literal["core", "full"]


def check_plugin(
    plugin: str | Path | None = None, *, on_outcome: Callable[[Outcome], object] | None = None, **options: Any
) -> Report:
    """Check a plugin; `options` are those of Session. `on_outcome` hears of each outcome as it comes.

    Raises UsageError for options and settings that are wrong. A KeyboardInterrupt ends the report early.
    """
    with Session(plugin, **options) as session:
        try:
            for outcome in session.outcomes():
                if on_outcome is not None:
                    on_outcome(outcome)
        except KeyboardInterrupt:
            session.interrupted = True
        return session.report()


def iterate(plugin: str | Path | None = None, **options: Any) -> Iterator[Outcome]:
    """The outcomes of all checks, those that were not asked for included, as they come."""
    with Session(plugin, **options) as session:
        yield from session.outcomes()


class Session:
    """One plugin, checked. `run(check)` may be called from several threads, in any order, and again.

    plugin: see `trialrun.load_plugin`, by path or name; None: the one of [tool.trialrun] in the nearest pyproject.toml.
    profile: core, or full: extended checks too, and Ray. select, ignore: ids of checks or their beginnings.
    verify: each check alone and in reverse order as well; a verdict that changes is an ERROR.
    workers: checks at once. waivers: besides those of pyproject.toml. repro_dir: where scripts that show failures go;
    None makes none. ray: False runs no check that needs Ray. config: the pyproject.toml to read; False reads none.
    hyperparameter, hyperparameters, metric, mode, dataset, capabilities: settings, before those of pyproject.toml and
    of the plugin's own `conformance` dict. checks: others than those that ship with trialrun.
    """

    def __init__(
        self,
        plugin: str | Path | None = None,
        *,
        profile: Profile = "core",
        select: Iterable[str] = (),
        ignore: Iterable[str] = (),
        verify: bool = False,
        workers: int = 1,
        waivers: Iterable[Mapping[str, Any] | Waiver] = (),
        repro_dir: str | Path | None = None,
        ray: bool | None = None,
        seed: int = 7,
        config: str | Path | Literal[False] | None = None,
        folder: str | Path | None = None,
        today: dt.date | None = None,
        checks: Mapping[str, Check] | None = None,
        cache: bool = True,
        host: SandboxPool | None = None,
        **settings: Any,
    ) -> None:
        if plugin is not None:
            self.spec = _require_spec(plugin)
        file = self._find_config(plugin, config)
        written = read_config(file)
        given = plugin if plugin is not None else written.plugin
        if given is None:
            fix = 'Name one, or write `plugin = "…"` below [tool.trialrun] of pyproject.toml.'
            raise UsageError("a plugin must be named", where="plugin", got="none", fix=fix)
        self.spec = _require_spec(given)
        self.profile = profile
        self.seed = seed
        self.verify = verify
        self.workers = max(1, workers)
        self.repro_dir = None if repro_dir is None else Path(repro_dir)
        self.interrupted = False
        select = tuple(select)
        self.all = dict(sorted((all_checks() if checks is None else checks).items()))
        self.chosen = _select_checks(self.all, profile, select, ignore)
        self._asked = _select_checks(self.all, profile, select, ())
        self._is_selection = bool(select)
        self._ray_allowed = ray is not False
        date = today or dt.datetime.now().astimezone().date()
        self.waivers = {
            **read_waivers(written.waivers, self.all, today=date, path=str(file or ""), text=written.text),
            **read_waivers(waivers, self.all, today=date),
        }
        where = f"{file}, [tool.trialrun]"
        self._given = Target.from_mapping(self.spec, _drop_none(settings), "settings").fill_from(
            Target.from_mapping(self.spec, written.data, where)
        )
        self._own_host = None if host is not None else SandboxPool(None if folder is None else Path(folder))
        self._host = host or self._own_host or SandboxPool()
        self._bench = _CachingRunner(self._host, self._given, seed=seed, cache=cache)
        self._outcomes: dict[str, Outcome] = {}
        self._started = time.monotonic()

    @staticmethod
    def _find_config(plugin: str | Path | None, config: str | Path | Literal[False] | None) -> Path | None:
        if config is False:
            return None
        if config is not None:
            if not Path(config).is_file():
                raise UsageError("must be a file", where="config", got=str(config))
            return Path(config)
        start = Path(plugin) if plugin is not None and Path(plugin).exists() else Path.cwd()
        return find_pyproject(start.absolute())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every process of the session and remove its scenes. Safe to call twice."""
        self._bench.close()
        if self._own_host is not None:
            self._own_host.close()

    @property
    def subject(self) -> Target:
        """The plugin with all its settings. Raises UsageError when they are wrong."""
        return self._bench.target

    @property
    def checks(self) -> list[Check]:
        """Those that are asked for, by id."""
        return list(self.chosen.values())

    # running

    def outcomes(self) -> Iterator[Outcome]:
        """Every check's outcome: first of those that were asked for, as they come; then why the others did not run.

        Raises UsageError when the plugin's settings are wrong.
        """
        if self.workers == 1:
            for found in self.checks:
                yield self.run(found)
        else:
            yield from self._run_parallel()
        if self.verify:
            yield from self._verify_checks()
        for name, found in self.all.items():
            if name not in self.chosen:
                yield self._outcomes.setdefault(name, self._not_run_outcome(found))

    def run(self, which: Check | str) -> Outcome:
        """One check, with its waiver applied."""
        found = self.all[which] if isinstance(which, str) else which
        _ = self.subject  # wrong settings are nobody's verdict
        outcome = self._evaluate_check(found, self._bench)
        self._outcomes[found.id] = outcome
        return outcome

    def report(self) -> Report:
        """What came of it so far; checks that were not run are in it as such."""
        outcomes = tuple(self._outcomes.get(name) or self._not_run_outcome(found) for name, found in self.all.items())
        subject, loaded = self._bench.peek_target()
        observed = ("tunes",) if "tune" in loaded.get("hooks", ()) else ()
        return Report(
            plugin=str(loaded.get("name") or self.spec),
            plugin_hash=_hash_plugin(loaded.get("inside"), self.spec),
            profile=self.profile,
            seed=self.seed,
            environment=_describe_environment(),
            declared=tuple(sorted(subject.capabilities or ())),
            observed=tuple(sorted({*observed, *self._bench.capabilities_seen})),
            outcomes=outcomes,
            seconds=time.monotonic() - self._started,
            interrupted=self.interrupted,
            notes=self._collect_notes(subject),
            curves=self._bench.read_curves(),
        )

    def _collect_notes(self, subject: Target) -> tuple[str, ...]:
        notes = [
            f"the waiver of {name} in {waiver.where} was not used: the check did not run"
            for name, waiver in self.waivers.items()
            if name not in self.chosen
        ]
        if not subject.hyperparameter and any(outcome.verdict is Verdict.FAIL for outcome in self._outcomes.values()):
            example = 'conformance = {"hyperparameter": {…}}'
            notes.append(f"no hyperparameter was given: write `{example}` into the plugin, or use --job")
        if self._host.ray_seconds:
            notes.append(f"Ray took {self._host.ray_seconds:.1f} s to start")
        return tuple(notes)

    def _run_parallel(self) -> Iterator[Outcome]:
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="trialrun-check")
        try:
            waiting: set[Future[Outcome]] = {pool.submit(self.run, found) for found in self.checks}
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from sorted((future.result() for future in done), key=lambda outcome: outcome.id)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _verify_checks(self) -> Iterator[Outcome]:
        """Each check once more, alone, in reverse order; gives those whose verdict is another."""
        for found in reversed(self.checks):
            first = self._outcomes[found.id]
            if first.verdict in (Verdict.NA, Verdict.NOT_RUN):
                continue
            alone = _CachingRunner(self._host, self._given, seed=self.seed, cache=False)
            again = self._evaluate_check(found, alone, repro=False)
            if (again.verdict, again.signature) != (first.verdict, first.signature):
                self._outcomes[found.id] = changed = _unstable_outcome(first, again)
                yield changed

    def _evaluate_check(self, found: Check, bench: _CachingRunner, *, repro: bool = True) -> Outcome:
        outcome = self._execute_check(found, bench)
        waiver = self.waivers.get(found.id)
        if waiver is not None:
            outcome = apply_waiver(outcome, waiver)
        if repro and outcome.verdict is Verdict.FAIL and self.repro_dir is not None and waiver is None:
            outcome = attach_repro(outcome, self.spec, self._given, self.repro_dir, seed=self.seed)
        return outcome

    def _execute_check(self, found: Check, bench: _CachingRunner) -> Outcome:
        started = time.monotonic()
        deadline = started + found.timeout_s
        lab = CheckContext(bench, timeout_s=found.timeout_s, remaining=lambda: deadline - time.monotonic())
        verdict, message, signature, fix = Verdict.PASS, "", "", ""
        where: tuple[str, int] | None = None
        try:
            self._check_needs(found, lab)
            found.run(lab)
        except CheckFailed as failed:
            verdict, message, signature, where = Verdict.FAIL, failed.message, failed.signature, failed.where
            fix = found.fix
        except Vacuous as nothing:
            verdict, message, fix = Verdict.VACUOUS, str(nothing), found.fix
        except NotApplicable as reason:
            verdict, message = Verdict.NA, str(reason)
        except _NotRun as reason:
            verdict, message = Verdict.NOT_RUN, str(reason)
        except Exception as error:  # noqa: BLE001  # ours, and said so
            verdict, message = Verdict.ERROR, f"{type(error).__name__}: {error}"
            lab.note(traceback=traceback.format_exc())
            fix = "This is a bug in trialrun: please report it."
        if where is None and verdict is Verdict.FAIL:
            where = _locate_hook(lab, found)
        return Outcome(
            id=found.id,
            title=found.title,
            verdict=verdict,
            level=found.level,
            family=found.family,
            seconds=time.monotonic() - started,
            message=message,
            why=found.why if verdict is Verdict.FAIL else "",
            fix=fix,
            signature=signature,
            evidence={**lab.evidence, "scenes": len(lab.scenes)},
            where=where,
        )

    def _check_needs(self, found: Check, lab: CheckContext) -> None:
        """Raises NotApplicable or _NotRun where the check does not concern this plugin or this machine."""
        if "ray" in found.needs and not self._ray_allowed:
            raise _NotRun("it needs Ray, which this run may not start")
        missing = sorted(need for need in found.needs if need != "ray" and not lab.is_declared(need))
        if missing:
            raise NotApplicable(f"the plugin does not declare {', '.join(repr(need) for need in missing)}")

    def _not_run_outcome(self, found: Check) -> Outcome:
        asked = found.id in self._asked
        if found.id in self.chosen:
            message = "the run was interrupted before it"
        elif asked:
            message = "left out by ignore"
        else:
            message = "not selected" if self._is_selection else "not in this profile"
        return Outcome(
            id=found.id,
            title=found.title,
            verdict=Verdict.NOT_RUN,
            level=found.level,
            family=found.family,
            message=message,
            selected=asked,
        )


def _can_retry_longer(known: Future[Observation], scenario: Scenario) -> bool:
    if not known.done() or known.exception() is not None:
        return False
    scene = known.result()
    return scene.timed_out and scenario.timeout_s > 1.25 * scene.scenario.timeout_s


class _NotRun(Exception):
    """The machine cannot hold the check."""


@dataclass
class _CachingRunner:
    """What all checks of a session share: the stage, the settled subject, scenes that were played already."""

    host: SandboxPool
    base_target: Target
    seed: int
    cache: bool = True
    capabilities_seen: set[str] = field(default_factory=set)
    _scenes: dict[str, Future[Observation]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @cached_property
    def target(self) -> Target:
        """Raises UsageError when the plugin's own settings are wrong."""
        scene = self.load()
        loaded, error = scene.load_facts, scene.error
        if error is not None and error.type == "PluginAbsent" and not Path(self.base_target.spec).exists():
            raise PluginAbsent(problems=[Problem(where="", rule=error.message)])
        where = f"plugin {self.base_target.spec!r}, conformance"
        if loaded.get("conformance_type") and loaded.get("conformance") is None:
            raise UsageError("must be a dict", where=where, got=loaded["conformance_type"])
        own = Target.from_mapping(self.base_target.spec, loaded.get("conformance") or {}, where)
        subject = self.base_target.fill_from(own.resolve_dataset(loaded.get("inside"))).with_defaults(
            has_tune="tune" in loaded.get("hooks", ())
        )
        subject.check_settings()
        return subject

    def load(self) -> Observation:
        return self.run_scenario(Scenario(kind="load", plugin=self.base_target.spec, seed=self.seed), plain=True)

    def run_scenario(self, scenario: Scenario, *, plain: bool = False) -> Observation:
        if not self.cache and not plain:
            return self.host.run(scenario)
        with self._lock:
            known = self._scenes.get(scenario.cache_key)
            if known is not None and _can_retry_longer(known, scenario):
                known = None
            future: Future[Observation] = known or Future()
            if known is None:
                self._scenes[scenario.cache_key] = future
        if known is not None:
            return known.result()
        try:
            scene = self.host.run(scenario)
        except BaseException as error:
            with self._lock:
                self._scenes.pop(scenario.cache_key, None)
            future.set_exception(error)
            raise
        future.set_result(scene)
        return scene

    def ray_address(self) -> str:
        return self.host.ray_address()

    def peek_target(self) -> tuple[Target, Mapping[str, Any]]:
        """The subject and what loading showed, as far as they are known."""
        try:
            loaded = self.load().load_facts
            return self.target, loaded
        except UsageError:
            return self.base_target, loaded
        except SandboxBroken:
            return self.base_target, {}

    def read_curves(self) -> dict[str, Any]:
        """A trial table and the metrics of scenes that went well, for a page."""
        scenes = [future.result() for future in self._scenes.values() if future.done() and not future.exception()]
        for scene in sorted(scenes, key=lambda scene: (scene.scenario.kind != "tune", scene.folder.name)):
            if scene.ok and scene.has_recording and scene.scenario.kind in ("train", "tune"):
                keep = ("category", "key", "value", "metrics", "trial_id", "time")
                metrics = [{key: row[key] for key in keep} for row in scene.recorder.metrics()[:2_000]]
                return {"table": scene.recorder.last_table(), "metrics": metrics, "reports": scene.reports()[:2_000]}
        return {}

    def close(self) -> None:
        for future in self._scenes.values():
            if future.done() and not future.exception() and "recorder" in vars(future.result()):
                future.result().recorder.close()


def _select_checks(
    checks: Mapping[str, Check], profile: str, select: Iterable[str], ignore: Iterable[str]
) -> dict[str, Check]:
    if profile not in ("core", "full"):
        raise UsageError("must be 'core' or 'full'", where="profile", got=repr(profile))
    try:
        return select_checks(checks, profile=profile, select=select, ignore=ignore)
    except ValueError as error:
        fix = "`trialrun explain --list` has them all; `TR2` means all that begin so."
        raise UsageError(
            "must be the id of a check, or how some begin", where="select, ignore", got=repr(str(error)), fix=fix
        ) from None


def _require_spec(given: object) -> str:
    if not isinstance(given, str | Path):
        fix = "Put it into a file and hand over the path: checks run in processes of their own."
        raise UsageError("must be a path or a name", where="plugin", got=type(given).__name__, fix=fix)
    return resolve_spec(given)


def _drop_none(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if value is not None}


def _locate_hook(lab: CheckContext, found: Check) -> tuple[str, int] | None:
    """Where the hook stands that the check is about, if it is known."""
    for scene in lab.scenes:
        hooks = scene.hook_signatures
        hook = hooks.get("tune" if found.family == "tuning" else "train") or next(iter(hooks.values()), None)
        if hook and hook.get("file"):
            return hook["file"], hook["line"]
    return None


def _unstable_outcome(first: Outcome, again: Outcome) -> Outcome:
    told = f"{first.verdict} among the others and {again.verdict} alone"
    if first.verdict == again.verdict:
        told = f"it fails in two ways: {first.signature!r} among the others and {again.signature!r} alone"
    return replace(
        again,
        verdict=Verdict.ERROR,
        message=f"the verdict is not steady: {told}",
        fix="Run it again with --select; a plugin that is not deterministic has this effect too.",
    )


def _hash_plugin(inside: str | None, spec: str) -> str:
    path = Path(inside or spec)
    try:
        return hash_files(path) if path.exists() else ""
    except OSError:
        return ""


def _describe_environment() -> dict[str, str]:
    found = {"trialrun": __version__, "python": platform.python_version(), "platform": sys.platform}
    for name in ("ray", "numpy", "torch", "scikit-learn"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
