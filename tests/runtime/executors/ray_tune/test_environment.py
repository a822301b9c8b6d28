"""The table of environment variables is true of the Ray that is installed."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from trialrun.executors.ray_tune.environment import VARIABLES, list_variable_findings

GUIDE_OF_2021 = """
TUNE_CLUSTER_SSH_KEY TUNE_DISABLE_AUTO_CALLBACK_LOGGERS TUNE_DISABLE_AUTO_CALLBACK_SYNCER TUNE_DISABLE_AUTO_INIT
TUNE_DISABLE_DATED_SUBDIR TUNE_DISABLE_STRICT_METRIC_CHECKING TUNE_DISABLE_SIGINT_HANDLER
TUNE_FUNCTION_THREAD_TIMEOUT_S TUNE_GLOBAL_CHECKPOINT_S TUNE_MAX_LEN_IDENTIFIER TUNE_MAX_PENDING_TRIALS_PG
TUNE_PLACEMENT_GROUP_AUTO_DISABLED TUNE_PLACEMENT_GROUP_CLEANUP_DISABLED TUNE_PLACEMENT_GROUP_PREFIX
TUNE_PLACEMENT_GROUP_RECON_INTERVAL TUNE_PLACEMENT_GROUP_WAIT_S TUNE_RESULT_DIR TUNE_RESULT_BUFFER_LENGTH
TUNE_RESULT_BUFFER_MAX_TIME_S TUNE_RESULT_BUFFER_MIN_TIME_S TUNE_SYNCER_VERBOSITY
TUNE_TRIAL_STARTUP_GRACE_PERIOD TUNE_WARN_THRESHOLD_S TUNE_STATE_REFRESH_PERIOD SIGOPT_KEY WANDB_API_KEY
TUNE_CLOUD_SYNC_S
"""


@pytest.fixture(scope="module")
def rays_code() -> str:
    """Ray's library code, without the list of names that Tune warns about when they are misspelt."""
    where = importlib.util.find_spec("ray")
    assert where is not None
    assert where.submodule_search_locations
    root = Path(where.submodule_search_locations[0])
    files = [
        file
        for part in ("tune", "train", "air")
        for file in (root / part).rglob("*.py")
        if "tests" not in file.relative_to(root).parts
    ]
    texts = {file: file.read_text("utf-8") for file in files}
    constants = root / "tune" / "constants.py"
    texts[constants] = re.sub(r"TUNE_ENV_VARS = \{.*?^\}", "", texts[constants], flags=re.DOTALL | re.MULTILINE)
    return "\n".join(texts.values())


def test_every_variable_of_the_guide_has_its_fate() -> None:
    assert set(GUIDE_OF_2021.split()) <= VARIABLES.keys()


@pytest.mark.parametrize("name", VARIABLES)
def test_what_is_gone_is_read_nowhere_in_ray_and_the_rest_is(name: str, rays_code: str) -> None:
    read = re.search(rf"\b{name}\b", rays_code) is not None
    assert read == (VARIABLES[name].fate != "gone")


def test_only_what_is_set_is_told() -> None:
    assert list_variable_findings({"HOME": "/root", "TUNE_RESULT_DIR": ""}) == []
    (found,) = list_variable_findings({"TUNE_SYNCER_VERBOSITY": "3"})
    assert (found.name, found.value, found.fate, found.is_error) == ("TUNE_SYNCER_VERBOSITY", "3", "gone", False)


@pytest.mark.parametrize(
    ("name", "value", "is_error"),
    [
        ("TUNE_RESULT_DIR", "/data", True),
        ("RAY_AIR_LOCAL_CACHE_DIR", "/data", True),
        ("TUNE_GLOBAL_CHECKPOINT_S", "0", True),
        ("TUNE_GLOBAL_CHECKPOINT_S", "often", True),
        ("TUNE_GLOBAL_CHECKPOINT_S", "30", False),
        ("TUNE_GLOBAL_CHECKPOINT_S", "auto", False),
        ("TUNE_FUNCTION_THREAD_TIMEOUT_S", "2.5", True),
        ("TUNE_MAX_PENDING_TRIALS_PG", "auto", False),
        ("TUNE_DISABLE_SIGINT_HANDLER", "1", False),
    ],
)
def test_a_value_is_an_error_where_a_run_fails_or_suffers_with_it(name: str, value: str, is_error: bool) -> None:
    assert [found.is_error for found in list_variable_findings({name: value})] == [is_error]


def test_keys_are_shown_to_nobody() -> None:
    for found in list_variable_findings({"WANDB_API_KEY": "hunter2", "SIGOPT_KEY": "hunter2"}):
        assert "hunter2" not in repr(found)
