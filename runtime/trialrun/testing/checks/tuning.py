"""TR3xx, tuning: many trials in one study, stopped, paused and resumed at any report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

from trialrun.events import flatten_mapping
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

__all__: list[str] = []

_TUNE = "docs/how-to/plugins.md#tune"
_PLACE = "docs/how-to/plugins.md#where-it-runs"
_TUNES = {"tunes"}
_MOST_DIMENSIONS = 6
_MOST_OPTIONS = 8


def _locate_tune_hook(context: CheckContext) -> tuple[str, int] | None:
    return context.locate_hook("tune") or context.locate_hook()


def _expect_trials_end(context: CheckContext, observation: Observation, how: str, signature: str) -> None:
    """Fail when a trial of this observation failed."""
    broken = list_failures(observation)
    raised = [
        error for error in observation.hook_errors if error.type != "SystemExit"
    ]  # how Ray ends a trial that it pauses
    if observation.ok and not broken and not raised:
        return
    error = raised[0] if raised else observation.error
    told = str(error) if error and observation.has_ended else broken[0]["error"] if broken else observation.status_text
    where = (error.where if error else None) or _locate_tune_hook(context)
    context.fail(f"{how}, a trial failed: {told}", signature=signature, where=where)


@check(
    id="TR301",
    title="trials come to their end",
    needs=_TUNES,
    clause=f"{_TUNE}: tune() runs one trial",
    why="A trial that fails has no result and no model.",
    fix="The trial's traceback is in its folder; the line that raised is named here.",
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
        told = str(error) if error and observation.has_ended else observation.status_text
        context.fail(
            f"tune() failed: {told}",
            signature=f"tune: {kind}",
            where=(error.where if error else None) or _locate_tune_hook(context),
        )
    if owner:
        context.raise_vacuous(f"a trial failed: see {owner}")
    context.note(trials=len(observation.hook_calls), reports=len(observation.reports()))


@check(
    id="TR302",
    title="says where the artifact is before the first report",
    needs=_TUNES,
    clause=f"{_TUNE}: set run.checkpoint_output before training starts",
    why="A scheduler may stop the trial at any report, and code behind it does not run: the trial then has no model.",
    fix="Set run.checkpoint_output at the top of tune(), or write to the path that it suggests.",
    before="run.report({'loss': loss})\nrun.checkpoint_output = path",
    after="run.checkpoint_output = path\nrun.report({'loss': loss})",
)
def output_is_declared_first(context: CheckContext) -> None:
    observation = require_tuning(context)
    reports = group_reports(observation)
    for hook in observation.hook_calls:
        own = reports.get(parse_trial_number(hook["trial_id"]), [])
        said = [call for call in hook["calls"] if call["name"] == "set:checkpoint_output"]
        if not own:
            continue
        first = datetime.fromisoformat(own[0]["time"]).timestamp()
        if said and said[0]["time"] > first:
            context.fail(
                "checkpoint_output was set after the first report", signature="output late", where=locate_call(said[0])
            )
        later = [report for report in own[1:] if "checkpoint_output" in report["metrics"]]
        if later and not said and "checkpoint_output" not in own[0]["metrics"]:
            context.fail(
                "checkpoint_output came with a later report only",
                signature="output late",
                where=_locate_tune_hook(context),
            )


@check(
    id="TR303",
    title="every trial that ends has a model",
    needs=_TUNES,
    clause=f"{_TUNE}: no artifact: no model",
    why="A study without models leaves numbers, and nothing to use.",
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
        where=_locate_tune_hook(context),
    )


@check(
    id="TR304",
    title="every report has the objective, and it is finite",
    needs=_TUNES,
    clause=f"{_TUNE}: the objective must be there and finite",
    why="Schedulers compare trials at every report. One without the objective, or with NaN, cannot be compared.",
    fix="Report the metric that the job optimises every time, and stop a trial that diverged.",
    before='run.report({"epoch": epoch})',
    after='run.report({"epoch": epoch, "loss": loss})',
)
def reports_have_the_objective(context: CheckContext) -> None:
    require_load(context)
    observation = context.tune()
    metric = context.target.metric or "loss"
    if find_blamed_check(observation) == "TR304":
        error = first_error(observation)
        told = str(error) if error and error.type == "ObjectiveMissing" else _first_failure(observation)
        where = (error.where if error else None) or _locate_tune_hook(context)
        context.fail(f"a trial's result lacks {metric!r}: {told}", signature="objective missing", where=where)
    context.require_ok(observation)
    reports = context.require_events(observation, "trial_result")
    calls = observation.find_calls("report")
    for number, report in enumerate(observation.reports()):
        if objective_value(report["metrics"], metric) is None:
            where = locate_call(calls[number]) if len(calls) == len(reports) else _locate_tune_hook(context)
            context.fail(
                f"a report lacks {metric!r}: {sorted(report['metrics'])}", signature="objective missing", where=where
            )


def _first_failure(observation: Observation) -> str:
    broken = list_failures(observation)
    return broken[0]["error"] if broken else observation.status_text


def _require_steps(context: CheckContext) -> tuple[Observation, list[dict[str, Any]]]:
    """The usual study, and what its first trial reported; NotApplicable when trials report once."""
    observation = require_tuning(context)
    reports = group_reports(observation).get(0, [])
    if not reports:
        context.raise_vacuous("no trial reported")
    if len(reports) == 1:
        context.raise_not_applicable("its trials report once, at their end: there is nothing to pause")
    return observation, reports


def _require_checkpoint(context: CheckContext, observation: Observation) -> Path:
    kept = list_checkpoints(observation)
    message = "trials report several times and never with a checkpoint: a paused trial starts over"
    context.expect(kept, message, signature="no checkpoint reported", where=_locate_tune_hook(context))
    return kept[0]


def _resume_first_trial(context: CheckContext, observation: Observation) -> Observation:
    """The first trial again, from the checkpoint of its first report."""
    space = build_fixed_space(get_trial_config(observation, 0))
    return context.tune(
        space=space, tune_config={"num_samples": 1}, checkpoint=_require_checkpoint(context, observation)
    )


@check(
    id="TR305",
    title="a trial takes the checkpoint that it reported",
    needs={"tunes", "resumes"},
    clause=f"{_TUNE}: report checkpoints if trials may be paused",
    why="HyperBand and PBT pause trials and call them anew with their own checkpoint.",
    fix="Report with checkpoint=folder, and read from Path(checkpoint['path']) what you wrote there.",
    before="run.report({'loss': loss})",
    after="save(model, folder)\nrun.report({'loss': loss}, checkpoint=folder)",
)
def trials_take_their_checkpoint(context: CheckContext) -> None:
    observation, _ = _require_steps(context)
    _expect_trials_end(
        context, _resume_first_trial(context, observation), "given the checkpoint that it reported", "resume"
    )


@check(
    id="TR306",
    title="a trial goes on from its checkpoint",
    needs={"tunes", "resumes"},
    clause=f"{_TUNE}: a trial that goes on later is called anew, and finds it as checkpoint",
    why="A trial that starts over at each pause never gets to its end under HyperBand.",
    fix="Load weights and epoch from the checkpoint, and go on with the next epoch.",
    before="for epoch in range(epochs):",
    after="for epoch in range(start, epochs):  # start comes from the checkpoint",
)
def trials_go_on(context: CheckContext) -> None:
    observation, fresh = _require_steps(context)
    if not list_checkpoints(observation):
        context.raise_vacuous("no checkpoint was reported: see TR305")
    again = context.require_ok(_resume_first_trial(context, observation))
    resumed = group_reports(again).get(0, [])
    if not resumed or again.hook_errors:
        context.raise_vacuous("the resumed trial reported nothing: see TR305")
    metric = context.target.metric or "loss"
    first, second = list_objectives(fresh, metric)[:2]
    anew = first != second and list_objectives(resumed, metric)[0] == first
    message = f"resumed from its first report's checkpoint, a trial began with {metric}={first}, as a new one does"
    context.expect(
        not anew and not same_values(fresh, resumed), message, signature="starts anew", where=_locate_tune_hook(context)
    )


@check(
    id="TR307",
    title="each trial has an artifact path of its own",
    needs=_TUNES,
    clause=f"{_TUNE}: each trial gets a model, from its own artifact",
    why="With one path for all, every model of the study is the last trial's, while the table says otherwise.",
    fix="Use run.checkpoint_output as it is suggested, or a relative path.",
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
            context.fail(message, signature="shared path", where=_locate_tune_hook(context))
        paths[path] = hook["trial_id"]
    if len(observation.hook_calls) < 2:
        context.raise_vacuous("fewer than two trials ran")


@check(
    id="TR308",
    title="nothing leaks from one trial into the next",
    needs={"tunes", "deterministic"},
    clause=f"{_PLACE}: keep no state in module globals",
    why="Workers run one trial after another. What one leaves in a global changes the result of the next.",
    fix="Keep state in local variables. What must be global (a cache) must not depend on the trial.",
    before="HISTORY = []\ndef tune(…): HISTORY.append(loss)",
    after="def tune(…):\n    history = []",
)
def nothing_leaks(context: CheckContext) -> None:
    observation = require_tuning(context)
    alone = context.require_ok(context.tune(options={"skip_trials": [0]}))
    after, by_itself = group_reports(observation).get(1, []), group_reports(alone).get(1, [])
    if not after or not by_itself:
        context.raise_vacuous("there was no second trial")
    undisturbed = _format_objectives(context, by_itself)
    message = f"a trial reported {_format_objectives(context, after)} after another one, and {undisturbed} alone"
    context.expect(same_values(after, by_itself), message, signature="leak", where=_locate_tune_hook(context))


def _format_objectives(context: CheckContext, reports: list[dict[str, Any]]) -> str:
    return str(list_objectives(reports, context.target.metric or "loss")[-3:])


@check(
    id="TR309",
    title="a trial stops when it is told",
    needs=_TUNES,
    clause=f"{_TUNE}: a scheduler may stop the trial at any report",
    why="Early stopping is what makes a search affordable. A trial that catches the stop keeps its GPU to the end.",
    fix="Catch Exception around a report, never BaseException, and not with a bare `except:`.",
    before="try:\n    run.report(metrics)\nexcept:\n    pass",
    after="run.report(metrics)",
)
def trials_stop_on_request(context: CheckContext) -> None:
    _require_steps(context)
    observation = context.tune(tune_config={"num_samples": 1, "stop": {"training_iteration": 1}})
    reports = group_reports(observation).get(0, [])
    message = f"told to stop at its first report, a trial reported {len(reports)} times"
    context.expect(
        observation.has_ended and len(reports) <= 1,
        message,
        signature="does not stop",
        where=_locate_tune_hook(context),
    )
    context.require_ok(observation)


@check(
    id="TR310",
    title="takes every value of its search space, its ends included",
    needs=_TUNES,
    clause="docs/reference/jobs.md: the distributions, and which of their ends are drawn",
    why="The ends are drawn rarely in a test and surely in a long search: the study then fails at night.",
    fix="Make the code take the ends, or narrow the space.",
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
        _expect_trials_end(context, observation, f"with {distribution['name']} at {ends}", "end of space")
    context.note(values=tried)
    if not tried:
        context.raise_not_applicable("its space holds no value beyond those that are tried anyway")


def _find_endpoints(distribution: Mapping[str, Any]) -> list[Any]:
    """The values at the ends of a distribution, those that can be drawn; all options of a list."""
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
    title="leaves the choice of GPUs alone",
    clause=f"{_PLACE}: a trial that asked for no GPU sees none",
    why="Ray gives each trial its GPUs through this variable. Set by the plugin, all trials pile up on one device.",
    fix='Use the first device that you see ("cuda:0"): it is the one that you were given.',
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
                during = "importing it" if phase == "load" else "a run of it"
                context.fail(f"{during} sets {name}", signature="GPU variable", where=context.locate_hook())


@check(
    id="TR312",
    title="each hyperparameter of the search space has an effect",
    level="extended",
    needs={"tunes", "deterministic"},
    clause=f"{_TUNE}: tune() runs one trial with that trial's hyperparameters",
    why="A value that never reaches the model, often by its spelling, is searched in vain.",
    fix="Read it under the name that the space gives it, or take it out of the space.",
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
            continue  # a value that it does not take: see TR310
        tried.append(name)
        message = f"{name}={ends[0]!r} and {name}={ends[-1]!r}, with one seed, gave the same results"
        context.expect(not same_values(*results), message, signature="no effect", where=_locate_tune_hook(context))
    context.note(hyperparameters=tried)
    if not tried:
        context.raise_vacuous("its space has one value only: name a search space")


def _run_alone(context: CheckContext, config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a study of this one trial reports; its seed is the same for every config."""
    observation = context.tune(space=build_fixed_space(config), tune_config={"num_samples": 1})
    return group_reports(observation).get(0, []) if observation.ok else []


