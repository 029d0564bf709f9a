# Everything runs inside .venv, which is made from nothing but python3.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Examples of one page build on each other, so that a file stays in one worker. They keep the order
# of conftest.py, in which the longest file is the first.
# One BLAS/torch thread per test worker: two workers with two threads each fight over two cores.
WORKERS ?= 2

DOCS := $(VENV)/.docs
LOWEST := .venv-lowest

.PHONY: quickstart test lint format docs check-docs smoke test-lowest clean

quickstart: $(READY)
	$(BIN)/python examples/quickstart.py

test: $(READY) lint
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The site, in docs/_build/html: offline, warnings are errors. Examples run once and again when changed.
docs: $(DOCS)
	OMP_NUM_THREADS=1 MPLBACKEND=Agg $(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

# Links, spelling, numbers of the front table of benchmarks, and the code on every page.
check-docs: $(DOCS)
	$(BIN)/python tools/check_pages.py
	$(BIN)/codespell
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile tests/test_docs.py docs README.md

# Wheel and sdist: built, installed into empty environments, tried.
smoke: $(DOCS)
	$(BIN)/python tools/smoke.py

# The oldest versions that pyproject.toml promises; warnings of old versions are not errors.
test-lowest: $(LOWEST)/.ready
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(LOWEST)/bin/python -m pytest \
		-n $(WORKERS) --dist loadfile --no-loadscope-reorder -W ignore::DeprecationWarning -W ignore::FutureWarning tests skmixup

$(DOCS): $(READY)
	$(BIN)/python -m pip install --constraint constraints.txt --group site --editable ".[docs,plot,tables]"
	touch $@

$(LOWEST)/.ready: pyproject.toml constraints-lowest.txt
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(LOWEST)/bin/python -m pip install --constraint constraints-lowest.txt --group lowest --editable ".[plot,tables]"
	touch $@

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --constraint constraints.txt --group test --editable ".[plot,tables]"
	touch $@

clean:
	rm -rf $(VENV) $(LOWEST) docs/_build docs/gallery docs/getting_started docs/api/generated build dist .pytest_cache .mypy_cache .ruff_cache
