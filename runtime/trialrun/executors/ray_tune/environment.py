"""What became of the environment variables that Ray Tune read in 2021, with those that came since."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["VARIABLES", "Variable", "VariableFinding", "list_variable_findings"]

Fate = Literal["works", "option", "gone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """`fate`: works as it is; trialrun has an option in its place, and sets it itself where that is needed; gone.

    `is_error` says of a value whether a run fails or suffers with it; `secret`: the value is shown to nobody.
    """

    fate: Fate
    note: str
    is_error: Callable[[str], bool] = lambda value: False
    secret: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VariableFinding:
    """A variable that is set, and what comes of it."""

    name: str
    value: str
    fate: Fate
    note: str
    is_error: bool


def _is_any_value(value: str) -> bool:
    return True


def _is_not_whole(value: str) -> bool:
    return not value.strip().lstrip("-").isdigit()


def _is_not_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return True
    return False


def _is_too_frequent(value: str) -> bool:
    """Snapshots of the whole experiment that often cost time that grows with the square of the trials."""
    return value != "auto" and (_is_not_number(value) or float(value) < 1)


def _make_working(note: str, is_error: Callable[[str], bool] = lambda value: False) -> Variable:
    return Variable(fate="works", note=note, is_error=is_error)


def _make_option(note: str, is_error: Callable[[str], bool] = lambda value: False) -> Variable:
    return Variable(fate="option", note=note, is_error=is_error)


def _make_removed(note: str, *, secret: bool = False) -> Variable:
    return Variable(fate="gone", note=note, secret=secret)


_PLACED = "placement groups are always used, and are Tune's own business"

VARIABLES: Mapping[str, Variable] = {
    "SIGOPT_KEY": _make_removed("SigOpt's searcher was removed; use another search_alg", secret=True),
    "TUNE_CLOUD_SYNC_S": _make_removed("use tune_config.sync_period_s, together with tune_config.storage_path"),
    "TUNE_CLUSTER_SSH_KEY": _make_removed("nothing is synced over ssh any more; use tune_config.storage_path"),
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": _make_option("set by trialrun; use tune_config.loggers"),
    "TUNE_DISABLE_AUTO_CALLBACK_SYNCER": _make_removed("there is no syncer callback; use tune_config.storage_path"),
    "TUNE_DISABLE_AUTO_INIT": _make_option("trialrun connects to Ray itself; use --address, or RAY_ADDRESS"),
    "TUNE_DISABLE_DATED_SUBDIR": _make_option("results folders are named after the job and its number; use --results"),
    "TUNE_DISABLE_SIGINT_HANDLER": _make_option(
        "set by trialrun: Ctrl-C stops the study, and `trialrun resume` goes on"
    ),
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": _make_option("set by trialrun: a missing objective fails that trial alone"),
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": _make_working("seconds to wait for a trial that is told to stop", _is_not_whole),
    "TUNE_GLOBAL_CHECKPOINT_S": _make_working(
        "seconds between snapshots of the study; below 1 they cost more the more trials there are", _is_too_frequent
    ),
    "TUNE_MAX_LEN_IDENTIFIER": _make_option("trial folders are named by tune_config.trial_name"),
    "TUNE_MAX_PENDING_TRIALS_PG": _make_working(
        "how many trials may wait for room", lambda value: value != "auto" and _is_not_whole(value)
    ),
    "TUNE_PLACEMENT_GROUP_AUTO_DISABLED": _make_removed(_PLACED),
    "TUNE_PLACEMENT_GROUP_CLEANUP_DISABLED": _make_removed(_PLACED),
    "TUNE_PLACEMENT_GROUP_PREFIX": _make_removed(_PLACED),
    "TUNE_PLACEMENT_GROUP_RECON_INTERVAL": _make_removed(_PLACED),
    "TUNE_PLACEMENT_GROUP_WAIT_S": _make_removed(_PLACED),
    "TUNE_RESULT_BUFFER_LENGTH": _make_working("results to buffer (default 1: none)", _is_not_whole),
    "TUNE_RESULT_BUFFER_MAX_TIME_S": _make_working("longest time to buffer results", _is_not_number),
    "TUNE_RESULT_BUFFER_MIN_TIME_S": _make_working("shortest time to buffer results", _is_not_number),
    "TUNE_RESULT_DIR": _make_option(
        "Ray refuses to run with it; use --results, or tune_config.storage_path", _is_any_value
    ),
    "TUNE_STATE_REFRESH_PERIOD": _make_working("seconds between looks at the cluster's resources", _is_not_number),
    "TUNE_SYNCER_VERBOSITY": _make_removed("there is no Docker syncer any more; use tune_config.storage_path"),
    "TUNE_TRIAL_STARTUP_GRACE_PERIOD": _make_removed("trials start when there is room for them"),
    "TUNE_WARN_THRESHOLD_S": _make_working("Tune's loop says, in ray.log, what took longer than this", _is_not_number),
    "WANDB_API_KEY": Variable(
        fate="works", note="read by Ray's WandbLoggerCallback, which a trial_callbacks hook can offer", secret=True
    ),
    # Names that Ray took up after the guide was written.
    "RAY_AIR_LOCAL_CACHE_DIR": _make_option("Ray refuses to run with it; use --results", _is_any_value),
    "RAY_AIR_NEW_OUTPUT": _make_option("set by trialrun, which shows the trials itself; use --quiet"),
    "RAY_CHDIR_TO_TRIAL_DIR": _make_option("trialrun makes the trial's own folder the current one"),
    "RAY_TUNE_CALLBACKS": _make_option("one that raises ends the study; use a trial_callbacks hook, which is isolated"),
}
"""By name. The first block is the list of the guide of 2021."""


def list_variable_findings(environment: Mapping[str, str]) -> list[VariableFinding]:
    """What there is to say of the variables that are set, in the table's order."""
    return [
        VariableFinding(
            name=name,
            value="(not shown)" if variable.secret else environment[name],
            fate=variable.fate,
            note=variable.note,
            is_error=variable.is_error(environment[name]),
        )
        for name, variable in VARIABLES.items()
        if environment.get(name)
    ]
