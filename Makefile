# make demo   sets up and runs the main job on a real protein
# make test   sets up and runs every check and test
# make test-parallel-hdf5  builds h5py for MPI once and runs the tests of files with it (minutes; for a nightly job)
# make test-docs  runs every page of the documentation in an empty folder with the installed wheel (minutes; nightly)
# make test-wide  runs what make test leaves out for its time: more ranks, sizes and files (minutes; nightly)
# make test-browser  opens pages of `sci report` of every kind of file in Chromium; for a nightly job, exits 2 without one
# make gpu    runs the GPU tests and benchmarks (about 8 minutes on one GPU) and writes gpu.json; exits 2 without a GPU
# make docs   sets up, makes the pictures, and builds the site of the documentation in site/
# make wheels  builds in dist/ the source distribution, the wheel, and audited wheels of its kernels for x86-64 and aarch64
# make test-wheels   tests what make wheels built: size, tags, no compiler, no process, processor time (10 minutes; nightly)
# make test-aarch64  runs the kernels and the main job of the wheel of aarch64 under qemu-user (4 minutes; nightly)
# make test-lowest, make test-newest   run the tests with the lowest and the newest versions of all packages (nightly)
# make test-pythons  runs the tests with the newest packages on every Python of PYTHONS; uv brings those missing (nightly)
# make clean  removes everything that these commands made

# The first Python that is new enough; `make PYTHON=/path/to/python3.12 test` takes another one.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
PYTHONS ?= 3.11 3.12 3.13 3.14
TESTED_EXTRAS := test,docs,mpi-local,plot,structures,trajectories,report,xarray
WHEEL_MACHINES ?= x86_64 aarch64
BIN := .venv/bin
# Of the byte code of all packages, the tests need a small part: Python compiles that when it imports it, and keeps it,
# for else each of a thousand processes would compile it again.
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --no-compile

.PHONY: help demo test test-wide test-parallel-hdf5 test-docs test-browser test-wheels test-aarch64 test-lowest test-newest test-pythons \
	gpu docs pictures wheels clean compiler
.DELETE_ON_ERROR:

help:
	@sed -n 's/^# make/make/p' Makefile

demo: .venv/demo-ready
	@command -v $${CXX:-g++} >/dev/null || command -v c++ >/dev/null || command -v clang++ >/dev/null || \
		echo "note: no C++ compiler, so kernels run as slow NumPy references; on Debian: apt-get install g++" >&2
	mkdir -p demo
	$(BIN)/sci potential $$($(BIN)/sci dataset ubiquitin) -o demo/1ubi.h5 --tol 1e-6 --grid 96 --plot demo/1ubi.png --overwrite
	$(BIN)/sci info demo/1ubi.h5

test: compiler .venv/test-ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@said=$$(mktemp); $(BIN)/mypy sci >$$said 2>&1 & mypy=$$!; \
	$(BIN)/pytest -q -n auto --maxprocesses 4 --dist worksteal $(PYTEST_ARGS); pytest=$$?; \
	wait $$mypy; mypy=$$?; cat $$said; rm -f $$said; exit $$((pytest ? pytest : mypy))

test-wide: compiler .venv/test-ready
	$(BIN)/pytest -q -n auto --maxprocesses 4 --dist worksteal -m nightly --ignore tests/test_pages.py \
		--ignore tests/test_built_wheels.py --ignore tests/plotting/pages/test_browser.py $(PYTEST_ARGS)

test-parallel-hdf5:
	PYTHON="$(PYTHON)" tests/mpi/parallel_hdf5.sh $(PYTEST_ARGS)

test-docs: compiler .venv/test-ready
	$(BIN)/pytest -q -m "nightly or not nightly" tests/test_pages.py $(PYTEST_ARGS)

test-browser: .venv/test-ready
	@command -v chromium chromium-browser google-chrome >/dev/null || { \
		echo "error: no Chromium found; on Debian: apt-get install chromium" >&2; exit 2; }
	$(BIN)/pytest -q -m "nightly or not nightly" tests/plotting/pages/test_browser.py $(PYTEST_ARGS)

# A Python that has CuPy and pytest is used as it is (a container, a module); else .venv gets the wheel of the driver's CUDA.
gpu:
	@if $(PYTHON) -c 'import cupy, h5py, pytest, hypothesis' 2>/dev/null; then \
		PYTHONPATH="$(CURDIR)$${PYTHONPATH:+:$$PYTHONPATH}" $(PYTHON) benchmarks/gpu.py -o gpu.json $(GPU_ARGS); \
	elif command -v nvidia-smi >/dev/null; then \
		$(MAKE) --no-print-directory .venv/gpu-ready && $(BIN)/python benchmarks/gpu.py -o gpu.json $(GPU_ARGS); \
	else echo "no GPU here: nvidia-smi is not found" >&2; exit 2; fi

