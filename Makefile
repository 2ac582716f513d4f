# make demo   check the tutorials' networks, train plain / residual / dense, write a report
# make test   run the tests
# make lint   style, types, layers
# make zoo    measure public networks, going on where it stopped, and write docs/zoo.md
# make extras   run the tests of our loggers and callbacks against the real programs (installs some 200 MB), then make ray
# make ray    run the tests that start a Ray cluster (installs Ray, some 80 MB to fetch and 240 MB on the disk)
# make versions   run the tests with the oldest, the pinned and the newest torch, and write docs/versions.md

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test lint versions zoo ray extras clean

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "skipstone needs Python 3.11 or newer, this is " + sys.version.split()[0])'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch numpy
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[train]" --group dev
	touch $@

demo: $(INSTALLED)
	$(BIN)/skipstone demo

test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 -q

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

versions:
	$(PYTHON) tools/versions.py

zoo: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group zoo
	# By its own word it needs torch_stoi, and so a torchaudio, which there is for another torch alone.
	$(BIN)/python -m pip install --quiet --no-deps "asteroid>=0.7" asteroid-filterbanks pb_bss_eval torch_optimizer
	PYTHONPATH=tools $(BIN)/python -W ignore -m zoo
	$(BIN)/python -m pytest -q -n 2 -m zoo

ray: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[train,ray]"
	$(BIN)/python -m pytest -q -n 0 -o faulthandler_timeout=1200 -m ray

extras: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group extras
	$(BIN)/python -m pytest -q -n 0 -m extras
	$(MAKE) ray

clean:
	rm -rf $(VENV) .versions
