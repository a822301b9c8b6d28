"""Tests of `trialrun.backend.client`."""

from __future__ import annotations

import hashlib
import io
import json
import re
import threading
import zipfile
from collections.abc import Callable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trialrun.backend import Answer, Call, Client, Memory, Retry, RetryPolicy, unzip
from trialrun_hookspecs.errors import (
    ArchiveUnsafe,
    ArtifactMissing,
    BackendRefused,
    BackendUnavailable,
    BadValue,
    NotOnBackend,
)


def answer(value: Any, status: int = 200) -> Answer:
    return Answer(status=status, body=value if isinstance(value, bytes) else json.dumps(value).encode())


class Backend:
    """Answers by method and path with a value, or a function of the call; keeps the calls."""

    def __init__(self, routes: Mapping[str, Any]) -> None:
        self._routes = routes
        self.calls: list[Call] = []

    def __call__(self, call: Call) -> Answer:
        self.calls.append(call)
        given = self._routes.get(f"{call.method} {call.path}", answer({"detail": "Not found."}, 404))
        given = given(call) if callable(given) else given
        return given if isinstance(given, Answer) else answer(given)

    def client(self, **options: Any) -> Client:
        return Client(Memory(self), **options)


def page(rows: list[Any], following: str | None = None) -> dict[str, Any]:
    return {"count": len(rows), "next": following, "previous": None, "results": rows}


# Answers that say no


def test_a_refusal_carries_status_and_reason() -> None:
    backend = Backend({"POST logs/": answer({"event": ["This field is required."]}, 400)})
    with pytest.raises(BackendRefused, match=r"POST logs/.*400.*This field is required") as caught:
        backend.client().post_logs([{}])
    assert caught.value.status == 400


def test_a_refused_token_says_so() -> None:
    backend = Backend({"PATCH jobs/1/": answer({}, 401)})
    with pytest.raises(BackendRefused, match="token"):
        backend.client().patch_job(1, status="RUNNING")


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_passing_answer_is_unavailable(status: int) -> None:
    busy = Answer(status=status, headers={"Retry-After": "12"})
    with pytest.raises(BackendUnavailable) as caught:
        Backend({"GET jobs/1/": busy}).client().get_job(1)
    assert caught.value.retry_after == 12.0


@pytest.mark.parametrize("given", [b"<html>", b"[]", b"3", b""])
def test_an_answer_of_another_form_is_refused(given: bytes) -> None:
    with pytest.raises(BackendRefused):
        Backend({"GET jobs/1/": answer(given)}).client().get_job(1)


@pytest.mark.parametrize("ask", [Client.get_job, Client.get_plugin_release])
def test_an_unknown_id_is_not_on_the_backend(ask: Callable[[Client, int], Any]) -> None:
    with pytest.raises(NotOnBackend, match="41"):
        ask(Backend({}).client(), 41)


# Whom we speak to


@pytest.mark.parametrize(
    ("given", "is_recorder"),
    [
        (answer({"recorder": "trialrun", "version": "1"}), True),
        (answer({"recorder": "other"}), False),
        (answer([]), False),
        (answer(b"<html>"), False),
        (answer({"recorder": "trialrun"}, 404), False),
    ],
)
def test_the_recorder_is_known_by_its_greeting(given: Answer, is_recorder: bool) -> None:
    backend = Backend({"GET trialrun/": given})
    client = backend.client()
    assert [client.is_recorder(), client.is_recorder()] == [is_recorder] * 2
    assert len(backend.calls) == 1


@pytest.mark.parametrize(("status", "error"), [(503, BackendUnavailable), (401, BackendRefused), (403, BackendRefused)])
def test_who_it_is_stays_open_until_it_answers(status: int, error: type[Exception]) -> None:
    answers = iter([answer({}, status), answer({"recorder": "trialrun"})])
    client = Backend({"GET trialrun/": lambda call: next(answers)}).client()
    with pytest.raises(error):
        client.is_recorder()
    assert client.is_recorder()


# Names


def names_backend(models: list[Any], jobs: list[Any]) -> Backend:
    return Backend({"GET models/": page(models), "GET jobs/": page(jobs)})


