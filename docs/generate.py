"""The reference pages that are generated: from the models, the hooks' specifications and the tables in the code.

python docs/generate.py            write docs/reference/*.md
python docs/generate.py --check    write nothing, fail when a page is stale
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import trialrun_hookspecs
from trialrun.compat import ALGORITHMS, SCHEDULERS, describe_search_form
from trialrun.testing.registry import Check, all_checks
from trialrun.testing.selftest import find_mutants, list_clean_plugins
from trialrun.testing.verdicts import CONTRACT_VERSION
from trialrun_hookspecs import DISTRIBUTIONS, json_schema, spec
from trialrun_hookspecs.distributions import DERIVED, DistributionBase
from trialrun_hookspecs.request import GRID_ALGORITHM, SchedulerConfig, SearchConfig

__all__ = ["PAGES", "hooks_page", "jobs_page", "main", "search_page", "used_by"]

ROOT = Path(__file__).resolve().parent.parent
PLUGINS = ROOT / "reference_plugins" / "trialrun_reference"
STAMP = "<!-- Written by docs/generate.py. Change the models or the specification, then run `make docs`. -->\n"

Schema = Mapping[str, Any]


def jobs_page() -> str:
    """The job reference: every key, its type, its default, and what it means."""
    schema = json_schema()
    models = schema["$defs"]
    return "\n".join(
        [
            STAMP,
            "# Job reference",
            "",
            'A job is a JSON or YAML object `{"action": "train", "params": {…}}`. `trialrun schema` prints its JSON',
            "Schema, and `trialrun plan JOB` says what it will do. Unknown keys are refused, and all errors of a job",
            "are shown at once. [Writing a job](../jobs.md) explains how to choose among the keys.",
            "",
            *_section("params", models["Params"]),
            *_section("params.workers", models["Workers"]),
            *_section("params.tune_config", models["TuneConfig"]),
            *_section("params.tune_config.search_alg", SearchConfig.model_json_schema()),
            'A string stands for `{"name": …}`. Names are case-insensitive.',
            "",
            *_section("params.tune_config.scheduler", SchedulerConfig.model_json_schema()),
            'A string stands for `{"name": …}`. Names are case-insensitive.',
            "",
            *_distributions(models),
        ]
    )


def _section(title: str, model: Schema) -> Iterator[str]:
    yield from (
        f"## `{title}`",
        "",
        model["description"],
        "",
        "| key | type | default | meaning |",
        "|---|---|---|---|",
    )
    for key, field in model["properties"].items():
        default = "required" if key in model.get("required", ()) else _default(field)
        yield f"| `{key}` | {_kind(field)} | {default} | {_cell(field.get('description', ''))} |"
    yield ""


def _distributions(models: Schema) -> Iterator[str]:
    yield from ("## `params.hyperparameters`", "")
    yield 'A list of distributions, each `{"name": …, "type": …}` with these fields. Names are unique; `a/b` nests.'
    yield from ("", "| type | fields | drawn |", "|---|---|---|")
    for name, model in DISTRIBUTIONS.items():
        schema = models[model.__name__]
        fields = ", ".join(
            f"`{key}` ({_kind(field)}{'' if key in schema['required'] else ', optional'})"
            for key, field in schema["properties"].items()
            if key not in ("name", "type")
        )
        yield f"| `{name}` | {fields} | {_cell(schema['description'])} |"
    yield ""
    yield "Beside these stand hyperparameters that are not searched:"
    yield from ("", "| type | fields | what it is |", "|---|---|---|")
    for name, model in DERIVED.items():
        schema = models[model.__name__]
        fields = ", ".join(f"`{k}` ({_kind(f)})" for k, f in schema["properties"].items() if k not in ("name", "type"))
        yield f"| `{name}` | {fields} | {_cell(schema['description'])} |"
    yield ""
    yield "An expression takes numbers and text, names of other hyperparameters (`optimizer.lr` for `optimizer/lr`),"
    yield "`+ - * / // % **`, comparisons, `and`, `or`, `a if b else c`, and the functions abs, ceil, exp, float,"
    yield "floor, int, log, max, min, round and sqrt."
    yield ""


def _default(field: Schema) -> str:
    value = field.get("default")
    return "" if value is None or value in ({}, []) else f"`{json.dumps(value)}`"


def _kind(field: Schema) -> str:
    """`integer ≥ 1`, for people."""
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_kind(part) for part in field["anyOf"] if part.get("type") != "null"))
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if "$ref" in field:
        return "any JSON" if field["$ref"].endswith("/JsonValue") else "object"
    if field.get("type") == "array":
        return f"list of {_plural(field.get('items', {}))}"
    return str(field.get("type", "any JSON")) + _bounds(field)


def _plural(items: Schema) -> str:
    if "discriminator" in items:
        return "distributions"
    kind = _kind(items)
    return kind if kind == "any JSON" else f"{kind}s"


def _bounds(field: Schema) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    return ",".join(f" {sign} {field[key]:g}" for key, sign in signs.items() if key in field)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def hooks_page() -> str:
    """The hook reference: every hook's signature, promise and a plugin that uses it."""
    lines = [
        STAMP,
        "# Hook reference",
        "",
        "A hook is a function of a plugin that trialrun calls. [Writing a plugin](../plugins.md) shows how to hand one",
        "over; `trialrun plugins` lists what is installed and which hooks it has.",
        "",
        "| hook | in short | used by |",
        "|---|---|---|",
    ]
    hooks = {name: getattr(spec, name) for name in _in_order()}
    for name, hook in hooks.items():
        first = (inspect.getdoc(hook) or "").partition("\n")[0]
        lines.append(f"| [`{name}`](#{name}) | {_cell(first)} | {_cell(', '.join(f'`{p}`' for p in used_by(name)))} |")
    for name, hook in hooks.items():
        lines += ["", f"## `{name}` {{ #{name} }}", "", *_promise(hook)]
    return "\n".join([*lines, ""])


