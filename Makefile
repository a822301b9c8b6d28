# Every target sets up its own environment: a machine with Python 3.11 or newer, git and make is enough.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
NEWEST := .venv-newest
HARNESS := tests/runtime/testing tests/pytester
HARNESS_APART := $(HARNESS:%=--ignore=%)
NODE_TOOLS := node_modules/.installed

export NO_MKDOCS_2_WARNING := 1

.PHONY: help venv demo test test-fast test-cluster test-harness test-browser test-newest lint lint-js docs bench constraints clean

help:
	@echo "make demo         run a real tuning job on real data, recorded"
	@echo "make test         all tests but those of the next two"
	@echo "make test-fast    the part of make test that needs no Ray"
	@echo "make test-cluster the tests that start a Ray or a cluster of their own"
	@echo "make test-harness the tests of the conformance harness"
	@echo "make test-browser the tests of the page and the report in a browser (a part of make test)"
	@echo "make lint         ruff, mypy, import-linter; biome for JavaScript where there is npm"
	@echo "make lint-js      biome alone: format, rules, no function over 60 lines"
	@echo "make docs         build the documentation into site/"
	@echo "make bench        run the benchmarks and print one table"
	@echo "make test-newest  search and executor tests with the newest versions of everything"
	@echo "make constraints  pin the newest versions that install together"
	@echo "make clean        remove what the targets made, environments included"

venv: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("trialrun needs Python 3.11 or newer: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(STAMP)
	$(BIN)/trialrun run examples/digits_tuning.json --plugin sklearn_digits --dataset 1=digits

test: test-fast
	$(BIN)/python -m pytest -m 'ray and not own_ray' $(HARNESS_APART) $(PYTEST_ARGS)

test-fast: $(STAMP)
	$(BIN)/python -m pytest -n 2 -m 'not ray' $(HARNESS_APART) $(PYTEST_ARGS)

# Each starts a Ray, or a cluster, and many kill something in it: minutes.
test-cluster: $(STAMP)
	$(BIN)/python -m pytest -m own_ray $(HARNESS_APART) $(PYTEST_ARGS)

# The harness tries its checks on some eighty plugins, each in processes of its own: minutes, and mostly waiting.
test-harness: $(STAMP)
	$(BIN)/python -m pytest $(HARNESS) $(PYTEST_ARGS)

# Part of `test`, which skips them where there is no chromium with its chromedriver.
test-browser: $(STAMP)
	$(BIN)/python -m pytest tests/browser tests/runtime/web/test_report.py $(PYTEST_ARGS)

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory lint-js; else echo "no npm here: the JavaScript is not checked"; fi

lint-js: $(NODE_TOOLS)
	node_modules/.bin/biome ci --error-on-warnings

# package.json pins each tool; the lock file would hold addresses of one registry.
$(NODE_TOOLS): package.json
	npm install --silent --no-audit --no-fund --no-package-lock
	touch $@

docs: $(STAMP)
	$(BIN)/python docs/generate.py
	$(BIN)/mkdocs build --strict

bench: $(STAMP)
	$(BIN)/python benchmarks/run_all.py

# Warnings do not fail here: a deprecation in a version that nobody pinned yet is news, not a fault.
test-newest:
	$(PYTHON) -m venv --clear $(NEWEST)
	$(NEWEST)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade -e '.[dev]'
	$(NEWEST)/bin/python -m pip list --disable-pip-version-check | grep -iE '^(ray|bayesian-optimization|hyperopt|optuna) '
	$(NEWEST)/bin/python -m pytest -q -W default -m 'not ray' tests/runtime/search
	$(NEWEST)/bin/python -m pytest -q -W default -m ray -k 'smoke or loopback' tests/runtime/executors

constraints:
	$(PYTHON) -m venv --clear $(NEWEST)
	$(NEWEST)/bin/python -m pip install --quiet --disable-pip-version-check '.[dev]'
	( sed -n '/^#/p' constraints.txt && $(NEWEST)/bin/python -m pip freeze --disable-pip-version-check --exclude trialrun ) > constraints.new
	mv constraints.new constraints.txt

clean:
	rm -rf $(VENV) $(NEWEST) .venv-newest-python node_modules build dist site trialrun-results .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