@check(
    id="TR313",
    title="tune() returns a dict, a number, or nothing",
    needs=_TUNES,
    clause=f"{_TUNE}: may return a dict of metrics, one number or nothing",
    why="Anything else is no result. True is not a number, and a pair does not say which of the two counts.",
    fix="Return {'loss': loss, 'accuracy': accuracy}, one number, or nothing after reports.",
    before="return loss, accuracy",
    after="return {'loss': loss, 'accuracy': accuracy}",
)
def tune_returns_metrics(context: CheckContext) -> None:
    require_load(context)
    observation = context.tune()
    if find_blamed_check(observation) == "TR313":
        kind = next((hook.get("returned_type") for hook in observation.hook_calls), "something")
        context.fail(
            f"tune() returned {kind}: {_first_failure(observation)}",
            signature="return type",
            where=_locate_tune_hook(context),
        )
    context.require_ok(observation)


_ALLOWED = {"trial_id", "should_checkpoint"}


@check(
    id="TR314",
    title="reports use no name that Ray needs",
    needs=_TUNES,
    clause="docs/how-to/jobs.md: Ray's own result keys are never columns",
    why="Ray writes these into every result, and reads them: a `done` of yours ends the trial, a `config` replaces it.",
    fix="Choose another name: epoch instead of training_iteration, seconds instead of time_total_s.",
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
            not taken, f"a report uses {', '.join(taken)}", signature="reserved name", where=_locate_tune_hook(context)
        )


