# Every target does its own set-up; Python 3.11 or newer and make are all it takes.
# Overridable: PYTHON=python3.13, VENV=.venv-3.13, PYTEST_ARGS="-k disk".

VENV ?= .venv
LOCKED ?= requirements/dev.txt
PYTEST_ARGS ?=
PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done)

BIN := $(VENV)/bin
READY := $(VENV)/.ready
UV := $(shell command -v uv 2>/dev/null)

ifneq ($(UV),)
create_venv = $(UV) venv --quiet --python '$(or $(PYTHON),3.11)' $(VENV)
install := $(UV) pip install --quiet --python $(BIN)/python
else
create_venv = $(or $(PYTHON),$(error Python 3.11 or newer is needed: make PYTHON=...)) -m venv $(VENV)
install := $(BIN)/python -m pip install --quiet --disable-pip-version-check
endif

.DEFAULT_GOAL := help
.PHONY: help demo test test-lowest coverage check check-format check-lint check-types format \
	bench mutants test-servers wheel wheel-test requirements clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

demo: $(READY) ## See what keyturn does, against the emulator, in a few seconds
	@$(BIN)/keyturn demo

test: $(READY) ## Run the tests
	@$(BIN)/python -m pytest --numprocesses 2 $(PYTEST_ARGS)

test-lowest: ## Run the tests with the lowest versions of the dependencies that are allowed
	@$(MAKE) --no-print-directory test VENV=.cache/lowest LOCKED=requirements/lowest.txt \
		PYTEST_ARGS='--ignore=tests/bench --ignore=tests/docs --ignore=tests/packaging \
		--ignore=tests/typing $(PYTEST_ARGS)'

coverage: ## Run the tests; every line and branch of core and providers must be covered
	@$(MAKE) --no-print-directory test PYTEST_ARGS='--cov $(PYTEST_ARGS)'

check: check-format check-lint check-types ## Run the static checks: formatting, lint, types

check-format: $(READY)
	$(BIN)/ruff format --check

check-lint: $(READY)
	$(BIN)/ruff check

check-types: $(READY)
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(READY) ## Format the code, and mend what the linter can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

mutants: $(READY) ## Take each mechanism out in turn: its test must fail (about 8 minutes)
	@$(BIN)/python scripts/mutants.py

bench: $(READY) ## Measure keyturn side by side with its peers (about half an hour)
	@$(BIN)/python -m bench

test-servers: $(READY) ## Run the tests against real authorization servers (installs them: Debian, npm)
	tests/servers/install
	@$(BIN)/python -m pytest tests/servers $(PYTEST_ARGS)

wheel: $(READY) ## Build the wheel into dist/
	rm -rf dist
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

wheel-test: wheel ## Install the wheel into an empty environment and use it there
	directory=$$(mktemp -d) && trap 'rm -rf "$$directory"' EXIT && wheel=$$(echo "$$PWD"/dist/*.whl) \
	&& $(BIN)/python -m venv "$$directory" && cd "$$directory" \
	&& bin/python -m pip install --quiet --disable-pip-version-check "$$wheel" \
	&& bin/python -m pip check && bin/keyturn providers && bin/keyturn demo

requirements: $(READY) ## Lock the newest, and the lowest, versions of all dependencies again
	$(if $(UV),,$(install) uv)
	$(or $(UV),$(BIN)/uv) pip compile --quiet --upgrade --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --custom-compile-command 'make requirements' \
		--extra aiohttp --extra httpx2 --extra redis --extra requests --group dev \
		--output-file requirements/dev.txt pyproject.toml
	$(or $(UV),$(BIN)/uv) pip compile --quiet --universal --resolution lowest-direct \
		--no-strip-extras --python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command 'make requirements' --all-extras \
		--group test --output-file requirements/lowest.txt pyproject.toml

clean: ## Remove the environment, caches and builds
	rm -rf $(VENV) dist build .coverage .coverage.* .cache .hypothesis \
		.mypy_cache .pytest_cache .ruff_cache tests/servers/oidc-provider/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml $(LOCKED)
	@echo "Setting up $(VENV), once; this may take a minute."
	@test -x $(BIN)/python || $(create_venv) || { rm -rf $(VENV); exit 1; }
	@$(install) --require-hashes --requirement $(LOCKED)
	@$(install) --no-deps --no-build-isolation --editable .
	@touch $@
