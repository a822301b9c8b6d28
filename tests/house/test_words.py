"""Names follow the glossary: verbs for functions, the field's words, and none of the old metaphors."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(file for root in ("hookspecs", "runtime", "reference_plugins") for file in (ROOT / root).rglob("*.py"))
SCRIPTS = sorted((ROOT / "runtime" / "trialrun" / "web" / "static").rglob("*.js"))
MOST_PARTICIPLES = 0.03
MOST_OF_ONE_WORD = 0.35

IRREGULAR = frozenset(
    re.findall(
        r"\w+",
        """begun born bound brought built cut done drawn driven felt found given gone grown heard held kept known laid
        left lost made meant met paid put read said seen sent set shown spoken spent stood taken taught thrown told
        understood unsaid won worn written""",
    )
)
OTHER_WORDS = frozenset(re.findall(r"\w+", "bring cut embed feed need nothing ping put read seed set sibling string"))
OLD_WORDS = frozenset(
    re.findall(
        r"\w+",
        """diary diaries ear ears hub inlet inlets lab labs notebook parcel parcels scene scenes seat seats stamper
        teed warden wardens zygote zygotes""",
    )
)


def _functions() -> list[str]:
    return [
        node.name.strip("_")
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("__")
    ]


def _is_participle(name: str) -> bool:
    first = name.partition("_")[0]
    return first not in OTHER_WORDS and (first in IRREGULAR or (len(first) > 3 and first.endswith(("ed", "ing"))))


def _names(tree: ast.AST) -> Iterator[str]:
    """Every name that a module gives: of functions, classes, parameters and variables."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def _words(name: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def test_few_functions_begin_with_a_participle() -> None:
    names = _functions()
    participles = [name for name in names if _is_participle(name)]
    assert len(participles) <= MOST_PARTICIPLES * len(names), sorted(participles)


def test_few_functions_have_a_name_of_one_word() -> None:
    names = _functions()
    short = [name for name in names if "_" not in name]
    assert len(short) <= MOST_OF_ONE_WORD * len(names), sorted(short)


def test_no_name_in_python_is_an_old_metaphor() -> None:
    names = {(file, name) for file in FILES for name in [file.stem, *_names(ast.parse(file.read_text("utf-8")))]}
    assert sorted(f"{file.relative_to(ROOT)}: {name}" for file, name in names if _words(name) & OLD_WORDS) == []


def test_no_name_in_javascript_is_an_old_metaphor() -> None:
    declared = re.compile(r"\b(?:function|class|const|let)\s+(\w+)|\bfrom \"[./]*([\w./]+)\.js\"")
    names = {
        (file, name)
        for file in SCRIPTS
        for found in declared.findall(file.read_text("utf-8"))
        for name in (file.stem, *found)
    }
    assert sorted(f"{file.relative_to(ROOT)}: {name}" for file, name in names if _words(name) & OLD_WORDS) == []


@pytest.mark.parametrize("name", ["told_again", "held", "running_trials", "unsaid", "captured"])
def test_a_participle_is_seen(name: str) -> None:
    assert _is_participle(name)


@pytest.mark.parametrize("name", ["read_row", "set_status", "load_run", "string_of", "red"])
def test_a_verb_is_no_participle(name: str) -> None:
    assert not _is_participle(name)


@pytest.mark.parametrize("name", ["StudyEars", "_hub", "LAB", "open_scene", "zygote2"])
def test_an_old_metaphor_is_seen(name: str) -> None:
    assert _words(name) & OLD_WORDS


def test_a_word_that_holds_another_is_another() -> None:
    assert not _words("label_subjects_collaborate_nearest_github") & OLD_WORDS