@check(
    id="TR315",
    title="two runs at once do not get into each other's way",
    clause=f"{_PLACE}: trials run side by side on one machine",
    why="A fixed port or a lock file works as long as one trial runs, which is how it was tested.",
    fix="Bind port 0 and ask which one you got; keep files in the run's own folder.",
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
        observations = list(pool.map(lambda given: context.train(options=given), options))
    for observation in observations:
        error = first_error(observation)
        where = (error.where if error else None) or context.locate_hook()
        context.expect(
            observation.ok,
            f"of two runs at once, one failed: {observation.status_text}",
            signature="two at once",
            where=where,
        )


# with Ray


@check(
    id="TR316",
    title="survives pause and resume under HyperBand",
    level="extended",
    needs={"tunes", "resumes", "ray"},
    clause=f"{_TUNE}: a trial that goes on later is called anew",
    why="HyperBand pauses trials for real: other processes, other folders, the checkpoint through Ray's storage.",
    fix="Report with a checkpoint each time, and take everything that you need from `checkpoint['path']`.",
    before="state = load('state.json')  # in the folder of the process that was paused",
    after="state = load(Path(checkpoint['path']) / 'state.json')",
    timeout_s=180.0,
)
def survives_hyperband(context: CheckContext) -> None:
    _require_steps(context)
    # Ray's first bracket, of two trials, never pauses; of the three in the second, two pause at their first report and
    # two go on, so that at least one is resumed. All five must be there before the first one reports. If the last
    # trials were to be stopped, one that fails after the other has paused would leave Ray waiting for ever.
    options = {"max_t": 3, "reduction_factor": 2.5, "stop_last_trials": False}
    scheduler = {"name": "hyperband", "options": options}
    config = {"num_samples": 5, "max_concurrent_trials": 5, "scheduler": scheduler}
    observation = context.tune(executor="ray", tune_config=config, num_cpus=0.5)
    _expect_trials_end(context, observation, "under HyperBand", "HyperBand")
    calls = [parse_trial_number(hook["trial_id"]) for hook in observation.hook_calls]
    resumed = sum(hook["checkpoint"] is not None for hook in observation.hook_calls)
    context.note(hook_calls=len(calls), trials=len(set(calls)), resumed=resumed)
    if not resumed:
        context.raise_vacuous("HyperBand paused no trial that it let go on")


@check(
    id="TR317",
    title="goes on from its checkpoint after its worker was killed",
    level="extended",
    needs={"tunes", "resumes", "ray"},
    clause="docs/how-to/jobs.md: max_failures starts a trial again from its last checkpoint",
    why="Machines are taken away in the middle of a trial. Without a checkpoint, the whole trial is lost.",
    fix="Report with a checkpoint each time, and begin with the one that you are given.",
    before="for epoch in range(epochs):",
    after="for epoch in range(start, epochs):  # start comes from the checkpoint",
    timeout_s=180.0,
)
def survives_a_killed_worker(context: CheckContext) -> None:
    observation, _ = _require_steps(context)
    _require_checkpoint(context, observation)
    marker = str(observation.folder / f"killed-{id(context)}")
    methods = [call["name"] for call in observation.hook_calls[0]["calls"] if ":" not in call["name"]]
    if "report" not in methods:
        context.raise_not_applicable("it reports past run: nothing says when to kill its worker")
    options = {"kill_at": methods.index("report") + 2, "kill_once": marker}
    killed = context.tune(executor="ray", tune_config={"num_samples": 1, "max_failures": 1}, options=options)
    if not Path(marker).exists():
        context.raise_vacuous("the worker was not killed: its trial reported too seldom")
    _expect_trials_end(context, killed, "after kill -9 of its worker", "killed worker")
    resumed = [hook for hook in killed.hook_calls if hook["checkpoint"]]
    context.note(resumed=len(resumed))
    context.expect(
        resumed,
        "after kill -9 the trial was started without a checkpoint",
        signature="killed worker",
        where=_locate_tune_hook(context),
    )


@check(
    id="TR318",
    title="says on Ray what it says without",
    level="extended",
    needs={"tunes", "deterministic", "ray"},
    clause="docs/how-to/conformance.md: fake equals real",
    why="What was checked in one process holds in a cluster only if the plugin does the same there.",
    fix="Take nothing from the process: no environment, no files beside the plugin, no state of another trial.",
    before='rate = float(os.environ.get("RATE", 0.1))',
    after='rate = hyperparameter["rate"]',
    timeout_s=180.0,
)
def ray_says_the_same(context: CheckContext) -> None:
    here = require_tuning(context)
    space = build_fixed_space(get_trial_config(here, 0))
    config = {"num_samples": 2}
    inline = context.require_ok(context.tune(space=space, tune_config=config))
    real = context.tune(space=space, tune_config=config, executor="ray")
    _expect_trials_end(context, real, "on Ray", "on Ray")
    one, other = _normalize_reports(inline), _normalize_reports(real)
    context.note(reports=sum(map(len, one.values())))
    for number, reports in one.items():
        same = same_values(reports, other.get(number, []))
        on_ray = _format_objectives(context, other.get(number, []))
        message = f"trial {number} reported {_format_objectives(context, reports)} here and {on_ray} on Ray"
        context.expect(same, message, signature="Ray differs", where=_locate_tune_hook(context))


def _normalize_reports(observation: Observation) -> dict[int, list[dict[str, Any]]]:
    return {number: list(_strip_result_keys(reports)) for number, reports in group_reports(observation).items()}


def _strip_result_keys(reports: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for report in reports:
        metrics = {key: value for key, value in flatten_mapping(report["metrics"]).items() if key not in RESULT_KEYS}
        yield {**report, "metrics": metrics}
