"""The harness: a session runs the checks of the contract against one plugin."""

from __future__ import annotations

import datetime as dt
import platform
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from trialrun._version import __version__
from trialrun.testing.context import CheckContext
from trialrun.testing.registry import Check, all_checks, select_checks
from trialrun.testing.repro import attach_repro
from trialrun.testing.runner import CachingRunner
from trialrun.testing.sandbox_pool import SandboxPool
from trialrun.testing.settings import find_pyproject, read_config
from trialrun.testing.target import Target, hash_files, resolve_spec
from trialrun.testing.verdicts import CheckFailed, NotApplicable, Outcome, Report, Vacuous, Verdict
from trialrun.testing.waivers import Waiver, apply_waiver, read_waivers
from trialrun_hookspecs.errors import UsageError

__all__ = ["Session", "check_plugin", "iterate"]

Profile = Literal["core", "full"]


def check_plugin(
    plugin: str | Path | None = None, *, on_outcome: Callable[[Outcome], object] | None = None, **options: Any
) -> Report:
    """Check a plugin and return the report. `options` are those of Session; `on_outcome` is called with each outcome.

    Raises UsageError for invalid options and settings. After a KeyboardInterrupt the report is incomplete.
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
    """Yield the outcome of every check as it becomes known, unselected checks last."""
    with Session(plugin, **options) as session:
        yield from session.outcomes()


class Session:
    """The checks of one plugin. `run(check)` may be called from several threads, in any order, and repeatedly.

    plugin: a path or name for `trialrun.load_plugin`; None takes it from [tool.trialrun] of the nearest pyproject.toml.
    profile: "core", or "full" for extended checks and Ray too. select, ignore: ids of checks or prefixes of ids.
    verify: run each check a second time, alone and in reverse order; a verdict that changes becomes an ERROR.
    workers: the number of checks at once. waivers: added to those of pyproject.toml. repro_dir: the folder for scripts
    that show failures; None writes none. ray: False skips the checks that need Ray. config: the pyproject.toml to read;
    False reads none. hyperparameter, hyperparameters, metric, mode, dataset, capabilities: settings, which override
    those of pyproject.toml and of the plugin's own `conformance` dict. checks: a registry instead of trialrun's own.
    sandboxes: a pool to share with other sessions, which the session does not close.
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
        sandboxes: SandboxPool | None = None,
        **settings: Any,
    ) -> None:
        if plugin is not None:
            self.spec = _require_spec(plugin)
        file = self._find_config(plugin, config)
        written = read_config(file)
        chosen = plugin if plugin is not None else written.plugin
        if chosen is None:
            fix = 'Pass one, or write `plugin = "…"` below [tool.trialrun] of pyproject.toml.'
            raise UsageError("a plugin must be named", where="plugin", got="none", fix=fix)
        self.spec = _require_spec(chosen)
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
        self._own_sandboxes = None if sandboxes is not None else SandboxPool(None if folder is None else Path(folder))
        self._sandboxes = sandboxes or self._own_sandboxes or SandboxPool()
        self._runner = CachingRunner(self._sandboxes, self._given, seed=seed, cache=cache)
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
        """End every process of the session and remove the folders of its runs. Safe to call twice."""
        self._runner.close()
        if self._own_sandboxes is not None:
            self._own_sandboxes.close()

    @property
    def target(self) -> Target:
        """The plugin with all its settings. Raises UsageError when they are wrong."""
        return self._runner.target

    @property
    def checks(self) -> list[Check]:
        """The selected checks, by id."""
        return list(self.chosen.values())

    # running

    def outcomes(self) -> Iterator[Outcome]:
        """Yield the outcomes of the selected checks as they become known, then the reasons why the others did not run.

        Raises UsageError when the plugin's settings are wrong.
        """
        if self.workers == 1:
            for check in self.checks:
                yield self.run(check)
        else:
            yield from self._run_parallel()
        if self.verify:
            yield from self._verify_checks()
        for name, check in self.all.items():
            if name not in self.chosen:
                yield self._outcomes.setdefault(name, self._not_run_outcome(check))

    def run(self, which: Check | str) -> Outcome:
        """Run one check and return its outcome, with its waiver applied."""
        check = self.all[which] if isinstance(which, str) else which
        _ = self.target  # invalid settings raise here, and give no verdict
        outcome = self._evaluate_check(check, self._runner)
        self._outcomes[check.id] = outcome
        return outcome

    def report(self) -> Report:
        """Return the report so far; it lists the checks that did not run too."""
        outcomes = tuple(self._outcomes.get(name) or self._not_run_outcome(check) for name, check in self.all.items())
        target, loaded = self._runner.peek_target()
        observed = ("tunes",) if "tune" in loaded.get("hooks", ()) else ()
        return Report(
            plugin=str(loaded.get("name") or self.spec),
            plugin_hash=_hash_plugin(loaded.get("inside"), self.spec),
            profile=self.profile,
            seed=self.seed,
            environment=_describe_environment(),
            declared=tuple(sorted(target.capabilities or ())),
            observed=observed,
            outcomes=outcomes,
            seconds=time.monotonic() - self._started,
            interrupted=self.interrupted,
            notes=self._collect_notes(target),
            curves=self._runner.read_curves(),
        )

    def _collect_notes(self, target: Target) -> tuple[str, ...]:
        notes = [
            f"the waiver of {name} in {waiver.where} was not used, because the check did not run"
            for name, waiver in self.waivers.items()
            if name not in self.chosen
        ]
        if not target.hyperparameter and any(outcome.verdict is Verdict.FAIL for outcome in self._outcomes.values()):
            example = 'conformance = {"hyperparameter": {…}}'
            notes.append(f"no hyperparameter was given: add `{example}` to the plugin, or use --job")
        if self._sandboxes.ray_seconds:
            notes.append(f"Ray took {self._sandboxes.ray_seconds:.1f} s to start")
        return tuple(notes)

    def _run_parallel(self) -> Iterator[Outcome]:
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="trialrun-check")
        try:
            waiting: set[Future[Outcome]] = {pool.submit(self.run, check) for check in self.checks}
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from sorted((future.result() for future in done), key=lambda outcome: outcome.id)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _verify_checks(self) -> Iterator[Outcome]:
        """Run each check again, alone and in reverse order, and yield the outcomes that changed."""
        for check in reversed(self.checks):
            first = self._outcomes[check.id]
            if first.verdict in (Verdict.NA, Verdict.NOT_RUN):
                continue
            alone = CachingRunner(self._sandboxes, self._given, seed=self.seed, cache=False)
            again = self._evaluate_check(check, alone, repro=False)
            if (again.verdict, again.signature) != (first.verdict, first.signature):
                self._outcomes[check.id] = changed = _unstable_outcome(first, again)
                yield changed

    def _evaluate_check(self, check: Check, runner: CachingRunner, *, repro: bool = True) -> Outcome:
        outcome = self._execute_check(check, runner)
        waiver = self.waivers.get(check.id)
        if waiver is not None:
            outcome = apply_waiver(outcome, waiver)
        if repro and outcome.verdict is Verdict.FAIL and self.repro_dir is not None and waiver is None:
            outcome = attach_repro(outcome, self.spec, self._given, self.repro_dir, seed=self.seed)
        return outcome

    def _execute_check(self, check: Check, runner: CachingRunner) -> Outcome:
        started = time.monotonic()
        deadline = started + check.timeout_s
        context = CheckContext(runner, timeout_s=check.timeout_s, remaining=lambda: deadline - time.monotonic())
        verdict, message, signature, fix = Verdict.PASS, "", "", ""
        where: tuple[str, int] | None = None
        try:
            self._check_needs(check, context)
            check.run(context)
        except CheckFailed as failed:
            verdict, message, signature, where = Verdict.FAIL, failed.message, failed.signature, failed.where
            fix = check.fix
        except Vacuous as nothing:
            verdict, message, fix = Verdict.VACUOUS, str(nothing), check.fix
        except NotApplicable as reason:
            verdict, message = Verdict.NA, str(reason)
        except _NotRun as reason:
            verdict, message = Verdict.NOT_RUN, str(reason)
        except Exception as error:  # noqa: BLE001  # reported as an error of the harness
            verdict, message = Verdict.ERROR, f"{type(error).__name__}: {error}"
            context.note(traceback=traceback.format_exc())
            fix = "This is a bug in trialrun. Please report it with the traceback."
        if where is None and verdict is Verdict.FAIL:
            where = _locate_hook(context, check)
        return Outcome(
            id=check.id,
            title=check.title,
            verdict=verdict,
            level=check.level,
            family=check.family,
            seconds=time.monotonic() - started,
            message=message,
            why=check.why if verdict is Verdict.FAIL else "",
            fix=fix,
            signature=signature,
            evidence={**context.evidence, "scenes": len(context.observations)},
            where=where,
        )

    def _check_needs(self, check: Check, context: CheckContext) -> None:
        """Raise NotApplicable when the plugin lacks a capability, _NotRun when Ray is not allowed."""
        if "ray" in check.needs and not self._ray_allowed:
            raise _NotRun("it needs Ray, which this run may not start (ray=False or --no-ray)")
        missing = sorted(need for need in check.needs if need != "ray" and not context.is_declared(need))
        if missing:
            raise NotApplicable(f"the plugin does not declare {', '.join(repr(need) for need in missing)}")

    def _not_run_outcome(self, check: Check) -> Outcome:
        asked = check.id in self._asked
        if check.id in self.chosen:
            message = "the run was interrupted before this check"
        elif asked:
            message = "left out by ignore"
        else:
            message = "not selected" if self._is_selection else "not in this profile"
        return Outcome(
            id=check.id,
            title=check.title,
            verdict=Verdict.NOT_RUN,
            level=check.level,
            family=check.family,
            message=message,
            selected=asked,
        )


