# Everything here needs Python >= 3.11, make and git, and writes inside this folder only.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FIGURES := build/figures.jsonl
PROCESSES ?= 2
PYTEST := $(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist worksteal

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_CACHE_DIR := 1

.DEFAULT_GOAL := help
.PHONY: help install demo test test-e2e coverage reliability bench bench-docs check format sandbox playground deploy audit-deps lock clean

help: ## show this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/installed ## make .venv from the lock, editable

$(VENV)/installed: $(VENV)/locked pyproject.toml hetzner_cloud/_version.py
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/locked: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@echo "Installing into $(VENV) (a minute or two, once) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install -qq --no-deps --require-hashes --requirement requirements.lock
	@touch $@

demo: install ## protect a sandbox's snapshots, on a separate Prefect server
	@$(BIN)/hetzner-snapshots demo

test: install ## the quick suite
	@$(PYTEST) -m "not e2e and not slow and not reliability"

test-e2e: install ## the tests that start processes as a user does, or take seconds
	@$(PYTEST) --durations 15 -m "(e2e or slow) and not reliability"

coverage: install ## the quick suite, and how many lines it runs; fails below the minimum in pyproject.toml
	@COVERAGE_CORE=$$($(BIN)/python -c 'import sys; print("sysmon" if sys.version_info >= (3, 12) else "ctrace")') \
	  $(PYTEST) -m "not e2e and not slow and not reliability" --cov --cov-report term:skip-covered

reliability: install ## test the promises of docs/reliability.md, and write its figures
	@rm -f $(FIGURES)
	@$(BIN)/python -m pytest --hypothesis-profile thorough --figures $(FIGURES) \
	  $(foreach name,fault_matrix changes_by_others pacing crashes reboot automations moving_lists hostile_responses \
	    secrets tls older_prefect prefect_defaults fan_out_outages unprotect_kills suspended_runs \
	    prune_model prune_dry_run_faults prune_kills, \
	    tests/reliability/test_$(name).py) tests/deploy tests/playground/test_stack.py
	@$(BIN)/python -m tests.support.reliability_page $(FIGURES)

bench: install ## measure what a run costs, compared with the alternatives (ARGS=--quick: minutes)
	@$(BIN)/python -m benchmarks $(ARGS)

bench-docs: bench ## the same, and write the figures into docs/performance.md
	@$(BIN)/python -m benchmarks.page build/benchmark.jsonl

check: install ## lint, format, types and spelling
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/codespell

format: install ## format the code, and fix what ruff can fix
	@$(BIN)/ruff check --fix-only
	@$(BIN)/ruff format

sandbox: install ## a fake server of the image part of the Hetzner Cloud API, on loopback
	@$(BIN)/hetzner-snapshots sandbox $(ARGS)

playground: install ## everything to try out, without a Hetzner account
	@$(BIN)/hetzner-snapshots playground

deploy: install ## put the deployments on the Prefect server at PREFECT_API_URL
	@$(BIN)/hetzner-snapshots deploy

audit-deps: ## check the locked packages for known vulnerabilities; needs the advisory database
	@$(PYTHON) -m venv build/audit-deps && build/audit-deps/bin/pip install -qq pip-audit
	@build/audit-deps/bin/pip-audit --requirement requirements.lock --no-deps --disable-pip

# uv reads the groups of a managed project only, and pyproject.toml says why this one is not managed.
lock: ## resolve pyproject.toml from scratch into requirements.lock (ARGS=--upgrade: to the newest versions)
	@$(PYTHON) -m venv build/lock && build/lock/bin/pip install -qq uv
	@sed '/^managed = false/d' pyproject.toml > build/lock/pyproject.toml
	@build/lock/bin/uv pip compile build/lock/pyproject.toml --quiet --universal --python-version 3.11 \
	  --group build/lock/pyproject.toml:dev --generate-hashes --no-header --no-annotate $(ARGS) \
	  --output-file requirements.lock

clean: ## remove what the other targets made
	@rm -rf $(VENV) .playground build dist .coverage* .mypy_cache .pytest_cache .ruff_cache
