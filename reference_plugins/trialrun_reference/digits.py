"""A dataset hook: scikit-learn's 1,797 handwritten digits as rows with image files.

    trialrun run job.json --plugin sklearn_digits --dataset 123=digits

A row is `{"category": "train" | "validation", "data": {"label": 7, "index": 42}, "files": {"image": PNG bytes}}`. The
PNG is 8x8, 8-bit grey, and 15 times scikit-learn's 0..16. Every fifth digit is held out for validation.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from trialrun_hookspecs import hookimpl

__all__ = ["GREY_PER_UNIT", "datasets", "generate_digit_rows"]

GREY_PER_UNIT = 15
"""Grey values per unit of scikit-learn's images: 16 of them still fit in a byte, and nothing is rounded."""

VALIDATION_EVERY = 5


@hookimpl
def datasets() -> Mapping[str, Callable[[], Iterable[Mapping[str, Any]]]]:
    return {"digits": generate_digit_rows}


def generate_digit_rows() -> Iterator[dict[str, Any]]:
    """Yield all rows, in scikit-learn's order."""
    from sklearn.datasets import load_digits  # a slow import, and offering the name should cost nothing

    bunch = load_digits()
    for index, (image, label) in enumerate(zip(bunch.images, bunch.target, strict=True)):
        grey = [bytes(int(value) * GREY_PER_UNIT for value in row) for row in image]
        yield {
            "category": "validation" if index % VALIDATION_EVERY == VALIDATION_EVERY - 1 else "train",
            "data": {"label": int(label), "index": index},
            "files": {"image": _encode_png(grey)},
        }


def _encode_png(rows: list[bytes]) -> bytes:
    """Write 8-bit grey rows of one length as a PNG."""
    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))  # \0: this row is not filtered
    chunks = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_encode_chunk(kind, data) for kind, data in chunks)


def _encode_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
