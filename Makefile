# Everything runs from .venv, which `make setup` makes and every other target asks for.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The first of these that runs, is 3.11 or later and can make an environment; or say which: make setup PYTHON=…
PYTHON := python3.11 python3
# The folders that exist, of those that pyproject.toml names: type checkers refuse a name that is not there.
SOURCES = $(wildcard client broker_ext tests examples benchmarks)
# For the commands that take them: make test ARGS='-k crossing', make run PORT=1884
ARGS :=
PORT :=

.PHONY: help setup run demo bench fuzz test lint types architecture pytest pins clean

help:  ## what can be made
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/  make \1 \t\2/p' $(MAKEFILE_LIST) | expand -t 22

setup: $(STAMP)  ## the environment in .venv; does nothing while it is up to date

# The pins hold for what the build needs too, by the old name of the setting and by the new one.
$(STAMP): pyproject.toml constraints.txt
	@$(call find_python); \
	echo "setup: $(VENV), with $$($$python -V)"; \
	$(BIN)/python -c '' 2>/dev/null || $$python -m venv --clear $(VENV)
	@echo "setup: installing what constraints.txt pins (about a minute the first time)"
	@PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 \
		$(BIN)/python -m pip install -qq -c constraints.txt -e '.[broker,dev]'
	@touch $@
	@echo "setup: done"

run: $(STAMP)  ## a broker with the extension in it: make run [PORT=1883] [ARGS=…]
	@exec $(BIN)/ringline serve $(if $(PORT),--port $(PORT)) $(ARGS)

demo: $(STAMP)  ## calls, a class, a live room: nine scenes in one terminal
	@exec $(BIN)/python -m examples.demo $(ARGS)

bench: $(STAMP)  ## what a call costs, measured: make bench [ARGS='--full --write']
	@exec $(BIN)/python -m benchmarks $(ARGS)

fuzz: $(STAMP)  ## a million broken inputs for a server: make fuzz [ARGS='--inputs 200000 --seed 7']
	@exec $(BIN)/python -m tests.fuzz $(ARGS)

test: lint types architecture pytest  ## everything that CI runs: lint, types, architecture, pytest

lint: $(STAMP)  ## ruff
	@echo "== lint: ruff"
	@$(BIN)/ruff check

types: $(STAMP)  ## mypy and basedpyright
	@echo "== types: mypy"
	@$(BIN)/mypy $(SOURCES)
	@echo "== types: basedpyright"
	@$(BIN)/basedpyright $(SOURCES)

architecture: $(STAMP)  ## import-linter: who may import whom
	@echo "== architecture: import-linter"
	@$(BIN)/lint-imports --no-logo

pytest: $(STAMP)  ## the tests alone: make pytest [ARGS='-k crossing']
	@echo "== tests: pytest"
	@$(BIN)/python -m pytest $(ARGS)

pins: PINS := $(VENV)-pins
pins:  ## constraints.txt anew, from the newest versions that pyproject.toml allows
	@$(call find_python); rm -rf $(PINS) && $$python -m venv $(PINS)
	@$(PINS)/bin/python -m pip install -qq -e '.[broker,dev]' hatchling editables
	@{ echo "# Every version that 'make setup' installs, on Linux. Written by 'make pins'."; \
		$(PINS)/bin/python -m pip freeze --exclude-editable; } > constraints.txt.new
	@mv constraints.txt.new constraints.txt; rm -rf $(PINS)

clean:  ## removes .venv, the caches and what was built
	@rm -rf $(VENV) $(VENV)-pins build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find client broker_ext tests examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# Sets $$python in the shell that calls it, or says what is missing and what brings it, and ends that shell.
define find_python
python=; old=; bare=; \
for p in $(PYTHON); do \
	$$p -c '' 2>/dev/null || continue; \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { old="$$old $$p"; continue; }; \
	$$p -c 'import ensurepip, venv' 2>/dev/null || { bare=$$p; continue; }; \
	python=$$p; break; \
done; \
if [ -z "$$python" ]; then \
	if [ -n "$$bare" ]; then \
		echo "setup: $$bare cannot make environments. On Debian and Ubuntu: apt-get install python3-venv"; \
	elif [ -n "$$old" ]; then \
		for p in $$old; do echo "setup: Python 3.11 or later is needed; $$p is $$($$p -V)."; done; \
		echo "On Debian 12 and Ubuntu 24.04 or later: apt-get install python3 python3-venv"; \
	else \
		echo "setup: Python 3.11 or later is needed, and there is none of: $(PYTHON)"; \
		echo "On Debian 12 and Ubuntu 24.04 or later: apt-get install python3 python3-venv"; \
	fi >&2; \
	exit 1; \
fi
endef
