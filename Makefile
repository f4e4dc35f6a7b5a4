# Every target works in a clean clone: it makes the environment it needs. Needs Python 3.11 and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
MODERN := .venv
ADDONS := .venv-addons
BACKENDS := .venv-backends
BENCHMARKS := .venv-benchmarks
OLDEST := .venv-oldest
NEWEST := .venv-newest
# What builds, locks, and finds the oldest and the newest versions. Of it alone, so that a release needs no TensorFlow.
UV := .venv-uv/bin/uv
export UV_PYTHON_DOWNLOADS ?= never
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: demo test test-matrix test-all test-addons test-addons-all test-backends test-faults reproduce-quick lint format footprint benchmark docs docs-serve wheels test-wheel test-wheel-quick locks test-oldest test-oldest-keras-3 test-newest coverage saved-models clean

demo: $(MODERN)/.installed  ## the main job: train, compare, draw, export, serve
	$(MODERN)/bin/kmix-tf demo

# `make test` and `make test-addons` ask every question of a representative. What they compile runs once: XLA need not
# optimise it. The matrix is all further combinations; it has a process of its own, because what has been compiled stays
# in memory as long as the process lives.
QUICK := XLA_FLAGS="$(XLA_FLAGS) --xla_backend_optimization_level=0"

test: $(MODERN)/.installed  ## the tests without the matrix, with the newest TensorFlow and Keras 3
	$(QUICK) $(MODERN)/bin/python -m pytest -m "not matrix"

test-matrix: $(MODERN)/.installed  ## all further combinations, compiled as users compile
	$(MODERN)/bin/python -m pytest -m matrix

test-all: test test-matrix  ## all tests

# What knows nothing of Keras' generation is asked once.
APART := --ignore=tests/analysis --ignore=tests/benchmarks --ignore=tests/experiments --ignore=tests/paired \
	--ignore=tests/plot --ignore=tests/cli/test_gallery.py --ignore=tests/cli/test_reproduce.py \
	--ignore=tests/test_types.py --ignore=tests/test_footprint.py --ignore-glob='tests/test_benchmarks_*' \
	--ignore-glob='tests/cli/audit/test_[!chjpr]*' --ignore=tests/cli/reading --ignore=tests/maths \
	--ignore=tests/pairing --ignore=tests/ratio --ignore=tests/reduction --ignore=tests/trial --ignore=tests/weight

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

docs: $(MODERN)/.installed  ## the site, in docs/_build/html, with examples run; a warning is an error
	$(QUICK) $(MODERN)/bin/python -m sphinx -b html -W --keep-going -q docs docs/_build/html

docs-serve: docs  ## the site, at http://localhost:8000
	$(MODERN)/bin/python -m http.server 8000 --bind localhost --directory docs/_build/html

wheels: $(UV)  ## the sdist and, built from it, the wheel, in dist/
	$(UV) build --clear --python $(PYTHON) --out-dir dist

test-wheel: $(MODERN)/.installed $(UV)  ## both, and the wheel in a fresh environment without extras and with each
	UV=$(UV) $(MODERN)/bin/python tools/package/wheel.py

test-wheel-quick: $(MODERN)/.installed $(UV)  ## both, and the wheel beside the TensorFlow that is here; seconds
	UV=$(UV) $(MODERN)/bin/python tools/package/wheel.py --quick

LOCK := $(UV) pip compile --quiet --python $(PYTHON) --generate-hashes --no-emit-index-url --no-emit-find-links \
	--upgrade --custom-compile-command "make locks" setup.cfg

locks: $(UV)  ## the versions of today, with hashes, in requirements/
	$(LOCK) --extra dev --extra docs --extra examples --extra plot --extra cli --output-file requirements/newest.txt
	$(LOCK) --extra addons --extra dev --extra examples --extra plot --extra cli --output-file requirements/addons.txt

# Each dependency is asked: NumPy, SciPy, TensorFlow and Keras by mixes, pipelines, models and what they save; Matplotlib
# and scikit-learn by figures and the demo's data; click, Jinja and Rich by the command; Arrow by tables.
BOUNDS := tests/test_pipeline.py tests/test_saved_models.py tests/test_mapped.py tests/layers/test_kmixup.py \
	tests/layers/test_every_layer.py tests/layers/test_pairs_of_choices.py tests/pairing tests/losses tests/metrics \
	tests/models/test_rescaled.py tests/plot tests/cli/test_command_line.py tests/cli/test_gallery.py \
	tests/cli/audit/test_command.py tests/cli/reading/test_tables.py tests/maths/test_theta.py

ASKED := -e '.[dev,examples,plot,cli,tables]'

test-oldest: $(UV)  ## some tests, with the oldest versions that setup.cfg allows
	$(UV) venv --quiet --clear --python $(PYTHON) $(OLDEST)
	$(UV) pip install --quiet --python $(OLDEST) --resolution lowest-direct $(ASKED)
	$(QUICK) $(OLDEST)/bin/python -m pytest -m "not matrix" $(BOUNDS)

test-oldest-keras-3: $(UV)  ## the same, with the oldest of Keras 3
	$(UV) venv --quiet --clear --python $(PYTHON) $(OLDEST)
	$(UV) pip install --quiet --python $(OLDEST) --resolution lowest-direct $(ASKED) 'keras >=3'
	$(QUICK) $(OLDEST)/bin/python -m pytest -m "not matrix" $(BOUNDS)

test-newest: $(UV)  ## the same, with the newest; with PYTHON=python3.13 for another Python
	$(UV) venv --quiet --clear --python $(PYTHON) $(NEWEST)
	$(UV) pip install --quiet --python $(NEWEST) --upgrade $(ASKED)
	$(QUICK) $(NEWEST)/bin/python -m pytest -m "not matrix" $(BOUNDS)

# What asks the core.
CORE := tests/test_*.py tests/batch tests/blend tests/label_shares tests/layers tests/mixing tests/pairing tests/ratio \
	tests/reduction tests/saliency tests/weight

# The core is what a batch goes through: see pyproject.toml. What other processes run is counted, too.
coverage: $(MODERN)/.installed  ## lines and branches of the core that tests run, by package; below 90 % it fails
	$(MODERN)/bin/python -m coverage erase
	$(QUICK) $(MODERN)/bin/python -m coverage run -m pytest -m "not matrix" $(CORE)
	$(MODERN)/bin/python tools/coverage_table.py

saved-models: $(MODERN)/.installed $(ADDONS)/.installed  ## the references of this version; see saved_models/README.md
	$(MODERN)/bin/python saved_models/make_reference.py
	$(ADDONS)/bin/python saved_models/make_reference.py

$(UV):
	$(PYTHON) -m venv --clear .venv-uv
	.venv-uv/bin/python -m pip install 'uv ==0.13.*'

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
	rm -rf $(MODERN) $(ADDONS) $(BACKENDS) $(BENCHMARKS) $(OLDEST) $(NEWEST) .venv-uv demo saved_models/demo dist
	rm -rf docs/_build docs/api docs/benchmarks docs/gallery docs/notebooks docs/results docs/commands.md
