# The front door. `make` lists what there is; everything else is in workflow/.
ID ?=
TOPIC ?=
SCALE ?=
SEEDS ?=
CONTROL ?=
PROFILE ?= default
BUILD ?= build
VENV ?= .venv
WORKERS ?= $(shell nproc 2>/dev/null || echo 2)

ifeq ($(CONDA_DEFAULT_ENV),papers-in-miniature)
PYTHON := python
READY :=
else
PYTHON := $(VENV)/bin/python
READY := $(VENV)/.ready
endif

# One thread a notebook: the thread count is part of a result, and two notebooks side by side
# are then twice as fast as one.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export JUPYTER_PREFER_ENV_PATH := 1
export PAPERS_BUILD := $(BUILD)
export RUFF_CACHE_DIR := $(BUILD)/ruff
export HF_HUB_OFFLINE := 1
export TOKENIZERS_PARALLELISM := false

SELECT = $(if $(ID),--id "$(ID)") $(if $(TOPIC),--topic "$(TOPIC)")
CHANGE = $(if $(SCALE),--set scale="$(SCALE)") $(if $(SEEDS),--set seeds="$(SEEDS)") \
	$(if $(CONTROL),--set control="$(CONTROL)")

.PHONY: help
help: ## this list
	@echo "Papers in Miniature. Targets:"
	@grep -hE '^[a-z]+:.*## ' Makefile | sed -E 's/^([a-z]+):.*## (.*)/  make \1~\2/' | \
		awk -F'~' '{printf "%-17s %s\n", $$1, $$2}'
	@echo "Choose with ID=hash-layers or TOPIC=experts; change with SCALE=smoke|small|full,"
	@echo "SEEDS=10, PROFILE=slurm|kubernetes, WORKERS=2, BUILD=folder, VENV=folder."

# --- the environment: .venv from environment.yml where conda is not active ------------------
$(VENV)/.ready: environment.yml pyproject.toml
	@echo "Building $(VENV) from environment.yml (a few minutes, once)"
	@test -x "$(VENV)/bin/python" || python3 -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: install it, or use conda with environment.yml"; exit 1; }
	@test -x "$(VENV)/bin/python" || python3 -m venv "$(VENV)"
	@sed -n '/^  - pip:/,$$p' environment.yml | sed -n 's/^      - //p' > "$(VENV)/requirements.txt"
	@"$(VENV)/bin/python" -m pip install --quiet --disable-pip-version-check -r "$(VENV)/requirements.txt"
	@touch "$@"

# --- running ---------------------------------------------------------------------------------
.PHONY: reproduce refresh controls assets report lab
reproduce: $(READY) ## run every study that is not up to date, compare, and print the verdicts
	@$(PYTHON) -m workflow.reproduce $(SELECT) $(CHANGE) --profile "$(PROFILE)" --workers $(WORKERS)

refresh: $(READY) ## re-execute stale studies in place (or ID=...) and regenerate the pages
	@$(PYTHON) -m workflow.refresh $(SELECT) --workers $(WORKERS)

controls: $(READY) ## run every study with its mechanism switched off: headlines must fail
	@$(PYTHON) -m workflow.reproduce $(SELECT) $(CHANGE) --set control=True --workers $(WORKERS)

assets: $(READY) ## fetch and verify all pinned data and weights, for working offline afterwards
	@$(PYTHON) -m shared.data.assets

report: $(READY) ## write build/report.html from the committed outputs
	@$(PYTHON) -m workflow.reproduce --report-only

lab: $(READY) ## open JupyterLab on notebooks/
	@$(PYTHON) -m jupyterlab notebooks

# --- writing a study -------------------------------------------------------------------------
.PHONY: new why lint pages
new: $(READY) ## scaffold the notebook of a registered paper: make new ID=hash-layers
	@$(PYTHON) -m workflow.new "$(ID)"

why: $(READY) ## say what changed since a study's outputs were made: make why ID=hash-layers
	@$(PYTHON) -m workflow.digest $(SELECT)

lint: $(READY) ## check code, notebooks, registry and generated pages
	@$(PYTHON) -m ruff check --quiet . && $(PYTHON) -m ruff format --check --quiet .
	@$(PYTHON) -m workflow.lint $(SELECT)
	@$(PYTHON) -m workflow.gallery --check

pages: $(READY) ## regenerate the galleries, thumbnails and scoreboard
	@$(PYTHON) -m workflow.gallery

# --- checking --------------------------------------------------------------------------------
.PHONY: test bench clean
test: lint ## unit tests, lint, every notebook under nbval and at smoke scale
	@$(PYTHON) -m pytest -q -n $(WORKERS) tests
	@$(PYTHON) -m pytest -q -n $(WORKERS) --nbval --nbval-current-env \
		--nbval-cell-timeout 900 notebooks

bench: $(READY) ## measure the runner, the kernels and the planning, side by side
	@$(PYTHON) -m benchmarks

clean: ## remove build/ (the virtual environment and the cache of data stay)
	rm -rf "$(BUILD)"
