"""The results folder arrives in storage elsewhere: what is new, what changed, and not what is gone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import trialrun
from trialrun.backend.mirror import Mirror, mirrored
from trialrun_hookspecs.errors import RequestInvalid, UsageError

ROWS = [{"category": "train", "data": {"x": [float(x)], "y": 2.0 * x}} for x in range(4)]


def job(**config: Any) -> dict[str, Any]:
    space = [
        {"name": "epochs", "type": "choice", "options": [2]},
        {"name": "learning_rate", "type": "grid_search", "options": [0.1, 0.2]},
    ]
    params = {"name": "stored", "dataset": 1, "is_tune": True, "hyperparameters": space}
    return {"action": "train", "params": {**params, "tune_config": {"metric": "loss", "mode": "min", **config}}}


def run(folder: Path, given: dict[str, Any], **options: Any) -> Any:
    return trialrun.run(given, plugin="pure", datasets={1: ROWS}, executor="inline", results=folder / "here", **options)


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "study-1" / "trials").mkdir(parents=True)
    (tmp_path / "study-1" / "run.json").write_text("{}")
    return tmp_path / "study-1"


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_study_is_there_twice(tmp_path: Path, form: str) -> None:
    result = run(tmp_path, job(storage_path=form.format(tmp_path / "there"), loggers="csv"))
    here, there = Path(result.results_dir), tmp_path / "there" / "stored-1"
    assert names(there) == names(here)
    assert {"result.json", "recorder.sqlite"} <= names(there)
    assert [name for name in names(there) if name.endswith("progress.csv")]
    for name in names(there) - {"lock"}:
        assert (there / name).read_bytes() == (here / name).read_bytes()


def test_what_fsspec_knows_will_do(tmp_path: Path) -> None:
    import fsspec

    run(tmp_path, job(), storage="memory://bucket/studies")
    assert fsspec.filesystem("memory").exists("/bucket/studies/stored-1/result.json")


def test_each_turn_copies_what_changed_alone(folder: Path, tmp_path: Path) -> None:
    mirror = Mirror(str(tmp_path / "there"), folder, where="--storage")
    mirror.open(again=False)
    assert mirror.sync() == 1
    assert mirror.sync() == 0
    (folder / "trials" / "a").write_text("1")
    (folder / "recorder.sqlite-wal").write_text("not yet")
    assert mirror.sync() == 1
    (folder / "trials" / "a").unlink()
    (folder / "run.json").write_text("{ }")
    assert mirror.sync() == 1
    assert names(tmp_path / "there" / "study-1") == {"run.json"}
    mirror.sync(whole=True)
    assert names(tmp_path / "there" / "study-1") == {"run.json", "recorder.sqlite-wal"}


def test_it_is_copied_while_the_run_goes_on(folder: Path, tmp_path: Path) -> None:
    end = time.monotonic() + 30
    with mirrored(str(tmp_path / "there"), folder, period_s=0.01, where="--storage"):
        while not (tmp_path / "there" / "study-1" / "run.json").exists():
            assert time.monotonic() < end
            time.sleep(0.01)


def test_another_runs_folder_is_not_written_over(folder: Path, tmp_path: Path) -> None:
    for again in (False, True):
        with mirrored(str(tmp_path / "there"), folder, period_s=60, where="--storage", again=again):
            pass
    with (
        pytest.raises(UsageError, match="holds another run"),
        mirrored(str(tmp_path / "there"), folder, period_s=60, where="--storage"),
    ):
        pass


def test_a_last_copy_that_fails_is_told(folder: Path, tmp_path: Path) -> None:
    said: list[str] = []
    with mirrored(str(tmp_path / "there"), folder, period_s=60, where="--storage", warn=said.append):
        (tmp_path / "there" / "study-1").rmdir()
        (tmp_path / "there" / "study-1").write_text("in the way")
    (text,) = said
    assert str(folder) in text


@pytest.mark.parametrize("url", ["nowhere://x/y", "/proc/nothing/there"])
def test_storage_that_cannot_be_reached_is_told_at_the_start(tmp_path: Path, url: str) -> None:
    with pytest.raises(UsageError, match="storage cannot be reached"):
        run(tmp_path, job(storage_path=url))


def test_no_credential_gets_into_a_record(tmp_path: Path) -> None:
    url = "s3://key:hunter2@bucket/x"
    with pytest.raises(RequestInvalid, match="credentials go into the environment") as refused:
        run(tmp_path, job(storage_path=url))
    assert "hunter2" not in str(refused.value)
    with pytest.raises(UsageError, match="credentials go into the environment") as refused_too:
        run(tmp_path, job(), storage=url)
    assert "hunter2" not in str(refused_too.value)
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[Callable[[], str]]:
    """A server that speaks S3, with a bucket `studies`; gives the URL that leads to it."""
    pytest.importorskip("moto")
    boto3 = pytest.importorskip("boto3")
    log = (tmp_path / "moto.log").open("w+")
    server = subprocess.Popen([sys.executable, "-m", "moto.server", "-p", "0"], stdout=log, stderr=log)
    try:
        end, address = time.monotonic() + 60, ""
        while "Running on http" not in address:
            assert server.poll() is None, address
            assert time.monotonic() < end, address
            time.sleep(0.05)
            address = (tmp_path / "moto.log").read_text()
        endpoint = address.split("Running on ")[1].split()[0]
        with pytest.MonkeyPatch.context() as patch:
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
                patch.setenv(name, "testing")
            patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
            patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
            client = boto3.client("s3", endpoint_url=endpoint)
            client.create_bucket(Bucket="studies")
            host = endpoint.removeprefix("http://")
            query = f"endpoint_override={host}&scheme=http&region=us-east-1"

            def contents() -> dict[str, bytes]:
                listed = client.list_objects_v2(Bucket="studies").get("Contents", [])
                return {o["Key"]: client.get_object(Bucket="studies", Key=o["Key"])["Body"].read() for o in listed}

            yield f"s3://studies/mine?{query}", contents  # type: ignore[misc]
    finally:
        server.terminate()
        server.wait(30)
        log.close()


def test_a_study_arrives_in_s3(s3: Any, tmp_path: Path) -> None:
    url, contents = s3
    result = run(tmp_path, job(storage_path=url, loggers="json", sync_period_s=0.1))
    here = Path(result.results_dir)
    there = {key: body for key, body in contents().items() if not key.endswith("/")}
    assert result.warnings == []
    assert there.keys() == {f"mine/stored-1/{name}" for name in names(here)}
    for name in names(here) - {"lock"}:
        assert there[f"mine/stored-1/{name}"] == (here / name).read_bytes()
    assert [key for key in there if key.endswith("/artifact/model.json")]
    with pytest.raises(UsageError, match="storage cannot be reached"):
        run(tmp_path, job(storage_path=url.replace("studies", "no-such-bucket")))
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == "testing"
