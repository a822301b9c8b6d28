"""YAML whose plain values are those of JSON: `1e-3` is a number; `no`, `on` and dates are text."""

from __future__ import annotations

import re
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.resolver import VersionedResolver
from ruamel.yaml.tag import Tag

__all__ = ["YAMLError", "parse_plain_yaml"]

_PLAIN = Tag(suffix="plain")  # known by its identity: a file may name a tag as it likes
_CONSTANTS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_DECIMAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_OCTAL_OR_HEX = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")


def parse_plain_yaml(text: str) -> Any:
    """Return the one document of `text` as JSON-able Python, with all keys as text.

    Raises YAMLError, with a `problem_mark` where the place is known. Refused beside bad syntax: a key that stands
    twice, a tag other than `!!str`, `!!seq` and `!!map`, and aliases, since a few lines of them can stand for more
    than a machine can hold. Raises RecursionError for a document nested too deeply.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer, yaml.Resolver = _Composer, _Resolver
    node = yaml.compose(text)
    return None if node is None else _build_value(node)


class _Composer(Composer):
    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader=loader)
        self.warn_double_anchors = False  # without aliases anchors mean nothing

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.parser.check_event(AliasEvent):
            _refuse("aliases (*name) are not taken", self.parser.peek_event())
        return super().compose_node(parent, index)


class _Resolver(VersionedResolver):
    """Leaves plain scalars to this module: the library's own rules have dates, `1_000`, and those of `%YAML 1.1`."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        return _PLAIN if kind is ScalarNode and implicit[0] else super().resolve(kind, value, implicit)


def _build_value(node: Node) -> Any:
    if node.ctag is _PLAIN:
        return _parse_scalar(node)
    kind = next((kind for kind in _BUILDERS if isinstance(node, kind)), None)
    if kind is None or str(node.tag) != _TAGS[kind]:
        _refuse(f"the tag {node.tag} is not taken here", node)
    return _BUILDERS[kind](node)


def _build_mapping(node: MappingNode) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, ScalarNode):
            _refuse("a key must be text", key)
        if key.value in made:
            _refuse(f"the key {key.value!r} stands twice in one object", key)
        made[key.value] = _build_value(value)  # as in JSON, where 1: is "1":
    return made


def _parse_scalar(node: Node) -> Any:
    text = node.value
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    try:
        if _OCTAL_OR_HEX.fullmatch(text):
            return int(text, 0)
        if _DECIMAL.fullmatch(text):
            return int(text) if text.lstrip("+-").isdigit() else float(text)
    except ValueError:  # thousands of digits
        _refuse("a number is too large", node)
    return text


def _refuse(problem: str, at: Any) -> NoReturn:
    raise MarkedYAMLError(problem=problem, problem_mark=at.start_mark)


_TAGS = {
    ScalarNode: "tag:yaml.org,2002:str",
    SequenceNode: "tag:yaml.org,2002:seq",
    MappingNode: "tag:yaml.org,2002:map",
}
_BUILDERS: dict[Any, Any] = {
    ScalarNode: lambda node: node.value,
    SequenceNode: lambda node: [_build_value(item) for item in node.value],
    MappingNode: _build_mapping,
}
