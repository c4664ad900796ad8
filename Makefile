# make demo   both programs at work, in about a minute after installation
# make bench  what rendering costs over its floor
# make bench-capture  what attention capture costs over the plain forward pass
# make chaos  faults, storms and limits at full scale, with the figures that must be kept: about half an hour
# make test   everything that a change must pass
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHELL := /bin/bash

.PHONY: help demo bench bench-capture chaos test lint types imports unit schema settings lock clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

demo: $(VENV)/.generator
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash configs/demo.sh

test: lint types imports unit

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

imports: $(VENV)/.dev
	$(BIN)/lint-imports

unit: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadscope

bench: $(VENV)/.dev
	$(BIN)/python -m tests.bench.render bench.json

bench-capture: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.bench.capture bench-capture.json

# One scenario: make chaos SCENARIOS=kills. Full and read-only disks can be tried by root only.
chaos: $(VENV)/.dev
	$(BIN)/python -m tests.chaos $(SCENARIOS)

# The committed schemas are generated from the reader's models; a test fails when they are not.
schema: $(VENV)/.dev
	for name in manifest batch batch-complete failure receipt contact-sheets status; do \
	  $(BIN)/attnwatch schema $$name > configs/schema/$$name.schema.json; \
	done

# SETTINGS.md is generated from the settings models of both programs; a test fails when it is stale.
settings: $(VENV)/.dev
	$(BIN)/python -m tests.settings_document > SETTINGS.md

# Pins for the targets above; `pip-compile` is in pip-tools. A local build's tag (`+cpu`) is no part of a version.
lock:
	for target in "generator:--extra generator" "dev:--extra generator --extra dev"; do \
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
