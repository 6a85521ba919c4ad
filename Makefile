# Every target does its own set-up; you need only Python 3.11 or newer, and make.
# Overridable: PYTHON=python3.13, VENV=.venv-3.13, PYTEST_ARGS="-k disk".

VENV ?= .venv
LOCK ?= test
PYTEST_ARGS ?=
# Of the large sweeps, `make test` runs a sample; if tests are selected, all that are selected run.
SAMPLE ?= $(if $(PYTEST_ARGS),,--sample)
FUZZ_SECONDS ?= 600
PLATFORMS ?= all
MUTANTS ?=
PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done)

BIN := $(VENV)/bin
READY := $(VENV)/.ready
CHECKERS := $(VENV)/.checkers
UV := $(shell command -v uv 2>/dev/null)

ifneq ($(UV),)
create_venv = $(UV) venv --quiet --allow-existing --python '$(or $(PYTHON),3.11)' $(VENV)
install := $(UV) pip install --quiet --python $(BIN)/python
check_venv := $(UV) pip check --python $(BIN)/python
else
# The locked pip installs in half the time of pip 23.2; that of Python itself installs it, if it can.
locked_pip = awk '/^[^ \#]/ { found = /^pip==/ } found' requirements/test.txt
create_venv = { python='$(or $(PYTHON),$(error Python 3.11 or newer is needed: make PYTHON=...))'; \
	$$python -m venv --without-pip $(VENV) && $(locked_pip) | $$python -m pip --python $(BIN)/python \
		$(install_options) --no-deps --require-hashes --requirement /dev/stdin 2>/dev/null \
	|| $$python -m venv $(VENV); }
install_options := install --quiet --disable-pip-version-check --no-compile
install := $(BIN)/python -m pip $(install_options)
check_venv := $(BIN)/python -m pip check
endif
# On all processors, unlike pip; some packages have files for other versions of Python. Of the two
# largest packages, little is imported.
compile = $(BIN)/python -m compileall -qq -j 0 -x "/(pip|pygments)/" $(VENV)/lib core providers || true
ensure_venv = test -x $(BIN)/python || $(create_venv) || { rm -f $(BIN)/python*; exit 1; }

.DEFAULT_GOAL := help
.PHONY: help demo run-demo test test-all test-lowest fuzz coverage check check-format check-lint check-types \
	check-imports check-locks format bench mutants test-servers test-platforms docs build-docs screenshots site release-check \
	run-release-check requirements compile-locks clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

demo: ## See what keyturn does, against the emulator, in a few seconds
	@$(MAKE) --no-print-directory run-demo VENV=$(VENV)-demo LOCK=run

run-demo: $(READY)
	@$(BIN)/keyturn demo

test: $(READY) ## Run the tests, and of the largest sweeps a sample
	@$(BIN)/python -m pytest --numprocesses 5 $(SAMPLE) $(PYTEST_ARGS)

test-all: ## Run all tests, as continuous integration does
	@$(MAKE) --no-print-directory test SAMPLE=

# Tests of keyturn's own code and pages, which do not depend on the versions of dependencies.
NOT_LOWEST := api bench cli conformance deployment docs emulator fuzz packaging platforms providers \
	registry stores/test_store_conformance.py threats

test-lowest: ## Run the tests with the lowest allowed versions of the dependencies
	@$(MAKE) --no-print-directory check-locks VENV=.cache/lowest LOCK=lowest
	@$(MAKE) --no-print-directory test VENV=.cache/lowest LOCK=lowest \
		PYTEST_ARGS='$(foreach each,$(NOT_LOWEST),--ignore=tests/$(each)) $(PYTEST_ARGS)'

fuzz: $(READY) ## Fuzz each parser, for ten minutes each (FUZZ_SECONDS=600 FUZZ=response)
	@$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS) $(FUZZ)

coverage: ## Run the tests; every line and branch of core and providers must be covered
	@$(MAKE) --no-print-directory test PYTEST_ARGS='--cov $(PYTEST_ARGS)'

check: check-format check-lint check-types check-imports check-locks ## Run the static checks

check-format: $(CHECKERS)
	$(BIN)/ruff format --check

