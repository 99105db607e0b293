# `make demo` and `make test` do all set-up by themselves; `make help` lists the targets.
# PYTHON=/path/to/python3.12 chooses the interpreter of .venv; ARGS="..." is passed on to up, demo, test, bench and soak.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help venv venv-dev demo up test check lint fast bench soak proof test-vm wheel docs lock clean

export PYTHON
ARGS ?=
BIN := .venv/bin
FAST := tests/unit tests/contract tests/property
# Real clients of AWS: Terraform alone takes two minutes.
NOT_FAST := --ignore=tests/contract/clients
VM_TESTS := $(addprefix tests/e2e/test_,escapes.py sandbox_limits.py limits_from_outside.py)
COMPILE := uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name what; do \
		printf '  make %-8s %s\n' "$$name" "$$what"; done

venv:  ## only build .venv, with .venv/bin/lambent in it
	@scripts/set-up main

venv-dev:
	@scripts/set-up dev

demo: venv  ## a real photograph through a sandboxed function, start to end
	@$(BIN)/lambent demo $(ARGS)

up: venv  ## start the server on 127.0.0.1:4566
	@$(BIN)/lambent up $(ARGS)

test: venv-dev  ## all tests, with real sandboxes where this machine allows (about 20 minutes)
	@status=0; \
	$(BIN)/python -m pytest -rsR -n 2 $(FAST) $(NOT_FAST) $(ARGS) || status=1; \
	$(BIN)/python -m pytest -rsR tests/contract/clients tests/e2e $(ARGS) || status=1; \
	exit $$status

check: lint fast  ## the gate before each commit: format, lint, types, import rules, fast tests

lint: venv-dev
	@$(BIN)/ruff format --check --quiet . || { echo "check: format with: $(BIN)/ruff format ." >&2; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@said=$$($(BIN)/lint-imports --no-logo) || { printf '%s\n' "$$said" >&2; exit 1; }

fast: venv-dev
	@$(BIN)/python -m pytest -n 2 $(FAST) $(NOT_FAST)

bench: venv-dev  ## the benchmarks: latency, throughput, cold start, beside their floors
	@$(BIN)/python -m benchmarks $(ARGS)

soak: venv-dev  ## the long ones: thousands of cycles, long crash runs
	@$(BIN)/python -m pytest --timeout=7200 tests/soak $(ARGS)

proof: venv-dev  ## try every way out of the sandboxes, and write the table of docs/security.md anew (needs root)
	@$(BIN)/python -m tests.e2e.escapes.proof docs/security.md

test-vm:  ## in a virtual machine: escapes and limits as root and as a user, and cutting the power (needs root)
	@scripts/try-vm systemd $(VM_TESTS)
	@scripts/try-vm user $(VM_TESTS)
	@scripts/try-vm power

wheel: venv-dev  ## build dist/*.whl and try it in an empty environment
	@rm -rf dist && $(BIN)/python -m build --no-isolation --wheel . >/dev/null && ls dist/*.whl
	@scripts/try-wheel dist/*.whl

docs: venv-dev  ## write docs/coverage.md and docs/quotas.md anew
	@$(BIN)/python -m lambent.testing.registered docs/coverage.md
	@$(BIN)/python -m lambent.cli.quotas docs/quotas.md

lock:  ## write the lock files anew (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv: pip install uv" >&2; exit 1; }
	@$(COMPILE) --python-version 3.11 pyproject.toml -o requirements/main.txt
	@$(COMPILE) --python-version 3.11 requirements/dev.in -o requirements/dev.txt
	@$(COMPILE) --python-version 3.11 -c requirements/dev.txt requirements/build.in -o requirements/build.txt
	@$(COMPILE) --python-version 3.9 examples/thumbnail/requirements.in -o examples/thumbnail/requirements.txt
	@$(COMPILE) --python-version 3.9 examples/photos/requirements.in -o examples/photos/requirements.txt
	@$(COMPILE) --python-version 3.9 examples/flask/requirements.in -o examples/flask/requirements.txt
	@$(COMPILE) --python-version 3.10 examples/fastapi/requirements.in -o examples/fastapi/requirements.txt
	@! grep -lE 'https?://' requirements/*.txt examples/*/requirements.txt || { echo "a lock holds an address" >&2; exit 1; }

clean:  ## remove what the other targets made, .venv too
	@rm -rf .venv dist build demo-output bench-output .mypy_cache .ruff_cache .hypothesis .import_linter_cache