class _NotRun(Exception):
    """The check cannot run in this session."""


def _select_checks(
    checks: Mapping[str, Check], profile: str, select: Iterable[str], ignore: Iterable[str]
) -> dict[str, Check]:
    if profile not in ("core", "full"):
        raise UsageError("must be 'core' or 'full'", where="profile", got=repr(profile))
    try:
        return select_checks(checks, profile=profile, select=select, ignore=ignore)
    except ValueError as error:
        fix = "`trialrun explain --list` prints all ids; `TR2` selects all ids with this prefix."
        raise UsageError(
            "must be the id of a check, or a prefix of ids", where="select, ignore", got=repr(str(error)), fix=fix
        ) from None


def _require_spec(plugin: object) -> str:
    if not isinstance(plugin, str | Path):
        fix = "Write it to a file and pass the path, because checks run in other processes."
        raise UsageError("must be a path or a name", where="plugin", got=type(plugin).__name__, fix=fix)
    return resolve_spec(plugin)


def _drop_none(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if value is not None}


def _locate_hook(context: CheckContext, check: Check) -> tuple[str, int] | None:
    """Return file and line of the hook that the check is about, or None."""
    for observation in context.observations:
        hooks = observation.hook_signatures
        hook = hooks.get("tune" if check.family == "tuning" else "train") or next(iter(hooks.values()), None)
        if hook and hook.get("file"):
            return hook["file"], hook["line"]
    return None


def _unstable_outcome(first: Outcome, again: Outcome) -> Outcome:
    difference = f"{first.verdict} among the others and {again.verdict} alone"
    if first.verdict == again.verdict:
        difference = f"it fails in two ways, {first.signature!r} among the others and {again.signature!r} alone"
    return replace(
        again,
        verdict=Verdict.ERROR,
        message=f"the verdict is not stable: {difference}",
        fix="Run the check alone with --select. A plugin that is not deterministic has this effect too.",
    )


def _hash_plugin(inside: str | None, spec: str) -> str:
    path = Path(inside or spec)
    try:
        return hash_files(path) if path.exists() else ""
    except OSError:
        return ""


def _describe_environment() -> dict[str, str]:
    versions = {"trialrun": __version__, "python": platform.python_version(), "platform": sys.platform}
    for name in ("ray", "numpy", "torch", "scikit-learn"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
