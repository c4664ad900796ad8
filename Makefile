# make demo   run both programs side by side; takes about a minute after installation
# make bench  measure what rendering costs, relative to its floor, and what starting the program costs
# make bench-cluster  measure what an engine on a Dask cluster costs; takes up to ten minutes
# make bench-capture  measure what attention capture costs, relative to the plain forward pass
# make bench-capture-gpu  measure this on whole networks on a GPU; takes up to 8 minutes
# make chaos  run the slow tests, then faults, storms and limits at full scale, and check the figures; takes two hours
# make page-check  check the types and the style of the page; needs node, and once the network
# make test   run everything that a change must pass
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHELL := /bin/bash
# For targets that run the project's own code only: an environment of any age will do.
ANY_DEV := $(if $(wildcard $(VENV)/.dev),,$(VENV)/.dev)

.PHONY: help demo bench bench-cluster bench-capture bench-capture-gpu chaos test lint types imports page-check bytecode unit schema settings models man lock clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

demo: $(VENV)/.generator
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash configs/demo.sh

# Each of these checks needs one processor only, so two run at once; what each of them says is kept together.
test: lint
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target types bytecode imports page-check
	@$(MAKE) --no-print-directory unit

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

imports: $(VENV)/.dev
	$(BIN)/lint-imports

# The page is checked where node is; without it, or without the network the first time, this says so and passes.
PAGE_CHECK := tests/browser/check
page-check:
	@if ! command -v npm > /dev/null; then \
	  echo "page-check: skipped; found no npm (Debian: apt-get install nodejs npm)"; \
	elif ! cmp -s $(PAGE_CHECK)/package-lock.json $(PAGE_CHECK)/node_modules/.installed \
	  && ! (cd $(PAGE_CHECK) && npm ci --silent --no-audit --no-fund && cp package-lock.json node_modules/.installed); then \
	  echo "page-check: skipped; could not install what $(PAGE_CHECK)/package-lock.json pins"; \
	else \
	  $(PAGE_CHECK)/node_modules/.bin/tsc -p $(PAGE_CHECK) \
	  && $(PAGE_CHECK)/node_modules/.bin/eslint --config $(PAGE_CHECK)/eslint.config.js attnwatch/web/static; \
	fi

# Compiles all code once, also where PYTHONDONTWRITEBYTECODE is set: else each process of the tests, and each that they start,
# would do so again; collecting the tests would take twice as long. What is broken, the tests themselves say.
bytecode: $(VENV)/.dev
	@$(BIN)/python -m compileall -q attnwatch generator > /dev/null || true
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -qq --collect-only > /dev/null 2>&1 || true

# Four processes on two cores: for almost half of their time, tests wait for watchers.
unit: $(VENV)/.dev
	$(BIN)/python -m pytest -n 4 --dist loadscope --no-loadscope-reorder -m "not slow"

bench: $(VENV)/.dev
	$(BIN)/python -m tests.bench.render bench.json
	$(BIN)/python -m tests.bench.start bench-start.json

bench-cluster: $(VENV)/.dev
	$(BIN)/python -m tests.bench.cluster bench-cluster.json $(PARTS)

# Some parts: make bench-capture PARTS="apart_4k memory"; all of them are at the end of tests/bench/capture*.py.
bench-capture: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.bench.capture bench-capture.json $(PARTS)

GPU_PARTS := gpu_wan gpu_ltx gpu_cogvideox gpu_hunyuan gpu_backends gpu_compiled
bench-capture-gpu: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.bench.capture bench-capture-gpu.json $(or $(PARTS),$(GPU_PARTS))

# One scenario: make chaos SCENARIOS=kills. Full and read-only disks need root.
chaos: $(VENV)/.dev
	$(if $(SCENARIOS),,$(BIN)/python -m pytest -m slow)
	$(BIN)/python -m tests.chaos $(SCENARIOS)

# Regenerates the committed schemas from the reader's models; a test fails when they are stale.
schema: $(ANY_DEV)
	for name in manifest batch batch-complete failure receipt acceptance contact-sheets export measures status; do \
	  $(BIN)/attnwatch schema $$name > configs/schema/$$name.schema.json; \
	done

# Regenerates SETTINGS.md from the settings models of both programs; a test fails when it is stale.
settings: $(ANY_DEV)
	$(BIN)/python -m tests.settings_document > SETTINGS.md

# Regenerates MODELS.md from the registry of models; a test fails when it is stale.
models: $(ANY_DEV)
	$(BIN)/python -m tests.models_document > MODELS.md

# Regenerates the manual page from the help of the command line; a test fails when it is stale.
man: $(ANY_DEV)
	$(BIN)/python -m tests.man_page > configs/attnwatch.1

# Pins the requirements of the targets above; `pip-compile` comes with pip-tools. The tag of a local build (`+cpu`) is removed.
lock:
	for target in "generator:--extra generator --extra view" "dev:--extra dask --extra generator --extra measure --extra view --extra dev"; do \
	  pip-compile -q --upgrade --no-emit-index-url --no-emit-find-links --no-annotate --no-header --strip-extras \
	    $${target#*:} -c requirements/constraints.in -o requirements/$${target%%:*}.txt pyproject.toml; \
	done
	sed -i 's/^\(torch==[^+]*\)+.*/\1/' requirements/*.txt

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.%: requirements/%.txt pyproject.toml attnwatch/tensors/_loops.c | $(VENV)/bin/python
	@echo "installing requirements/$*.txt into $(VENV); this takes a minute or two"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $<
	rm -rf build attnwatch/tensors/*.so
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info attnwatch/tensors/*.so
