# Every target does its own set-up in .venv; nothing is installed globally.
SHELL := /bin/bash
# the first interpreter that runs and is of a supported version; `make PYTHON=…` chooses another
PYTHON ?= $(shell for each in python3 python3.13 python3.12 python3.11; do \
  $$each -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$each && break; done)
BIN := .venv/bin
READY := .venv/.ready
# uv installs three times faster; pip follows where only pip is configured for the index. Neither keeps a cache outside.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-deps
# loopback is never reached through a proxy; byte code is kept, since importing without it is 2-3 times slower
export NO_PROXY := 127.0.0.1,localhost,$(NO_PROXY)
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test check up down bench-window bench-logger bench-grouping bench-privacy bench-alarms prove-kills lock clean

help:
	@echo "make demo          real flights drift, a model is retrained and promoted: watch it happen"
	@echo "make test          every test, those against real servers included"
	@echo "make check         format, lint, types, import contracts"
	@echo "make up | down     Prefect, MLflow, deployments and a worker on this folder"
	@echo "make bench-window  what judging a window costs, beside its peers and its floor"
	@echo "make bench-logger  what logging an inference costs the host, beside its peers and its floor"
	@echo "make bench-grouping DATA=…  how well failures are grouped, beside Drain3, on labelled logs"
	@echo "make bench-privacy DATA=…   how much personal data the scrubber finds, on labelled sentences"
	@echo "make bench-alarms DATA=…    how often windows without drift alarm, what is seen, and what the gate promotes"
	@echo "make prove-kills   kill the logger 500 times at random moments and account for every record"
	@echo "make lock          resolve requirements.lock anew from pyproject.toml"

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "retrue needs Python 3.11, 3.12 or 3.13 on the PATH"; exit 1; }
	@echo "setting up .venv (about a minute)"
	@$(PYTHON) -m venv --clear .venv
	@awk '/^uv==/ {keep = 1} keep {print} keep && !/\\$$/ {exit}' requirements.lock > .venv/uv.lock
	@$(PIP) --require-hashes -r .venv/uv.lock
	@$(BIN)/uv pip install --quiet --no-cache --compile-bytecode --python $(BIN)/python --no-deps --require-hashes -r requirements.lock \
	  || $(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-build-isolation --editable .
	@touch $@

demo: $(READY)
	@$(BIN)/retrue demo

test: $(READY)
	@$(BIN)/python -m pytest -q

check: $(READY)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

up: $(READY)
	@$(BIN)/retrue up

down: $(READY)
	@$(BIN)/retrue down

bench-window: $(READY)
	@$(BIN)/python -m benchmarks.window

bench-logger: $(READY)
	@$(BIN)/python -m benchmarks.logger

bench-grouping: $(READY)
	@$(BIN)/python -m benchmarks.grouping $(DATA)

bench-privacy: $(READY)
	@$(BIN)/python -m benchmarks.privacy $(if $(DATA),--data $(DATA))

bench-alarms: $(READY)
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.alarms $(if $(DATA),--data $(DATA))

prove-kills: $(READY)
	@RETRUE_KILLS=500 $(BIN)/python -m pytest -q tests/faults/test_kill.py

lock:
	@$(BIN)/uv pip compile pyproject.toml --group bench --universal --python-version 3.11 --generate-hashes --all-extras \
	  --no-header --no-emit-index-url --quiet --output-file requirements.lock

clean:
	rm -rf .venv .retrue
