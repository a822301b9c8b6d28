"""The environment variables that Ray Tune read in 2021, later ones, and the effect of each today."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["VARIABLES", "Variable", "VariableFinding", "list_variable_findings"]

Fate = Literal["works", "option", "gone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One variable. `fate`: it works; trialrun has an option instead, and sets it where needed; or it is gone.

    `is_error` returns True for a value that fails or slows a run. The value of a `secret` is never shown.
    """

    fate: Fate
    note: str
    is_error: Callable[[str], bool] = lambda value: False
    secret: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VariableFinding:
    """A variable that is set, and its effect."""

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
    """Return True for snapshots so frequent that their cost grows with the square of the number of trials."""
    return value != "auto" and (_is_not_number(value) or float(value) < 1)


def _make_working(note: str, is_error: Callable[[str], bool] = lambda value: False) -> Variable:
    return Variable(fate="works", note=note, is_error=is_error)


def _make_option(note: str, is_error: Callable[[str], bool] = lambda value: False) -> Variable:
    return Variable(fate="option", note=note, is_error=is_error)


def _make_removed(note: str, *, secret: bool = False) -> Variable:
    return Variable(fate="gone", note=note, secret=secret)


_PLACED = "Tune always uses placement groups and manages them itself"

VARIABLES: Mapping[str, Variable] = {
    "SIGOPT_KEY": _make_removed("SigOpt's searcher was removed; use another search_alg", secret=True),
    "TUNE_CLOUD_SYNC_S": _make_removed("use tune_config.sync_period_s, together with tune_config.storage_path"),
    "TUNE_CLUSTER_SSH_KEY": _make_removed("nothing is synced over ssh any more; use tune_config.storage_path"),
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": _make_option("set by trialrun; use tune_config.loggers"),
    "TUNE_DISABLE_AUTO_CALLBACK_SYNCER": _make_removed("there is no syncer callback; use tune_config.storage_path"),
    "TUNE_DISABLE_AUTO_INIT": _make_option("trialrun connects to Ray itself; use --address, or RAY_ADDRESS"),
    "TUNE_DISABLE_DATED_SUBDIR": _make_option("results folders are named after the job and its number; use --results"),
    "TUNE_DISABLE_SIGINT_HANDLER": _make_option(
        "set by trialrun: Ctrl-C stops the study, and `trialrun resume` resumes it"
    ),
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": _make_option("set by trialrun: a missing objective fails that trial alone"),
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": _make_working("seconds to wait for a trial to stop", _is_not_whole),
    "TUNE_GLOBAL_CHECKPOINT_S": _make_working(
        "seconds between snapshots of the study; below 1 they cost more the more trials there are", _is_too_frequent
    ),
    "TUNE_MAX_LEN_IDENTIFIER": _make_option("trial folders are named by tune_config.trial_name"),
    "TUNE_MAX_PENDING_TRIALS_PG": _make_working(
        "how many trials may wait for resources", lambda value: value != "auto" and _is_not_whole(value)
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
    "TUNE_TRIAL_STARTUP_GRACE_PERIOD": _make_removed("trials start when their resources are free"),
    "TUNE_WARN_THRESHOLD_S": _make_working("seconds; Tune's loop logs to ray.log what takes longer", _is_not_number),
    "WANDB_API_KEY": Variable(
        fate="works", note="read by Ray's WandbLoggerCallback, which a trial_callbacks hook can offer", secret=True
    ),
    # Names that Ray added after the guide was written.
    "RAY_AIR_LOCAL_CACHE_DIR": _make_option("Ray refuses to run with it; use --results", _is_any_value),
    "RAY_AIR_NEW_OUTPUT": _make_option("set by trialrun, which shows the trials itself; use --quiet"),
    "RAY_CHDIR_TO_TRIAL_DIR": _make_option("trialrun makes the trial's own folder the current one"),
    "RAY_TUNE_CALLBACKS": _make_option("one that raises ends the study; use a trial_callbacks hook, which is isolated"),
}
"""The variables by name; first those of the guide of 2021."""


def list_variable_findings(environment: Mapping[str, str]) -> list[VariableFinding]:
    """Return the findings about the variables that are set, in the order of the table."""
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
