"""The client of the platform's API, a method per call."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from trialrun.backend.archives import unzip, zip_folder
from trialrun.backend.multipart import encode_multipart
from trialrun.backend.retry import parse_retry_after
from trialrun.backend.transport import Answer, Call, Transport
from trialrun.names import encode_name, file_name
from trialrun_hookspecs.errors import (
    ArtifactMissing,
    BackendError,
    BackendRefused,
    BackendUnavailable,
    BadValue,
    NotOnBackend,
)

__all__ = ["Client"]

LOGS_PER_CALL = 1000
CHUNK_LIMIT = 50_000_000
PAGE_SIZE = "100"
UPLOAD_COMPLETE = 2  # the status of an upload whose checksum is right
MIN_FILES_FOR_THREADS = 4  # for fewer files, threads cost more than they save


class Client:
    """Calls the platform's API; threads may share a client if they may share its transport.

    `chunk` is the size of an upload's chunks in bytes, `workers` the number of parallel downloads. A refusal raises
    BackendRefused (with `status`) or NotOnBackend; no usable answer raises BackendUnavailable. A method that writes
    takes a `key`: the backend handles calls with the same key once.
    """

    def __init__(self, transport: Transport, *, chunk: int = 16_000_000, workers: int = 8) -> None:
        if not 0 < chunk <= CHUNK_LIMIT:
            raise BadValue("must be from 1 byte to 50 MB", where="chunk", got=str(chunk))
        self._transport = transport
        self._chunk = chunk
        self._workers = workers
        self._is_recorder: bool | None = None

    def close(self) -> None:
        self._transport.close()

    # Queries

    def is_recorder(self) -> bool:
        """Return whether the backend is trialrun's own recorder, which accepts more than the platform; asked once."""
        if self._is_recorder is None:
            call = Call(method="GET", path="trialrun/")
            answer = self._transport.send(call)
            if answer.retryable or answer.status in (401, 403):
                _check_accepted(answer, call)
            self._is_recorder = answer.ok and _is_recorder_answer(answer)
        return self._is_recorder

    def find_name_conflict(self, name: str, *, job_id: int | None = None, models: bool = True) -> str | None:
        """Return what already has the job's `name` (not encoded), or None; `job_id`, the job that asks, is left out."""
        encoded = encode_name(name)
        if models:
            for model in self._iterate_rows("models/", ("name", encoded)):
                if model.get("name") in (name, encoded):
                    return f"model {model.get('id')} has this name"
        own = "" if job_id is None else str(job_id)
        query = (
            ("ids_ex", own),
            ("category", "neural_net"),
            ("job__action", "train"),
            ("is_active", "True"),
            ("params", f"name:{encoded}"),
        )
        for job in self._iterate_rows("jobs/", *query):
            if str(job.get("id")) != own and _get_job_name(job, name) in (name, encoded):
                return f"active job {job.get('id')} has this name"
        return None

    def get_job(self, job_id: int) -> dict[str, Any]:
        """Return the job. Raises NotOnBackend."""
        return self._read_by_id(Call(method="GET", path=f"jobs/{job_id}/"), f"job {job_id}")

    def get_plugin_release(self, release_id: int) -> dict[str, Any]:
        """Return the release with its plugin (`plugin.code`, `version`). Raises NotOnBackend."""
        call = Call(method="GET", path=f"plugin_releases/{release_id}/", params=(("expand", "plugin"),))
        return self._read_by_id(call, f"plugin release {release_id}")

    # Inputs of a job

    def download_dataset(self, dataset_id: int, into: Path) -> dict[str, list[dict[str, Any]]]:
        """Download a dataset's files into the folder `into`, and return its rows by category.

        They are `{category: [{"files": {name: local path}, "data": …}]}`, in the backend's order. Raises NotOnBackend.
        """
        query = (
            ("fields", "category"),
            ("fields", "files"),
            ("fields", "data"),
            ("expand", "data"),
            ("ground_truth_dataset_versions", str(dataset_id)),
            ("page_size", PAGE_SIZE),
        )
        dataset: dict[str, list[dict[str, Any]]] = {}
        downloads: list[tuple[str, Path]] = []
        try:
            for number, row in enumerate(self._iterate_rows("sdk/ground_truth_events/", *query)):
                files = _parse_file_urls(row, f"row {number} of dataset {dataset_id}")
                folder = into / f"{number:06d}"
                paths = {name: folder / _make_local_name(name, url) for name, url in files.items()}
                downloads += ((url, paths[name]) for name, url in files.items())
                local = {"files": {name: str(path) for name, path in paths.items()}, "data": row.get("data")}
                dataset.setdefault(_get_category(row), []).append(local)
        except BackendRefused as error:
            _raise_if_unknown(error, f"dataset {dataset_id}", "dataset", dataset_id)
            raise
        if not dataset:
            raise _unknown_id_error(f"dataset {dataset_id}", "dataset", dataset_id, got="no rows")
        self._download_files(downloads)
        return dataset

    def download_checkpoint(self, model_id: int, into: Path) -> dict[str, Any]:
        """Unpack a model's archive into the folder `into`; return its record, with that as `path`.

        Raises NotOnBackend.
        """
        what = f"checkpoint {model_id}"
        model = self._read_by_id(Call(method="GET", path=f"models/{model_id}/"), what, "checkpoint", model_id)
        url = _parse_url(model.get("file"))
        if url is None:
            raise _unknown_id_error(what, "checkpoint", model_id, got="a model without a file")
        into.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".checkpoint-", dir=into.parent) as scratch:
            archive = Path(scratch) / "checkpoint.zip"
            self._download_file(url, archive)
            unzip(archive, into)
        return {**model, "path": str(into)}

    # Outputs of a job

    def upload_file(self, path: Path) -> int | str:
        """Upload a file, one chunk in memory at a time; return its id for `create_model(chunked_upload=…)`."""
        total = path.stat().st_size if path.is_file() else 0
        if not total:
            raise ArtifactMissing("an upload must be a file with content", where=str(path))
        with path.open("rb") as file:
            md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
            url, at = "chunked_upload/", 0
            while at < total:
                file.seek(at)
                chunk = file.read(min(self._chunk, total - at))
                state = self._put_chunk(url, path.name, chunk, at, total, md5)
                at = _next_offset(state, at, at + len(chunk))
                url = str(state.get("url") or f"chunked_upload/{_parse_upload_id(state)}/")
        return _parse_upload_id({**state, **self._finish_upload(url, md5)})

    def upload_artifact(self, path: Path) -> int | str:
        """Zip a folder or file and upload the archive; return its id."""
        with tempfile.TemporaryDirectory(prefix="trialrun-upload-") as scratch:
            return self.upload_file(zip_folder(path, Path(scratch) / "archive.zip"))

    def create_model(
        self,
        *,
        name: str,
        plugin: str | None = None,
        version: str | None = None,
        checkpoint: int | None = None,
        chunked_upload: int | str | None = None,
        configuration: Mapping[str, Any] | None = None,
        description: str | None = None,
        key: str | None = None,
    ) -> int:
        """Register a model and return its id; None is not sent."""
        body = {
            "name": name,
            "plugin": plugin,
            "version": version,
            "checkpoint": checkpoint,
            "chunked_upload": chunked_upload,
            "configuration": None if configuration is None else dict(configuration),
            "description": description,
        }
        body = {field: value for field, value in body.items() if value is not None}
        return _parse_id(self._send_create(Call(method="POST", path="models/", json=body, key=key)), "the new model")

    def post_logs(self, entries: Sequence[Mapping[str, Any]], *, key: str | None = None) -> None:
        """Post log entries in order, at most 1000 per call. Raises at the first call that fails."""
        for at in range(0, len(entries), LOGS_PER_CALL):
            part = [dict(entry) for entry in entries[at : at + LOGS_PER_CALL]]
            part_key = f"{key}-{at}" if key is not None and at else key
            self._send_write(Call(method="POST", path="logs/", json=part, key=part_key))

    def patch_job(self, job_id: int, *, key: str | None = None, **fields: Any) -> None:
        """Set `status`, `progress_record`, `metrics_record`, `console_logs` or `result` of a job."""
        self._send_write(Call(method="PATCH", path=f"jobs/{job_id}/", json=fields, key=key))

    def override_best(
        self, job_id: int, trial_id: str, hyperparameters: Mapping[str, Any], *, key: str | None = None
    ) -> None:
        """Set the best trial; `trial_id` replaces a hyperparameter of that name."""
        body = {**hyperparameters, "trial_id": trial_id}
        self._send_write(Call(method="PUT", path=f"trains/{job_id}/override_best_trial/", json=body, key=key))

    # Calls

    def _send_write(self, call: Call) -> None:
        """Send a call that changes something. An accepting answer's body is ignored: it may be empty or no JSON."""
        _check_accepted(self._transport.send(call), call)

    def _send_create(self, call: Call) -> dict[str, Any]:
        """Send a call that creates something, and return the answer's object, empty when it has none."""
        answer = _check_accepted(self._transport.send(call), call)
        body = answer.json() if answer.body.strip() else {}
        return body if isinstance(body, dict) else {}

    def _read_object(self, call: Call) -> dict[str, Any]:
        body = _check_accepted(self._transport.send(call), call).json()
        if not isinstance(body, dict):
            raise BackendRefused("must answer with an object", where=str(call), got=type(body).__name__)
        return body

    def _read_by_id(self, call: Call, what: str, option: str = "", item: int = 0) -> dict[str, Any]:
        try:
            return self._read_object(call)
        except BackendRefused as error:
            _raise_if_unknown(error, what, option, item)
            raise

    def _iterate_rows(self, path: str, *query: tuple[str, str]) -> Iterator[dict[str, Any]]:
        """Yield the rows of all pages, in order."""
        call: Call | None = Call(method="GET", path=path, params=query)
        seen: set[str] = set()
        while call is not None:
            page = self._read_object(call)
            rows = page.get("results", [])
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                raise BackendRefused("`results` must be a list of objects", where=str(call))
            yield from rows
            following = str(page.get("next") or "")
            if following in seen:
                raise BackendRefused("`next` must not lead to an earlier page", where=str(call))
            seen.add(following)
            call = Call(method="GET", path=following) if following else None

    def _download_file(self, url: str, path: Path) -> None:
        call = Call(method="GET", path=url, save_to=path)
        _check_accepted(self._transport.send(call), call)

    def _download_files(self, downloads: Sequence[tuple[str, Path]]) -> None:
        for folder in {path.parent for _, path in downloads}:
            folder.mkdir(parents=True, exist_ok=True)
        if len(downloads) < MIN_FILES_FOR_THREADS:
            for url, path in downloads:
                self._download_file(url, path)
            return
        with ThreadPoolExecutor(self._workers, thread_name_prefix="trialrun-download") as pool:
            try:
                for _ in pool.map(lambda pair: self._download_file(*pair), downloads):
                    pass
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _put_chunk(self, url: str, name: str, chunk: bytes, at: int, total: int, md5: str) -> dict[str, Any]:
        body, content_type = encode_multipart({"filename": name}, name, chunk)
        call = Call(
            method="PUT",
            path=url,
            body=body,
            content_type=content_type,
            headers={"Content-Range": f"bytes {at}-{at + len(chunk) - 1}/{total}"},
            key=f"chunk-{md5}-{total}-{at}-{url}" if at else None,
        )
        try:
            return self._send_create(call)
        except BackendRefused:
            state = self._read_upload_state(url) if at else {}
            if state.get("offset") == at + len(chunk):  # the chunk arrived, its answer was lost
                return state
            raise

    def _finish_upload(self, url: str, md5: str) -> dict[str, Any]:
        try:
            return self._send_create(Call(method="POST", path=url, json={"md5": md5}, key=f"finish-{md5}-{url}"))
        except BackendRefused:
            state = self._read_upload_state(url)
            if state.get("status") == UPLOAD_COMPLETE:  # the upload was finished, its answer was lost
                return state
            raise

    def _read_upload_state(self, url: str) -> dict[str, Any]:
        try:
            return self._read_object(Call(method="GET", path=url))
        except BackendError:
            return {}


