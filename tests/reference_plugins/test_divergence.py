"""The stopper hook's reference plugin."""

from __future__ import annotations

from trialrun_reference.divergence import Divergence, stoppers


def ends(stopper: Divergence, trial_id: str, *losses: object) -> list[bool]:
    return [stopper(trial_id, {"loss": loss}) for loss in losses]


def test_a_trial_ends_when_its_loss_runs_away_from_its_first() -> None:
    (stopper,) = stoppers()
    assert ends(stopper, "a", 1.0, 10.0, 10.1) == [False, False, True]
    assert ends(stopper, "b", 50.0, 60.0) == [False, False]


def test_another_metric_and_factor_may_be_watched() -> None:
    stopper = Divergence(metric="val/loss", factor=2)
    assert [stopper("a", {"loss": 99, "val/loss": value}) for value in (1, 3)] == [False, True]


def test_a_result_without_a_number_ends_nothing() -> None:
    assert ends(Divergence(), "a", None, "high", 1.0, None) == [False] * 4


def test_the_study_ends_when_trial_after_trial_diverges() -> None:
    stopper = Divergence(trials=2)
    ends(stopper, "a", 1.0, 11.0, 12.0)
    assert not stopper.stop_all()
    ends(stopper, "b", 1.0, 11.0)
    assert stopper.stop_all()


def test_a_trial_that_gets_better_starts_the_count_again() -> None:
    stopper = Divergence(trials=2)
    for trial_id, second in (("a", 11.0), ("b", 0.5), ("c", 11.0)):
        ends(stopper, trial_id, 1.0, second)
    assert not stopper.stop_all()
