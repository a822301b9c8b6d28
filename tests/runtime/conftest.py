"""Storage to copy to, for tests in more than one folder."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Contents = Callable[..., dict[str, bytes]]


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[tuple[str, Contents]]:
    """A server that speaks S3, with a bucket `studies`: its URL, and what is in there under names that begin so.

    moto's: `pip install 'moto[server]'` into an environment of its own, as its libraries and Ray's exclude each other.
    """
    from pyarrow import fs

    server_of_moto = shutil.which("moto_server")
    if server_of_moto is None:
        pytest.skip("moto_server, which speaks S3, is not on the path")
    log = (tmp_path / "moto.log").open("w+")
    server = subprocess.Popen([server_of_moto, "-p", "0"], stdout=log, stderr=log)
    try:
        end, said = time.monotonic() + 60, ""
        while "Running on http" not in said:
            assert server.poll() is None, said
            assert time.monotonic() < end, said
            time.sleep(0.05)
            said = (tmp_path / "moto.log").read_text()
        host = said.split("Running on http://")[1].split()[0]
        with pytest.MonkeyPatch.context() as patch:
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
                patch.setenv(name, "testing")
            patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
            patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
            bucket = fs.S3FileSystem(
                endpoint_override=host, scheme="http", region="us-east-1", allow_bucket_creation=True
            )
            bucket.create_dir("studies")

            def contents(begins: str = "") -> dict[str, bytes]:
                files = bucket.get_file_info(fs.FileSelector("studies", recursive=True))
                return {
                    file.path.removeprefix("studies/"): bucket.open_input_stream(file.path).read()
                    for file in files
                    if file.is_file and file.path.startswith(f"studies/{begins}")
                }

            yield f"s3://studies/mine?endpoint_override={host}&scheme=http&region=us-east-1", contents
    finally:
        server.terminate()
        server.wait(30)
        log.close()
