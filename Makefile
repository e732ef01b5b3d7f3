# The two commands of the README are `make demo` and `make test`. Everything here works from a fresh clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
VENDOR := src/tabsync/console/static/vendor
ARGS ?=
PARTS ?=
# Containers often set it: then every process that a test starts would compile all of our modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup emulators demo wheel check docs test gamedays coverage lint bench soak lock clean

help: ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.ready $(VENDOR)/.ready ## Install everything into .venv and fetch the console's front-end files

$(VENV)/.ready: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Python 3.11 or newer is needed"; echo "hint: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENDOR)/.ready: $(VENV)/.ready package.json package-lock.json scripts/vendor.py
	$(BIN)/python scripts/vendor.py
	@touch $@

demo: setup ## Start the demo, prove its backup, keep the console running (ARGS=--once: stop after the verdict)
	@sh scripts/until-stopped.sh $(BIN)/tabsync demo $(ARGS)

wheel: setup ## Build the sdist, and from it the wheel, into dist/
	@rm -rf dist
	@$(BIN)/uv build --quiet --no-build-isolation --python $(BIN)/python --out-dir dist
	@ls dist/*

check: lint ## Before each commit: lint and the unit tests, in under 20 seconds when warm
	@$(BIN)/python -m pytest -n logical $(ARGS) tests/unit

emulators: setup # what tests and benchmarks store into
	@$(BIN)/python scripts/emulators.py

test: setup emulators ## Run all tests (as root on Debian it first installs a chromium and postgresql-15)
	@sh scripts/test-packages.sh
	@$(BIN)/python -m pytest -n 4 $(ARGS)

gamedays: setup ## Bring conditions about for real, run their runbooks, print the times (a few minutes)
	@$(BIN)/tabsync gameday run connections
	@$(BIN)/tabsync gameday run failed-migration
	@TABSYNC_PROFILE=tabsync $(BIN)/tabsync gameday run payments

coverage: setup emulators ## All tests, with lines and branches counted: a third slower, so nightly and not in each CI run
	@sh scripts/test-packages.sh
	@$(BIN)/python -m pytest -n 3 --cov --cov-report= $(ARGS)
	@$(BIN)/python scripts/uncovered.py

lint: setup ## ruff, mypy --strict, the import rules, the manual
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/tabsync manual check src/tabsync/profiles/tabsync/manual.md

docs: setup ## Write docs/reference from the declarations of the procedures
	@$(BIN)/python scripts/reference.py

bench: setup emulators ## Measure, also against other programs; writes docs/benchmarks.md (30 minutes, 20 GB; ARGS="--only physical")
	@$(BIN)/python -m benchmarks $(ARGS)

soak: setup ## Long-running tests; an interrupted one continues: PARTS=databases (20 minutes); writes docs/soak.md
	@sh scripts/test-packages.sh
	@$(BIN)/python -m soak $(PARTS) $(ARGS)

lock: $(VENV)/.ready ## Update requirements/*.txt from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements/dev.txt pyproject.toml --extra dev
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements/run.txt -c requirements/dev.txt pyproject.toml

clean: ## Delete everything that was built, and the demo's data
	rm -rf $(VENV) $(VENDOR) node_modules .tabsync dist .coverage
