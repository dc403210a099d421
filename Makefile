# `make help` lists the targets. Everything runs from .venv, which is made from requirements.lock.
SHELL := /bin/sh
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
SET_UP := .venv/set-up
RECIPE ?= mlp-128-64
BUNDLE ?= models/$(RECIPE)

.PHONY: help
help: ## List the targets
	@echo "usage: make TARGET [RECIPE=mlp-128-64] [ARGS='--strict']"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: export
export: $(SET_UP) player ## Export every recipe into models/, proven in every runtime at hand
	$(BIN)/exporter export --all $(ARGS)

.PHONY: train
train: $(SET_UP) ## Train RECIPE afresh into out/RECIPE (needs MNIST, or ARGS='--data digits')
	$(BIN)/exporter train $(RECIPE) $(ARGS)

.PHONY: evaluate
evaluate: $(SET_UP) ## Accuracy, precision, recall, F1, confusion matrix and pictures of BUNDLE
	$(BIN)/exporter evaluate $(BUNDLE) $(ARGS)

.PHONY: parity
parity: $(SET_UP) player ## Compare BUNDLE with Keras again, on this machine
	$(BIN)/exporter parity $(BUNDLE) $(ARGS)

.PHONY: test
test: $(SET_UP) player browser ## All tests: Python, Node and a real browser
	$(BIN)/python -m pytest $(ARGS)

.PHONY: conformance
conformance: $(SET_UP) player ## Measure every layer in every format anew: docs/conformance.md
	$(BIN)/python -m tests.conformance $(ARGS)

.PHONY: torture
torture: $(SET_UP) player browser ## The long reliability tests, anew, on loopback: docs/reliability.md
	$(BIN)/python -m tests.torture $(ARGS)

.PHONY: bench
bench: $(SET_UP) player browser ## Measure ours beside what people use, or ARGS=serving alone: docs/benchmarks.md
	$(BIN)/python -m tests.benchmarks $(ARGS)

.PHONY: check
check: $(SET_UP) ## Format, lint, types, architecture: fast
	$(BIN)/ruff format --check exporter web tests hatch_build.py
	$(BIN)/ruff check exporter web tests hatch_build.py
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py
	cd exporter/player && PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent check

.PHONY: serve
serve: $(SET_UP) player ## Serve the page on http://127.0.0.1:5000
	$(BIN)/flask --app web run $(ARGS)

.PHONY: site
site: $(SET_UP) player ## Freeze the page and all models into out/site, for any static host
	$(BIN)/exporter site $(wildcard models/*) -o out/site $(ARGS)

.PHONY: sbom
sbom: $(SET_UP) ## List all that the locks hold, as CycloneDX, in out/sbom
	@mkdir -p out/sbom
	$(BIN)/python -W ignore -m cyclonedx_py requirements requirements.lock \
	  --pyproject pyproject.toml --output-reproducible --of JSON -o out/sbom/python.cdx.json
	cd exporter/player && PATH="$(CURDIR)/$(BIN):$$PATH" npm sbom --silent \
	  --sbom-format cyclonedx --package-lock-only > "$(CURDIR)/out/sbom/player.cdx.json"

.PHONY: lock
lock: $(SET_UP) ## Compile requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --all-extras --group graph --group build --group dev \
	  --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --custom-compile-command "make lock" --quiet -o requirements.lock

.PHONY: clean
clean: ## Remove what the targets made, but not .venv and not models/
	rm -rf out exporter/player/dist build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -rf models/*/report
	find exporter web tests -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- set-up ------------------------------------------------------------------------------

$(SET_UP): requirements.lock pyproject.toml hatch_build.py
	@$(PYTHON) -c 'import sys, venv; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) \
	  else "Python 3.11 to 3.13 is needed, %s.%s found: make PYTHON=python3.12 …" % v)'
	test -x $(BIN)/pip || $(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
	  -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  --no-build-isolation --editable .
	@touch $@

# Builds only when a source of the player changed.
.PHONY: player
player: $(SET_UP)
	@$(BIN)/python hatch_build.py

.PHONY: browser
browser: $(SET_UP)
	@$(BIN)/python -m exporter.browser --install
