# The two commands: `make search` runs the default search, `make test` the tests. Each first makes .venv with the
# pinned set. ARGS adds overrides: make search ARGS="search.n_trials=8 study.name=mine"
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt

.PHONY: search test test-mpc lint

search: .venv/installed
	$(BIN)/aero-search search $(ARGS)

test: .venv/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile $(ARGS)

# Tests of real private inference, in an environment of its own: SPU needs an older numpy.
test-mpc: .venv-mpc/installed
	OMP_NUM_THREADS=1 .venv-mpc/bin/python -m pytest -m mpc $(or $(ARGS),tests/measure)

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --editable .
	touch $@

.venv/installed-dev: .venv/installed
	$(PIP) --editable '.[dev]'
	touch $@

.venv-mpc/installed: pyproject.toml constraints.txt constraints-mpc.txt
	test -x .venv-mpc/bin/python || $(PYTHON) -m venv .venv-mpc
	grep -vE '^(numpy|pandas|pandas-stubs|ml_dtypes)==' constraints.txt | cat - constraints-mpc.txt > .venv-mpc/constraints.txt
	.venv-mpc/bin/python -m pip install --quiet --constraint .venv-mpc/constraints.txt \
		--editable '.[mpc]' pytest hypothesis
	touch $@
