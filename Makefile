# Everything a person runs. `make` alone lists it. Nothing is installed outside .venv.

DEMO ?= --data digits --encode linear-latency --seeds 3
PYTEST ?= -n 2 --dist loadfile --no-loadscope-reorder

PIP = .venv/bin/python -m pip --disable-pip-version-check -qq
PYTHONS = python3 python3.14 python3.13 python3.12 python3.11
NEW_ENOUGH = -c 'import sys; sys.exit(sys.version_info < (3, 11))'

# pyright reports on its own releases otherwise; mkdocs-material on those of mkdocs.
export PYRIGHT_PYTHON_IGNORE_WARNINGS = 1
export NO_MKDOCS_2_WARNING = 1

.DEFAULT_GOAL := help
.PHONY: help demo test lint docs dev clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-6s %s\n", $$1, $$2}' Makefile

demo: .venv/.installed ## install snnlearn, train a spiking network on handwritten digits, report its risk beside a baseline
	@.venv/bin/snnlearn train $(DEMO)

test: export JAX_PLATFORMS ?= cpu
test: .venv/.installed-test ## run every test, no network and no GPU needed; PYTEST="-n 2 -k lif" picks some
	@echo "Testing"
	@.venv/bin/python -m pytest $(PYTEST)

lint: .venv/.installed-dev ## check format, style and types
	@echo "Checking format, style and types"
	@.venv/bin/ruff format --check --quiet
	@.venv/bin/ruff check --quiet
	@.venv/bin/pyright

docs: .venv/.installed-dev ## build the documentation into site/
	@echo "Building the documentation into site/"
	@.venv/bin/mkdocs build --strict --quiet

dev: .venv/.installed-dev ## everything a contributor needs, and the commit hook where git allows one
	@.venv/bin/pre-commit install >/dev/null 2>&1 || echo "No commit hook installed (not a git checkout, or core.hooksPath is set); 'make lint' does the same."
	@echo "Ready: 'make test', 'make lint', 'make docs'"

clean: ## remove .venv and everything built
	@rm -rf .venv site build dist .ruff_cache .hypothesis

.venv/.installed-test: EXTRAS = [test]
.venv/.installed-dev: EXTRAS = [dev]
.venv/.installed .venv/.installed-test .venv/.installed-dev: pyproject.toml constraints.txt | .venv/bin/pip
	@echo "Installing snnlearn$(EXTRAS) into .venv (the first time takes a minute or two)"
	@$(PIP) install --constraint constraints.txt --editable '.$(EXTRAS)'
	@touch $@

# PYTHON=... names the interpreter; without it the first of PYTHONS that is new enough is taken.
.venv/bin/pip:
	@for python in $(or $(PYTHON),$(PYTHONS)); do \
	  if $$python $(NEW_ENOUGH) 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "snnlearn needs Python 3.11 or newer, but $(if $(PYTHON),$(PYTHON) is older or missing,none was found): install one, or name it with 'make PYTHON=/path/to/python3'." >&2; exit 1; \
	fi; \
	echo "Creating .venv with $$($$found --version)"; \
	$$found -m venv .venv >/dev/null || { \
	  echo "$$found could not create .venv: install its venv module (on Debian and Ubuntu: apt-get install python3-venv)." >&2; exit 1; }
