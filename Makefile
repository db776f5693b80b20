# Each target creates what it needs: a virtual environment in .venv, Kafka's jars in .kafka, the servers of objects in .bin.
VENV   := .venv
PYTHON := $(VENV)/bin/python
PYTEST := $(PYTHON) -m pytest -q
FAST   := tests/unit tests/contract tests/property tests/golden tests/simulation
REST   := tests --ignore=tests/bench $(FAST:%=--ignore=%)
PARALLEL := -n 2 --dist loadgroup

# Prefect sends usage data to its developers unless this is set.
export DO_NOT_TRACK := 1
# Without compiled modules each process that a test starts would compile the project again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install servers demo test test-parts test-whole test-fast soak check bench clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@command -v python3 >/dev/null || { echo "Python 3.11 or newer is missing: apt-get install python3 python3-venv"; exit 1; }
	@python3 -m venv $(VENV) || { echo "Python's venv module is missing: apt-get install python3-venv"; exit 1; }
	$(VENV)/bin/pip install -qq --constraint constraints.txt --editable '.[dev]'
	@touch $@

servers: install
	$(PYTHON) -c 'from tests.support.store_programs import fetch_azurite, fetch_fake_gcs, fetch_minio, fetch_ministack; fetch_azurite(); fetch_fake_gcs(); fetch_minio(); fetch_ministack()'

demo: install
	$(PYTHON) -m tests.demo

# Two targets, so that `make --keep-going test` shows the failures of both.
test: test-parts test-whole

test-parts: servers
	$(PYTEST) $(FAST) $(PARALLEL) -m 'not soak'

test-whole: servers
	$(PYTEST) $(REST) $(PARALLEL) -m 'not soak'

# In memory where there is such a folder: thousands of fsyncs to a busy disk take longer than the tests.
test-fast: export TMPDIR := $(or $(wildcard /dev/shm),$(TMPDIR),/tmp)
test-fast: install
	$(PYTEST) $(FAST) $(PARALLEL) -m 'not soak and not exhaustive and not kafka and not minio and not azurite and not fake_gcs' -o tmp_path_retention_policy=failed

soak: servers
	$(PYTEST) tests --ignore=tests/bench
	KAFKA_VERSION=3.9.1 $(PYTEST) tests/integration tests/chaos

check: install
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

bench: servers
	$(PYTHON) -m tests.bench

clean:
	rm -rf $(VENV) .kafka .bin .demo
