# make demo   environment, install, the main experiment at size laptop   (results/benign-overfitting)
# make test   environment, install, linter, types, tests
# make bench  the speed tables of the README; bench-optimisers, bench-tester those of their pages
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin

.PHONY: demo test bench bench-tester bench-optimisers clean

demo: $(VENV)/.installed
	$(BIN)/lemmata run benign-overfitting --size laptop

test: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks.phase_diagram
	$(BIN)/python -m benchmarks.busy_machine

bench-tester: $(VENV)/.installed
	$(BIN)/python -m benchmarks.tester

bench-optimisers: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python -m benchmarks.optimisers

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) results .pytest_cache .ruff_cache .mypy_cache .hypothesis
