PYTHON ?= python3.11
VENV ?= .venv
# For example --extra-index-url https://download.pytorch.org/whl/cpu, to get PyTorch without CUDA on Linux.
PIP_ARGS ?=
BIN = $(VENV)/bin
SAMPLE = samples/astronaut.mp4

.PHONY: demo test docs weights weights-gim clean

# Spot the bundled clip; the results land in demo/.
demo: $(VENV)/.installed
	$(BIN)/spot $(SAMPLE) -o demo --format csv,json --plot --cache none

test: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build
	$(BIN)/pytest

# The documentation site; a warning is an error.
docs: $(VENV)/.installed-dev
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build

# Weights of the kind that is shipped, from a seed, into remade/.
weights: $(VENV)/.installed
	$(BIN)/python -m facespot.weights.train

# The paper's model likewise, on one core.
weights-gim: $(VENV)/.installed
	$(BIN)/python -m facespot.weights.train_gim

# The versions in requirements.txt are the tested ones; what is not needed of them is not installed.
$(VENV)/.installed: pyproject.toml requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install $(PIP_ARGS) -c requirements.txt -e .
	touch $@

$(VENV)/.installed-dev: pyproject.toml requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install $(PIP_ARGS) -c requirements.txt -e ".[dev]"
	touch $@ $(VENV)/.installed

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) demo build dist *.egg-info
