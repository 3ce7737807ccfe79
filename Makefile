# Concord's commands. `make help` lists them; each target says what CI runs too.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
NPPES ?=
PROVIDERS ?= 300
PROCESSES ?= 0

.PHONY: help demo test lint check bench bench-scale docs up down lock
.DEFAULT_GOAL := help

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /  make \1\t/' | expand -t 18

$(INSTALLED): requirements.lock pyproject.toml
	@echo "installing Concord's locked dependencies into $(VENV) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

demo: $(INSTALLED) ## the main job on the real stack: load providers, play a story, show what each system received
	@$(BIN)/concord demo --providers $(PROVIDERS) $(if $(NPPES),--nppes "$(NPPES)")

test: $(INSTALLED) ## every test ring but the benchmarks, on the real services (CI runs this)
	@$(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder

lint: $(INSTALLED) ## format, lint, types, schemas
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy . && $(BIN)/concord schema check

check: lint ## lint and the unit tests: before each commit
	@$(BIN)/python -m pytest -q tests/unit

bench: $(INSTALLED) ## measure; raw results and a summary go to bench-results/
	@$(BIN)/python -m tests.bench

bench-scale: $(INSTALLED) ## how it grows: 10,000, 100,000 and 1,000,000 providers (CONCORD_BENCH_SIZES); takes hours
	@$(BIN)/python -m tests.bench --only s

docs: $(INSTALLED) ## the docs as a site, in site/; fails on a link that leads nowhere
	@$(BIN)/zensical build --strict

up: $(INSTALLED) ## stack, schemas, topics, sources, one worker and three adapters in the background
	@$(BIN)/concord up

down: $(INSTALLED) ## stop everything `make up` or `make demo` started (data is kept)
	@$(BIN)/concord down

lock: ## resolve the dependencies anew (needs uv)
	uv pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-emit-index-url --extra dev pyproject.toml -o requirements.lock
