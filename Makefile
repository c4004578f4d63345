# The commands of this repository. Each does its own set-up, in .venv and .cache, and skips what is done already.
# COMFYUI_DIR=<folder> makes `demo`, `serve` and `test-newest` use an installed ComfyUI instead.

PYTHON ?= python3
ENVIRONMENT := $(PYTHON) -m tools.environment
ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif
NEWEST_BIN := .cache/venv-newest/$(notdir $(BIN))

# Files of tests side by side, each in one thread. The browser's have the machine for themselves: they measure.
WORKERS ?= 2
SLOWEST = --durations=25 --durations-min=1
SIDE_BY_SIDE = OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --dist loadfile $(SLOWEST)

.DEFAULT_GOAL := help
.PHONY: help demo serve setup browser lint test-fast test test-all test-newest test-accelerator locales images
.PHONY: entrances layout bench mutation package clean

help:  ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

demo:  ## Run the first example workflow on a real ComfyUI and leave its images in output/
	@$(ENVIRONMENT) --run tools.demo

serve:  ## Open ComfyUI with the pack and the demo model (PORT=8188)
	@$(ENVIRONMENT) --run tools.serve

setup:
	@$(ENVIRONMENT) --dev --comfyui 0.30.0 --comfyui 0.20.1

browser: setup
	@$(BIN)/python -m diffseg_tools.browser

# pytest is called as a program: `python -m pytest` would put the repository root on sys.path, where our `nodes`
# hides ComfyUI's module of that name.

lint: setup  ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@$(BIN)/python -m diffseg_tools.javascript check

test-fast: lint  ## Check style and types, and test the core
	$(BIN)/python -m diffseg_tools.javascript test
	$(SIDE_BY_SIDE) tests/core tests/cli tests/eval tests/web -m "not slow and not exhaustive"

test: lint browser  ## Run the tests, with ComfyUI 0.30.0 and 0.20.1 and in a browser
	$(BIN)/python -m diffseg_tools.javascript test
	$(SIDE_BY_SIDE) tests --ignore tests/browser -m "not exhaustive"
	$(BIN)/pytest tests/browser -m "not exhaustive" $(SLOWEST)

test-all: lint browser  ## Run everything with everything, before a release
	$(BIN)/python -m diffseg_tools.javascript test
	$(SIDE_BY_SIDE) tests --ignore tests/browser
	$(BIN)/pytest tests/browser $(SLOWEST)

test-accelerator: setup  ## Test captures on this machine's accelerator, if it has one
	$(BIN)/pytest tests/accelerator

# All that runs in ComfyUI or its front end; what is tested on the oldest release is left out.
test-newest: export DIFFSEG_NEWEST := $(COMFYUI_DIR)
test-newest:  ## Test on the newest hosts: COMFYUI_DIR or the pinned ComfyUI, with the newest front end
	@$(ENVIRONMENT) --newest
	@$(NEWEST_BIN)/python -m diffseg_tools.browser
	OMP_NUM_THREADS=1 $(NEWEST_BIN)/pytest -n $(WORKERS) --dist loadfile -k "not oldest and not 0.20.1" \
		tests/comfy tests/server
	$(NEWEST_BIN)/pytest tests/browser

locales: setup  ## Write the English texts of the nodes to locales/en, after changing them
	@$(BIN)/python -m diffseg_tools.locales

entrances: setup  ## Write the page of what can be set where, after changing tools/entrances.py
	@$(BIN)/python -m diffseg_tools.entrances

images: browser  ## Take the screenshots of the pages and the thumbnails anew
	DIFFSEG_IMAGES=1 $(BIN)/pytest tests/browser/test_story.py tests/browser/test_first_workflow.py

layout: browser  ## Move the nodes of the example workflows apart, after one of them has become larger
	DIFFSEG_LAYOUT=1 $(BIN)/pytest tests/browser/test_layout.py

bench: setup  ## Measure time and memory
	$(BIN)/python benchmarks/run.py

mutation: setup  ## Try the tests on small wrong changes to the core (ARGS="--module NAME --sample 30")
	@nice $(BIN)/python -m diffseg_tools.mutation $(ARGS)

package: setup  ## Build the archive that the registry serves
	@$(BIN)/python -m diffseg_tools.package

clean:  ## Remove everything that these commands made
	rm -rf .venv .cache build dist output node_modules *.egg-info .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