def _promise(hook: Callable[..., Any]) -> Iterator[str]:
    yield from ("```python", *_signature(hook), "```", "")
    options = getattr(hook, f"{trialrun_hookspecs.PROJECT_NAME}_spec")
    if options["firstresult"]:
        yield from ("The job's own plugin is called, and no other.", "")
    else:
        yield from ("Every plugin that has it is called.", "")
    yield inspect.getdoc(hook) or ""


def _signature(hook: Callable[..., Any]) -> Iterator[str]:
    """The definition as it is written, one parameter a line."""
    definition = ast.parse(inspect.getsource(hook)).body[0]
    assert isinstance(definition, ast.FunctionDef)
    returns = ast.unparse(definition.returns) if definition.returns else "Any"
    arguments = [f"    {ast.unparse(argument)}," for argument in definition.args.args]
    if arguments:
        yield from (f"def {definition.name}(", *arguments, f") -> {returns}: ...")
    else:
        yield f"def {definition.name}() -> {returns}: ..."


def _in_order() -> list[str]:
    """The hooks as they stand in the file: what matters most comes first."""
    return sorted(spec.__all__, key=lambda name: getattr(spec, name).__code__.co_firstlineno)


def used_by(hook: str) -> list[str]:
    """The reference plugins that have a function of the hook's name."""
    return [file.stem for file in sorted(PLUGINS.glob("*.py")) if hook in _functions(file)]


def _functions(file: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)}


def search_page() -> str:
    """Algorithms and schedulers, from the one table that `plan` and the errors go by."""
    lines = [
        STAMP,
        "# Search reference",
        "",
        "What goes with what. `trialrun plan` and the errors go by the same table.",
        "",
        "## Search algorithms",
        "",
        "| `search_alg` | what it does | `grid_search` | with `pbt`, `pb2` | needs |",
        "|---|---|---|---|---|",
    ]
    for name, facts in ALGORITHMS.items():
        needs = f"`pip install 'trialrun[{facts.extra}]'`" if facts.extra else ""
        alone = "yes" if name == GRID_ALGORITHM else "no: they change what it learns from"
        lines.append(f"| `{name}` | {facts.does} | {_yes(facts.grid)} | {alone} | {needs} |")
    lines += [
        "",
        "All other distributions work with every algorithm, and mean the same values under each.",
        f"`{GRID_ALGORITHM}` draws from them at random; the others search a number or a category in the place of each,",
        "and one decoder turns what they find into values. `trialrun plan JOB` says it of the job's own parameters.",
        "",
        "| distribution | searched as |",
        "|---|---|",
    ]
    lines += [f"| `{kind}` | {describe_search_form('hyperoptsearch', _sample(kind))} |" for kind in DISTRIBUTIONS]
    lines += [
        "",
        "Concurrent trials of `bayesoptsearch` and `axsearch` are at different points while there are any left. A",
        "suggestion of `axsearch` takes a second or more: it is made beside the study; trials do not wait.",
        "",
        "## Schedulers",
        "",
        "| `scheduler` | what it does | needs checkpoints | needs `max_t` | changes values |",
        "|---|---|---|---|---|",
    ]
    for name, scheduler in SCHEDULERS.items():
        cells = (_yes(scheduler.checkpoints), _yes(scheduler.max_t), _yes(scheduler.mutates))
        lines.append(f"| `{name}` | {scheduler.does} | {' | '.join(cells)} |")
    lines += [
        "",
        "Options are Ray's own, by [their names](https://docs.ray.io/en/latest/tune/api/schedulers.html).",
        "`median` pauses trials, and then needs checkpoints, only when it is given a `min_time_slice`.",
        "The inline executor runs every trial to its end, so it takes `fifo` only.",
    ]
    return "\n".join([*lines, ""])


