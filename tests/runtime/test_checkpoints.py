"""One artifact per trial, by a fixed priority, under an id that does not change."""

from __future__ import annotations

import hashlib
import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from trialrun.checkpoints import Artifact, resolve_artifact, trial_key
from trialrun.outcomes import Mode
from trialrun_hookspecs.errors import ArtifactMissing, BadValue

one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def _file(path: Path, content: str = "weights") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def _resolve(root: Path, **given_: Any) -> Artifact | None:
    full: dict[str, Any] = {
        "declared": None,
        "in_metrics": {},
        "kept": [],
        "metric": "score",
        "mode": "max",
        "roots": [root],
    }
    return resolve_artifact(**{**full, **given_})


def test_nothing_declared_or_kept_means_no_artifact(tmp_path: Path) -> None:
    assert _resolve(tmp_path) is None
    assert _resolve(tmp_path, declared="", in_metrics={"checkpoint_output": None}) is None


@one_folder
@given(st.booleans(), st.booleans(), st.integers(0, 3))
def test_metrics_come_before_declared_before_kept(tmp_path: Path, metrics: bool, declared: bool, kept: int) -> None:
    named, said = _file(tmp_path / "named"), _file(tmp_path / "said")
    checkpoints = [(str(_file(tmp_path / f"kept{number}")), {"score": number}) for number in range(kept)]
    made = _resolve(
        tmp_path,
        in_metrics={"checkpoint_output": str(named)} if metrics else {},
        declared=str(said) if declared else None,
        kept=checkpoints,
    )
    order = [named] * metrics + [said] * declared + [tmp_path / f"kept{kept - 1}"] * bool(kept)
    assert (made.path if made else None) == (order[0] if order else None)
    if made:
        assert made.source == ("checkpoint_output" if metrics or declared else "checkpoint")


scores = st.sampled_from([0, 1, 2, 0.5, -1, math.nan, math.inf, None, "2", True])


@one_folder
@given(st.lists(scores, min_size=1, max_size=6), st.sampled_from(["max", "min"]), st.booleans())
def test_the_best_kept_checkpoint_is_taken(tmp_path: Path, values: list[Any], mode: Mode, metric: bool) -> None:
    kept = [(_file(tmp_path / f"c{number}"), {"score": value}) for number, value in enumerate(values)]
    made = _resolve(tmp_path, kept=kept, mode=mode, metric="score" if metric else None)
    worth = {
        number: value for number, value in enumerate(values) if type(value) in (int, float) and math.isfinite(value)
    }
    expected = len(values) - 1
    if metric and worth:
        record = (max if mode == "max" else min)(worth.values())
        expected = next(number for number, value in worth.items() if value == record)
    assert made == Artifact(path=tmp_path / f"c{expected}", source="checkpoint")


def test_the_same_question_gets_the_same_answer(tmp_path: Path) -> None:
    kept = [(_file(tmp_path / name), {"score": 1}) for name in "abc"]
    assert len({_resolve(tmp_path, kept=kept) for _ in range(20)}) == 1


def test_a_relative_path_starts_at_the_first_root(tmp_path: Path) -> None:
    other = tmp_path / "other"
    _file(tmp_path / "trial" / "out" / "w")
    made = _resolve(tmp_path, declared="out/w", roots=[tmp_path / "trial", other])
    assert made is not None
    assert made.path == tmp_path / "trial" / "out" / "w"


def test_links_are_followed_before_bounds_are_checked(tmp_path: Path) -> None:
    inside = tmp_path / "trial"
    secret = _file(tmp_path / "secret")
    inside.mkdir()
    (inside / "link").symlink_to(secret)
    with pytest.raises(ArtifactMissing, match="inside"):
        _resolve(inside, declared=inside / "link")


def test_a_root_that_is_a_link_counts_as_where_it_leads(tmp_path: Path) -> None:
    weights = _file(tmp_path / "real" / "w")
    (tmp_path / "alias").symlink_to(tmp_path / "real")
    for declared in (weights, tmp_path / "alias" / "w"):
        assert _resolve(tmp_path / "alias", declared=declared) == Artifact(path=weights, source="checkpoint_output")


def test_a_sibling_with_the_roots_name_as_prefix_is_outside(tmp_path: Path) -> None:
    (tmp_path / "trial").mkdir()
    with pytest.raises(ArtifactMissing, match="inside"):
        _resolve(tmp_path / "trial", declared=_file(tmp_path / "trial2" / "w"))


