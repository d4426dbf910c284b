# Every target sets itself up in a virtual environment of its own.
PYTHON ?= python3
VENV ?= .venv
# Set TORCH to choose a build, e.g. `make test TORCH=torch==2.13.0`.
TORCH ?= torch>=2.8
BIN := $(abspath $(VENV))/bin
EXTRAS_BIN := $(abspath $(VENV)-extras)/bin
EXTRA_TESTS := tests/agents/deploy tests/agents/commands/test_deploy.py tests/fl_core/remote tests/agents/execution/test_ray_cluster.py \
    tests/agents/integrations/test_rllib.py tests/agents/offline tests/fl_core/aggregation/test_byzfl.py
SRC := $(shell find common envs agents fl_core traces -name '*.py') __init__.py train_agent.py

.PHONY: setup demo test fast extras lint types bench docs clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet "$(TORCH)"
	$(BIN)/pip install --quiet -e ".[dev]"
	touch $@

demo: setup  ## the main job: train a scheduler, compare it, write a new folder below runs/
	$(BIN)/python train_agent.py

test: setup  ## the whole test suite
	$(BIN)/python -m pytest

fast: setup  ## the tests that take seconds
	$(BIN)/python -m pytest -m "not slow"

# A virtual environment of its own: the core's tests show that it needs none of the extras.
extras: $(VENV)-extras/.ready  ## real nodes, two Ray machines, RLlib, Minari: their tests, with the extras installed
	$(EXTRAS_BIN)/python -m pytest $(EXTRA_TESTS)

$(VENV)-extras/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)-extras
	$(EXTRAS_BIN)/pip install --quiet --upgrade pip
	$(EXTRAS_BIN)/pip install --quiet "$(TORCH)"
	$(EXTRAS_BIN)/pip install --quiet -e ".[flower-sim,ray,rllib,offline]" pytest hypothesis
	$(EXTRAS_BIN)/pip check
	# Its robust rules, to compare with; they need neither torchvision nor the rest of what it asks for.
	$(EXTRAS_BIN)/pip install --quiet --no-deps byzfl
	touch $@

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup build/types/frugalfl
	cd build/types && $(BIN)/mypy --config-file ../../pyproject.toml -p frugalfl

build/types/frugalfl: $(SRC)
	rm -rf build/types && mkdir -p build/types
	$(BIN)/pip install --quiet --no-deps --target build/types .

bench: setup  ## speed and the figures of each world
	$(BIN)/python benchmarks/steps.py
	$(BIN)/python benchmarks/worlds.py

docs: setup  ## the tables of the documentation, from the code
	$(BIN)/python docs/make_tables.py

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
