# Everything runs in .venv, made on first use; preparing a data set has .venv-prepare of its own,
# so that TensorFlow never enters the training environment.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
EXTRAS ?= dev
PROFILE ?=
ROWS ?=
SEEDS ?=
ARGS ?=
DISTRIBUTED ?=
DATASET ?= mnist

# Scratch memory of more than 64 MB (a deep PixelCNN's) is otherwise taken from the system anew for
# every step: 150 ms instead of 100. On huge pages, which glibc has to ask for.
export GLIBC_TUNABLES ?= glibc.malloc.arena_max=1:glibc.malloc.hugetlb=1

.DEFAULT_GOAL := help
.PHONY: help env quickstart test fuzz lint figures rows collect data tables report publish docs bench lock clean

help:  ## list these targets
	@echo "make TARGET [NAME=VALUE ...]"
	@grep -hE '^[a-z%-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf "  %-32s %s\n", $$1, $$2}'
	@for target in $(EXPERIMENTS); do \
		printf '  %-32s %s\n' reproduce-$$target \
		"$$(head -n 1 experiments/$${target#*-}/$${target%%-*}.py | sed 's/^"""//; s/"""$$//')"; done

# experiments/<paper>/<what>.py is reproduce-<what>-<paper>.
target = $(basename $(notdir $1))-$(notdir $(patsubst %/,%,$(dir $1)))
EXPERIMENTS := $(filter-out %-harness __init__-%, \
	$(foreach file,$(wildcard experiments/*/*.py),$(call target,$(file))))

# Extras that are asked for are installed even where an environment stands already.
ifeq ($(origin EXTRAS),command line)
.PHONY: $(VENV)/.ready
endif

env: $(VENV)/.ready  ## the environment, in .venv (EXTRAS=dev,cuda or dev,tpu on an accelerator)

# The lock pins what a CPU needs; an accelerator's extras bring their own jax.
$(VENV)/.ready: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: Python 3.11 or newer is needed: make PYTHON=python3.12 ..." >&2; exit 2; }
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) ..."
	@$(PY) -m pip install --quiet --disable-pip-version-check \
		$$(case "$(EXTRAS)" in dev|"") echo "--constraint requirements.lock";; esac) -e ".[$(EXTRAS)]"
	@touch $@

quickstart: env  ## two AAEs and a PixelGAN autoencoder on digits, under 3 minutes, into runs/quickstart/
	@$(PY) -m experiments.quickstart --workdir runs/quickstart

test: env  ## the whole test suite
	@$(PY) -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

fuzz: env  ## kills, bad values, damaged files, hostile surroundings: FUZZ="--kills=100 --inputs=500 --minutes=60"
	@PYTHONPATH=. $(PY) tests/fuzz/fuzz.py $(FUZZ)

lint: env  ## ruff and mypy
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

# Through the environment, so that no shell looks at parentheses and quotes.
export PROFILE ROWS SEEDS ARGS
reproduce-%: env  ## a table or figure: [PROFILE=paper|fast|smoke] [ROWS="..."] [SEEDS=n] [ARGS="--config.x=y"] [DISTRIBUTED=1]
	@$(PY) -m experiments.harness.reproduce "$*" --profile="$$PROFILE" --rows="$$ROWS" \
		--seeds="$$SEEDS" --args="$$ARGS" $(if $(DISTRIBUTED),--distributed)

FIGURES := $(filter fig% walk-%,$(EXPERIMENTS))
figures: env  ## all targets named after a figure (fig*, walk-*), [PROFILE=...] [SEEDS=n] as above
	@failed=""; for figure in $(FIGURES); do \
		$(MAKE) --no-print-directory reproduce-$$figure || failed="$$failed $$figure"; \
	done; test -z "$$failed" || { echo "not all rows of these could be run:$$failed" >&2; exit 1; }

PAPER ?=
FROM ?=
export PAPER FROM
rows: env  ## a command a row, for a queue: [PAPER=aae] [PROFILE=...] [SEEDS=n, seeds a command]
	@$(PY) -m experiments.harness.rows --paper="$$PAPER" --profile="$$PROFILE" --seeds="$$SEEDS"

collect: env  ## records of runs elsewhere into results/: FROM="DIR ..."
	@$(PY) -m experiments.harness.collect $$FROM

PREPARE := .venv-prepare/bin/python
PREPARE_PIP := $(PREPARE) -m pip install --quiet --disable-pip-version-check -r
# A name's typo is found before TensorFlow is installed: by the main environment, if there is one.
# Nor does a shell see quotes in it.
export DATASET
data: $(if $(filter inception,$(DATASET)),convert-weights,prepare-images)  ## prepare a TFDS data set as array_record: DATASET=mnist, in .venv-prepare (DATASET=inception: convert its weights)

.PHONY: convert-weights prepare-images
convert-weights: env
	@$(PY) -m aae_jax.networks.inception_weights

prepare-images:
	@$(PYTHON) aae_jax/data/prepare.py --form -- "$$DATASET"
	@test -x .venv-prepare/bin/python || $(PYTHON) -m venv .venv-prepare
	@$(PREPARE) -c "import tensorflow, tensorflow_datasets" 2>/dev/null || { \
		{ test -x $(PY) || grep -v '^tensorflow>' requirements-prepare.txt | $(PREPARE_PIP) /dev/stdin; } && \
		$(firstword $(wildcard $(PY)) $(PREPARE)) aae_jax/data/prepare.py --check -- "$$DATASET" && \
		echo "installing TensorFlow into .venv-prepare ..." && $(PREPARE_PIP) requirements-prepare.txt; }
	@$(PREPARE) aae_jax/data/prepare.py -- "$$DATASET"

tables: env  ## render docs/results.md and the README's table from the ledgers in results/
	@$(PY) -m experiments.harness.pages

report: env  ## one folder of static HTML, report/: tables, curves, pictures, 2-D codes [RUNS="dir ..."] [TO=dir]
	@$(PY) -m experiments.harness.report --to "$(or $(TO),report)" $(RUNS)

publish: env  ## a model of the zoo, of a finished run: RUN=runs/aae_table3/mnist_30-fast
	@$(PY) -m experiments.harness.publish "$(RUN)"

docs: env  ## the documentation, docs/_build/html; REPOSITORY=owner/name for links to Colab and files
	@$(PY) -m pip install --quiet --disable-pip-version-check -e ".[docs]"
	@REPOSITORY="$(REPOSITORY)" $(PY) -m sphinx -q -W --keep-going -b html docs docs/_build/html
	@echo docs/_build/html/index.html

bench: env  ## speed: the train step, the GEMM peak, the first update, Parzen windows, sampling, convolutions
	@$(PY) -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	@$(PY) -m benchmarks

lock: env  ## write requirements.lock anew from .venv
	@$(PY) -m pip freeze --exclude-editable --exclude torch | grep -v '^aae' > requirements.lock

clean:  ## remove the environments
	rm -rf $(VENV) .venv-prepare
