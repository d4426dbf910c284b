# Every target sets itself up in a virtual environment of its own.
PYTHON ?= python3
VENV ?= .venv
# Set TORCH to choose a build, e.g. `make test TORCH=torch==2.13.0`.
TORCH ?= torch>=2.8
BIN := $(abspath $(VENV))/bin
EXTRAS_BIN := $(abspath $(VENV)-extras)/bin
LOWEST_BIN := $(abspath $(VENV)-lowest)/bin
# A build of torch in place of the lowest version, which brings gigabytes, and fewer tests.
LOWEST_TORCH ?=
LOWEST_TESTS ?= tests
EXTRA_TESTS := tests/agents/deploy tests/agents/commands/test_deploy.py tests/fl_core/remote tests/agents/execution/test_ray_cluster.py \
    tests/agents/integrations/test_rllib.py tests/agents/integrations/test_flower_strategy.py tests/agents/offline tests/fl_core/aggregation/test_byzfl.py \
    tests/test_docs_snippets.py::test_a_strategy_of_flower_beside_a_scheduler \
    'tests/test_tutorials.py::test_a_tutorial_does_what_it_says[offline_data]' \
    'tests/test_tutorials.py::test_a_tutorial_does_what_it_says[deploy_on_three_nodes]'
SRC := $(shell find common envs agents fl_core traces -name '*.py') __init__.py train_agent.py

.PHONY: setup demo test fast extras lint types package lowest bench docs leaderboard clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet "$(TORCH)"
	$(BIN)/pip install --quiet -e ".[dev]"
	touch $@

demo: setup  ## the main job: train a scheduler, compare it, write a new folder below runs/
	$(BIN)/python train_agent.py

# A worker for each core. Each computes with one thread, so that they do not fight for the cores.
test: setup  ## the whole test suite; `python -m pytest` does without workers
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal

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

package: setup  ## wheel and sdist, as an index would take them
	$(BIN)/validate-pyproject pyproject.toml
	rm -rf build/lib build/dist && $(BIN)/python -m build --outdir build/dist
	$(BIN)/twine check --strict build/dist/*
	$(BIN)/check-wheel-contents build/dist/*.whl

# The oldest versions that pyproject.toml admits, in a virtual environment of their own; `make fast` has the newest.
# What old libraries use of newer ones may be deprecated there.
lowest: $(VENV)-lowest/.ready  ## the tests that take seconds, with the lowest versions declared; Python 3.11 or 3.12
	OMP_NUM_THREADS=1 $(LOWEST_BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal -m "not slow" \
	    -W ignore::DeprecationWarning $(LOWEST_TESTS)

$(VENV)-lowest/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)-lowest
	$(LOWEST_BIN)/pip install --quiet packaging
	$(if $(LOWEST_TORCH),$(LOWEST_BIN)/pip install --quiet "$(LOWEST_TORCH)")
	$(LOWEST_BIN)/python tests/lowest_versions.py $(if $(LOWEST_TORCH),torch) > $(VENV)-lowest/lowest.txt
	$(LOWEST_BIN)/pip install --quiet -c $(VENV)-lowest/lowest.txt -e ".[mo,video,privacy]" pytest pytest-xdist hypothesis
	$(LOWEST_BIN)/pip check
	touch $@

bench: setup  ## speed and the figures of each world
	$(BIN)/python benchmarks/steps.py
	$(BIN)/python benchmarks/worlds.py

# The notices are of two plugins about the future of MkDocs, which pyproject.toml keeps below 2.
docs: setup build/types/frugalfl  ## the documentation: tables from the code, then the site, strictly: python -m http.server -d build/site
	$(BIN)/python docs/make_tables.py
	$(BIN)/pip install --quiet -e ".[docs]"
	NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --strict

leaderboard: setup  ## every score of the leaderboard once more
	$(BIN)/python benchmarks/leaderboard.py

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
