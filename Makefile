# Everything from nothing but Python 3.11 and make. `make` alone lists the commands.

PYTHON ?= $(or $(shell command -v python3.11),python3)
EXTRAS := notebooks,devices,evaluate,test
BIN := .venv/bin
STAMP := .venv/.installed

# One thread each, because the tests run in several processes.
WORKERS ?= auto
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 4 --dist loadscope --nbval-lax --nbval-current-env
EVERYTHING := --doctest-modules tests litehrnet notebooks
# What holds a bound: tests marked numeric, and the lessons.
NUMERIC := $(PYTEST) --durations=3 tests notebooks
AS := $(ONE_THREAD) $(BIN)/python tools/processors.py

.PHONY: help install tutorial test test-processors test-all lab refresh bench demo clean

help:  ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## /  make \1:/p' $(MAKEFILE_LIST) | column -t -s: -l 2 2>/dev/null \
	|| sed -n 's/^\([a-z-]*\):.*## /  make \1: /p' $(MAKEFILE_LIST)

install: $(STAMP)  ## make .venv and install everything into it

# The target of each step is the last file that it writes: a step that was killed is done again, from the start.
$(BIN)/activate:
	$(PYTHON) -m venv --clear .venv

# Run again only when the list of dependencies has changed. Matplotlib looks for the machine's fonts once, here, so that
# its message about it does not end up in a notebook.
$(STAMP): pyproject.toml constraints.txt | $(BIN)/activate
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e ".[$(EXTRAS)]"
	$(BIN)/python -c "import matplotlib.font_manager"
	@touch $@

tutorial: $(STAMP)  ## execute every notebook, write build/site/ and build/models/
	$(BIN)/python tools/run_notebooks.py
	$(BIN)/python tools/build_site.py

test: $(STAMP)  ## the tests, the doctests and the notebooks, and what holds a bound as an old processor, too
	$(ONE_THREAD) $(PYTEST) $(EVERYTHING) -m "not slow"
	$(AS) old -- $(NUMERIC) -m "numeric and not slow"

test-processors: $(STAMP)  ## what holds a bound, as every processor that this one can imitate; margins
	$(AS) all -- $(NUMERIC) -m numeric --margins

test-all: $(STAMP) test-processors  ## all tests, the slow ones too, as every processor
	$(ONE_THREAD) $(PYTEST) $(EVERYTHING)

lab: $(STAMP)  ## open JupyterLab on the first notebook
	$(BIN)/jupyter lab notebooks/00_start_here.ipynb

refresh: $(STAMP)  ## execute the notebooks in place and store their outputs, link the glossary, write the README's tables
	$(BIN)/python tools/link_glossary.py
	$(BIN)/python tools/run_notebooks.py --in-place
	$(BIN)/python tools/update_readme.py

bench: $(STAMP)  ## measure speed and parity on this machine, write benchmarks/
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/devices.py

demo: $(STAMP)  ## open the browser demo on localhost
	$(BIN)/python examples/browser/serve.py

clean:  ## remove build/ and .venv/
	rm -rf build .venv
