# Every command of the repository. A fresh machine needs Python 3.13 and make; all else is installed from pinned requirement files.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help

PYTHON ?= python3.13
PORT ?= 3000
WORKERS ?= auto
ARGS ?=
ENTITIES ?= 300000
MEMORY_ENTITIES ?=
DAILY_ENTITIES ?=
RUNS ?= 10000
SEED ?=

BIN := .venv/bin
UV := $(BIN)/uv
SAM := SAM_CLI_TELEMETRY=0 SAM_CLI_CHECK_FOR_UPDATES=0 AWS_DEFAULT_REGION=$${AWS_DEFAULT_REGION:-eu-west-1} PATH="$(CURDIR)/.venv-sam/bin:$$PATH" sam

# uv reads no settings of pip: an index that the environment names for pip serves both.
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif

# A stamp is newer than the requirement files that its environment was made from. The environments beside .venv exist
# because what they hold pins packages that .venv needs in other versions.
DEV_STAMP := .venv/.stamp
SAM_STAMP := .venv-sam/.stamp
NGSI_STAMP := .venv-ngsi/.stamp

.PHONY: help
help: ## Print the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- Environments -----------------------------------------------------------------------------------------------------

.PHONY: setup
setup: $(DEV_STAMP) ## Install the environment for developing, testing and running locally

.PHONY: setup-all
setup-all: $(DEV_STAMP) $(SAM_STAMP) $(NGSI_STAMP) ## Install that, SAM CLI and the NGSIv2 client used as a test peer

$(DEV_STAMP): requirements/bootstrap.txt requirements/dev.txt
	@command -v $(PYTHON) >/dev/null && $(PYTHON) -c 'import ensurepip, sys; sys.exit(sys.version_info[:2] != (3, 13))' || { \
	  echo "Tidemark needs Python 3.13 with venv: install it so that '$(PYTHON)' starts it, or name it: make PYTHON=/path/to/python3.13" >&2; exit 1; }
	$(BIN)/python -c 'import pip, sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null || $(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	$(UV) pip sync --quiet --python $(BIN)/python --require-hashes $^
	@touch $@

.venv-%/.stamp: $(DEV_STAMP)
	$(@D)/bin/python -c '' 2>/dev/null || $(BIN)/python -m venv --clear --without-pip $(@D)
	$(UV) pip sync --quiet --python $(@D)/bin/python --require-hashes $(filter %.txt,$^)
	@touch $@

$(SAM_STAMP): requirements/bootstrap.txt requirements/sam.txt
$(NGSI_STAMP): requirements/bootstrap.txt requirements/ngsi-client.txt

# The pinned files hold versions and hashes only, never an address: they install from whatever index the machine uses.
COMPILE := $(UV) pip compile --quiet --no-header --no-emit-index-url --no-emit-find-links --generate-hashes --universal --python-version 3.13

.PHONY: lock
lock: $(DEV_STAMP) ## Pin the requirement files anew from requirements/*.in (UPGRADE=--upgrade for newest versions)
	$(COMPILE) $(UPGRADE) requirements/layer.in -o layers/dependencies/requirements.txt
	for name in bootstrap dev sam ngsi-client; do \
	  $(COMPILE) $(UPGRADE) "requirements/$$name.in" -o "requirements/$$name.txt"; \
	done

# --- Running ----------------------------------------------------------------------------------------------------------

.PHONY: demo
demo: $(DEV_STAMP) ## Play a whole story, load to restore, on a local stack; exits by itself
	$(BIN)/python -m tests.local.demo $(ARGS)

.PHONY: up
up: $(DEV_STAMP) ## Serve the whole stack at http://127.0.0.1:3000 until Ctrl-C (PORT=...)
	@PORT=$(PORT) exec $(BIN)/python -m tests.local.up $(ARGS)

.PHONY: sam-api
sam-api: $(DEV_STAMP) $(SAM_STAMP) ## Serve the same stack through SAM CLI's own front end (PORT=...)
	@PORT=$(PORT) exec $(BIN)/python -m tests.local.sam_api $(ARGS)

