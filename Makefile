# Every target works in a clean clone: it makes the environment it needs. Needs Python 3.11 and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
MODERN := .venv
ADDONS := .venv-addons
BACKENDS := .venv-backends
BENCHMARKS := .venv-benchmarks
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: demo test test-all test-addons test-addons-all test-backends test-faults reproduce-quick lint format footprint benchmark docs docs-serve wheels saved-models clean

demo: $(MODERN)/.installed  ## the main job: train, compare, draw, export, serve
	$(MODERN)/bin/kmix-tf demo

# `make test` and `make test-addons` ask every question of a representative. What they compile runs once: XLA need not
# optimise it. The matrix is all further combinations; it has a process of its own, because what has been compiled stays
# in memory as long as the process lives.
QUICK := XLA_FLAGS="$(XLA_FLAGS) --xla_backend_optimization_level=0"

test: $(MODERN)/.installed  ## the tests without the matrix, with the newest TensorFlow and Keras 3
	$(QUICK) $(MODERN)/bin/python -m pytest -m "not matrix"

test-all: test  ## all tests; the matrix compiled as users compile
	$(MODERN)/bin/python -m pytest -m matrix

# What knows nothing of Keras' generation is asked once.
APART := --ignore=tests/analysis --ignore=tests/benchmarks --ignore=tests/experiments --ignore=tests/paired \
	--ignore=tests/plot --ignore=tests/cli/test_gallery.py --ignore=tests/cli/test_reproduce.py

test-addons: $(ADDONS)/.installed  ## as test, with TensorFlow 2.15, Keras 2.15 and tensorflow-addons
	$(QUICK) $(ADDONS)/bin/python -m pytest -m "not matrix" $(APART)

test-addons-all: $(ADDONS)/.installed  ## as test-all, with TensorFlow 2.15, Keras 2.15 and tensorflow-addons
	$(QUICK) $(ADDONS)/bin/python -m pytest -m "not matrix"
	$(ADDONS)/bin/python -m pytest -m matrix

test-backends: $(BACKENDS)/.installed  ## the data stage, losses and metrics with Keras on JAX, and on torch
	KERAS_BACKEND=jax $(QUICK) $(BACKENDS)/bin/python -m pytest -m "not matrix" tests/backends
	KERAS_BACKEND=torch $(QUICK) $(BACKENDS)/bin/python -m pytest -m "not matrix" tests/backends

test-faults: $(MODERN)/.installed  ## kills, full disks, bad data, threads, fuzz: the short form, ten minutes at most
	$(QUICK) $(MODERN)/bin/python reliability/run.py --short --jobs 2

reproduce-quick: $(MODERN)/.installed  ## that every experiment runs, in small
	$(MODERN)/bin/kmix-tf reproduce all --quick --anew

lint: $(MODERN)/.installed  ## style, and the types of the package
	$(MODERN)/bin/ruff check .
	$(MODERN)/bin/ruff format --check .
	$(MODERN)/bin/mypy
	$(MODERN)/bin/codespell

format: $(MODERN)/.installed
	$(MODERN)/bin/ruff check --fix .
	$(MODERN)/bin/ruff format .

footprint: $(MODERN)/.installed  ## what has grown in the pipelines' graphs, or in what they move; it tells, and never fails
	-$(MODERN)/bin/python benchmarks/footprint.py

benchmark: $(BENCHMARKS)/.installed  ## what mixes, assignments, steps, puzzles and epochs cost, beside peers; which goals are met
	$(BENCHMARKS)/bin/python benchmarks/run.py

docs: $(MODERN)/.installed  ## the site, in docs/_build/html; a warning is an error
	$(MODERN)/bin/python -m sphinx -b html -W --keep-going -q docs docs/_build/html

docs-serve: docs  ## the site, at http://localhost:8000
	$(MODERN)/bin/python -m http.server 8000 --bind localhost --directory docs/_build/html

wheels: $(MODERN)/.installed  ## the wheel, in dist/
	$(MODERN)/bin/python -m pip wheel --no-deps --wheel-dir dist .

saved-models: $(MODERN)/.installed  ## a new reference export; see saved_models/README.md
	$(MODERN)/bin/python saved_models/make_reference.py

# --clear: an environment left half made, or by another Python, is made anew.
$(MODERN)/.installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv --clear $(MODERN)
	$(MODERN)/bin/python -m pip install --upgrade pip
	$(MODERN)/bin/python -m pip install -e '.[dev,docs,examples,plot,cli]'
	touch $@

$(ADDONS)/.installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv --clear $(ADDONS)
	$(ADDONS)/bin/python -m pip install --upgrade pip
	$(ADDONS)/bin/python -m pip install -e '.[addons,dev,examples,plot,cli]'
	touch $@

$(BACKENDS)/.installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv --clear $(BACKENDS)
	$(BACKENDS)/bin/python -m pip install --upgrade pip
	$(BACKENDS)/bin/python -m pip install -e '.[backends,dev,examples,plot,cli]'
	touch $@

$(BENCHMARKS)/.installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv --clear $(BENCHMARKS)
	$(BENCHMARKS)/bin/python -m pip install --upgrade pip
	$(BENCHMARKS)/bin/python -m pip install -e '.[benchmarks,dev,examples,plot,cli]'
	touch $@

clean:
	rm -rf $(MODERN) $(ADDONS) $(BACKENDS) $(BENCHMARKS) demo saved_models/demo dist docs/_build docs/api docs/benchmarks docs/results
