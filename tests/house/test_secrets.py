"""Nothing is unpickled, or run, that came from elsewhere."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path for folder in ("hookspecs", "runtime", "reference_plugins") for path in (ROOT / folder).rglob("*.py")
)
LOADERS = frozenset({"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "jsonpickle", "_pickle"})
READERS = LOADERS | {"torch", "np", "numpy", "yaml"}  # whose load() may unpickle
LOADS = frozenset({"load", "loads"})
ALWAYS = frozenset({"Unpickler", "read_pickle", "unsafe_load", "full_load", "from_pickle"})
RUNS = frozenset({"eval", "exec", "compile"})
ALLOWED = {
    # the file in which Ray left the exception of a trial of this very run, in the folder of its own session
    ("runtime/trialrun/executors/ray_tune/failures.py", "cloudpickle.loads"),
    # arrays of the reference plugin's own artifact, with allow_pickle=False
    ("reference_plugins/trialrun_reference/sklearn_digits.py", "np.load"),
}


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def _suspects(tree: ast.Module) -> set[str]:
    """Calls that may run what they read, as `module.function`."""
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = _dotted(node.func)
        owner, _, last = name.rpartition(".")
        module = owner.rpartition(".")[2]
        if (last in LOADS and module in READERS) or last in ALWAYS or (not owner and last in RUNS):
            found.add(f"{module}.{last}" if module else last)
        if any(word.arg == "allow_pickle" and getattr(word.value, "value", True) for word in node.keywords):
            found.add("allow_pickle")
        if last == "YAML" and not any(word.arg == "typ" and _is_safe(word.value) for word in node.keywords):
            found.add("YAML")
    return found


def _is_safe(typ: ast.expr) -> bool:
    return isinstance(typ, ast.Constant) and typ.value == "safe"


def _imported_loaders(tree: ast.Module) -> set[str]:
    return {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in LOADERS
        for alias in node.names
    }


def test_nothing_is_read_that_could_run() -> None:
    found = set()
    for path in SOURCES:
        tree = ast.parse(path.read_text("utf-8"))
        found |= {(str(path.relative_to(ROOT)), what) for what in _suspects(tree) | _imported_loaders(tree)}
    assert found == ALLOWED


@pytest.mark.parametrize(
    "code",
    [
        "pickle.load(f)",
        "ray.cloudpickle.loads(b)",
        "joblib.load(p)",
        "torch.load(p, weights_only=False)",
        "np.load(p)",
        "yaml.load(t)",
        "YAML(typ='unsafe').load(t)",
        "ruamel.yaml.YAML(typ=kind)",
        "eval(t)",
        "np.savez(p, allow_pickle=True)",
        "pickle.Unpickler(f)",
    ],
)
def test_what_could_run_is_seen(code: str) -> None:
    assert _suspects(ast.parse(code))
