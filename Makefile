# Two commands are enough: `make run` serves, `make test` proves. Both set the machine up first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
ARGS   ?=

.PHONY: help run test demo bench figures soak lint openapi lock clean

help:            ## list the targets
	@grep -E '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# The environment is remade whenever the lock or the project file changes. Hashes are checked.
$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: $(READY)    ## serve on 127.0.0.1:7338 (more flags: make run ARGS="--port 0")
	$(BIN)/python -m intermute serve $(ARGS)

test: $(READY)   ## lint, types, then the whole test suite
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest $(ARGS)

demo: $(READY)   ## three agents share this repository; watch them collide and talk
	$(BIN)/python -m intermute demo $(ARGS)

bench: $(READY)  ## the load test: every scenario against its promises, and a report (shorter: ARGS=--quick)
	$(BIN)/python -m loadtest $(ARGS)

figures: $(READY) ## single figures: start-up, memory, lock table, claims, lists, search
	$(BIN)/python -m loadtest.figures $(ARGS)

soak: $(READY)   ## the fault tests at length: disk, power cuts, histories, kills, API cases, packets (shorter: ARGS="--kills 50 --cuts 500")
	PYTHONPATH=.:tests/process:tests/project $(BIN)/python tests/faults/soak.py $(ARGS)

lint: $(READY)   ## format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

openapi: $(READY) ## rewrite docs/openapi.json from the operation table
	$(BIN)/python -m intermute openapi > docs/openapi.json

lock:            ## resolve the dependencies anew (needs uv)
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
	  --group dev pyproject.toml --output-file requirements.lock

clean:           ## forget the environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis dist build
