PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PEERS := build/peers/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test faults lint format bench bench-check lock clean

help: ## what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## create .venv with the locked packages and `keytrail` in it

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "keytrail needs Python 3.11 or later; try: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -q --no-deps --no-build-isolation -e .
	mkdir -p build/links/keytrail
	for part in schemas producers stream sinks deploy cli; do ln -sfn ../../../$$part build/links/keytrail/$$part; done
	touch $@

demo: setup ## start the embedded stack, send a scenario, show findings and SQL answers, stop
	$(BIN)/keytrail demo

test: setup ## the whole test suite, two files at a time
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

faults: setup ## kill, stall and cut off every part in random order under load (FAULTS=200), then check the books
	$(BIN)/python -m pytest tests/faults -m faults --faults $(or $(FAULTS),200) $(ARGS)

lint: setup ## format check, ruff, mypy strict
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: setup ## let ruff rewrite the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup $(PEERS) ## measure every stage, W1 against its peers, latency, the price of exactly-once; results under build/bench
	$(BIN)/python -m benchmarks

$(PEERS): benchmarks/peers.lock
	$(PYTHON) -m venv build/peers
	build/peers/bin/python -m pip install -q --require-hashes -r benchmarks/peers.lock
	touch $@

bench-check: setup ## compare the stages with benchmarks/baseline.json; says which one has slowed down
	$(BIN)/python -m benchmarks.guard

lock: setup ## resolve requirements.lock anew from pyproject.toml
	$(BIN)/python -m pip install -q uv
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --all-extras --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-annotate --no-header pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-annotate --no-header benchmarks/peers.in -o benchmarks/peers.lock

clean: ## remove what setup and the tests made
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