check-lint: $(CHECKERS)
	$(BIN)/ruff check

SHIPPED := core providers examples/keyturn-postgresql/src

check-types: $(CHECKERS)
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 $(SHIPPED)
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/pyright --pythonpath $(BIN)/python --pythonplatform Windows $(SHIPPED)
	$(BIN)/python -m pytest --quiet tests/typing

check-imports: $(CHECKERS)
	$(BIN)/lint-imports --no-cache

check-locks: $(if $(filter test,$(LOCK)),$(CHECKERS),$(READY))
	$(BIN)/python scripts/locks.py check $(LOCK:test=test dev)

format: $(CHECKERS) ## Format the code, and fix what the linter can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

mutants: $(CHECKERS) ## Change the code in small ways, count those that no test detects (MUTANTS=keyturn._http.urls)
	@$(BIN)/python scripts/mutants.py $(MUTANTS)

bench: $(READY) ## Measure keyturn side by side with its peers (about half an hour)
	@$(BIN)/python -m bench

test-servers: $(READY) ## Run the tests against real servers (installs them: Debian, npm, pip)
	PYTHON=$(abspath $(BIN))/python tests/servers/install
	@$(BIN)/python -m pytest tests/servers $(PYTEST_ARGS)

test-platforms: $(READY) ## Run keyturn in the platforms that it has adapters for (PLATFORMS=all, light or names)
	@$(BIN)/python -m tests.integrated $(PLATFORMS) -- $(PYTEST_ARGS)

release-check: $(READY) ## Build what a release publishes, install it into empty environments, check it
	@$(MAKE) --no-print-directory run-release-check VENV=.cache/release LOCK=release
	@$(BIN)/python -m pytest --quiet tests/release

run-release-check: $(READY) check-locks
	@$(BIN)/python scripts/release_check.py

docs: ## Build the documentation site into build/site; a broken link or reference is an error
	@$(MAKE) --no-print-directory build-docs VENV=.cache/docs LOCK=docs

build-docs: $(READY)
	$(BIN)/python -m sphinx --builder html --nitpicky --fail-on-warning --keep-going --quiet \
		--doctree-dir .cache/doctrees docs build/site

screenshots: docs ## Look at each page at two widths in Chromium; write pictures of six of them
	@$(or $(PYTHON),python3) scripts/screenshots.py

site: ## Build the site as it is deployed, with its older versions, into build/versions/site
	@$(or $(PYTHON),python3) scripts/site.py

requirements: ## Lock the newest, and the lowest, versions of all dependencies again
	@$(MAKE) --no-print-directory compile-locks VENV=.cache/locks

compile-locks:
	@$(ensure_venv)
	@$(install) --upgrade packaging uv
	$(BIN)/python scripts/locks.py compile

clean: ## Remove the environment, caches and builds
	rm -rf $(VENV) $(VENV)-demo dist build .coverage .coverage.* .cache .hypothesis \
		.mypy_cache .pytest_cache .ruff_cache tests/servers/oidc-provider/node_modules \
		tests/integrated/node_modules tests/integrated/vendors/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A lock file is complete: nothing is resolved. When it changes, make creates a new environment, and
# keeps nothing of the old one.
$(VENV)/.locked: requirements/$(LOCK).txt
	@echo "Setting up $(VENV), once; this may take a minute."
	@test ! -e $@ || rm -rf $(VENV)
	@$(ensure_venv)
	@$(install) --no-deps --require-hashes --requirement $<
	@$(compile)
	@touch $@

$(READY): $(VENV)/.locked pyproject.toml
	@$(install) --no-deps --no-build-isolation --editable .
	@problems=$$($(check_venv) 2>&1) || { echo "$$problems"; \
		echo "requirements/$(LOCK).txt does not fit pyproject.toml: run make requirements."; exit 1; } >&2
	@touch $@

# The development lock is the tests' one and the tools of `make check`, `format` and `mutants`.
$(CHECKERS): $(READY) requirements/dev.txt
	@echo "Adding the static checkers to $(VENV), once."
	@$(install) --no-deps --require-hashes --requirement requirements/dev.txt
	@touch $@
