"""What all tests share: hypothesis profiles, pytester, one Ray session, one browser."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["pytester"]

BROWSER_FLAGS = ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-background-networking")
BROWSER_WAIT_S = 40
ROOT = Path(__file__).resolve().parent

# per property: other examples at every run here, more of them in CI; HYPOTHESIS_PROFILE=thorough looks longest
settings.register_profile("dev", deadline=None, max_examples=15)
settings.register_profile("ci", deadline=None, max_examples=40, derandomize=True, print_blob=True)
settings.register_profile("thorough", deadline=None, max_examples=2_000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


def pytest_configure() -> None:
    """A shell ignores Ctrl-C for what it runs in the background, and every process that a test starts inherits that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """One local Ray for all tests that need one: four CPUs and one GPU, all of them logical.

    Ray pickles the functions of an importable module by name, so its workers must find the broken plugins too. They
    inherit the environment: a `runtime_env` would do the same and make every worker start a second later. Ray starts
    workers with niceness 15, so that whatever else this machine does makes every trial wait.
    """
    import ray

    from trialrun.executors.ray_tune.cluster import listen_on_loopback

    paths = [str(ROOT / "tests" / "broken_plugins"), os.environ.get("PYTHONPATH", "")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("RAY_worker_niceness", "0")
        with listen_on_loopback():
            ray.init(
                address="local",
                num_cpus=4,
                num_gpus=1,
                include_dashboard=False,
                log_to_driver=False,
                configure_logging=False,
            )
        yield
        ray.shutdown()


@pytest.fixture(scope="session")
def chrome() -> Iterator[Any]:
    """One headless chromium for all tests that need one; in Debian, `chromium` and `chromium-driver`."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    driver, binary = shutil.which("chromedriver"), shutil.which("chromium")
    if driver is None or binary is None:
        pytest.skip(f"{'chromium' if binary is None else 'chromedriver'} is not on the path")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in BROWSER_FLAGS:
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    made = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    made.set_script_timeout(BROWSER_WAIT_S)
    yield made
    made.quit()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests with a Ray of their own by a name of its own too: `-m` selects by names, before arguments are seen."""
    for item in items:
        marker = item.get_closest_marker("ray")
        if marker is not None and not marker.kwargs.get("session", True):
            item.add_marker("own_ray")


@pytest.fixture(autouse=True)
def _ray_for_marked_tests(request: pytest.FixtureRequest) -> None:
    """Give tests marked `ray` the session; those marked `ray(session=False)` start Ray in a process of their own."""
    marker = request.node.get_closest_marker("ray")
    if marker is not None and marker.kwargs.get("session", True):
        request.getfixturevalue("ray_session")


@pytest.fixture(autouse=True)
def _gpu_for_marked_tests(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("gpu") is not None and not list(Path("/dev").glob("nvidia[0-9]*")):
        pytest.skip("this machine has no NVIDIA GPU")