def _sample(kind: str) -> DistributionBase:
    ranges: dict[str, Any] = {
        "type": kind,
        "min": 1,
        "max": 8,
        "q": 1,
        "base": 2,
        "mean": 0,
        "sd": 1,
        "options": ["a", "b"],
    }
    fields = DISTRIBUTIONS[kind].model_fields
    return DISTRIBUTIONS[kind](name="x", **{key: value for key, value in ranges.items() if key in fields})


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"


def checks_page() -> str:
    """The check reference: every check with its promise, and the broken plugins that it must catch."""
    checks = all_checks()
    broken = _broken_plugins()
    core = sum(found.level == "core" for found in checks.values())
    lines = [
        STAMP,
        "# Check reference",
        "",
        f"{len(checks)} checks of contract {CONTRACT_VERSION}, {core} of them core.",
        "[Checking a plugin](../conformance.md) says how to run them; `trialrun explain ID` prints what stands here.",
        "Ids are for ever: never renumbered, never used again.",
        "",
        f"The tables name, for each check, the broken plugins that fail it: {sum(map(len, broken.values()))} of a few",
        "lines each, in `tests/broken_plugins/tr`. Each fails its own check and no other.",
        "No check fails a clean plugin:",
        "",
        *_clean(),
        "",
        "`trialrun selftest` runs all of them and prints the matrix; `make test-harness` is red on a gap.",
    ]
    for family in dict.fromkeys(found.family for found in checks.values()):
        lines += [
            "",
            f"## {family.capitalize()}",
            "",
            "| check | promise | level | needs | broken plugins that it catches |",
        ]
        lines.append("|---|---|---|---|---|")
        for name, found in checks.items():
            if found.family == family:
                cells = (f"[{name}](#{name})", _cell(found.title), found.level, ", ".join(sorted(found.needs)))
                lines.append(f"| {' | '.join(cells)} | {', '.join(f'`{plugin}`' for plugin in broken.get(name, ()))} |")
    for found in checks.values():
        lines += ["", *_explained(found)]
    return "\n".join([*lines, ""])


def _clean() -> Iterator[str]:
    """A line for each plugin that no check may fail."""
    for plugin in list_clean_plugins(ROOT / "tests" / "broken_plugins" / "tr"):
        file = Path(plugin) if isinstance(plugin, Path) else PLUGINS / f"{plugin}.py"
        code = file / "plugin" / "train.py" if file.is_dir() else file
        said = (ast.get_docstring(ast.parse(code.read_text("utf-8"))) or "").partition("\n")[0]
        yield f"- `{file.stem}`: {_cell(said)}"


def _broken_plugins() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path, check in find_mutants(ROOT / "tests" / "broken_plugins" / "tr").items():
        found.setdefault(check, []).append(path.stem.partition("_")[2])
    return found


def _explained(found: Check) -> Iterator[str]:
    yield f"### {found.id}: {found.title} {{ #{found.id} }}"
    for title, text in (("The contract", _linked(found.clause)), ("Why", found.why), ("To fix", found.fix)):
        yield from ("", f"**{title}:** {' '.join(text.split())}")
    for title, code in (("Before", found.before), ("After", found.after)):
        if code.strip():  # indented, not fenced: excerpts need not compile
            yield from (
                "",
                f"{title}:",
                "",
                *(f"    {line}".rstrip() for line in dedent(code).strip("\n").splitlines()),
            )


def _linked(clause: str) -> str:
    """`docs/plugins.md#train, #tune: …` as a link to that place."""
    place, colon, text = clause.partition(": ")
    target = place.partition(",")[0].strip()
    if not colon or not target.startswith("docs/"):
        return text if colon else clause
    path = target.removeprefix("docs/")
    path = path.removeprefix("reference/") if path.startswith("reference/") else f"../{path}"
    return f"[{text}]({path})"


PAGES: dict[Path, Callable[[], str]] = {
    ROOT / "docs" / "reference" / "jobs.md": jobs_page,
    ROOT / "docs" / "reference" / "hooks.md": hooks_page,
    ROOT / "docs" / "reference" / "search.md": search_page,
    ROOT / "docs" / "reference" / "checks.md": checks_page,
}


def main(argv: list[str]) -> int:
    """Write the pages, or with `--check` say which are stale."""
    stale = [page for page, make in PAGES.items() if not page.exists() or page.read_text("utf-8") != make()]
    if "--check" in argv:
        for page in stale:
            print(f"{page.relative_to(ROOT)} is stale: run `make docs`", file=sys.stderr)
        return 1 if stale else 0
    for page in stale:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(PAGES[page](), "utf-8")
        print(f"wrote {page.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
