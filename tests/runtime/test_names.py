"""Names survive the way into a query, and are safe as file names."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trialrun.names import decode_name, encode_name, file_name

# Every Python string, lone surrogates included: a name may come from a file system or from broken JSON.
texts = st.text(st.characters(exclude_categories=()), max_size=60)
tricky = st.text(st.sampled_from("%:,/\\.- ~25AC32F\x00\n\u202eé\ud800😀"), max_size=12)
names = texts | tricky


@given(names)
@example("a%3Ab")
@example("%25")
def test_decode_undoes_encode(name: str) -> None:
    assert decode_name(encode_name(name)) == name


@given(names, names)
@example("a:b", "a%3Ab")
@example("%", "%25")
def test_two_names_never_encode_to_one(one: str, other: str) -> None:
    assert (encode_name(one) == encode_name(other)) == (one == other)


@given(names)
def test_encoding_leaves_no_colon_or_comma(name: str) -> None:
    assert not set(":,") & set(encode_name(name))


def test_encoding_changes_three_characters_only() -> None:
    assert encode_name("run: 50%, naïve/β\n") == "run%3A 50%25%2C naïve/β\n"


@given(st.text(st.characters(exclude_characters="%:,")))
def test_encoding_leaves_other_text_alone(name: str) -> None:
    assert encode_name(name) == name


@given(names)
@example("")
@example(".")
@example("..")
@example("-rf")
@example("name.")
@example("a/../../b")
@example("😀" * 300)
def test_file_name_is_one_safe_component(name: str) -> None:
    made = file_name(name)
    assert Path(made).name == made
    assert made not in {"", ".", ".."}
    assert made.isprintable()
    assert not made.startswith((".", "-", "~", " "))
    assert not made.endswith((".", " "))
    assert len(made.encode()) <= 100


@given(names, names, st.integers(32, 60))
@example("a" * 61, "a" * 62, 60)
@example("", "%", 32)
@example("/", "%2F", 32)
@example(" ", "%20", 32)
def test_two_names_never_make_one_file_name(one: str, other: str, limit: int) -> None:
    assert (file_name(one, limit) == file_name(other, limit)) == (one == other)


@given(names.filter(bool))
def test_a_whole_file_name_reads_back(name: str) -> None:
    made = file_name(name, limit=10_000)
    assert unquote_to_bytes(made) == name.encode("utf-8", "surrogatepass")


@given(names, st.integers(32, 300))
def test_file_name_keeps_to_the_limit_in_bytes(name: str, limit: int) -> None:
    assert len(file_name(name, limit).encode()) <= limit


@given(st.text(min_size=1, max_size=80), st.integers(32, 100))
def test_a_cut_name_is_none_that_a_whole_name_gives(name: str, limit: int) -> None:
    cut = file_name(name * 200, limit)
    assert file_name(cut, 10_000) != cut


def test_a_cut_never_halves_an_escape() -> None:
    for limit in range(32, 60):
        kept = file_name("😀/" * 40, limit).rpartition("%~")[0]
        assert kept == ("😀%2F" * 40)[: len(kept)]
        assert kept.endswith(("😀", "%2F"))


@pytest.mark.parametrize("name", ["plain-name_1", "naïve β", "😀", "a.b"])
def test_a_harmless_name_is_its_file_name(name: str) -> None:
    assert file_name(name) == name


@given(names)
def test_a_file_of_that_name_can_be_made(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    folder: Path = tmp_path_factory.getbasetemp() / "named"
    folder.mkdir(exist_ok=True)
    file = folder / file_name(name)
    file.write_text("x")
    assert [entry.name for entry in folder.iterdir()] == [file_name(name)]
    file.unlink()


def test_a_limit_that_leaves_no_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 32"):
        file_name("x", limit=20)
