"""The documentation is true: pages are current, examples are valid, ARCHITECTURE.md has the linter's layers."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ruamel.yaml import YAML

import trialrun
from trialrun import Recorder
from trialrun.recorder.api import ROUTES
from trialrun.testing.registry import all_checks
from trialrun_hookspecs import DISTRIBUTIONS, TuneConfig, count_trials, parse_request
from trialrun_hookspecs.request import Params

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
ROOT_PAGES = [
    ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
]
PAGES = sorted([*ROOT_PAGES, ROOT / "tests" / "README.md", *DOCS.rglob("*.md")])
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _generator() -> ModuleType:
    where = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert where is not None
    assert where.loader is not None
    module = importlib.util.module_from_spec(where)
    where.loader.exec_module(module)
    return module


def _blocks(kind: str) -> list[Any]:
    return [
        pytest.param(text, id=f"{page.relative_to(ROOT)}-{number}")
        for page in PAGES
        for number, (language, text) in enumerate(FENCE.findall(page.read_text("utf-8")))
        if language == kind
    ]


@pytest.mark.parametrize(("page", "make"), [pytest.param(p, m, id=p.name) for p, m in _generator().PAGES.items()])
def test_generated_pages_are_current(page: Path, make: Any) -> None:
    assert page.read_text("utf-8") == make(), "run `make docs`"


def test_the_pages_build_without_a_warning(tmp_path: Path) -> None:
    """A changed link breaks in the page that includes a file from elsewhere, too: the changelog, for one."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    env = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=env, check=False)
    assert built.returncode == 0, built.stderr


def test_the_architecture_has_the_layers_that_import_linter_enforces() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    enforced = next(contract["layers"] for contract in contracts if contract.get("exhaustive"))
    table = (ROOT / "ARCHITECTURE.md").read_text("utf-8").partition("## Layers")[2].partition("\n## ")[0]
    shown = [re.findall(r"`(\w+)`", row.split("|")[1]) for row in table.splitlines() if row.startswith("| `")]
    assert shown == [re.findall(r"\((\w+)\)", layer) for layer in enforced]


