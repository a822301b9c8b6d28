"""The dataset hook."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from trialrun_reference import digits


@pytest.fixture(scope="module")
def rows() -> list[Mapping[str, Any]]:
    return list(digits.datasets()["digits"]())


def test_every_digit_is_a_row(rows: list[Mapping[str, Any]]) -> None:
    assert len(rows) == 1797
    assert [row["data"]["index"] for row in rows] == list(range(1797))
    assert [row["data"]["label"] for row in rows] == load_digits().target.tolist()


def test_every_fifth_digit_is_held_out(rows: list[Mapping[str, Any]]) -> None:
    held_out = [row["data"]["index"] for row in rows if row["category"] == "validation"]
    assert held_out == list(range(4, 1797, 5))
    assert {row["category"] for row in rows} == {"train", "validation"}


def test_pngs_decode_to_the_images_of_scikit_learn(rows: list[Mapping[str, Any]]) -> None:
    decoded = []
    for row in rows:
        with Image.open(io.BytesIO(row["files"]["image"])) as image:
            assert (image.format, image.mode, image.size) == ("PNG", "L", (8, 8))
            decoded.append(np.asarray(image))
    assert np.array_equal(np.stack(decoded) / digits.GREY_PER_UNIT, load_digits().images)


def test_rows_are_the_same_each_time(rows: list[Mapping[str, Any]]) -> None:
    assert list(digits.generate_digit_rows()) == rows


def test_offering_the_name_imports_nothing_heavy() -> None:
    code = "import sys; from trialrun_reference import digits; digits.datasets(); print('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
