"""TR3xx, tuning: many trials in one study, stopped, paused and resumed at any report."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

from trialrun.outcomes import objective_value
from trialrun.testing.checks.shared import (
    build_fixed_space,
    find_blamed_check,
    first_error,
    get_trial_config,
    group_reports,
    list_checkpoints,
    list_failures,
    list_objectives,
    locate_call,
    parse_trial_number,
    require_load,
    require_training,
    require_tuning,
    same_values,
)
from trialrun.testing.context import CheckContext
from trialrun.testing.observation import Observation
from trialrun.testing.registry import check
from trialrun.trials import RESULT_KEYS

__all__ = ["expect_trials_end", "format_objectives", "locate_tune_hook", "require_checkpoint", "require_steps"]

_TUNE = "docs/how-to/plugins.md#tune"
_PLACE = "docs/how-to/plugins.md#where-it-runs"
_TUNES = {"tunes"}
_MOST_DIMENSIONS = 6
_MOST_OPTIONS = 8


def locate_tune_hook(context: CheckContext) -> tuple[str, int] | None:
    return context.locate_hook("tune") or context.locate_hook()


def expect_trials_end(context: CheckContext, observation: Observation, how: str, signature: str) -> None:
    """Fail when a trial of this run failed."""
    broken = list_failures(observation)
    raised = [
        error for error in observation.hook_errors if error.type != "SystemExit"
    ]  # Ray raises it in a trial that it pauses
    if observation.ok and not broken and not raised:
        return
    error = raised[0] if raised else observation.error
    text = str(error) if error and observation.has_ended else broken[0]["error"] if broken else observation.status_text
    where = (error.where if error else None) or locate_tune_hook(context)
    context.fail(f"a trial failed {how}: {text}", signature=signature, where=where)


@check(
    id="TR301",
    title="trials complete",
    needs=_TUNES,
    clause=f"{_TUNE}: tune() runs one trial",
    why="A failed trial has no result and no model.",
    fix="Correct the line that raised the error. The full traceback is in the trial's folder.",
    before='lr = hyperparameter["learning_rate"]  # the space calls it "lr"',
    after='lr = hyperparameter["lr"]',
)
def trials_end(context: CheckContext) -> None:
    require_load(context)
    observation = context.tune()
    owner = find_blamed_check(observation)
    if owner == "TR301":
        error = first_error(observation)
        kind = error.type if error and observation.has_ended else "timed out" if observation.timed_out else "died"
        text = str(error) if error and observation.has_ended else observation.status_text
        context.fail(
            f"tune() failed: {text}",
            signature=f"tune: {kind}",
            where=(error.where if error else None) or locate_tune_hook(context),
        )
    if owner:
        context.raise_vacuous(f"a trial failed: see {owner}")
    context.note(trials=len(observation.hook_calls), reports=len(observation.reports()))


@check(
    id="TR302",
    title="sets checkpoint_output before the first report",
    needs=_TUNES,
    clause=f"{_TUNE}: set run.checkpoint_output before training starts",
    why="A scheduler may stop a trial at any report. Later code does not run, and the trial has no model.",
    fix="Set run.checkpoint_output at the start of tune(), or write to its default path.",
    before="run.report({'loss': loss})\nrun.checkpoint_output = path",
    after="run.checkpoint_output = path\nrun.report({'loss': loss})",
)
def output_is_declared_first(context: CheckContext) -> None:
    observation = require_tuning(context)
    reports = group_reports(observation)
    for hook in observation.hook_calls:
        own = reports.get(parse_trial_number(hook["trial_id"]), [])
        assigned = [call for call in hook["calls"] if call["name"] == "set:checkpoint_output"]
        if not own:
            continue
        first = datetime.fromisoformat(own[0]["time"]).timestamp()
        if assigned and assigned[0]["time"] > first:
            context.fail(
                "checkpoint_output was set after the first report",
                signature="output late",
                where=locate_call(assigned[0]),
            )
        later = [report for report in own[1:] if "checkpoint_output" in report["metrics"]]
        if later and not assigned and "checkpoint_output" not in own[0]["metrics"]:
            context.fail(
                "only a later report contained checkpoint_output",
                signature="output late",
                where=locate_tune_hook(context),
            )


@check(
    id="TR303",
    title="every completed trial has a model",
    needs=_TUNES,
    clause=f"{_TUNE}: no artifact: no model",
    why="A study without models leaves only numbers.",
    fix="Save the model to run.checkpoint_output, or report it: run.report(metrics, checkpoint=folder).",
    before="return {'loss': loss}",
    after="save(model, run.checkpoint_output)\nreturn {'loss': loss}",
)
def trials_have_models(context: CheckContext) -> None:
    observation = require_tuning(context)
    reasons = [failure["error"] for failure in (observation.result or {}).get("failures", ())]
    context.note(models=len((observation.result or {}).get("trial_models", ())))
    context.expect(
        not reasons,
        f"a trial has no model: {'; '.join(reasons[:1])}",
        signature="no model",
        where=locate_tune_hook(context),
    )


@check(
    id="TR304",
    title="every report contains a finite objective",
    needs=_TUNES,
    clause=f"{_TUNE}: the objective must be there and finite",
    why="Schedulers compare trials at every report. A report without the objective, or with NaN, stops that.",
    fix="Include the job's objective in every report, and end a trial that diverged.",
    before='run.report({"epoch": epoch})',
    after='run.report({"epoch": epoch, "loss": loss})',
)
def reports_have_the_objective(context: CheckContext) -> None:
    require_load(context)
    observation = context.tune()
    metric = context.target.metric or "loss"
    if find_blamed_check(observation) == "TR304":
        error = first_error(observation)
        text = str(error) if error and error.type == "ObjectiveMissing" else _first_failure(observation)
        where = (error.where if error else None) or locate_tune_hook(context)
        context.fail(f"a trial's result lacks {metric!r}: {text}", signature="objective missing", where=where)
    context.require_ok(observation)
    reports = context.require_events(observation, "trial_result")
    calls = observation.find_calls("report")
    for number, report in enumerate(observation.reports()):
        if objective_value(report["metrics"], metric) is None:
            where = locate_call(calls[number]) if len(calls) == len(reports) else locate_tune_hook(context)
            context.fail(
                f"a report lacks {metric!r}: {sorted(report['metrics'])}", signature="objective missing", where=where
            )


def _first_failure(observation: Observation) -> str:
    broken = list_failures(observation)
    return broken[0]["error"] if broken else observation.status_text


def require_steps(context: CheckContext) -> tuple[Observation, list[dict[str, Any]]]:
    """Return the plain tuning run and the reports of its first trial. Raises NotApplicable when trials report once."""
    observation = require_tuning(context)
    reports = group_reports(observation).get(0, [])
    if not reports:
        context.raise_vacuous("no trial reported")
    if len(reports) == 1:
        context.raise_not_applicable("its trials report only once, so they cannot be paused")
    return observation, reports


def require_checkpoint(context: CheckContext, observation: Observation) -> Path:
    kept = list_checkpoints(observation)
    message = "trials report several times but never with a checkpoint, so a paused trial starts over"
    context.expect(kept, message, signature="no checkpoint reported", where=locate_tune_hook(context))
    return kept[0]


def _resume_first_trial(context: CheckContext, observation: Observation) -> Observation:
    """Run the first trial again, from the checkpoint of its first report."""
    space = build_fixed_space(get_trial_config(observation, 0))
    return context.tune(
        space=space, tune_config={"num_samples": 1}, checkpoint=require_checkpoint(context, observation)
    )


@check(
    id="TR305",
    title="a trial accepts the checkpoint that it reported",
    needs={"tunes", "resumes"},
    clause=f"{_TUNE}: report checkpoints if trials may be paused",
    why="HyperBand and PBT pause trials, and call tune() again with the trial's own checkpoint.",
    fix="Report with checkpoint=folder, and read the same files from Path(checkpoint['path']).",
    before="run.report({'loss': loss})",
    after="save(model, folder)\nrun.report({'loss': loss}, checkpoint=folder)",
)
def trials_take_their_checkpoint(context: CheckContext) -> None:
    observation, _ = require_steps(context)
    expect_trials_end(
        context, _resume_first_trial(context, observation), "with the checkpoint that it reported", "resume"
    )


@check(
    id="TR306",
    title="a trial resumes from its checkpoint",
    needs={"tunes", "resumes"},
    clause=f"{_TUNE}: a trial that goes on later is called anew, and finds it as checkpoint",
    why="Under HyperBand, a trial that starts over at each pause never completes.",
    fix="Load weights and epoch from the checkpoint, and continue with the next epoch.",
    before="for epoch in range(epochs):",
    after="for epoch in range(start, epochs):  # start comes from the checkpoint",
)
def trials_go_on(context: CheckContext) -> None:
    observation, fresh = require_steps(context)
    if not list_checkpoints(observation):
        context.raise_vacuous("no checkpoint was reported: see TR305")
    again = context.require_ok(_resume_first_trial(context, observation))
    resumed = group_reports(again).get(0, [])
    if not resumed or again.hook_errors:
        context.raise_vacuous("the resumed trial reported nothing: see TR305")
    metric = context.target.metric or "loss"
    first, second = list_objectives(fresh, metric)[:2]
    is_restarted = first != second and list_objectives(resumed, metric)[0] == first
    message = f"resumed from its first report's checkpoint, a trial began with {metric}={first}, like a new trial"
    context.expect(
        not is_restarted and not same_values(fresh, resumed),
        message,
        signature="starts anew",
        where=locate_tune_hook(context),
    )


@check(
    id="TR307",
    title="each trial has its own artifact path",
    needs=_TUNES,
    clause=f"{_TUNE}: each trial gets a model, from its own artifact",
    why="With one shared path, every model of the study is that of the last trial, unlike the table.",
    fix="Use the default of run.checkpoint_output, or a relative path.",
    before='run.checkpoint_output = Path("/models/best")',
    after="path = Path(run.checkpoint_output)",
)
def paths_are_not_shared(context: CheckContext) -> None:
    observation = require_tuning(context)
    paths: dict[str, str] = {}
    for hook in observation.hook_calls:
        path = str(hook.get("checkpoint_output") or "")
        if path and path in paths:
            message = f"trials {paths[path]} and {hook['trial_id']} share the artifact path {path}"
            context.fail(message, signature="shared path", where=locate_tune_hook(context))
        paths[path] = hook["trial_id"]
    if len(observation.hook_calls) < 2:
        context.raise_vacuous("fewer than two trials ran")


@check(
    id="TR308",
    title="no state leaks from one trial into the next",
    needs={"tunes", "deterministic"},
    clause=f"{_PLACE}: keep no state in module globals",
    why="A worker runs one trial after another. State in a global variable changes the result of the next trial.",
    fix="Keep state in local variables. A global cache must not depend on the trial.",
    before="HISTORY = []\ndef tune(…): HISTORY.append(loss)",
    after="def tune(…):\n    history = []",
)
def nothing_leaks(context: CheckContext) -> None:
    observation = require_tuning(context)
    alone = context.require_ok(context.tune(options={"skip_trials": [0]}))
    after, by_itself = group_reports(observation).get(1, []), group_reports(alone).get(1, [])
    if not after or not by_itself:
        context.raise_vacuous("there was no second trial")
    undisturbed = format_objectives(context, by_itself)
    message = f"a trial reported {format_objectives(context, after)} after another trial, but {undisturbed} alone"
    context.expect(same_values(after, by_itself), message, signature="leak", where=locate_tune_hook(context))


def format_objectives(context: CheckContext, reports: list[dict[str, Any]]) -> str:
    return str(list_objectives(reports, context.target.metric or "loss")[-3:])


@check(
    id="TR309",
    title="a trial stops when the scheduler stops it",
    needs=_TUNES,
    clause=f"{_TUNE}: a scheduler may stop the trial at any report",
    why="Early stopping saves most of the cost of a search. A trial that catches the stop keeps its GPU to the end.",
    fix="Catch Exception around a report, never BaseException, and never with a bare `except:`.",
    before="try:\n    run.report(metrics)\nexcept:\n    pass",
    after="run.report(metrics)",
)
def trials_stop_on_request(context: CheckContext) -> None:
    require_steps(context)
    observation = context.tune(tune_config={"num_samples": 1, "stop": {"training_iteration": 1}})
    reports = group_reports(observation).get(0, [])
    message = f"a trial that was stopped at its first report reported {len(reports)} times"
    context.expect(
        observation.has_ended and len(reports) <= 1,
        message,
        signature="does not stop",
        where=locate_tune_hook(context),
    )
    context.require_ok(observation)


@check(
    id="TR310",
    title="accepts every value of its search space, bounds included",
    needs=_TUNES,
    clause="docs/reference/jobs.md: the distributions, and which of their bounds are drawn",
    why="A test rarely draws the bounds, but a long search does, and its trials then fail.",
    fix="Make the code accept the bounds, or narrow the space.",
    before="1 / (1 - momentum)  # momentum is drawn from 0 to 1",
    after='{"name": "momentum", "type": "uniform", "min": 0.0, "max": 0.99}',
    timeout_s=60.0,
)
def takes_the_whole_space(context: CheckContext) -> None:
    base = get_trial_config(require_tuning(context), 0)
    tried = 0
    for distribution in list(context.target.space or ())[:_MOST_DIMENSIONS]:
        ends = _find_endpoints(distribution)
        if not ends:
            continue
        rest = {name: value for name, value in base.items() if name != distribution["name"]}
        grid = {"name": distribution["name"], "type": "grid_search", "options": ends}
        observation = context.tune(space=(*build_fixed_space(rest), grid), tune_config={"num_samples": 1})
        tried += len(ends)
        expect_trials_end(context, observation, f"with {distribution['name']} at {ends}", "end of space")
    context.note(values=tried)
    if not tried:
        context.raise_not_applicable("its space holds no values besides those of the plain run")


def _find_endpoints(distribution: Mapping[str, Any]) -> list[Any]:
    """Return the bounds of a distribution that can be drawn, or the options of a list."""
    kind, low, high = distribution["type"], distribution.get("min"), distribution.get("max")
    if "options" in distribution:
        options = list(distribution["options"])[:_MOST_OPTIONS]
        return options if len(options) > 1 else []
    if "mean" in distribution:
        return [distribution["mean"] - 2 * distribution["sd"], distribution["mean"] + 2 * distribution["sd"]]
    if low is None or high is None:
        return []
    if kind in ("randint", "lograndint"):
        return sorted({int(low), int(high) - 1})
    return [int(low), int(high)] if "randint" in kind else [float(low), float(high)]


_GPU = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")


@check(
    id="TR311",
    title="does not change the assigned GPUs",
    clause=f"{_PLACE}: a trial that asked for no GPU sees none",
    why="Ray assigns GPUs to trials through this variable. If the plugin sets it, all trials use one device.",
    fix='Use the first visible device ("cuda:0"): it is the assigned one.',
    before='os.environ["CUDA_VISIBLE_DEVICES"] = "0"',
    after='device = "cuda" if torch.cuda.is_available() else "cpu"',
)
def gpus_are_left_alone(context: CheckContext) -> None:
    require_load(context)
    observations = [context.load(), context.train()]
    if "tune" in observations[0].hook_signatures:
        observations.append(context.tune())
    for observation in observations:
        for phase, changes in observation.environment_changes.items():
            for name in set(changes) & set(_GPU):
                during = "importing the plugin" if phase == "load" else "a hook"
                context.fail(f"{during} sets {name}", signature="GPU variable", where=context.locate_hook())


@check(
    id="TR312",
    title="each hyperparameter of the search space has an effect",
    level="extended",
    needs={"tunes", "deterministic"},
    clause=f"{_TUNE}: tune() runs one trial with that trial's hyperparameters",
    why="A value that never reaches the model, often because of a misspelling, is searched in vain.",
    fix="Read it under its name in the space, or remove it from the space.",
    before='lr = hyperparameter.get("learning_rate", 0.1)  # the space calls it "lr"',
    after='lr = hyperparameter["lr"]',
    timeout_s=90.0,
)
def hyperparameters_have_an_effect(context: CheckContext) -> None:
    base = get_trial_config(require_tuning(context), 0)
    tried = []
    for distribution in list(context.target.space or ())[:_MOST_DIMENSIONS]:
        name, ends = distribution["name"], _find_endpoints(distribution)
        if len(ends) < 2:
            continue
        results = [_run_alone(context, {**base, name: value}) for value in (ends[0], ends[-1])]
        if not all(results):
            continue  # a value that it does not accept: see TR310
        tried.append(name)
        message = f"{name}={ends[0]!r} and {name}={ends[-1]!r}, with the same seed, gave the same results"
        context.expect(not same_values(*results), message, signature="no effect", where=locate_tune_hook(context))
    context.note(hyperparameters=tried)
    if not tried:
        context.raise_vacuous("its space has only one value; set `hyperparameters` to a search space")


def _run_alone(context: CheckContext, config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the reports of a study with this one trial; its seed is the same for every config."""
    observation = context.tune(space=build_fixed_space(config), tune_config={"num_samples": 1})
    return group_reports(observation).get(0, []) if observation.ok else []


