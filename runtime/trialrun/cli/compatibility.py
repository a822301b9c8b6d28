"""The check that job, plugins, search algorithm and scheduler fit together, made by the executors themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trialrun_hookspecs.markers import hookimpl

if TYPE_CHECKING:
    from trialrun.cli.jobs import JobInputs, Problems

__all__ = ["check_compatibility"]


class _PlaceholderPlugin:
    """A plugin for a job that names none."""

    @hookimpl
    def train(self, run: Any, dataset: Any, hyperparameter: Any, checkpoint: Any) -> None:
        """Do nothing; it is never called."""


def check_compatibility(inputs: JobInputs, executor: str, problems: Problems) -> None:
    """Collect in `problems` what keeps the job from starting. Ray is imported only to check one of its schedulers."""
    from trialrun.engine.job import prepare_job
    from trialrun.run_dir.run_config import RunConfig
    from trialrun_hookspecs.request import SchedulerConfig

    config = inputs.request.params.tune_config
    if config is None:
        return
    params = inputs.request.params
    with_fifo = params.model_copy(update={"tune_config": config.model_copy(update={"scheduler": SchedulerConfig()})})
    plugin = inputs.plugin or _PlaceholderPlugin()
    with problems.collect_usage_errors():  # the search algorithm, which both executors judge alike
        prepare_job(
            inputs.request.model_copy(update={"params": with_fifo}),
            plugin=plugin,
            plugins=inputs.others,
            run_config=RunConfig(executor="inline"),
        )
    if config.scheduler.name != "fifo" or config.scheduler.options:
        with problems.collect_usage_errors():
            options = RunConfig(executor=executor)  # type: ignore[arg-type]  # click has checked it
            prepare_job(inputs.request, plugin=plugin, plugins=inputs.others, run_config=options)
