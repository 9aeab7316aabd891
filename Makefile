# What a developer of django-migrate-legacy runs. `make` alone prints this list.
# Everything is thin: the work is done by commands that can also be run by hand.

# pyenv's python3.X work only for the versions that PYENV_VERSION names: all of ours, newest first.
ifneq ($(shell command -v pyenv 2>/dev/null),)
export PYENV_VERSION := $(shell pyenv versions --bare | grep -E '^3\.[0-9]+\.[0-9]+$$' | sort -rV | paste -sd: -)
endif

# The newest supported Python of this machine; choose another with `make PYTHON=/path/to/python`.
PYTHON ?= $(shell for name in python3.13 python3.12 python3.11 python3; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; \
	done)

# noxfile.py says what runs where.
NOX = .venvs/nox/bin/nox

.DEFAULT_GOAL := help
.PHONY: help demo demo-admin test test-quick lint types layers docs bench bench-quick clean

help:            ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/.installed  ## migrate a small legacy shop and look at the result
	.venv/bin/python manage.py demo

demo-admin: .venv/.installed  ## look at the migration in the admin, and start it there
	.venv/bin/python manage.py demo_admin

test: $(NOX)     ## everything: lint, types, layers, docs, tests everywhere; one session: ARGS="-s forced"
	@$(PYTHON) -m tests.services install || [ "$$CI" != true ]
	@$(NOX) --parallel 4 $(ARGS)

test-quick: $(NOX)  ## the quick tests on one Python and SQLite; more for pytest in ARGS="-k name"
	@$(if $(TARGET),DATA_MIGRATION_TEST_TARGET=$(TARGET)) $(NOX) --session quick -- $(ARGS)

lint types layers docs: $(NOX)
	@$(NOX) --session $@

lint:            ## ruff: mistakes and formatting

types:           ## mypy

layers:          ## import-linter: imports run one way

docs:            ## build the documentation into docs/_build/html

bench:           ## measure speed and memory, 20 minutes; ARGS="--scaling", "--list", "--json FILE"

bench-quick:     ## the same with few rows: does it still run?

bench bench-quick: $(NOX)
	@$(NOX) --session $@ -- $(ARGS)

clean:           ## remove environments, builds and caches
	rm -rf .venv .venvs build dist docs/_build *.egg-info .pytest_cache .ruff_cache .hypothesis .coverage*

define NEW_ENVIRONMENT
	$(or $(PYTHON),$(error Python 3.11, 3.12 or 3.13 is needed and none is on the PATH)) -m venv --clear $(1)
	$(1)/bin/python -m pip --disable-pip-version-check install --quiet $(2)
endef

$(NOX): Makefile
	$(call NEW_ENVIRONMENT,.venvs/nox,'nox>=2026.10')
	@touch $@

# The environment of the demo: the package as a user installs it, with the progress bar.
.venv/.installed: setup.cfg pyproject.toml
	$(call NEW_ENVIRONMENT,.venv,--editable '.[progress]')
	@touch $@