def test_a_free_name_is_not_taken() -> None:
    backend = names_backend([{"id": 1, "name": "other"}], [])
    assert backend.client().find_name_conflict("a:b,c%", job_id=7) is None
    assert backend.calls[0].params == (("name", "a%3Ab%2Cc%25"),)
    assert backend.calls[1].params == (
        ("ids_ex", "7"),
        ("category", "neural_net"),
        ("job__action", "train"),
        ("is_active", "True"),
        ("params", "name:a%3Ab%2Cc%25"),
    )


@pytest.mark.parametrize("stored", ["a:b", "a%3Ab"])
def test_a_name_is_taken_by_a_model(stored: str) -> None:
    assert names_backend([{"id": 3, "name": stored}], []).client().find_name_conflict("a:b") == "model 3 has this name"


@pytest.mark.parametrize("job", [{"id": 8}, {"id": 8, "params": {"name": "n"}}])
def test_a_name_is_taken_by_an_active_job(job: dict[str, Any]) -> None:
    assert names_backend([], [job]).client().find_name_conflict("n", job_id=7) == "active job 8 has this name"


@pytest.mark.parametrize("job", [{"id": 7}, {"id": 8, "params": {"name": "n-2"}}])
def test_a_name_is_not_taken_by_the_job_itself_or_a_likeness(job: dict[str, Any]) -> None:
    assert names_backend([], [job]).client().find_name_conflict("n", job_id=7) is None


def test_tuning_does_not_ask_for_models() -> None:
    assert names_backend([{"id": 3, "name": "n"}], []).client().find_name_conflict("n", models=False) is None


# Datasets


def dataset_backend(rows: list[Any], per_page: int = 3) -> Backend:
    """Return pages in the platform's form: `next` is a URL."""

    def rows_page(call: Call) -> Any:
        at = int(dict(call.params).get("page", 0))
        rest = (at + 1) * per_page < len(rows)
        following = f"http://host/api/../sdk/ground_truth_events/?page={at + 1}" if rest else None
        return page(rows[at * per_page : (at + 1) * per_page], following and following.replace("api/../", ""))

    class Files(Backend):
        def __call__(self, call: Call) -> Answer:
            if call.path.startswith("files/"):
                self.calls.append(call)
                return answer(call.path.encode())
            return super().__call__(call)

    return Files({"GET sdk/ground_truth_events/": rows_page})


@settings(max_examples=30)
@given(rows=st.lists(st.tuples(st.sampled_from(["train", "validation", "test"]), st.integers()), min_size=1))
def test_rows_of_all_pages_come_in_order_by_category(tmp_path_factory: Any, rows: list[tuple[str, int]]) -> None:
    backend = dataset_backend([{"category": category, "files": {}, "data": number} for category, number in rows])
    given = backend.client().download_dataset(12, tmp_path_factory.mktemp("data"))
    expected: dict[str, list[Any]] = {}
    for category, number in rows:
        expected.setdefault(category, []).append({"files": {}, "data": number})
    assert given == expected
    assert list(given) == list(expected)


def test_a_dataset_is_asked_for_as_the_platform_wants_it(tmp_path: Path) -> None:
    backend = dataset_backend([{"category": "train", "files": {}, "data": None}])
    backend.client().download_dataset(12, tmp_path)
    assert backend.calls[0].params == (
        ("fields", "category"),
        ("fields", "files"),
        ("fields", "data"),
        ("expand", "data"),
        ("ground_truth_dataset_versions", "12"),
        ("page_size", "100"),
    )


@pytest.mark.parametrize("count", [1, 3, 4, 40])
def test_files_are_fetched_to_local_paths(tmp_path: Path, count: int) -> None:
    rows = [
        {"category": "train", "files": {"image": f"http://host/files/{n}.png", "meta": {"url": f"/files/{n}.json"}}}
        for n in range(count)
    ]
    given = dataset_backend(rows).client().download_dataset(12, tmp_path / "data")
    for n, row in enumerate(given["train"]):
        image, meta = Path(row["files"]["image"]), Path(row["files"]["meta"])
        assert (image.read_text(), meta.read_text()) == (f"files/{n}.png", f"files/{n}.json")
        assert (image.suffix, meta.suffix) == (".png", ".json")
        assert image.is_relative_to(tmp_path / "data")


