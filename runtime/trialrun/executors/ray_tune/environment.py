"""What became of the environment variables that Ray Tune read in 2021, with those that came since."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["VARIABLES", "Finding", "Variable", "findings"]

Fate = Literal["works", "option", "gone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """`fate`: works as it is; trialrun has an option in its place, and sets it itself where that is needed; gone.

    `bites` says of a value whether a run fails or suffers with it; `secret`: the value is shown to nobody.
    """

    fate: Fate
    note: str
    bites: Callable[[str], bool] = lambda value: False
    secret: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A variable that is set, and what comes of it."""

    name: str
    value: str
    fate: Fate
    note: str
    bites: bool


def _always(value: str) -> bool:
    return True


def _no_whole_number(value: str) -> bool:
    return not value.strip().lstrip("-").isdigit()


def _no_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return True
    return False


def _frequent(value: str) -> bool:
    """Snapshots of the whole experiment that often cost time that grows with the square of the trials."""
    return value != "auto" and (_no_number(value) or float(value) < 1)


def _works(note: str, bites: Callable[[str], bool] = lambda value: False) -> Variable:
    return Variable(fate="works", note=note, bites=bites)


def _option(note: str, bites: Callable[[str], bool] = lambda value: False) -> Variable:
    return Variable(fate="option", note=note, bites=bites)


def _gone(note: str, *, secret: bool = False) -> Variable:
    return Variable(fate="gone", note=note, secret=secret)


_PLACED = "placement groups are always used, and are Tune's own business"

VARIABLES: Mapping[str, Variable] = {
    "SIGOPT_KEY": _gone("SigOpt's searcher was removed; use another search_alg", secret=True),
    "TUNE_CLOUD_SYNC_S": _gone("use tune_config.sync_period_s, together with tune_config.storage_path"),
    "TUNE_CLUSTER_SSH_KEY": _gone("nothing is synced over ssh any more; use tune_config.storage_path"),
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": _option("set by trialrun; use tune_config.loggers"),
    "TUNE_DISABLE_AUTO_CALLBACK_SYNCER": _gone("there is no syncer callback; use tune_config.storage_path"),
    "TUNE_DISABLE_AUTO_INIT": _option("trialrun connects to Ray itself; use --address, or RAY_ADDRESS"),
    "TUNE_DISABLE_DATED_SUBDIR": _option("results folders are named after the job and its number; use --results"),
    "TUNE_DISABLE_SIGINT_HANDLER": _option("set by trialrun: Ctrl-C stops the study, and `trialrun resume` goes on"),
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": _option("set by trialrun: a missing objective fails that trial alone"),
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": _works("seconds to wait for a trial that is told to stop", _no_whole_number),
    "TUNE_GLOBAL_CHECKPOINT_S": _works(
        "seconds between snapshots of the study; below 1 they cost more the more trials there are", _frequent
    ),
    "TUNE_MAX_LEN_IDENTIFIER": _option("trial folders are named by tune_config.trial_name"),
    "TUNE_MAX_PENDING_TRIALS_PG": _works(
        "how many trials may wait for room", lambda value: value != "auto" and _no_whole_number(value)
    ),
    "TUNE_PLACEMENT_GROUP_AUTO_DISABLED": _gone(_PLACED),
    "TUNE_PLACEMENT_GROUP_CLEANUP_DISABLED": _gone(_PLACED),
    "TUNE_PLACEMENT_GROUP_PREFIX": _gone(_PLACED),
    "TUNE_PLACEMENT_GROUP_RECON_INTERVAL": _gone(_PLACED),
    "TUNE_PLACEMENT_GROUP_WAIT_S": _gone(_PLACED),
    "TUNE_RESULT_BUFFER_LENGTH": _works("results to buffer (default 1: none)", _no_whole_number),
    "TUNE_RESULT_BUFFER_MAX_TIME_S": _works("longest time to buffer results", _no_number),
    "TUNE_RESULT_BUFFER_MIN_TIME_S": _works("shortest time to buffer results", _no_number),
    "TUNE_RESULT_DIR": _option("Ray refuses to run with it; use --results, or tune_config.storage_path", _always),
    "TUNE_STATE_REFRESH_PERIOD": _works("seconds between looks at the cluster's resources", _no_number),
    "TUNE_SYNCER_VERBOSITY": _gone("there is no Docker syncer any more; use tune_config.storage_path"),
    "TUNE_TRIAL_STARTUP_GRACE_PERIOD": _gone("trials start when there is room for them"),
    "TUNE_WARN_THRESHOLD_S": _works("Tune's loop says, in ray.log, what took longer than this", _no_number),
    "WANDB_API_KEY": Variable(
        fate="works", note="read by Ray's WandbLoggerCallback, which a trial_callbacks hook can offer", secret=True
    ),
    # Names that Ray took up after the guide was written.
    "RAY_AIR_LOCAL_CACHE_DIR": _option("Ray refuses to run with it; use --results", _always),
    "RAY_AIR_NEW_OUTPUT": _option("set by trialrun, which shows the trials itself; use --quiet"),
    "RAY_CHDIR_TO_TRIAL_DIR": _option("trialrun makes the trial's own folder the current one"),
    "RAY_TUNE_CALLBACKS": _option("one that raises ends the study; use a trial_callbacks hook, which is isolated"),
}
"""By name. The first block is the list of the guide of 2021."""


def findings(environment: Mapping[str, str]) -> list[Finding]:
    """What there is to say of the variables that are set, in the table's order."""
    return [
        Finding(
            name=name,
            value="(not shown)" if variable.secret else environment[name],
            fate=variable.fate,
            note=variable.note,
            bites=variable.bites(environment[name]),
        )
        for name, variable in VARIABLES.items()
        if environment.get(name)
    ]