# Tests start hundreds of processes and copies of functions, each of which would compile all that it imports: some
# machines forbid Python to keep what it compiled. Files are handed to the processes in the order of tests/conftest.py.
.PHONY: test
test: export PYTHONDONTWRITEBYTECODE :=
test: export PYTHONPYCACHEPREFIX ?= $(CURDIR)/.local/bytecode
test: $(DEV_STAMP) $(SAM_STAMP) $(NGSI_STAMP) ## Run all tests, in a process a core (ARGS="-k name" for some, WORKERS=0 for one process)
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

.PHONY: bench
bench: $(DEV_STAMP) ## Measure speed, memory, bytes and requests beside other tools (ENTITIES=... MEMORY_ENTITIES=... DAILY_ENTITIES=...); takes ten minutes
	PYTHONPATH=layers/tidemark/python $(BIN)/python -m tests.benchmarks --entities $(ENTITIES) \
	  $(if $(MEMORY_ENTITIES),--memory-entities $(MEMORY_ENTITIES)) $(if $(DAILY_ENTITIES),--daily-entities $(DAILY_ENTITIES)) $(ARGS)

.PHONY: simulate
simulate: $(DEV_STAMP) ## Interleave everything on RUNS=... seeds, or replay one (SEED=...); stops at the first broken guarantee
	@PYTHONPATH=layers/tidemark/python TIDEMARK_SIMULATION_RUNS=$(RUNS) TIDEMARK_SIMULATION_SEED=$(SEED) $(BIN)/python -m tests.simulation

# --- Checks -----------------------------------------------------------------------------------------------------------

.PHONY: check
check: lint types contracts validate build ## Everything that is checked besides the tests

.PHONY: lint
lint: $(DEV_STAMP) ## Lint and check the formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: format
format: $(DEV_STAMP) ## Apply the formatting and the safe fixes
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

.PHONY: types
types: $(DEV_STAMP) ## Check the types, strictly
	$(BIN)/mypy

.PHONY: contracts
contracts: $(DEV_STAMP) ## Check which part may import which
	PYTHONPATH=layers/tidemark/python:layers/cli/python:. $(BIN)/lint-imports --no-cache

.PHONY: screens
screens: $(DEV_STAMP) ## Write what the command line shows into the README anew, after a change of it or of the API
	PYTHONPATH=layers/tidemark/python:layers/cli/python:. $(BIN)/python -m tests.repo.screens --update README.md

.PHONY: openapi
openapi: $(DEV_STAMP) ## Write the API's description anew from the routes' entries and models
	PYTHONPATH=layers/tidemark/python $(BIN)/python -m tidemark.dialects.ngsi.openapi functions/ngsi/describe_api/openapi.json

.PHONY: announcements
announcements: $(DEV_STAMP) ## Write the schema of the announced events anew from their models
	PYTHONPATH=layers/tidemark/python $(BIN)/python -m tidemark.dialects.announcements events/announcements/schema.json

# --- Deployment -------------------------------------------------------------------------------------------------------

.PHONY: validate
validate: $(SAM_STAMP) ## Check template.yaml with SAM's own linter
	$(SAM) validate --lint

# The layer's packages are resolved for the template's architecture, whatever this machine is: wheels only, no container.
# Lambda can't write beside what it imports, so without compiled modules each cold start compiles them all. Bytecode is
# the same on every processor, and is not held against times of files, which zip archives change.
.PHONY: build
build: $(SAM_STAMP) ## Build the deployable artifacts into .aws-sam, with compiled modules (ARGS="--parameter-overrides Architecture=x86_64" for that)
	$(SAM) build $(ARGS)
	$(BIN)/python -m compileall -q --invalidation-mode unchecked-hash .aws-sam/build

.PHONY: key
key: $(DEV_STAMP) ## Make, list or revoke API keys of a deployed stack (ARGS="make --help")
	@PYTHONPATH=layers/tidemark/python:layers/cli/python $(BIN)/python -m tidemark_cli keys $(ARGS)

.PHONY: clean
clean: ## Remove everything that make made
	rm -rf .venv .venv-sam .venv-ngsi .aws-sam .local .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage htmlcov
	find functions layers tests -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