@pytest.mark.parametrize("way", ["declared", "metrics", "kept"])
@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("absent", "must exist"),
        ("dangling", "must exist"),
        ("loop", "must exist"),
        ("empty-file", "must not be empty"),
        ("empty-folder", "must not be empty"),
        ("hollow-folder", "must not be empty"),
        ("../outside", "must be inside"),
        ("pipe", "must be a file or a folder"),
        ("nul\x00", "must exist"),
    ],
)
def test_an_unusable_artifact_is_an_error_that_names_it(tmp_path: Path, way: str, name: str, rule: str) -> None:
    root = tmp_path / "trial"
    _file(root / "empty-file", "")
    _file(tmp_path / "outside")
    (root / "empty-folder" / "inner").mkdir(parents=True)
    _file(root / "hollow-folder" / "nothing", "")
    (root / "dangling").symlink_to(root / "absent")
    (root / "loop").symlink_to(root / "loop")
    os.mkfifo(root / "pipe")
    good = str(_file(root / "good"))
    ways: dict[str, dict[str, Any]] = {
        "declared": {"declared": name, "kept": [(good, {})]},
        "metrics": {"in_metrics": {"checkpoint_output": name}, "declared": good, "kept": [(good, {})]},
        "kept": {"kept": [(good, {"score": 0}), (name, {"score": 1})]},
    }
    asked = ways[way]
    with pytest.raises(ArtifactMissing, match=rule) as missing:
        _resolve(root, **asked)
    assert repr(name) in str(missing.value)


def test_without_roots_nothing_may_be_read(tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissing, match="no folder"):
        _resolve(tmp_path, declared=_file(tmp_path / "w"), roots=[])


@pytest.mark.parametrize("value", [3, True, ["a"], {"path": "a"}])
def test_a_checkpoint_output_that_is_no_path_is_an_error(tmp_path: Path, value: Any) -> None:
    with pytest.raises(ArtifactMissing, match="must be a path"):
        _resolve(tmp_path, in_metrics={"checkpoint_output": value})


def test_a_folder_with_one_file_somewhere_is_no_empty_artifact(tmp_path: Path) -> None:
    _file(tmp_path / "model" / "deep" / "w")
    made = _resolve(tmp_path, declared=tmp_path / "model")
    assert made is not None
    assert made.path == tmp_path / "model"


ids = st.none() | st.sampled_from(["", " ", "abc_0001", "ünï"])


@given(ids, ids | st.integers())
def test_rays_id_comes_before_the_metrics_before_the_path(ray_id: str | None, in_metrics: Any) -> None:
    usable = [name for name in (ray_id, in_metrics) if isinstance(name, str) and name.strip()]
    made = trial_key(ray_id, {"trial_id": in_metrics}, "/no/such/artifact")
    digest = hashlib.sha1(b"/no/such/artifact", usedforsecurity=False).hexdigest()[:12]
    assert made == (usable[0] if usable else digest)


@one_folder
@given(st.lists(st.sampled_from(["a", "b", "..", ".", "c"]), max_size=5))
def test_the_same_artifact_never_has_two_ids(tmp_path: Path, detour: list[str]) -> None:
    for folder in ("a/b", "b", "c"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    for name in ("a/b/w", "b/w", "c/w", "w", "a/w"):
        _file(tmp_path / name)
    spelled = Path(f"{tmp_path}/{'/'.join([*detour, 'w'])}")
    assume(spelled.exists())
    real = Path(os.path.realpath(spelled))
    spellings: list[Artifact | Path | str] = [
        spelled,
        str(spelled),
        real,
        os.path.relpath(real),
        Artifact(path=real, source="checkpoint"),
    ]
    assert {trial_key(None, {}, spelling) for spelling in spellings} == {trial_key(None, {}, real)}


def test_a_link_has_the_id_of_what_it_leads_to(tmp_path: Path) -> None:
    weights = _file(tmp_path / "w")
    (tmp_path / "link").symlink_to(weights)
    assert trial_key(None, {}, tmp_path / "link") == trial_key(None, {}, weights)


@given(st.text("abc/", max_size=6), st.text("abc/", max_size=6))
def test_different_paths_have_different_ids(one: str, other: str) -> None:
    paths = [os.path.realpath(f"/nowhere/{name}") for name in (one, other)]
    assert (trial_key(None, {}, paths[0]) == trial_key(None, {}, paths[1])) == (paths[0] == paths[1])


def test_a_path_of_any_bytes_has_an_id() -> None:
    assert len(trial_key(None, {}, os.fsdecode(b"/nowhere/\xff"))) == 12


def test_nothing_to_go_by_is_refused() -> None:
    with pytest.raises(BadValue, match="must have an id"):
        trial_key(None, {}, None)