docs: pictures
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "site/index.html"

pictures: .venv/docs-ready
	$(BIN)/python docs/pictures.py

# The Python is one wheel for all; `sci-hpc-kernels`, which it asks for, is a wheel a machine and an empty one for the others.
# ctypes loads the kernels, so that one wheel serves every Python. auditwheel reads which C library they need and gives the
# tag; it is told that v3 and v4 are meant to need newer processors: sci loads what the processor has.
wheels: .venv/wheels-ready
	rm -rf dist build/sdist build/wheels
	SCI_PREBUILT=apart $(BIN)/python -m build --no-isolation --outdir dist .
	mkdir -p build/sdist && tar -xzf dist/*.tar.gz -C build/sdist --strip-components 1
	SCI_PREBUILT=0 $(BIN)/python -m build --wheel --no-isolation --outdir dist build/sdist/packaging/kernels
	for machine in $(WHEEL_MACHINES); do \
		SCI_PREBUILT=$$machine $(BIN)/python -m build --wheel --no-isolation --outdir build/wheels build/sdist/packaging/kernels && \
		PATH="$(CURDIR)/$(BIN):$$PATH" auditwheel repair -z 9 --only-plat --disable-isa-ext-check --wheel-dir dist \
			--plat $$(test $$machine = $$(uname -m) && echo manylinux_2_17_$$machine || echo auto) \
			build/wheels/*-linux_$$machine.whl || exit; \
	done
	$(BIN)/twine check --strict dist/*
	ls -l dist

test-wheels: .venv/test-ready
	$(BIN)/pytest -q -m nightly tests/test_built_wheels.py $(PYTEST_ARGS)

test-aarch64: .venv/test-ready
	tests/aarch64/run.sh

# Every package at the floor that pyproject.toml gives, on the oldest Python, which has wheels of them; none is a pre-release.
# The newest on every Python: make test-pythons PYTHONS="3.12 3.14" chooses some.
.PHONY: $(PYTHONS:%=test-python-%)
VERSION_TESTS := test-lowest test-newest $(PYTHONS:%=test-python-%)
$(VERSION_TESTS): PLACE = .venv-$(@:test-%=%)
$(VERSION_TESTS): CHOSEN = $(if $(filter test-lowest,$@),3.11,$(if $(filter test-newest,$@),$(PYTHON),$(@:test-python-%=%)))
$(VERSION_TESTS): compiler .venv-uv/bin/uv
	.venv-uv/bin/uv venv --quiet --seed --allow-existing --python $(CHOSEN) $(PLACE)
	.venv-uv/bin/uv pip install --quiet --python $(PLACE)/bin/python --upgrade \
		--resolution $(if $(filter test-lowest,$@),lowest-direct,highest) -e ".[$(TESTED_EXTRAS)]"
	.venv-uv/bin/uv pip list --quiet --python $(PLACE)/bin/python
	$(PLACE)/bin/python -m pytest -q -n auto --maxprocesses 4 --dist worksteal $(PYTEST_ARGS)

test-pythons: $(PYTHONS:%=test-python-%)

.venv-uv/bin/uv:
	$(PYTHON) -m venv .venv-uv
	.venv-uv/bin/python -m pip --disable-pip-version-check --quiet install uv

clean:
	rm -rf .venv .venv-* demo site build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find sci tests benchmarks docs examples -name __pycache__ -type d -prune -exec rm -rf {} +

compiler:
	@command -v $${CXX:-g++} >/dev/null || command -v c++ >/dev/null || command -v clang++ >/dev/null || { \
		echo "error: the tests compile the kernels and need a C++17 compiler." >&2; \
		echo "  Debian, Ubuntu: apt-get install g++    Fedora: dnf install gcc-c++    conda: conda install gxx" >&2; \
		exit 1; }

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 or newer found; install one or pass PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "error: no virtual environment could be made; on Debian: apt-get install python3-venv" >&2; exit 1; }

.venv/demo-ready: pyproject.toml | $(BIN)/python
	$(PIP) -e ".[plot]"
	@touch $@

.venv/test-ready: pyproject.toml | $(BIN)/python
	$(PIP) -e ".[test,docs,mpi-local,plot,report,structures,xarray]"
	@touch $@

.venv/wheels-ready: pyproject.toml | $(BIN)/python
	$(PIP) -e ".[release]"
	@touch $@

.venv/gpu-ready: pyproject.toml | $(BIN)/python
	$(PIP) -e ".[test,mpi-local,cuda$$(nvidia-smi | sed -n 's/.*CUDA Version: \([0-9]*\).*/\1/p' | head -1)]"
	@touch $@

.venv/docs-ready: pyproject.toml | $(BIN)/python
	$(PIP) -e ".[docs,mpi-local,plot,structures]"
	@touch $@
