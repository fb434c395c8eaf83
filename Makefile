# `make` builds .venv; every other target builds it first where it is missing or out of date.
PYTHON ?= python3
UV ?= uv
BIN := .venv/bin

.DEFAULT_GOAL := venv
.PHONY: venv demo rules test test-slow test-pg15 test-all torture fuzz lint fmt bench bench-api sbom lock clean

venv: .venv/stamp

# Every package comes from the lock, by hash; the project itself is installed from its folder.
.venv/stamp: pyproject.toml requirements/dev.lock | $(BIN)/pip
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Debian's bare python3 has no ensurepip: then pip comes from the pip outside, or python3-venv from apt.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo 'ruleengine needs Python 3.11 or newer. Name one that you have: make PYTHON=python3.12' >&2; exit 1; }
	@$(PYTHON) -m venv .venv || \
	{ $(PYTHON) -m venv --without-pip .venv && $(PYTHON) -m pip --python $(BIN)/python install -q pip; } || \
	{ test "$$(id -u)" = 0 && apt-get install -y python3-venv && $(PYTHON) -m venv .venv; } || \
	{ echo 'This Python cannot make a virtual environment. On Debian and Ubuntu, first:' >&2; \
	  echo '    apt-get install -y python3-venv' >&2; exit 1; }

demo: venv
	@tests/demo.sh

# The rulesets and packs that are shipped or shown, by their own tests.
rules: venv
	$(BIN)/ruleengine test rulesets/grocery --coverage --mutate --fail-under 100
	$(BIN)/ruleengine test rulesets/retail-zh --coverage --mutate --fail-under 99.8
	$(BIN)/ruleengine test tests/packs --coverage --mutate --fail-under 100

test: venv rules
	$(BIN)/python -m pytest -n 2 -m "not slow"

test-slow: venv
	$(BIN)/python -m pytest -n 2 -m slow

# Needs Debian's postgresql-15, or PGBIN=/path/to/another/release/bin.
test-pg15: venv
	@tests/pg15.sh

test-all: test test-slow

# What docs/reliability.md tells of: kills, races, full disks and damage by the hundreds. MINUTES=20 make torture: as
# much of it as there is time for.
torture: venv
	$(BIN)/python -m tests.torture $(MINUTES)

# Any bytes for whatever reads some, made up by what was reached so far; needs Linux. SECONDS=600 make fuzz: so long
# for each target.
fuzz: venv .venv/fuzz/stamp
	PYTHONPATH=.venv/fuzz $(BIN)/python -m tests.fuzz $(SECONDS)

.venv/fuzz/stamp: requirements/fuzz.lock | $(BIN)/pip
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --target .venv/fuzz \
	  -r requirements/fuzz.lock
	@touch $@

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: venv
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# SCALE=0.1 make bench: a tenth of the customers and events.
bench: venv
	$(BIN)/python -m tests.bench

# What an answer over HTTP costs; needs wrk (apt-get install wrk).
bench-api: venv
	$(BIN)/python -m tests.bench.api

# What the product is made of, as CycloneDX: every package that it is installed with, its version and its hashes.
sbom: .venv/sbom/bin/cyclonedx-py
	@mkdir -p build
	.venv/sbom/bin/cyclonedx-py requirements requirements/runtime.lock --pyproject pyproject.toml --mc-type application \
	  --output-reproducible --output-format JSON --output-file build/sbom.cdx.json

.venv/sbom/bin/cyclonedx-py: requirements/sbom.lock | $(BIN)/pip
	$(BIN)/python -m venv --without-pip .venv/sbom
	$(BIN)/python -m pip --python .venv/sbom/bin/python install -q --disable-pip-version-check --require-hashes \
	  -r requirements/sbom.lock
	@touch $@

# After a change of dependencies in pyproject.toml; needs uv. What users install is what the tests ran with.
COMPILE := $(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet
lock:
	$(COMPILE) pyproject.toml --group dev --output-file requirements/dev.lock
	$(COMPILE) pyproject.toml --constraint requirements/dev.lock --output-file requirements/runtime.lock
	$(COMPILE) --group sbom --output-file requirements/sbom.lock
	$(COMPILE) --group fuzz --output-file requirements/fuzz.lock

clean:
	rm -rf .venv build dist *.egg-info .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find ruleengine grammar api tests -name __pycache__ -type d -prune -exec rm -rf {} +
