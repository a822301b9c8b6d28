"""The matrix shows every gap of the catalogue."""

from __future__ import annotations

from pathlib import Path

import pytest

from trialrun_hookspecs.errors import UsageError

from .catalogue import MUTANTS_DIR, Matrix, Row, find_mutants, list_clean_plugins, run_matrix


def test_the_name_says_which_check_a_plugin_is_there_for(tmp_path: Path) -> None:
    for name in ("TR101_a.py", "TR201_b.py", "helper.py", "TR30_c.py"):
        (tmp_path / name).touch()
    (tmp_path / "TR401_package").mkdir()
    assert {path.name: check for path, check in find_mutants(tmp_path).items()} == {
        "TR101_a.py": "TR101",
        "TR201_b.py": "TR201",
        "TR401_package": "TR401",
    }


def test_a_folder_without_any_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there must be broken plugins"):
        find_mutants(tmp_path)


def test_the_reference_plugins_are_clean_ones() -> None:
    assert {"pure", "sklearn_digits"} <= set(map(str, list_clean_plugins(MUTANTS_DIR)))


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (Row(plugin="p", check="TR101", tripped=("TR101", "TR102")), "p trips TR102 too"),
        (Row(plugin="p", check="TR101", tripped=()), "p does not trip TR101"),
        (Row(plugin="p", check=None, tripped=("TR101",)), "p is clean, and trips TR101"),
        (Row(plugin="p", check="TR101", tripped=("TR101",), unsure=("TR102",)), "TR102 ends in an error"),
    ],
)
def test_every_gap_of_a_row_is_reported(row: Row, problem: str) -> None:
    assert any(problem in text for text in row.problems)


def test_a_check_without_a_mutant_is_a_gap() -> None:
    matrix = Matrix(checks=("TR101", "TR102"), rows=(Row(plugin="p", check="TR101", tripped=("TR101",)),))
    assert matrix.problems == ["TR102 has no broken plugin"]


def test_the_matrix_is_a_table_of_marks() -> None:
    rows = (
        Row(plugin="one", check="TR101", tripped=("TR101",)),
        Row(plugin="two", check="TR205", tripped=("TR101",), unsure=("TR205",)),
    )
    lines = list(Matrix(checks=("TR101", "TR205"), rows=rows).render_lines())
    assert lines == ["     12", "     00", "     15", "one  ■·", "two  ✗?"]


def test_a_broken_plugin_trips_its_check_and_no_other(tmp_path: Path) -> None:
    folder = tmp_path / "tests" / "broken"
    folder.mkdir(parents=True)
    (folder / "TR101_raises.py").write_text("raise RuntimeError\n", encoding="utf-8")
    matrix = run_matrix(folder, select=["TR101"], workers=2)
    assert [row.tripped for row in matrix.rows if row.check] == [("TR101",)]
