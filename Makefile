# make demo   environment, install, the main experiment at size laptop   (results/benign-overfitting)
# make test   environment, install, linter, types, tests
# make bench  the speed tables; bench-smoke, bench-optimisers, bench-tester those of their pages
# make docs   the site in docs/_build/html, its tutorials executed
# make dist   wheel and sdist, checked, and the main experiment from the wheel in an empty environment
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin

.PHONY: demo test bench bench-smoke bench-tester bench-optimisers test-gpu bench-gpu docs dist release clean

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

bench-smoke: $(VENV)/.installed
	$(BIN)/python -m benchmarks.smoke

# On a machine with a card: the laws on it, and every engine timed beside the processor.
test-gpu: $(VENV)/.installed
	LEMMATA_TEST_DEVICE=cuda $(BIN)/python -m pytest tests/test_device.py tests/optim tests/test_device_reads.py

bench-gpu: $(VENV)/.installed
	$(BIN)/python -m benchmarks.gpu

bench-tester: $(VENV)/.installed
	$(BIN)/python -m benchmarks.tester

bench-optimisers: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python -m benchmarks.optimisers

docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

# No compiler is found and no extra is there: PyTorch does it all.
dist: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[release]'
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/python -m twine check --strict dist/*
	$(PYTHON) -m venv dist/empty
	dist/empty/bin/pip install --quiet --constraint constraints.txt dist/*.whl
	cd dist && CC=none PATH=$(CURDIR)/dist/empty/bin empty/bin/lemmata run benign-overfitting --size smoke --out run
	rm -rf dist/empty dist/run

# Tests, builds, tags and uploads: needs a clean tree and an account at the index.
release: test dist
	test -z "$$(git status --porcelain)"
	git tag "v$$($(BIN)/python -c 'import lemmata; print(lemmata.__version__)')"
	$(BIN)/python -m twine upload dist/*

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) results dist docs/_build .pytest_cache .ruff_cache .mypy_cache .hypothesis
