# make lab    JupyterLab on the first notebook, in an environment of its own (.venv)
# make test   ruff, mypy and every test, the notebooks among them: first those in a browser, which measure latency, then
#             the rest in PROCESSES processes of one thread each
# make whole  tests that take minutes: household and emoji, drawn anew, are the bundled files (emoji where
#             PRIOR_LAB_EMOJI_SOURCE names the folder with the npm packages); the wheel in an empty environment; the
#             documentation site in a browser; the student's version of every lesson
# make bench  the benchmarks
# make docs   the documentation site, in docs/_build/html; warnings are errors
# make course the student's version of the course in build/course, its solutions apart
# make clean  remove .venv and what the tools left
#
# TORCH names the PyTorch requirement, for instance TORCH=torch==2.13.0; PYTHON the interpreter (3.11 or later);
# LAB_FLAGS goes to JupyterLab, for instance LAB_FLAGS="--no-browser --port=8890".

PYTHON ?= python3
PROCESSES ?= 2
TORCH ?= torch
LAB_FLAGS ?=

VENV := .venv
BIN := $(VENV)/bin
NOTEBOOK := notebooks/01_explore_budgets.ipynb
TORCH_STAMP := $(VENV)/torch-$(shell printf '%s' '$(TORCH)' | cksum | cut -d ' ' -f 1).stamp

.PHONY: lab test whole bench course docs clean

lab: $(VENV)/lab.stamp
	$(BIN)/python -m jupyterlab --ip=127.0.0.1 --ServerApp.root_dir="$(CURDIR)" $(LAB_FLAGS) $(NOTEBOOK)

test: $(VENV)/dev.stamp
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy
	status=0; \
	$(BIN)/python -m pytest -m browser || status=1; \
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile --durations=20 \
		-m "not whole and not browser" || status=1; \
	exit $$status

whole: $(VENV)/dev.stamp
	PRIOR_LAB_SHAPE_CHECKS=0 $(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile --durations=5 -m whole

bench: $(VENV)/dev.stamp
	$(BIN)/python tests/benchmarks/run.py

docs: $(VENV)/dev.stamp
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

course: $(VENV)/lab.stamp
	$(BIN)/python -m prior_lab.teaching.student notebooks/course build/course

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache build dist docs/_build docs/notebooks docs/data docs/reference/api
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/python.stamp:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "prior-lab needs Python 3.11 or later: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(TORCH_STAMP): $(VENV)/python.stamp
	$(BIN)/python -m pip install --quiet '$(TORCH)'
	rm -f $(VENV)/torch-*.stamp
	touch $@

$(VENV)/lab.stamp: pyproject.toml $(TORCH_STAMP)
	$(BIN)/python -m pip install --quiet --editable '.[lab]'
	touch $@

$(VENV)/dev.stamp: pyproject.toml $(TORCH_STAMP)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@
