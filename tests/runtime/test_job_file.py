"""A job file that cannot be read is refused with place and remedy; YAML means what the same JSON means."""

from __future__ import annotations

import io
import json
import math
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.representer import SafeRepresenter

from trialrun.job_file import JOB_FILE_LIMIT, read_job, to_request
from trialrun.testing.strategies import job_dicts, json_values
from trialrun_hookspecs import JobUnreadable, Problem, Request, RequestInvalid, parse_request

JOB: dict[str, Any] = {"action": "train", "params": {"name": "n", "dataset": 1, "hyperparameter": {"lr": 0.1}}}
same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)


class Quoting(SafeRepresenter):
    """Quotes all text, so that 1e5 as text stays text whatever the reader's rules are."""

    def quote(self, text: str) -> Any:
        return self.represent_scalar("tag:yaml.org,2002:str", text, style='"')

    def ignore_aliases(self, data: Any) -> bool:
        return True


Quoting.add_representer(str, Quoting.quote)


def to_yaml(value: Any) -> str:
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = Quoting
    stream = io.StringIO()
    yaml.dump(value, stream)
    return stream.getvalue()


def file(folder: Path, content: str | bytes, name: str = "job.json") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def problem(path: Path | str) -> Problem:
    with pytest.raises(JobUnreadable) as caught:
        to_request(path)
    (only,) = caught.value.problems
    return only


@pytest.mark.parametrize("name", ["job.json", "job.yaml", "job.yml", "job", "job.txt"])
def test_json_is_read_whatever_the_file_is_called(tmp_path: Path, name: str) -> None:
    assert to_request(file(tmp_path, json.dumps(JOB), name)) == parse_request(JOB)


@pytest.mark.parametrize("name", ["job.yaml", "job.json", "job"])
def test_yaml_is_read_whatever_the_file_is_called(tmp_path: Path, name: str) -> None:
    assert to_request(str(file(tmp_path, to_yaml(JOB), name))) == parse_request(JOB)


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    assert to_request(file(tmp_path, b"\xef\xbb\xbf" + json.dumps(JOB).encode())) == parse_request(JOB)


def test_a_dict_is_a_job() -> None:
    assert to_request(JOB) == parse_request(JOB)


def test_a_request_comes_back_as_it_is() -> None:
    request = parse_request(JOB)
    assert to_request(request) is request


def test_a_pipe_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(json.dumps(JOB),))
    writer.start()
    assert read_job(pipe) == JOB
    writer.join()


REFUSED = [
    ("", "", "is empty"),
    (" \n\t", "", "is empty"),
    (b"\xff\xfe{\x00}\x00", "", "is no text"),
    (b"\x89PNG\r\n\x1a\n\x00\xd8", "", "is no text"),
    (b"\x00\x01\x02", "", "is neither JSON nor YAML"),
    ('{"action": "train",\n  "params" {}}', ":2:12", "is no JSON"),
    ('{"action": "train"', ":1:19", "is no JSON"),
    ('{"mode": "max" # comment\n}', ":1:16", "is no JSON"),
    ('{"a": 1} {"a": 2}', ":1:10", "is no JSON"),
    ("{'a': 1}", ":1:2", "is no JSON"),
    ('{"a": {"b": 1, "b": 2}}', "", "a key must stand once in an object"),
    ('{"a": NaN}', "", "numbers must be finite"),
    ('{"a": -Infinity}', "", "numbers must be finite"),
    ('{"a": 1' + "0" * 5000 + "}", "", "a number is too large"),
    ("[" * 100_000, "", "is nested too deeply"),
    ("a: 1\n b: 2\n", ":2:3", "is neither JSON nor YAML"),
    ("a:\n  b: 1\n  c: [1, 2\n", ":4:1", "is neither JSON nor YAML"),
    ("a:\n  b: 1\n  b: 2\n", ":3:3", "is neither JSON nor YAML"),
    ("a: 1\n---\nb: 2\n", ":2:1", "is neither JSON nor YAML"),
    ("a: &x [1]\nb: *x\n", ":2:4", "is neither JSON nor YAML"),
    ("a: &x [*x]\n", ":1:8", "is neither JSON nor YAML"),
    ("a: !!python/object/apply:os.getcwd []\n", ":1:4", "is neither JSON nor YAML"),
    ("? [a]\n: 1\n", ":1:3", "is neither JSON nor YAML"),
    ("a: " + "9" * 5000, ":1:4", "is neither JSON nor YAML"),
    ("a: " + "[" * 5000, "", "is nested too deeply"),
]


@pytest.mark.parametrize(("content", "place", "rule"), REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be_read_is_refused_with_its_place(
    tmp_path: Path, content: str | bytes, place: str, rule: str
) -> None:
    path = file(tmp_path, content)
    said = problem(path)
    assert (said.where, said.rule) == (f"{path}{place}", rule)
    assert said.got
    assert said.fix


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    assert problem(tmp_path / "none.json").rule == "there is no such file"


def test_a_folder_is_no_job(tmp_path: Path) -> None:
    assert problem(tmp_path).rule == "must be a file"


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000, "job.json/below"])
def test_a_path_that_cannot_be_opened_is_said(tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file(tmp_path, "{}").parent)
    assert problem(path).rule == "cannot be read"


def test_a_file_may_be_as_large_as_the_limit(tmp_path: Path) -> None:
    text = json.dumps(JOB)
    assert read_job(file(tmp_path, text + " " * (JOB_FILE_LIMIT - len(text)))) == JOB
    assert (
        problem(file(tmp_path, text + " " * (JOB_FILE_LIMIT - len(text) + 1))).rule
        == "must have at most 5,000,000 bytes"
    )


