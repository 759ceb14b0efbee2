# make demo   simulated scans, their images and a report, in demo-output/
# make test   lint and tests
# make lint   lint alone
# make clean  removes what building and testing left; environments stay
#
# VENV=folder chooses the virtual environment, PYTHON=python3.12 the interpreter that makes it.

VENV ?= .venv
PYTHON ?= python3
PYTEST_ARGS ?= -n 2 --dist loadfile --no-loadscope-reorder

RUN_STAMP := $(VENV)/.countless-run
DEV_STAMP := $(VENV)/.countless-dev

.PHONY: demo test lint clean compiler
# Both stamps install into one environment.
.NOTPARALLEL:

demo: compiler $(RUN_STAMP)
	$(VENV)/bin/countless demo --output demo-output

test: compiler lint
	$(VENV)/bin/python -m pytest $(PYTEST_ARGS)

lint: $(DEV_STAMP)
	$(VENV)/bin/ruff check .

clean:
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache demo-output
	find recon denoise sim benchmarks tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUN_STAMP): INSTALLED = .
$(DEV_STAMP): INSTALLED = .[dev]
$(RUN_STAMP) $(DEV_STAMP): setup.py constraints.txt
	@echo "Installing into $(VENV) (some minutes the first time)"
	$(PYTHON) -m venv "$(VENV)"
	"$(VENV)/bin/python" -m pip install --constraint constraints.txt --editable "$(INSTALLED)"
	touch "$@"

# The kernels are built for the CPU when they are first used.
compiler:
	@command -v "$(firstword $(CXX))" >/dev/null || { \
	  echo "Countless takes a C++ compiler for its CPU kernels, found no $(CXX); install one" \
	       "('apt-get install g++', 'dnf install gcc-c++'), or name yours: make CXX=...." >&2; \
	  exit 1; }
