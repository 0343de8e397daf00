# Everything a person or CI does with this repository. `make` lists it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help install demo check format test integration bench build clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

install: $(VENV)/.installed ## make the virtual environment from the tested versions

demo: install ## run the main job on the docstrings of the installed packages
	$(BIN)/negset demo

check: install ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## format and mend what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: install ## every test that a fresh clone can run
	$(BIN)/pytest --numprocesses 2 --dist worksteal -m 'not integration'

integration: install ## minutes: days on a Prefect server with Postgres, rounds and backfills that are killed
	$(BIN)/pytest tests/integration
	$(BIN)/pytest -m integration tests/promises

bench: install ## overhead of a build beyond encoding and searching
	$(BIN)/python -m benchmarks.build_overhead

build: install ## sdist and wheel in dist/
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
