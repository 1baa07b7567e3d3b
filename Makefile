# Everything goes through one virtual environment, .venv, made on first need.
PYTHON ?= python3
BIN := .venv/bin
TOGETHER := --numprocesses 3 --dist worksteal
.DEFAULT_GOAL := help
.PHONY: help install run record test test-all faults soak coverage docs check clean

help:            ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

install: .venv/ready    ## make .venv with everything in it

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "llamatop needs Python 3.11 or newer: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/pip install --disable-pip-version-check --constraint constraints.txt --editable '.[dev,quantize]'
	@touch $@

run: install     ## watch the bundled model answer four requests at once
	$(BIN)/llamatop --model demo --concurrency 4

record: install  ## measure the bundled model without a screen, and record it
	$(BIN)/llamatop --record --model demo --concurrency 1 2 4

test: install    ## the tests of the main job
	$(BIN)/python -m pytest $(TOGETHER)

test-all: install    ## also those that take minutes
	$(BIN)/python -m pytest $(TOGETHER) -m ''

FAULTS ?=
faults: install    ## cause every fault of docs/reliability.md, and tell what came of it
	$(BIN)/python -m pytest -p tests.faults -m fault --hypothesis-profile=faults $(TOGETHER) $(FAULTS)

SOAK ?=
soak: install    ## what takes hours; SOAK="--minutes 5 --kills 50 --times 5 --inputs 2000" is shorter
	$(BIN)/python -m tests.soak $(SOAK)

coverage: export COVERAGE_FILE := $(CURDIR)/.coverage
coverage: export PYTHONPATH := $(CURDIR)/scripts/coverage
coverage: install    ## lines and branches that the tests run, in children too
	rm -f .coverage .coverage.*
	-$(BIN)/coverage run -m pytest $(TOGETHER)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

docs: install    ## the pages of docs/ as a site: docs/_build/index.html
	$(BIN)/python -c 'import sphinx, myst_parser' 2>/dev/null || $(BIN)/pip install --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build

check: install   ## everything that CI runs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest $(TOGETHER)

clean:           ## remove what was made
	rm -rf .venv dist docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*