@check(
    id="TR313",
    title="tune() returns a dict, a number, or nothing",
    needs=_TUNES,
    clause=f"{_TUNE}: may return a dict of metrics, one number or nothing",
    why="Nothing else is a result. True is not a number, and a pair does not say which value counts.",
    fix="Return {'loss': loss, 'accuracy': accuracy}, one number, or nothing after reports.",
    before="return loss, accuracy",
    after="return {'loss': loss, 'accuracy': accuracy}",
)
def tune_returns_metrics(context: CheckContext) -> None:
    require_load(context)
    observation = context.tune()
    if find_blamed_check(observation) == "TR313":
        kind = next((hook.get("returned_type") for hook in observation.hook_calls), "another type")
        context.fail(
            f"tune() returned {kind}: {_first_failure(observation)}",
            signature="return type",
            where=locate_tune_hook(context),
        )
    context.require_ok(observation)


_ALLOWED = {"trial_id", "should_checkpoint"}


@check(
    id="TR314",
    title="reports use no key that Ray reserves",
    needs=_TUNES,
    clause="docs/how-to/jobs.md: Ray's own result keys are never columns",
    why="Ray writes and reads these keys in every result: your `done` ends the trial, your `config` replaces its own.",
    fix="Choose another key: epoch instead of training_iteration, seconds instead of time_total_s.",
    before='run.report({"loss": loss, "done": False})',
    after='run.report({"loss": loss})',
)
def reports_use_no_reserved_name(context: CheckContext) -> None:
    require_load(context)
    observation = context.tune()
    context.require_events(observation, "trial_result")
    for report in observation.reports():
        taken = sorted((set(report["metrics"]) & RESULT_KEYS) - _ALLOWED - {context.target.metric})
        context.expect(
            not taken,
            f"a report uses the reserved {', '.join(taken)}",
            signature="reserved name",
            where=locate_tune_hook(context),
        )


@check(
    id="TR315",
    title="two runs at once do not interfere",
    clause=f"{_PLACE}: trials run side by side on one machine",
    why="A fixed port or a lock file works only as long as one trial runs at a time.",
    fix="Bind port 0 and read the assigned port. Keep files in the run's own folder.",
    before='server.bind(("127.0.0.1", 29500))',
    after='server.bind(("127.0.0.1", 0))',
)
def two_runs_at_once(context: CheckContext) -> None:
    first = require_training(context)
    meeting = first.folder / "meeting"
    meeting.mkdir(exist_ok=True)
    options = [
        {"meet": str(meeting), "as": f"{id(context)}-{number}", "prefix": f"{id(context)}-"} for number in (1, 2)
    ]
    with ThreadPoolExecutor(2) as pool:
        observations = list(pool.map(lambda option: context.train(options=option), options))
    for observation in observations:
        error = first_error(observation)
        where = (error.where if error else None) or context.locate_hook()
        context.expect(
            observation.ok,
            f"one of two runs at once failed: {observation.status_text}",
            signature="two at once",
            where=where,
        )
