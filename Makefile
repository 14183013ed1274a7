# Thin names for real commands. `make demo` and `make test` need only Python 3.11+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN ?= runs/demo

.PHONY: demo test package check bench docs clean
.DEFAULT_GOAL := help

help:  ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

# One stamp per set of dependencies: edited requirements reinstall, nothing else does.
$(VENV)/.core: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("proxflow needs Python 3.11 or newer; set PYTHON=...") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.core
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

demo: $(VENV)/.core  ## 200 handwritten digits become 600 new ones, with a report in runs/demo
	$(BIN)/proxflow demo --out $(RUN) --overwrite

test: $(VENV)/.dev  ## every test
	$(BIN)/python -m pytest -n auto --dist worksteal --durations=20 --durations-min=8

package: $(VENV)/.dev  ## wheel and sdist in dist/, installed and tried in clean environments
	.ci/package $(BIN)/python

check: $(VENV)/.dev  ## lint, format, types, docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: $(VENV)/.dev  ## measure again what benchmarks/RESULTS.md states
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	$(BIN)/python -m benchmarks.run

docs: $(VENV)/.dev  ## serve the documentation on localhost:8000
	$(BIN)/mkdocs serve

clean:  ## remove what the commands above made
	rm -rf $(VENV) site build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