@pytest.mark.parametrize("page", ROOT_PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_in_the_root_leads_to_a_file(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8"))
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_every_clause_of_a_check_names_a_place_in_the_docs() -> None:
    for check in all_checks().values():
        place, _, anchor = check.clause.partition(": ")[0].partition(",")[0].partition("#")
        page = (ROOT / place).read_text("utf-8")
        headings = [re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in HEADING.findall(page)]
        assert not anchor or anchor in headings, f"{check.id}: {check.clause}"


def test_the_pages_of_the_folders_are_the_groups_of_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    for title, folder in (
        ("Tutorial", "tutorial"),
        ("How-to", "how-to"),
        ("Concepts", "concepts"),
        ("Reference", "reference"),
    ):
        group = next(entry[title] for entry in YAML(typ="safe", pure=True).load(text)["nav"] if title in entry)
        listed = {page for entry in group for page in entry.values() if "/" in page}
        assert listed == {str(page.relative_to(DOCS)) for page in (DOCS / folder).glob("*.md")}


def test_the_generator_writes_only_what_is_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = _generator()
    page = tmp_path / "reference" / "page.md"
    monkeypatch.setattr(generator, "ROOT", tmp_path)
    monkeypatch.setattr(generator, "PAGES", {page: lambda: "new\n"})
    assert generator.main(["--check"]) == 1
    assert not page.exists()
    assert generator.main([]) == 0
    assert page.read_text("utf-8") == "new\n"
    assert generator.main(["--check"]) == 0


def test_the_job_reference_has_every_key() -> None:
    page = (DOCS / "reference" / "jobs.md").read_text("utf-8")
    for key in [*Params.model_fields, *TuneConfig.model_fields, *DISTRIBUTIONS]:
        assert f"| `{key}` |" in page


@pytest.mark.parametrize("text", _blocks("json"))
def test_json_in_the_docs_is_json_or_a_valid_job(text: str) -> None:
    value = json.loads(text)
    if "action" in value:
        parse_request(value)


@pytest.mark.parametrize("text", _blocks("python"))
def test_python_in_the_docs_compiles(text: str) -> None:
    ast.parse(text)


@pytest.mark.parametrize("text", _blocks("toml"))
def test_toml_in_the_docs_is_toml(text: str) -> None:
    assert tomllib.loads(text)


@pytest.mark.parametrize("text", _blocks("yaml"))
def test_yaml_in_the_docs_is_yaml(text: str) -> None:
    assert YAML(typ="safe", pure=True).load(text)


JOBS = {
    "train": {"name": "docs", "dataset": 1, "hyperparameter": {"epochs": 3}},
    "tune": {
        "name": "docs",
        "dataset": 1,
        "is_tune": True,
        "hyperparameters": [{"name": "lr", "type": "grid_search", "options": [0.1, 0.2]}],
        "tune_config": {"metric": "loss", "mode": "min"},
    },
}


@pytest.mark.parametrize("mode", JOBS)
def test_the_first_plugin_of_the_docs_runs(mode: str, tmp_path: Path) -> None:
    text = FENCE.findall((DOCS / "how-to" / "plugins.md").read_text("utf-8"))[0][1]
    (tmp_path / "first.py").write_text(text, "utf-8")
    result = trialrun.run(
        {"action": "train", "params": JOBS[mode]},
        plugin=tmp_path / "first.py",
        datasets={1: ROOT / "examples" / "line.csv"},
        executor="inline",
        results=tmp_path / "results",
    )
    assert result.status == "SUCCEEDED"
    assert result.model_id is not None
    assert [model.config["lr"] for model in result.trial_models] == ([0.1, 0.2] if mode == "tune" else [])


def test_the_recorder_does_what_its_page_shows() -> None:
    blocks = [
        text
        for language, text in FENCE.findall((DOCS / "concepts" / "recorder.md").read_text("utf-8"))
        if language == "python"
    ]
    over_http: dict[str, Any] = {}
    in_a_test: dict[str, Any] = {}
    exec(blocks[0], over_http)
    exec(blocks[1], in_a_test)
    in_a_test["test_client_says_hello"]()


def test_the_recorder_s_page_names_every_method_and_call() -> None:
    page = (DOCS / "concepts" / "recorder.md").read_text("utf-8")
    set_up = {"close", "create_job", "handle", "handler", "open", "server"}
    methods = {name for name, member in vars(Recorder).items() if inspect.isfunction(member) and name[0] != "_"}
    for name in methods - set_up:
        assert f"`recorder.{name}(" in page
    for route, _ in ROUTES:
        if route.startswith("trialrun/files/") or route == "health":
            continue  # addresses that the recorder hands out itself, and no call of the platform's
        assert route.replace("#", "<id>") in page.replace("<job>", "<id>"), route


@pytest.mark.parametrize(
    ("name", "trials"),
    [
        ("cross_validation.yaml", 2),
        ("digits_tuning.json", 8),
        ("distributed_digits.json", 2),
        ("pure_training.json", None),
        ("pure_tuning.yaml", 6),
    ],
)
def test_an_example_is_a_valid_job(name: str, trials: int | None) -> None:
    request = parse_request(YAML(typ="safe", pure=True).load((ROOT / "examples" / name).read_text("utf-8")))
    assert count_trials(request) == trials


def test_every_example_job_is_tested() -> None:
    jobs = {file.name for file in (ROOT / "examples").iterdir() if file.suffix in (".json", ".yaml")}
    assert jobs == {
        "cross_validation.yaml",
        "digits_tuning.json",
        "distributed_digits.json",
        "pure_training.json",
        "pure_tuning.yaml",
    }


def test_make_help_names_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    phony = set(re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[0].split())
    shown = set(re.findall(r'@echo "make ([\w-]+)', makefile))
    assert phony - shown == {"help", "venv"}
    assert shown <= phony
