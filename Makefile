# Twinscope. `make` alone lists the targets.
PYTHON ?= python3
PORT ?= 8000
DATA_DIR ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
PYTEST := $(BIN)/python -m pytest
# Groups of tests in the order of tests/conftest.py
DEALT := -n 3 --dist loadgroup --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help install demo test test-full lint format clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## install Twinscope into .venv

demo: $(STAMP) ## precompute the shipped pair and serve the site [PORT=8000] [DATA_DIR=DIR]
	@$(BIN)/twinscope demo --port $(PORT) $(if $(DATA_DIR),--data-dir "$(DATA_DIR)")

test: $(DEV_STAMP) ## all tests, in a real browser and on a real Postgres too
	@$(BIN)/python tests/needs.py
	$(PYTEST) $(DEALT) -m "not slow"

test-full: $(DEV_STAMP) ## `make test` and the slow studies
	@$(BIN)/python tests/needs.py
	$(PYTEST) $(DEALT)

lint: $(DEV_STAMP) ## ruff (format and lint) and mypy
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(DEV_STAMP) ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove .venv and what the tools cached
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Twinscope needs Python 3.11 or newer, and \`$(PYTHON)\` is not one." \
	       "Name another: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Making a virtual environment in $(VENV) …"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "Python's venv module does not work here; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }

$(STAMP): pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing Twinscope (torch and TransformerLens are large: a few minutes, once) …"
	@$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e .
	@touch $@

$(DEV_STAMP): $(STAMP)
	@echo "Installing what the tests need …"
	@$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[dev]'
	@if command -v npm >/dev/null; then npm install --prefix $(VENV)/checker --no-save \
	  --no-package-lock --no-audit --no-fund --silent 'vnu-jar@26'; fi
	@touch $@