@pytest.mark.parametrize("name", ["../../evil", "/etc/passwd", "..", "", "a\0b", "x" * 500, "é\n", "CON", "a\\b"])
def test_a_file_name_stays_in_its_folder(tmp_path: Path, name: str) -> None:
    rows = [{"category": "../train", "files": {name: "http://host/files/1"}, "data": None}]
    given = dataset_backend(rows).client().download_dataset(12, tmp_path / "data")
    path = Path(given["../train"][0]["files"][name])
    assert path.read_text() == "files/1"
    assert path.resolve().is_relative_to(tmp_path / "data")


def test_files_of_equal_names_stay_apart(tmp_path: Path) -> None:
    rows = [{"category": "train", "files": {"image.png": f"http://host/files/{n}"}, "data": None} for n in range(2)]
    given = dataset_backend(rows).client().download_dataset(12, tmp_path)
    assert [Path(row["files"]["image.png"]).read_text() for row in given["train"]] == ["files/0", "files/1"]


@pytest.mark.parametrize("count", [2, 50])
def test_a_file_that_is_gone_fails_the_dataset(tmp_path: Path, count: int) -> None:
    rows = [{"category": "t", "files": {"a": f"http://host/gone/{n}"}, "data": None} for n in range(count)]
    with pytest.raises(BackendRefused, match="gone/"):
        dataset_backend(rows).client().download_dataset(12, tmp_path)


def test_many_files_are_fetched_side_by_side(tmp_path: Path) -> None:
    together = threading.Barrier(3, timeout=10)
    rows = [{"category": "t", "files": {"a": f"http://host/files/{n}"}, "data": None} for n in range(6)]
    backend = dataset_backend(rows, per_page=100)

    def waiting(call: Call) -> Answer:
        if call.save_to:
            together.wait()
        return backend(call)

    assert len(Client(Memory(waiting), workers=3).download_dataset(12, tmp_path)["t"]) == 6


@pytest.mark.parametrize("files", [[1], {"a": 3}, {"a": {}}, {"a": None}, {"a": "http://["}])
def test_files_of_another_form_name_their_row(tmp_path: Path, files: Any) -> None:
    with pytest.raises(BackendRefused, match="row 0 of dataset 12"):
        dataset_backend([{"category": "t", "files": files}]).client().download_dataset(12, tmp_path)


@pytest.mark.parametrize("backend", [Backend({}), dataset_backend([])])
def test_an_unknown_dataset_says_how_to_serve_one(tmp_path: Path, backend: Backend) -> None:
    with pytest.raises(NotOnBackend, match="--dataset 12=PATH"):
        backend.client().download_dataset(12, tmp_path)


def test_pages_in_a_circle_end(tmp_path: Path) -> None:
    rows: list[Any] = [{"category": "t", "files": {}, "data": None}]
    backend = Backend({"GET sdk/ground_truth_events/": page(rows, "http://host/sdk/ground_truth_events/?page=2")})
    with pytest.raises(BackendRefused, match="next"):
        backend.client().download_dataset(12, tmp_path)


# Checkpoints


