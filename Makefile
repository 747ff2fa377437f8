# What a newcomer needs: python3 (3.11 or later) and make.
#
#   make demo    check the backward passes of the five reference networks
#   make test    linters, types and tests: all that has to pass before a change lands
#   make bench   how fast kernels, training steps and checks are: a report in benchmark/, under two minutes
#   make times   the same, one by one with pytest-benchmark
#   make costs   what a check costs beside other checkers, in forwards and backwards
#   make detection
#                what other checkers miss, as far as they are installed: .venv/bin/pip install -e '.[peers]'
#   make soak    20,000 checks of random networks with new seeds: minutes (CHECKS=1000 for fewer)
#   make clean   remove what the others made

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# Two cores are what everyone has; the benchmarks run alone, or they would measure their neighbours.
WORKERS ?= 2
CHECKS ?= 20000

.PHONY: demo test lint bench times costs detection soak clean

demo: $(VENV)/.installed
	$(BIN)/gradcheck check reference_impls

test: lint
	$(BIN)/python -m pytest -n $(WORKERS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.installed-dev
	$(BIN)/gradcheck bench

times: $(VENV)/.installed-dev
	$(BIN)/python -m pytest benchmarks -o python_files='bench_*.py' -n 0 --benchmark-only --benchmark-columns=min,median,iqr,rounds

costs: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.checks

detection: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.detection

soak: $(VENV)/.installed-dev
	GRADCHECK_SOAK_CHECKS=$(CHECKS) $(BIN)/python -m pytest tests/soak/test_soak.py -k "test_soak[" -n $(WORKERS) -q

# The stamps are newer than pyproject.toml once its requirements are installed: later runs start at once.
$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.installed-dev: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $(VENV)/.installed $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks benchmark
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
