"""Sound plugins in one: `style` is a way in which tune() may hand over its metrics."""

from __future__ import annotations


def train(run, dataset, hyperparameter, checkpoint):
    raise RuntimeError("training has no business here")


def tune(hyperparameter, run, dataset, checkpoint=None, **kwargs):
    style = hyperparameter["style"]
    if style == "generator":
        return steps()
    if style == "dict":
        return {"loss": 0.0, "nested": {"a": 1}}
    if style == "number":
        return 0
    if style == "run_report":
        run.report({"loss": 2.0})
        run.report({"loss": 1.0})
        return None
    if style == "ray_report":
        from ray import tune as ray_tune

        assert ray_tune.get_context().get_trial_id() == run.trial_id
        ray_tune.report({"loss": 2.0})
        ray_tune.report({"loss": 1.0})
        return None
    if style == "report_then_same":
        run.report({"loss": 1.0, "extra": 5})
        return {"loss": 1.0}
    if style == "report_then_more":
        run.report({"loss": 2.0, "extra": 5})
        return {"loss": 1.0}
    raise ValueError(style)


def steps():
    yield {"loss": 3.0}
    yield 2.0
