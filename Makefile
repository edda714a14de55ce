# `make` alone lists the targets. The first use builds .venv; later uses reuse it until
# pyproject.toml changes. Extra arguments: make forecast ARGS="--draft --seed 7"
SHELL := bash
.DEFAULT_GOAL := help
ROOT := $(CURDIR)
BIN := $(ROOT)/.venv/bin
READY := .venv/.ready
UV := $(shell command -v uv 2>/dev/null || echo $(ROOT)/.uv-venv/bin/uv)
ARGS ?=

.PHONY: help
help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: forecast
forecast: $(READY)  ## fit the model and print the forecast; options in ARGS="..."
	@$(BIN)/escalation-forecast forecast $(ARGS)

.PHONY: test
test: $(READY)  ## the tests, without the slow ones
	$(BIN)/pytest -m "not slow" --numprocesses 2 --dist loadfile $(ARGS)

.PHONY: test-slow
test-slow: $(READY)  ## recovery, calibration and full fits
	$(BIN)/pytest -m slow --numprocesses 2 --dist loadfile $(ARGS)

.PHONY: validation
validation: $(READY)  ## refit the checks of docs/validation.md and fill in its tables, about half an hour
	$(BIN)/python -m escalation_forecast.validation --out docs --fits runs/validation $(ARGS)

.PHONY: calibration
calibration: $(READY)  ## 200 fits of a small model to simulated data over Dask, for docs/calibration.md; a quarter of an hour
	OMP_NUM_THREADS=1 $(BIN)/python -m escalation_forecast.validation.calibration --out docs $(ARGS)

# What docs/skill.md is made of. A cell that is finished in runs/backtest is not run again. The parts of the
# model are left out at the releases as published only, and the ladder's model is run at one month a year.
SIMPLE := mix4,clim,clim10,zero,rw_growth,ar1,ewma,pooled_ar1,autoets,autoets_level,theta_level
RULES := base_rate,persistence,markov,half_base_half_mix4
BACKTEST := $(BIN)/escalation-forecast backtest --out runs/backtest

.PHONY: skill
skill: $(READY)  ## run the published backtests and write docs/skill.md; see docs/skill.md for the time
	$(BACKTEST) --task spending --origins combined21 --models $(SIMPLE),$(RULES),joint,pool,joint-no-latent,joint-no-budgets
	$(BACKTEST) --task spending --origins real7 --models joint-no-reaction,joint-no-revisions
	$(BACKTEST) --task tension --origins all --models pool,mix_har_harlocal_ses,har,har_local,ses04,rw,last12,clim
	$(BACKTEST) --task ladder --origins 24
	$(BIN)/escalation-forecast skill --from runs/backtest --store $(ARGS)

.PHONY: plots
plots: $(READY)  ## write docs/plots.md from a finished run: RUN=runs/<id>, and the backtests in runs/backtest
	$(BIN)/python docs/make_plots.py $(RUN) $(ARGS)

.PHONY: tables
tables: $(READY)  ## write the measured tables of docs/priors.md and docs/scenarios.md: RUN=runs/<id>
	$(BIN)/python docs/make_tables.py $(RUN) $(ARGS)

.PHONY: notebooks
notebooks: $(READY)  ## run the notebooks with full fits and keep what they show; ARGS="01" for one
	$(BIN)/python notebooks/execute.py $(ARGS)

# The extra of the references (JAX) is installed at the first use. Stan is compared where STAN_PYTHON names a
# Python that has pystan: `uv venv --python 3.12 .venv-stan`, then `uv pip install --python .venv-stan pystan`.
.PHONY: benchmark
benchmark: $(READY)  ## measure the program beside its references and fill in docs/performance.md; ARGS="--only ours"
	@$(BIN)/python -c "import numpyro, pytest_benchmark" 2>/dev/null || \
	  $(UV) pip install --quiet --python .venv --editable ".[bench]"
	PYTHONPATH=$(ROOT) $(BIN)/python -m benchmarks.run --out runs/benchmarks --doc docs/performance.md $(ARGS)

.PHONY: lab
lab: $(READY)  ## open the notebooks in JupyterLab, which the first use installs
	@$(BIN)/python -c "import jupyterlab" 2>/dev/null || \
	  $(UV) pip install --quiet --python .venv "jupyterlab>=4.6,<5"
	$(BIN)/jupyter lab --ip 127.0.0.1 --notebook-dir notebooks $(ARGS)

.PHONY: lint
lint: $(READY)  ## style, types and the order of the modules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: $(READY)  ## rewrite the code in the house style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: clean
clean:  ## remove environments and caches; runs/ stays
	rm -rf .venv .uv-venv uv.lock dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# uv comes from any Python 3 at hand. It is asked for outside this folder, where .python-version
# cannot send a version manager after an interpreter that is not installed.
$(ROOT)/.uv-venv/bin/uv:
	@cd / && python3 -m venv $(ROOT)/.uv-venv && $(ROOT)/.uv-venv/bin/pip install -qq "uv>=0.9,<1" || \
	  { echo "uv could not be set up with python3; install uv yourself and run make again." >&2; exit 1; }

# `uv sync` would leave a lock file that names an index; `uv pip` takes the tested versions from
# [tool.uv] in pyproject.toml just the same.
$(READY): pyproject.toml $(filter $(ROOT)/%,$(UV))
	@echo "Setting up the environment in .venv; this happens once." >&2
	@$(UV) venv --quiet --clear .venv || \
	  $(UV) venv --quiet --clear --no-python-downloads --python ">=3.12,<3.15" .venv
	@$(UV) pip install --quiet --compile-bytecode --python .venv --editable ".[dev]"
	@touch $@
