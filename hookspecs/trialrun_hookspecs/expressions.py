"""Arithmetic on hyperparameters, written as text: parsed once, never run as Python."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

__all__ = ["BadExpression", "evaluate_expression", "names_in", "parse_expression"]

_MAX_LENGTH = 500
_MAX_DEPTH = 50
_MAX_VALUE = 1e300
_MAX_POWER = 1000

_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_UNARY: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}
_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_FUNCTIONS: Mapping[str, tuple[Callable[..., Any], int]] = {  # with how many arguments they take at least
    "abs": (abs, 1),
    "ceil": (math.ceil, 1),
    "exp": (math.exp, 1),
    "float": (float, 1),
    "floor": (math.floor, 1),
    "int": (int, 1),
    "log": (math.log, 1),
    "max": (max, 2),
    "min": (min, 2),
    "round": (round, 1),
    "sqrt": (math.sqrt, 1),
}
_MAX_ARGUMENTS = {"log": 2, "round": 2, "max": 20, "min": 20}


class BadExpression(ValueError):
    """An expression is not valid, or cannot be evaluated with the given values."""


def parse_expression(text: str) -> ast.expr:
    """Return the syntax tree of an expression. Raises BadExpression for anything but arithmetic."""
    if len(text) > _MAX_LENGTH:
        raise BadExpression(f"must be at most {_MAX_LENGTH} characters long")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise BadExpression(f"must be arithmetic ({getattr(error, 'msg', None) or 'nested too deep'})") from None
    _check_node(tree, 0)
    return tree


def _check_node(node: ast.AST, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise BadExpression(f"must not be nested deeper than {_MAX_DEPTH} levels")
    if isinstance(node, ast.Constant):
        if not isinstance(node.value, int | float | str) or isinstance(node.value, complex):
            raise BadExpression(f"takes numbers and text, not {ast.unparse(node)}")
        return
    if isinstance(node, ast.Name | ast.Attribute):
        _parameter_name(node)
        return
    for child in _child_nodes(node):
        _check_node(child, depth + 1)


def _child_nodes(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        return [node.left, node.right]
    if isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
        return [node.operand]
    if isinstance(node, ast.Compare) and all(type(op) in _COMPARE for op in node.ops):
        return [node.left, *node.comparators]
    if isinstance(node, ast.IfExp):
        return [node.test, node.body, node.orelse]
    if isinstance(node, ast.BoolOp):
        return node.values
    if isinstance(node, ast.Call):
        return _check_arguments(node)
    what = ast.unparse(node) if isinstance(node, ast.expr) else type(node).__name__
    raise BadExpression(f"takes + - * / // % **, comparisons, `a if b else c` and functions, not {what[:60]}")


def _check_arguments(call: ast.Call) -> list[ast.expr]:
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    if name not in _FUNCTIONS or call.keywords:
        raise BadExpression(f"knows the functions {', '.join(_FUNCTIONS)}, not {ast.unparse(call)[:60]}")
    least = _FUNCTIONS[name][1]
    if not least <= len(call.args) <= _MAX_ARGUMENTS.get(name, least):
        raise BadExpression(f"{name}() must be given {least} argument(s), or as many as it takes")
    return list(call.args)


def _parameter_name(node: ast.expr) -> str:
    """Return the hyperparameter that a node names: `optimizer.lr` stands for `optimizer/lr`."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_parameter_name(node.value)}/{node.attr}"
    raise BadExpression(f"takes names such as `lr` and `optimizer.lr`, not {ast.unparse(node)[:60]}")


def names_in(tree: ast.expr) -> Iterator[str]:
    """Yield the names of the hyperparameters that the expression uses, repeated as they occur."""
    if isinstance(tree, ast.Name | ast.Attribute):
        yield _parameter_name(tree)
    elif not isinstance(tree, ast.Constant):
        for child in _child_nodes(tree):
            yield from names_in(child)


def evaluate_expression(tree: ast.expr, values: Mapping[str, Any]) -> int | float | str | bool:
    """Return the value. Raises BadExpression for a division by zero, a result out of bounds, or text as a number."""
    try:
        result = _evaluate_node(tree, values)
    except (ArithmeticError, TypeError, ValueError) as error:
        if isinstance(error, BadExpression):
            raise
        raise BadExpression(str(error)) from None
    if not isinstance(result, int | float | str):
        raise BadExpression(f"must come to a number or text, got {type(result).__name__}")
    return result


def _evaluate_node(node: ast.expr, values: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name | ast.Attribute):
        return values[_parameter_name(node)]
    if isinstance(node, ast.IfExp):
        return _evaluate_node(node.body if _evaluate_node(node.test, values) else node.orelse, values)
    if isinstance(node, ast.BoolOp):
        wanted = isinstance(node.op, ast.Or)
        return wanted if any(bool(_evaluate_node(part, values)) is wanted for part in node.values) else not wanted
    if isinstance(node, ast.Compare):
        terms = [_evaluate_node(part, values) for part in (node.left, *node.comparators)]
        return all(_COMPARE[type(op)](a, b) for op, a, b in zip(node.ops, terms, terms[1:], strict=False))
    return _check_bounds(_apply_operator(node, values))


def _apply_operator(node: ast.expr, values: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.BinOp):
        left, right = (
            _require_number(_evaluate_node(node.left, values)),
            _require_number(_evaluate_node(node.right, values)),
        )
        if isinstance(node.op, ast.Pow) and abs(right) > _MAX_POWER:
            raise BadExpression(f"a power must be at most {_MAX_POWER}, got {right:g}")
        return _BINARY[type(node.op)](left, right)
    if isinstance(node, ast.UnaryOp):
        return _UNARY[type(node.op)](_require_number(_evaluate_node(node.operand, values)))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return _FUNCTIONS[node.func.id][0](
            *(_require_number(_evaluate_node(argument, values)) for argument in node.args)
        )
    raise BadExpression("is not arithmetic")  # not reached: `parse_expression` refuses other nodes


def _require_number(value: Any) -> Any:
    if not isinstance(value, int | float):
        raise BadExpression(f"calculates with numbers, not with {value!r}")
    return value


def _check_bounds(value: Any) -> Any:
    if isinstance(value, complex) or not -_MAX_VALUE <= value <= _MAX_VALUE:
        raise BadExpression(f"must come to a number between -{_MAX_VALUE:g} and {_MAX_VALUE:g}")
    return value
