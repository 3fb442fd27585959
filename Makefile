VENV := .venv
BIN := $(VENV)/bin
.PHONY: install run check test

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	python3 -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[offline]'
	touch $@

run: install
	$(BIN)/paretogate serve

$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/pip install --quiet --editable '.[offline,dev]'
	touch $@

check: $(VENV)/.dev
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/mypy && $(BIN)/lint-imports

test: $(VENV)/.dev
	$(BIN)/pytest
