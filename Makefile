# The two commands: `make search` runs the default search, `make test` the tests. Each first makes .venv with the
# pinned set. ARGS adds overrides: make search ARGS="search.n_trials=8 study.name=mine"
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# What imports a module keeps its bytecode: pip would make that of ten times as many, which takes as long as the rest.
LAZY := $(if $(PYTHONDONTWRITEBYTECODE),,--no-compile)
PIP := $(BIN)/python -m pip install --quiet $(LAZY) --constraint constraints.txt

.PHONY: search test test-long walk fuzz bench bench-quick mpc test-mpc test-ranges lint docs dist install lock locked sbom

install: .venv/installed

search: .venv/installed
	$(BIN)/aero-search search $(ARGS)

test: .venv/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

# The same at every one of many places, such as a kill at each write: a quarter of an hour.
test-long: .venv/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m long $(ARGS)

# README and tutorial typed into a shell in an empty clone of the last commit, with short trainings: minutes.
# make walk ARGS=  is the tutorial at its full length, with an installation of its own.
walk: ARGS ?= --short
walk: .venv/installed-dev
	$(BIN)/python -m tools.walk $(ARGS)

# Fuzzed command lines and files, about an hour of one core: make fuzz ARGS="SEED COUNT"
fuzz: .venv/installed-dev
	$(BIN)/python -m tests.fuzz $(or $(ARGS),0 10000)

# Every benchmark beside its peers, about a quarter of an hour on an idle machine; results are committed.
bench: .venv/installed-dev
	$(BIN)/python -m benchmarks $(ARGS)

# The same for a few rounds, a smoke test: minutes, and nothing asserts a time.
bench-quick: .venv/installed-dev
	$(BIN)/python -m benchmarks --quick --output outputs/benchmarks/quick $(ARGS)

# Real private inference, and its tests, in an environment of its own: SPU needs an older numpy.
mpc: .venv-mpc/installed

test-mpc: mpc
	OMP_NUM_THREADS=1 .venv-mpc/bin/python -m pytest -m mpc $(or $(ARGS),tests/measure)

# Exports, and one search, with the oldest and the newest packages that pip may choose: constraints.txt is not asked.
RANGES := tests/export/test_huggingface.py tests/export/test_onnx.py
test-ranges: .venv-oldest/installed .venv-newest/installed
	OMP_NUM_THREADS=1 .venv-oldest/bin/python -m pytest -m 'not slow' $(RANGES)
	OMP_NUM_THREADS=1 .venv-newest/bin/python -m pytest -m 'not slow' $(RANGES)
	OMP_NUM_THREADS=1 .venv-newest/bin/python -m pytest tests/test_search_end_to_end.py \
		-k 'leaves_a_front or page_with_the_front or trains_again or mlflow_has'
	OMP_NUM_THREADS=1 .venv-newest/bin/python -m pytest tests/tracking/test_dashboard.py

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell
	$(BIN)/vulture

# The documentation as a site in outputs/site; a broken link or anchor fails it.
docs: .venv/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "open outputs/site/index.html"

# Wheel and sdist in dist/, and what an index would say of them.
dist: .venv-release/installed
	rm -rf dist
	.venv-release/bin/python -m build --outdir dist .
	.venv-release/bin/twine check --strict dist/*

# The pinned versions with the hashes of your own index and platform, for pip's --require-hashes.
lock: .venv/installed .venv-release/installed
	.venv-release/bin/uv pip compile --quiet --generate-hashes --constraint constraints.txt --python $(BIN)/python \
		--output-file requirements.lock pyproject.toml

requirements.lock:
	$(MAKE) lock

# An environment of exactly the locked files: pip refuses a file with another hash.
locked: .venv-locked/installed

.venv-locked/installed: requirements.lock
	test -x .venv-locked/bin/python || $(PYTHON) -m venv .venv-locked
	.venv-locked/bin/python -m pip install --quiet $(LAZY) --require-hashes --no-deps --requirement requirements.lock
	.venv-locked/bin/python -m pip install --quiet $(LAZY) --no-deps --editable .
	touch $@

# What is installed in .venv, as a CycloneDX bill of materials.
sbom: .venv/installed .venv-release/installed
	mkdir -p outputs
	.venv-release/bin/cyclonedx-py environment --of JSON --output-file outputs/sbom.json $(BIN)/python
	@echo outputs/sbom.json

# The tools of a release have an environment of their own, so that neither .venv nor its bill of materials holds them.
.venv-release/installed: requirements-release.txt
	test -x .venv-release/bin/python || $(PYTHON) -m venv .venv-release
	.venv-release/bin/python -m pip install --quiet $(LAZY) --requirement requirements-release.txt
	touch $@

.venv/installed: pyproject.toml constraints.txt
	@echo "installing the pinned versions into .venv, once: a minute on a good line ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(PIP) --editable .
	touch $@

.venv/installed-dev: .venv/installed
	$(PIP) --editable '.[dev]'
	touch $@

.venv/installed-docs: .venv/installed
	$(PIP) --editable '.[docs]'
	touch $@

.venv-mpc/installed: pyproject.toml constraints.txt constraints-mpc.txt
	@echo "installing SPU and what it needs into .venv-mpc, once: some minutes ..."
	@test -x .venv-mpc/bin/python || $(PYTHON) -m venv .venv-mpc
	@grep -vE '^(numpy|pandas|pandas-stubs|ml_dtypes)==' constraints.txt | cat - constraints-mpc.txt > .venv-mpc/constraints.txt
	@.venv-mpc/bin/python -m pip install --quiet $(LAZY) --constraint .venv-mpc/constraints.txt \
		--editable '.[mpc]' pytest hypothesis
	touch $@

# These two borrow from .venv whatever they do not hold themselves.
.venv-oldest/installed .venv-newest/installed: .venv/installed-dev constraints-oldest.txt
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(BIN)/python -c "import sysconfig; print('$(CURDIR)', sysconfig.get_path('purelib'), sep='\n')" \
		> "$$($(@D)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/borrowed.pth"
	$(@D)/bin/python -m pip install --quiet $(LAZY) $(if $(findstring oldest,$@),--requirement constraints-oldest.txt,\
		--upgrade --upgrade-strategy eager --editable '.[hf,onnx]')
	touch $@
