"""Job names encoded for queries and file names."""

from __future__ import annotations

import hashlib
import re

__all__ = ["decode_name", "encode_name", "file_name"]

_ESCAPES = {"%": "%25", ":": "%3A", ",": "%2C"}
_PLAIN = {escape: character for character, escape in _ESCAPES.items()}
_UNSAFE_IN_FILES = frozenset('/\\<>"|?*')
_HASH_DIGITS = 16
_TRUNCATION_MARK = "%~"  # cannot occur in a whole name, where two hex digits follow every %
_SHORTEST_LIMIT = 32


def encode_name(name: str) -> str:
    """Return `name` with `%`, `:` and `,` escaped for a query; different names give different results."""
    return re.sub("[%:,]", lambda found: _ESCAPES[found[0]], name)


def decode_name(encoded: str) -> str:
    """Return the name that `encode_name` encoded; other `%` sequences stay unchanged."""
    return re.sub("%25|%3A|%2C", lambda found: _PLAIN[found[0]], encoded)


def file_name(name: str, limit: int = 100) -> str:
    """Return `name` as one path component of at most `limit` bytes of UTF-8; different names give different results.

    Beyond `encode_name`, every character that troubles a file system, a shell or a terminal becomes `%XX` per byte:
    path separators, wildcards, unprintable characters, a leading `.`, `-`, `~` or space, a trailing `.` or space.
    Names that are too long are cut and end in a hash of the whole name. Letter case is kept and distinguishes names.
    """
    if limit < _SHORTEST_LIMIT:
        raise ValueError(f"limit: must be at least {_SHORTEST_LIMIT}, got {limit}")
    pieces = [_escape_character(character) for character in name] or ["%"]
    if name[:1] in {".", "-", "~", " "}:
        pieces[0] = _percent_encode(name[0])
    if name[-1:] in {".", " "}:
        pieces[-1] = _percent_encode(name[-1])
    whole = "".join(pieces)
    return whole if len(whole.encode()) <= limit else _truncate_name(name, pieces, limit)


def _escape_character(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    return _percent_encode(character) if character in _UNSAFE_IN_FILES or not character.isprintable() else character


def _percent_encode(character: str) -> str:
    # surrogatepass: a lone surrogate is a legal character of a Python string and gets bytes of its own
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))


def _truncate_name(name: str, pieces: list[str], limit: int) -> str:
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_DIGITS]
    room = limit - len(_TRUNCATION_MARK) - _HASH_DIGITS
    kept: list[str] = []
    for piece in pieces:  # cut between characters: half an escape could not be decoded
        room -= len(piece.encode())
        if room < 0:
            break
        kept.append(piece)
    return "".join(kept) + _TRUNCATION_MARK + digest
