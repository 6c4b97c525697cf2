# Two commands matter: `make demo` does the main job on real training, `make test` runs the tests.
# Both set up everything they need in .venv from the pinned versions of constraints.txt.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# One thread a process: trainings run side by side, one a core.
export OMP_NUM_THREADS ?= 1

.PHONY: help demo demo-reduced test test-fast lint bench docs clean

help:
	@echo "make demo          tune small models, fit the law, predict a larger one, train it, write runs/demo/report.html"
	@echo "make test          all tests"
	@echo "make test-fast     the quick ones"
	@echo "make lint          ruff and mypy"
	@echo "make bench         every measurement in benchmarks/ (hours; resumes; ONLY=name for one)"
	@echo "make clean         remove .venv and what tests left behind; runs/ stays"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Foretune needs Python 3.11 or newer; choose one with PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

# PyTorch first and by its pinned version: an open range may bring gigabytes of CUDA libraries.
$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing into $(VENV) (one to two minutes the first time) ..."
	$(PIP) torch==2.13.0
	$(PIP) -e '.[tune]'
	@touch $@

$(VENV)/.test: $(VENV)/.demo
	$(PIP) -e '.[tune,rl,test]'
	@touch $@

$(VENV)/.dev: $(VENV)/.test
	$(PIP) -e '.[tune,rl,bench,dev]'
	@touch $@

demo: $(VENV)/.demo
	$(BIN)/python -m studies.demo

demo-reduced: $(VENV)/.demo
	$(BIN)/python -m studies.demo --reduced --folder runs/demo-reduced

test: $(VENV)/.test
	$(BIN)/python -m pytest

test-fast: $(VENV)/.test
	$(BIN)/python -m pytest -m "not slow and not browser"

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks $(ONLY)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
