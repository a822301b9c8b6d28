"""Write the reference pages, and README's numbers, from the models, the hook specifications and the tables in the code.

python docs/generate.py            write docs/reference/*.md and the numbers in README.md
python docs/generate.py --check    write nothing, fail when a page is stale
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import trialrun_hookspecs
from trialrun.compat import ALGORITHMS, SCHEDULERS, describe_search_form
from trialrun.executors.ray_tune.environment import VARIABLES
from trialrun.testing.registry import Check, all_checks
from trialrun.testing.verdicts import CONTRACT_VERSION
from trialrun_hookspecs import DISTRIBUTIONS, json_schema, spec
from trialrun_hookspecs.distributions import DERIVED, DistributionBase
from trialrun_hookspecs.request import GRID_ALGORITHM, SchedulerConfig, SearchConfig

__all__ = ["PAGES", "guide_page", "hooks_page", "jobs_page", "main", "readme_page", "search_page", "used_by"]

ROOT = Path(__file__).resolve().parent.parent
PLUGINS = ROOT / "reference_plugins" / "trialrun_reference"
MUTANTS_DIR = ROOT / "tests" / "broken_plugins" / "tr"
STAMP = "<!-- Written by docs/generate.py. Change the models or the specification, then run `make docs`. -->\n"

Schema = Mapping[str, Any]


def jobs_page() -> str:
    """Return the job reference: every key with its type, its default and its meaning."""
    schema = json_schema()
    models = schema["$defs"]
    return "\n".join(
        [
            STAMP,
            "# Job reference",
            "",
            'A job is a JSON or YAML object `{"action": "train", "params": {…}}`. `trialrun schema` prints its JSON',
            "Schema, and `trialrun plan JOB` says what it will do. Unknown keys are refused, and all errors of a job",
            "are shown at once. [Write a job](../how-to/jobs.md) explains how to choose among the keys.",
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
    yield 'A list of distributions, each `{"name": …, "type": …}` with these fields. Names are unique; `a/b`'
    yield "puts `b` in a dict `a`."
    yield from ("", "| type | fields | values |", "|---|---|---|")
    for name, model in DISTRIBUTIONS.items():
        schema = models[model.__name__]
        fields = ", ".join(
            f"`{key}` ({_kind(field)}{'' if key in schema['required'] else ', optional'})"
            for key, field in schema["properties"].items()
            if key not in ("name", "type")
        )
        yield f"| `{name}` | {fields} | {_cell(schema['description'])} |"
    yield ""
    yield "Two more kinds of hyperparameter are not searched:"
    yield from ("", "| type | fields | meaning |", "|---|---|---|")
    for name, model in DERIVED.items():
        schema = models[model.__name__]
        fields = ", ".join(f"`{k}` ({_kind(f)})" for k, f in schema["properties"].items() if k not in ("name", "type"))
        yield f"| `{name}` | {fields} | {_cell(schema['description'])} |"
    yield ""
    yield "An expression contains numbers and text, names of other hyperparameters (`optimizer.lr` for `optimizer/lr`),"
    yield "`+ - * / // % **`, comparisons, `and`, `or`, `a if b else c`, and the functions abs, ceil, exp, float,"
    yield "floor, int, log, max, min, round and sqrt."
    yield ""


def _default(field: Schema) -> str:
    value = field.get("default")
    return "" if value is None or value in ({}, []) else f"`{json.dumps(value)}`"


def _kind(field: Schema) -> str:
    """Return a type as people read it, such as `integer ≥ 1`."""
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
    """Return the hook reference: every hook with its signature, its promise and a plugin that uses it."""
    lines = [
        STAMP,
        "# Hook reference",
        "",
        "A hook is a function of a plugin that trialrun calls. [Write a plugin](../how-to/plugins.md) shows how to",
        "pass a plugin to trialrun; `trialrun plugins` lists the installed plugins with their hooks.",
        "",
        "| hook | purpose | used by |",
        "|---|---|---|",
    ]
    hooks = {name: getattr(spec, name) for name in _ordered_hooks()}
    for name, hook in hooks.items():
        first = (inspect.getdoc(hook) or "").partition("\n")[0]
        lines.append(f"| [`{name}`](#{name}) | {_cell(first)} | {_cell(', '.join(f'`{p}`' for p in used_by(name)))} |")
    for name, hook in hooks.items():
        lines += ["", f"## `{name}` {{ #{name} }}", "", *_describe_hook(hook)]
    return "\n".join([*lines, ""])


def _describe_hook(hook: Callable[..., Any]) -> Iterator[str]:
    yield from ("```python", *_signature(hook), "```", "")
    options = getattr(hook, f"{trialrun_hookspecs.PROJECT_NAME}_spec")
    if options["firstresult"]:
        yield from ("trialrun calls the job's own plugin only.", "")
    else:
        yield from ("trialrun calls every plugin that has it.", "")
    yield inspect.getdoc(hook) or ""


def _signature(hook: Callable[..., Any]) -> Iterator[str]:
    """Yield the definition as written, with one parameter per line."""
    definition = ast.parse(inspect.getsource(hook)).body[0]
    assert isinstance(definition, ast.FunctionDef)
    returns = ast.unparse(definition.returns) if definition.returns else "Any"
    arguments = [f"    {ast.unparse(argument)}," for argument in definition.args.args]
    if arguments:
        yield from (f"def {definition.name}(", *arguments, f") -> {returns}: ...")
    else:
        yield f"def {definition.name}() -> {returns}: ..."


def _ordered_hooks() -> list[str]:
    """Return the hooks in the order of the source file, which puts the important ones first."""
    return sorted(spec.__all__, key=lambda name: getattr(spec, name).__code__.co_firstlineno)


def used_by(hook: str) -> list[str]:
    """Return the reference plugins that have a function of the hook's name."""
    return [file.stem for file in sorted(PLUGINS.glob("*.py")) if hook in _functions(file)]


