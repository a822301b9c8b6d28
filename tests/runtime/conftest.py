"""Storage to copy to, for tests in more than one folder."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


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