def test_a_device_without_end_is_not_read_to_its_end() -> None:
    assert problem("/dev/zero").rule == "must have at most 5,000,000 bytes"


@pytest.mark.parametrize("content", ["hello", "[1, 2]", "3", "null", "true"])
def test_what_is_no_object_is_no_job(tmp_path: Path, content: str) -> None:
    with pytest.raises(RequestInvalid, match=r"^job: must be an object"):
        to_request(file(tmp_path, content))


# As in JSON and YAML 1.2; YAML 1.1, which many parsers read, has other ideas about most of these.
@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1e-4", 0.0001),
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        ("-2.5e+3", -2500.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("12", 12),
        ("-7", -7),
        ("+7", 7),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2020-01-01", "2020-01-01"),
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("yes", "yes"),
        ("off", "off"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("'1'", "1"),
        ("1.2.3", "1.2.3"),
        ("e5", "e5"),
        ("1e", "1e"),
        ("=", "="),
        ("<<", "<<"),
    ],
)
def test_a_plain_value_of_yaml_means_what_it_says(tmp_path: Path, written: str, meant: Any) -> None:
    read = read_job(file(tmp_path, f"a: {written}\n", "job.yaml"))
    assert read == {"a": meant}
    assert type(read["a"]) is type(meant)


def test_keys_of_yaml_are_text(tmp_path: Path) -> None:
    assert read_job(file(tmp_path, "1: a\ntrue: b\nno: c\n<<: {x: 1}\n~: d\n")) == {
        "1": "a",
        "true": "b",
        "no": "c",
        "<<": {"x": 1},
        "~": "d",
    }


def test_a_file_cannot_ask_for_the_rules_of_yaml_1_1(tmp_path: Path) -> None:
    text = "%YAML 1.1\n---\na: yes\nb: 1e-3\nc: 1:30\nd: 2020-01-01\n"
    assert read_job(file(tmp_path, text, "job.yaml")) == {"a": "yes", "b": 0.001, "c": "1:30", "d": "2020-01-01"}


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("a: 1\nb: 2\na: 3\n", "the key 'a' stands twice in one object"),
        ("1: a\n'1': b\n", "the key '1' stands twice in one object"),
        ("a: &x [1]\nb: *x\n", "aliases (*name) are not taken"),
        ("a: !!timestamp 2020-01-01\n", "the tag tag:yaml.org,2002:timestamp is not taken here"),
        ("? [a]\n: 1\n", "a key must be text"),
    ],
)
def test_what_yaml_allows_and_a_job_does_not_is_said(tmp_path: Path, text: str, got: str) -> None:
    assert problem(file(tmp_path, text, "job.yaml")).got == got


def test_an_anchor_that_nothing_points_to_means_nothing(tmp_path: Path) -> None:
    assert read_job(file(tmp_path, "a: &x 1\nb: &x 2\n")) == {"a": 1, "b": 2}


def test_a_learning_rate_in_yaml_is_a_number(tmp_path: Path) -> None:
    text = """
action: train
params:
  name: n
  dataset: 1
  is_tune: true
  hyperparameters:
    - {name: lr, type: loguniform, min: 1e-5, max: 1e-1, base: 10}
    - {name: nesterov, type: choice, options: [no, yes]}
  tune_config: {metric: loss, mode: min}
"""
    lr, nesterov = to_request(file(tmp_path, text, "job.yaml")).params.hyperparameters or ()
    assert (lr.min, lr.max) == (1e-5, 1e-1)  # type: ignore[union-attr]
    assert nesterov.options == ("no", "yes")  # type: ignore[union-attr]


@same_folder
@given(job_dicts())
def test_a_job_written_as_yaml_is_the_job(tmp_path_factory: pytest.TempPathFactory, job: dict[str, Any]) -> None:
    folder = tmp_path_factory.getbasetemp()
    as_yaml = to_request(file(folder, to_yaml(job), "job.yaml"))
    assert as_yaml == to_request(file(folder, json.dumps(job))) == parse_request(job)


@same_folder
@given(json_values)
@example({"a": 1e16, "b": 1e-7, "c": -0.0, "d": 5e-324})
def test_json_is_yaml(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    folder = tmp_path_factory.getbasetemp()
    wrapped = {"value": value}
    text = json.dumps(wrapped)
    assert read_job(file(folder, text)) == wrapped
    assume("\\ud" not in text)  # JSON's two escapes of one character are two characters in YAML
    assert read_job(file(folder, "# a comment makes it YAML\n" + text, "job.yaml")) == wrapped


@same_folder
@given(st.text(max_size=60) | st.binary(max_size=60))
@example("{" * 60)
@example("!!timestamp 2020")
@example("!!int x")
@example("!!binary x")
@example("a: !!bool x")
@example("a: !!omap [1]")
@example("!!map [1]")
@example("!!seq {a: 1}")
@example("a: !number x")
@example("a: !number [1]")
@example("a: !bool {}")
def test_no_content_escapes_as_another_error(tmp_path_factory: pytest.TempPathFactory, content: str | bytes) -> None:
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    path = file(tmp_path_factory.getbasetemp(), data)
    try:
        made = to_request(path)
    except (JobUnreadable, RequestInvalid) as refused:
        assert refused.exit_code == 2  # noqa: PT017  # a request is as good
    else:
        assert isinstance(made, Request)


def test_a_number_of_json_that_is_no_float_is_refused(tmp_path: Path) -> None:
    job = json.dumps(JOB).replace("0.1", "1e999")
    with pytest.raises(RequestInvalid, match=r"params\.hyperparameter\.lr: must be finite"):
        to_request(file(tmp_path, job))
    assert math.isinf(json.loads("1e999"))
