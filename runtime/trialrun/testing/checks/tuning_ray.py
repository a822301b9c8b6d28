"""TR3xx, tuning on Ray: real pauses, killed workers, and equal results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trialrun.events import flatten_mapping
from trialrun.testing.checks.shared import (
    build_fixed_space,
    get_trial_config,
    group_reports,
    parse_trial_number,
    require_tuning,
    same_values,
)
from trialrun.testing.checks.tuning import (
    expect_trials_end,
    format_objectives,
    locate_tune_hook,
    require_checkpoint,
    require_steps,
)
from trialrun.testing.context import CheckContext
from trialrun.testing.observation import Observation
from trialrun.testing.registry import check
from trialrun.trials import RESULT_KEYS

__all__: list[str] = []

_TUNE = "docs/how-to/plugins.md#tune"


@check(
    id="TR316",
    title="survives pause and resume under HyperBand",
    level="extended",
    needs={"tunes", "resumes", "ray"},
    clause=f"{_TUNE}: a trial that resumes is called again",
    why="A real pause moves the trial to another process and folder, and its checkpoint through Ray's storage.",
    fix="Report with a checkpoint each time, and load all state from `checkpoint['path']`.",
    before="state = load('state.json')  # in the folder of the process that was paused",
    after="state = load(Path(checkpoint['path']) / 'state.json')",
    timeout_s=180.0,
)
def survives_hyperband(context: CheckContext) -> None:
    require_steps(context)
    # Ray's first bracket of two trials never pauses. In the second bracket of three, two pause at their first report
    # and two continue, so that at least one resumes. All five must have started before the first report. If HyperBand
    # stopped the last trials, one that fails after another has paused would make Ray wait forever.
    options = {"max_t": 3, "reduction_factor": 2.5, "stop_last_trials": False}
    scheduler = {"name": "hyperband", "options": options}
    config = {"num_samples": 5, "max_concurrent_trials": 5, "scheduler": scheduler}
    observation = context.tune(executor="ray", tune_config=config, num_cpus=0.5)
    expect_trials_end(context, observation, "under HyperBand", "HyperBand")
    calls = [parse_trial_number(hook["trial_id"]) for hook in observation.hook_calls]
    resumed = sum(hook["checkpoint"] is not None for hook in observation.hook_calls)
    context.note(hook_calls=len(calls), trials=len(set(calls)), resumed=resumed)
    if not resumed:
        context.raise_vacuous("HyperBand resumed no trial that it had paused")


@check(
    id="TR317",
    title="resumes from its checkpoint after its worker was killed",
    level="extended",
    needs={"tunes", "resumes", "ray"},
    clause="docs/how-to/jobs.md: max_failures starts a trial again from its last checkpoint",
    why="Machines can fail in the middle of a trial. Without a checkpoint, the whole trial is lost.",
    fix="Report with a checkpoint each time, and start from the one in the argument.",
    before="for epoch in range(epochs):",
    after="for epoch in range(start, epochs):  # start comes from the checkpoint",
    timeout_s=180.0,
)
def survives_a_killed_worker(context: CheckContext) -> None:
    observation, _ = require_steps(context)
    require_checkpoint(context, observation)
    marker = str(observation.folder / f"killed-{id(context)}")
    methods = [call["name"] for call in observation.hook_calls[0]["calls"] if ":" not in call["name"]]
    if "report" not in methods:
        context.raise_not_applicable("it does not report through run, so the time to kill its worker is unknown")
    options = {"kill_at": methods.index("report") + 2, "kill_once": marker}
    killed = context.tune(executor="ray", tune_config={"num_samples": 1, "max_failures": 1}, options=options)
    if not Path(marker).exists():
        context.raise_vacuous("the worker was not killed: its trial reported too few times")
    expect_trials_end(context, killed, "after kill -9 of its worker", "killed worker")
    resumed = [hook for hook in killed.hook_calls if hook["checkpoint"]]
    context.note(resumed=len(resumed))
    context.expect(
        resumed,
        "after kill -9 the trial started without a checkpoint",
        signature="killed worker",
        where=locate_tune_hook(context),
    )


@check(
    id="TR318",
    title="reports the same on Ray as without Ray",
    level="extended",
    needs={"tunes", "deterministic", "ray"},
    clause="docs/how-to/conformance.md: fake equals real",
    why="Checks in one process are valid for a cluster only if the plugin behaves the same there.",
    fix="Depend on nothing in the process: no environment, no files beside the plugin, no state of other trials.",
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
    expect_trials_end(context, real, "on Ray", "on Ray")
    one, other = _normalize_reports(inline), _normalize_reports(real)
    context.note(reports=sum(map(len, one.values())))
    for number, reports in one.items():
        same = same_values(reports, other.get(number, []))
        on_ray = format_objectives(context, other.get(number, []))
        message = f"trial {number} reported {format_objectives(context, reports)} here, but {on_ray} on Ray"
        context.expect(same, message, signature="Ray differs", where=locate_tune_hook(context))


def _normalize_reports(observation: Observation) -> dict[int, list[dict[str, Any]]]:
    return {number: list(_strip_result_keys(reports)) for number, reports in group_reports(observation).items()}


def _strip_result_keys(reports: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for report in reports:
        metrics = {key: value for key, value in flatten_mapping(report["metrics"]).items() if key not in RESULT_KEYS}
        yield {**report, "metrics": metrics}