def zipped(members: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def checkpoint_backend(archive: bytes) -> Backend:
    model = {"id": 7, "name": "resnet", "file": "http://host/files/7.zip"}
    return Backend({"GET models/7/": model, "GET files/7.zip": answer(archive)})


def test_a_checkpoint_is_unpacked_and_gets_a_path(tmp_path: Path) -> None:
    given = (
        checkpoint_backend(zipped({"w/weights.txt": "abc"})).client().download_checkpoint(7, tmp_path / "new" / "in")
    )
    assert given == {
        "id": 7,
        "name": "resnet",
        "file": "http://host/files/7.zip",
        "path": str(tmp_path / "new" / "in"),
    }
    assert (Path(given["path"]) / "w" / "weights.txt").read_text() == "abc"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["in"]


@pytest.mark.parametrize("archive", [zipped({"../evil": "x"}), b"no zip", b""])
def test_an_unsafe_checkpoint_leaves_nothing(tmp_path: Path, archive: bytes) -> None:
    with pytest.raises(ArchiveUnsafe):
        checkpoint_backend(archive).client().download_checkpoint(7, tmp_path / "in")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("backend", [Backend({}), Backend({"GET models/7/": {"id": 7, "file": None}})])
def test_an_unknown_checkpoint_says_how_to_serve_one(tmp_path: Path, backend: Backend) -> None:
    with pytest.raises(NotOnBackend, match="--checkpoint 7=PATH"):
        backend.client().download_checkpoint(7, tmp_path / "in")


# Uploads


class Uploads:
    """The platform's chunked uploads, strict about ranges and checksums; `lose` drops the answer of those calls."""

    def __init__(self, lose: frozenset[int] = frozenset()) -> None:
        self.content = b""
        self.chunks: list[int] = []
        self._lose, self._served = lose, 0
        self._complete = False

    def __call__(self, call: Call) -> Answer:
        given = self._answer(call)
        self._served += 1
        if self._served - 1 in self._lose and call.method != "GET" and self.chunks[1:]:
            raise BackendUnavailable("the answer was lost")
        return given

    def _answer(self, call: Call) -> Answer:
        state = {"id": 5, "url": "http://host/chunked_upload/5/", "offset": len(self.content)}
        if call.method == "GET":
            return answer({**state, "status": 2 if self._complete else 1})
        if call.method == "POST":
            good = not self._complete and call.json["md5"] == hashlib.md5(self.content).hexdigest()
            self._complete = self._complete or good
            return answer({"id": 5}, 200 if good else 400)
        assert call.path == ("chunked_upload/5/" if self.content else "chunked_upload/")
        start, last, total = map(int, re.findall(r"\d+", call.headers["Content-Range"]))
        assert call.body is not None
        chunk = call.body.partition(b"octet-stream\r\n\r\n")[2].rpartition(b"\r\n--")[0]
        assert (last - start + 1, last < total) == (len(chunk), True)
        if start != len(self.content):
            return answer({"detail": "Offsets do not match"}, 400)
        self.chunks.append(len(chunk))
        self.content += chunk
        return answer({**state, "offset": len(self.content)})


@given(size=st.integers(1, 60), chunk=st.integers(1, 20))
@example(size=20, chunk=20)
@example(size=21, chunk=20)
@example(size=19, chunk=20)
@example(size=40, chunk=20)
def test_an_upload_arrives_whole_in_chunks(tmp_path_factory: Any, size: int, chunk: int) -> None:
    path = tmp_path_factory.mktemp("up") / "model.zip"
    path.write_bytes(bytes(range(size)))
    uploads = Uploads()
    assert Client(Memory(uploads), chunk=chunk).upload_file(path) == 5
    assert uploads.content == bytes(range(size))
    assert uploads.chunks == [chunk] * (size // chunk) + ([size % chunk] if size % chunk else [])


@given(lose=st.frozensets(st.integers(1, 12)))
def test_an_upload_goes_on_when_its_answers_are_lost(tmp_path_factory: Any, lose: frozenset[int]) -> None:
    path = tmp_path_factory.mktemp("up") / "model.zip"
    path.write_bytes(b"0123456789" * 3)
    uploads = Uploads(lose)
    retry = Retry(Memory(uploads), retry_policy=RetryPolicy(attempts=50), sleep=lambda seconds: None)
    assert Client(retry, chunk=7).upload_file(path) == 5
    assert uploads.content == path.read_bytes()


def test_a_backend_that_kept_less_gets_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    path.write_bytes(b"0123456789")
    offsets = iter([6, 8, 10])
    ranges: list[str] = []

    def handler(call: Call) -> Answer:
        if call.method == "POST":
            return answer({"id": "8c1f-uuid"})
        ranges.append(call.headers["Content-Range"])
        return answer({"id": "8c1f-uuid", "url": "/up/8c1f-uuid/", "offset": next(offsets)})

    assert Client(Memory(handler), chunk=8).upload_file(path) == "8c1f-uuid"
    assert ranges == ["bytes 0-7/10", "bytes 6-9/10", "bytes 8-9/10"]


@pytest.mark.parametrize("offset", [0, 11, -1, "8", None])
def test_an_offset_that_leads_nowhere_ends_the_upload(tmp_path: Path, offset: Any) -> None:
    (tmp_path / "model.zip").write_bytes(b"0123456789")
    client = Client(Memory(lambda call: answer({"id": 1, "url": "/up/", "offset": offset})), chunk=8)
    with pytest.raises(BackendRefused, match="offset"):
        client.upload_file(tmp_path / "model.zip")


def test_a_checksum_that_does_not_match_is_a_refusal(tmp_path: Path) -> None:
    (tmp_path / "model.zip").write_bytes(b"0123456789")
    uploads = Uploads()

    def tampering(call: Call) -> Answer:
        if call.method == "POST":
            uploads.content = b"tampered with"
        return uploads(call)

    with pytest.raises(BackendRefused, match="POST"):
        Client(Memory(tampering)).upload_file(tmp_path / "model.zip")


@pytest.mark.parametrize("chunk", [0, -1, 50_000_001])
def test_chunks_are_at_most_50_megabytes(chunk: int) -> None:
    with pytest.raises(BadValue, match="50 MB"):
        Client(Memory(Uploads()), chunk=chunk)


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir, lambda path: None])
def test_nothing_to_upload_is_named(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "model")
    with pytest.raises(ArtifactMissing, match="model"):
        Client(Memory(Uploads())).upload_file(tmp_path / "model")