def _check_accepted(answer: Answer, call: Call) -> Answer:
    _check_usable(answer, str(call))
    if answer.ok:
        return answer
    fix = "Check the token." if answer.status in (401, 403) else ""
    if 300 <= answer.status < 400:
        fix = f"Use the URL that it redirects to: {(answer.get_header('Location') or '').partition('?')[0]}"
    error = BackendRefused(
        "the backend refused the call", where=str(call), got=f"{answer.status} {answer.body_excerpt()}".strip(), fix=fix
    )
    error.status = answer.status
    raise error


def _check_usable(answer: Answer, where: str) -> None:
    if answer.retryable:
        error = BackendUnavailable("the backend cannot answer now", where=where, got=f"status {answer.status}")
        error.retry_after = parse_retry_after(answer)
        raise error


def _is_recorder_answer(answer: Answer) -> bool:
    try:
        body = answer.json()
    except BackendRefused:  # another server's page
        return False
    return isinstance(body, dict) and body.get("recorder") == "trialrun"


def _raise_if_unknown(error: BackendRefused, what: str, option: str, item: int) -> None:
    if error.status in (404, 410):
        raise _unknown_id_error(what, option, item, got=str(error.status)) from error


def _unknown_id_error(what: str, option: str, item: int, *, got: str) -> NotOnBackend:
    fix = f"Check the id. For trialrun's own recorder, give it with --{option} {item}=PATH." if option else ""
    return NotOnBackend("must exist on the backend", where=what, got=got, fix=fix)


