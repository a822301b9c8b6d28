"""The decoded images of a dataset like `digits`, shared by the plugins that train on them."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trialrun_hookspecs import BadValue

__all__ = ["LABELS", "SIDE", "load_images"]

Array = NDArray[Any]

SIDE = 8
LABELS = np.arange(10)


def load_images(dataset: Any, category: str) -> tuple[Array, Array]:
    """Return a category's images as rows of 64 numbers in 0..1, and their labels; both are shared and read-only."""
    rows = (dataset or {}).get(category) or ()
    if not rows:
        raise BadValue(
            "must have rows",
            where=f"dataset category {category!r}",
            got=f"categories {sorted(dataset or {})}",
            fix="For scikit-learn's digits: --dataset ID=digits",
        )
    try:
        files = [os.fspath(row["files"]["image"]) for row in rows]
        labels = np.array([row["data"]["label"] for row in rows])
    except (KeyError, TypeError) as error:
        raise BadValue(
            "every row must have an image in `files.image` and a label in `data.label`",
            where=f"dataset category {category!r}",
            got=repr(error),
        ) from error
    if not np.isin(labels, LABELS).all():
        raise BadValue(
            "labels must be 0 to 9", where=f"dataset category {category!r}", got=str(np.setdiff1d(labels, LABELS)[:5])
        )
    stats = [Path(file).stat() for file in files]
    return _decode_images(
        tuple((file, stat.st_mtime_ns, stat.st_size) for file, stat in zip(files, stats, strict=True))
    ), labels


@lru_cache(maxsize=4)  # a worker process runs many trials on the same files, so they are decoded once
def _decode_images(files: tuple[tuple[str, int, int], ...]) -> Array:
    images = np.stack([_decode_image(name) for name, _, _ in files])
    images.flags.writeable = False
    return images


def _decode_image(file: str) -> Array:
    with Image.open(file) as image:
        if image.size != (SIDE, SIDE):
            raise BadValue(f"must be {SIDE}x{SIDE} pixels", where=file, got=f"{image.width}x{image.height}")
        return np.asarray(image.convert("L"), dtype=np.float64).ravel() / 255