def test_a_folder_is_uploaded_as_an_archive(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(b"w")
    uploads = Uploads()
    Client(Memory(uploads)).upload_artifact(tmp_path / "model")
    (tmp_path / "sent.zip").write_bytes(uploads.content)
    assert (unzip(tmp_path / "sent.zip", tmp_path / "out") / "weights").read_bytes() == b"w"


# Models, logs, jobs


def test_a_model_is_registered_without_nulls() -> None:
    backend = Backend({"POST models/": answer({"id": 9}, 201)})
    model_id = backend.client().create_model(
        name="m", plugin="p", chunked_upload=5, configuration={"hyperparameter": {"lr": None}}, key="model-1"
    )
    assert model_id == 9
    assert backend.calls[0].json == {
        "name": "m",
        "plugin": "p",
        "chunked_upload": 5,
        "configuration": {"hyperparameter": {"lr": None}},
    }
    assert backend.calls[0].headers["Idempotency-Key"] == "model-1"


@pytest.mark.parametrize("given", [{}, {"id": None}, {"id": "x"}, {"id": True}, []])
def test_a_model_without_a_number_is_refused(given: Any) -> None:
    with pytest.raises(BackendRefused, match="id"):
        Backend({"POST models/": answer(given)}).client().create_model(name="m")


@pytest.mark.parametrize("count", [0, 1, 1000, 1001, 2500])
def test_logs_go_in_calls_of_at_most_1000(count: int) -> None:
    backend = Backend({"POST logs/": answer(b"", 201)})
    backend.client().post_logs([{"data": n} for n in range(count)], key="k")
    sent = [[entry["data"] for entry in call.json] for call in backend.calls]
    assert list(chain.from_iterable(sent)) == list(range(count))
    assert all(len(part) <= 1000 for part in sent)
    assert len({call.key for call in backend.calls}) == len(sent)


def test_a_job_is_patched_with_what_is_given() -> None:
    backend = Backend({"PATCH jobs/3/": {}})
    backend.client().patch_job(3, key="k", status="FAILED", result=None)
    assert backend.calls[0].json == {"status": "FAILED", "result": None}
    assert backend.calls[0].key == "k"


def test_a_hyperparameter_named_trial_id_gives_way() -> None:
    backend = Backend({"PUT trains/3/override_best_trial/": {}})
    backend.client().override_best(3, "t1", {"lr": 0.1, "trial_id": "mine"})
    assert backend.calls[0].json == {"lr": 0.1, "trial_id": "t1"}


def test_a_repeated_write_is_known_by_its_key() -> None:
    answers = iter([answer({}, 503), answer({"id": 9})])
    backend = Backend({"POST models/": lambda call: next(answers)})
    client = Client(Retry(Memory(backend), sleep=lambda seconds: None))
    assert client.create_model(name="m") == 9
    assert len({call.key for call in backend.calls}) == 1