def _get_job_name(job: Mapping[str, Any], otherwise: str) -> object:
    """Return the name in the job's parameters; `otherwise` when the job has none."""
    params = job.get("params")
    return params.get("name", otherwise) if isinstance(params, dict) else otherwise


def _get_category(row: Mapping[str, Any]) -> str:
    category = row.get("category")
    return "" if category is None else str(category)


def _parse_file_urls(row: Mapping[str, Any], where: str) -> dict[str, str]:
    files = row.get("files") or {}
    if not isinstance(files, dict):
        raise BackendRefused("`files` must be an object", where=where, got=type(files).__name__)
    urls = {str(name): _parse_url(value) for name, value in files.items()}
    for name, url in urls.items():
        if url is None:
            raise BackendRefused("a file must be a URL or an object with `url`", where=f"{where}: files[{name!r}]")
    return {name: url for name, url in urls.items() if url is not None}


def _parse_url(value: object) -> str | None:
    url = value.get("url") if isinstance(value, dict) else value
    return url if isinstance(url, str) and _is_valid_url(url) else None


def _is_valid_url(text: str) -> bool:
    try:
        return bool(urlsplit(text).path or urlsplit(text).netloc)
    except ValueError:
        return False


def _make_local_name(name: str, url: str) -> str:
    """Return a safe file name. Readers choose a format by the suffix: a name without one gets the URL's."""
    suffix = "" if PurePosixPath(name).suffix else PurePosixPath(unquote(urlsplit(url).path)).suffix
    return file_name(name + suffix)


def _next_offset(state: Mapping[str, Any], before: int, expected: int) -> int:
    """Return the offset of the next chunk, as the backend says. Raises BackendRefused: it does not move forward."""
    offset = state.get("offset", expected)
    if not isinstance(offset, int) or not before < offset <= expected:
        rule = "an upload must continue where the last chunk ended"
        raise BackendRefused(rule, where="`offset`", got=repr(offset), fix="Upload it again.")
    return offset


def _parse_upload_id(upload: Mapping[str, Any]) -> int | str:
    """Return the id of an upload: a number or a UUID."""
    upload_id = upload.get("id")
    return upload_id if isinstance(upload_id, str) and upload_id else _parse_id(upload, "the upload")


def _parse_id(record: Mapping[str, Any], what: str) -> int:
    number = record.get("id")
    if isinstance(number, str) and number.isascii() and number.isdigit():
        number = int(number)
    if not isinstance(number, int) or isinstance(number, bool):
        raise BackendRefused("must have a whole number as `id`", where=what, got=repr(number))
    return number
