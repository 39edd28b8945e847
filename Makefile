# Each target works alone on a fresh machine: it sets up what is missing.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
CLIENTS := .clients
BIN := $(VENV)/bin
EXTRAS ?= serve,cpu,learned,train,dev
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
STAMP := $(VENV)/.installed

.PHONY: help run test test-fast check deploying clients format docs install clean

help:  ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

run: install  ## Install if needed, then serve experts.yaml on 127.0.0.1:8000
	@$(BIN)/motet serve experts.yaml || [ $$? -eq 130 ]  # 130 is Ctrl-C

test: install  ## Run every test, real engines included
	@$(BIN)/python -m pytest

test-fast: install  ## Run the tests that start neither Ray nor a real model
	@$(BIN)/python -m pytest -m "not engine and not ray"

check: install  ## Run the gates: format, lint, types, rooms, names, generated docs
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m motet.cli.reference --check docs/config.md
	@$(BIN)/python tools/house.py --quiet

deploying: install  ## Run the commands of docs/deploying.md, on machines made of namespaces
	@$(BIN)/python tools/deploying.py

clients: install  ## Ask a running service with libraries and programs of others
	@test -x $(CLIENTS)/bin/python || $(PYTHON) -m venv $(CLIENTS)
	@echo "Installing clients of others"
	@$(CLIENTS)/bin/python -m pip --disable-pip-version-check -q install \
	  -c constraints/clients.txt -r tests/clients/requirements.txt
	@mkdir -p $(CLIENTS)/node && cp tests/clients/programs/package.json $(CLIENTS)/node/
	@if ! command -v npm >/dev/null; then echo "No Node here: its clients are left out."; \
	elif ! npm install --prefix $(CLIENTS)/node --no-audit --no-fund --ignore-scripts --silent; then \
	  rm -rf $(CLIENTS)/node/node_modules; echo "Node's packages cannot be had: left out."; fi
	@$(BIN)/python -m pytest -m clients tests/clients

format: install  ## Format the code and apply safe fixes
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: install  ## Write docs/config.md from the schema, and the list of modules
	@$(BIN)/python -m motet.cli.reference docs/config.md
	@$(BIN)/python tools/house.py --quiet --write

install: $(STAMP)

# vLLM's CPU wheel asks for torchvision, torchaudio and torchcodec, whose builds for GPUs break
# `import transformers` beside a CPU torch; text models need none of the three.
$(STAMP): pyproject.toml constraints/cpu.txt
	@test -x $(BIN)/python || { echo "Creating $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "Installing Motet [$(EXTRAS)] (a few minutes the first time)"
	@$(PIP) install -c constraints/cpu.txt -e ".[$(EXTRAS)]"
	@$(PIP) uninstall -y torchvision torchaudio torchcodec 2>/dev/null || true
	@touch $@
	@echo "Installed. For \`motet\` in this terminal: . $(BIN)/activate (or write $(BIN)/motet)"

clean:  ## Remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