def _functions(file: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)}


def search_page() -> str:
    """Return the search reference, from the table that `plan` and the errors use too."""
    lines = [
        STAMP,
        "# Search reference",
        "",
        "Which algorithm, distribution and scheduler can be combined. `trialrun plan` and the errors use this table.",
        "",
        "## Search algorithms",
        "",
        "| `search_alg` | method | `grid_search` | with `pbt`, `pb2` | needs |",
        "|---|---|---|---|---|",
    ]
    for name, facts in ALGORITHMS.items():
        needs = f"`pip install 'trialrun[{facts.extra}]'`" if facts.extra else ""
        alone = "yes" if name == GRID_ALGORITHM else "no: they change the values that it learns from"
        lines.append(f"| `{name}` | {facts.does} | {_yes(facts.grid)} | {alone} | {needs} |")
    lines += [
        "",
        "All other distributions work with every algorithm and have the same values under each.",
        f"`{GRID_ALGORITHM}` draws from them at random. The others search a number or a category instead, and one",
        "decoder turns it into a value of the distribution. `trialrun plan JOB` shows this for a job's parameters.",
        "",
        "| distribution | searched as |",
        "|---|---|",
    ]
    lines += [f"| `{kind}` | {describe_search_form('hyperoptsearch', _sample(kind))} |" for kind in DISTRIBUTIONS]
    lines += [
        "",
        "Concurrent trials of `bayesoptsearch` and `axsearch` get different points as long as there are any left. A",
        "suggestion of `axsearch` takes a second or more; a thread of its own computes it, so trials do not wait.",
        "",
        "## Schedulers",
        "",
        "| `scheduler` | method | needs checkpoints | needs `max_t` | changes values |",
        "|---|---|---|---|---|",
    ]
    for name, scheduler in SCHEDULERS.items():
        cells = (_yes(scheduler.checkpoints), _yes(scheduler.max_t), _yes(scheduler.mutates))
        lines.append(f"| `{name}` | {scheduler.does} | {' | '.join(cells)} |")
    lines += [
        "",
        "Options have [Ray's own names](https://docs.ray.io/en/latest/tune/api/schedulers.html).",
        "`median` pauses trials, and then needs checkpoints, only when it has a `min_time_slice`.",
        "The inline executor runs every trial to its end, so it accepts `fifo` only.",
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
    """Return the check reference: every check with its promise and the broken plugins that must fail it."""
    checks = all_checks()
    broken = _broken_plugins()
    core = sum(check.level == "core" for check in checks.values())
    lines = [
        STAMP,
        "# Check reference",
        "",
        f"{len(checks)} checks of contract {CONTRACT_VERSION}, {core} of them core.",
        "[Check a plugin](../how-to/conformance.md) shows how to run them; `trialrun explain ID` prints the same text.",
        "An id is never renumbered and never reused.",
        "",
        f"The tables name the broken plugins that fail each check: {sum(map(len, broken.values()))} plugins of a few",
        "lines each, in `tests/broken_plugins/tr`. Each fails its own check and no other.",
        "These clean plugins pass every check that applies to them:",
        "",
        *_clean_plugins(),
        "",
        "`make test-harness` runs all checks against all of these plugins and fails on a gap.",
    ]
    for family in dict.fromkeys(check.family for check in checks.values()):
        lines += [
            "",
            f"## {family.capitalize()}",
            "",
            "| check | promise | level | needs | broken plugins that fail it |",
        ]
        lines.append("|---|---|---|---|---|")
        for name, check in checks.items():
            if check.family == family:
                cells = (f"[{name}](#{name})", _cell(check.title), check.level, ", ".join(sorted(check.needs)))
                lines.append(f"| {' | '.join(cells)} | {', '.join(f'`{plugin}`' for plugin in broken.get(name, ()))} |")
    for check in checks.values():
        lines += ["", *_explanation(check)]
    return "\n".join([*lines, ""])


@cache
def _load_catalogue() -> ModuleType:
    """Import the tests' catalogue of plugins, which is not installed."""
    spec = spec_from_file_location("catalogue", ROOT / "tests" / "runtime" / "testing" / "catalogue.py")
    if spec is None or spec.loader is None:
        raise ImportError("tests/runtime/testing/catalogue.py cannot be imported")
    sys.modules["catalogue"] = module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _clean_plugins() -> Iterator[str]:
    """Yield one line for each plugin that must pass."""
    for plugin in _load_catalogue().list_clean_plugins(MUTANTS_DIR):
        file = Path(plugin) if isinstance(plugin, Path) else PLUGINS / f"{plugin}.py"
        code = file / "plugin" / "train.py" if file.is_dir() else file
        summary = (ast.get_docstring(ast.parse(code.read_text("utf-8"))) or "").partition("\n")[0]
        yield f"- `{file.stem}`: {_cell(summary)}"


def _broken_plugins() -> dict[str, list[str]]:
    plugins: dict[str, list[str]] = {}
    for path, check in _load_catalogue().find_mutants(MUTANTS_DIR).items():
        plugins.setdefault(check, []).append(path.stem.partition("_")[2])
    return plugins


def _explanation(check: Check) -> Iterator[str]:
    yield f"### {check.id}: {check.title} {{ #{check.id} }}"
    for title, text in (("The contract", _link_clause(check.clause)), ("Why", check.why), ("To fix", check.fix)):
        yield from ("", f"**{title}:** {' '.join(text.split())}")
    for title, code in (("Before", check.before), ("After", check.after)):
        if code.strip():  # indented, not fenced: excerpts need not compile
            yield from (
                "",
                f"{title}:",
                "",
                *(f"    {line}".rstrip() for line in dedent(code).strip("\n").splitlines()),
            )


def _link_clause(clause: str) -> str:
    """Return the text of `docs/how-to/plugins.md#train, #tune: …` as a link to that place."""
    place, colon, text = clause.partition(": ")
    target = place.partition(",")[0].strip()
    if not colon or not target.startswith("docs/"):
        return text if colon else clause
    path = target.removeprefix("docs/")
    path = path.removeprefix("reference/") if path.startswith("reference/") else f"../{path}"
    return f"[{text}]({path})"


def guide_page() -> str:
    """Return the page on Ray Tune's guide with the current table of environment variables."""
    states = {"works": "works", "option": "trialrun has an option", "gone": "gone"}
    lines = ["| variable | state | note |", "|---|---|---|"]
    lines += [f"| `{name}` | {states[variable.fate]} | {variable.note} |" for name, variable in VARIABLES.items()]
    start, end = "<!-- variables, written by docs/generate.py -->\n\n", "\n\n<!-- /variables -->"
    head, _, rest = (ROOT / "docs" / "reference" / "ray-guide.md").read_text("utf-8").partition(start)
    return head + start + "\n".join(lines) + end + rest.partition(end)[2]


def readme_page() -> str:
    """Return README.md with the current number of checks, and of broken plugins, between its comments."""
    text = (ROOT / "README.md").read_text("utf-8")
    numbers = {"checks": len(all_checks()), "mutants": sum(map(len, _broken_plugins().values()))}
    for name, number in numbers.items():
        text = re.sub(rf"(<!-- {name} -->)\d*(<!-- /{name} -->)", rf"\g<1>{number}\g<2>", text)
    return text


PAGES: dict[Path, Callable[[], str]] = {
    ROOT / "README.md": readme_page,
    ROOT / "docs" / "reference" / "ray-guide.md": guide_page,
    ROOT / "docs" / "reference" / "jobs.md": jobs_page,
    ROOT / "docs" / "reference" / "hooks.md": hooks_page,
    ROOT / "docs" / "reference" / "search.md": search_page,
    ROOT / "docs" / "reference" / "checks.md": checks_page,
}


def main(argv: list[str]) -> int:
    """Write the stale pages; with `--check` name them and return 1 if there are any."""
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
