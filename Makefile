# The only way anything is run, here and in CI. Every target sets up what it needs, so that each may come first.

PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0

SAMPLER ?= fixtures.torch_samplers.under_test
DEVICE ?= cpu
BUDGET ?= quick
# Where the demo writes its page
OUT ?= build/fading
# A scheduler whose mutants are judged: make mutants TARGET=diffusers:DDIMScheduler; none: the wraps of fixtures
TARGET ?=
# Further options of check-sampler: make check-sampler ARGS="--json verdict.json"
ARGS ?=
# Somebody's own repository: with it check-sampler runs there, under PYTHON, and .venv is neither made nor asked
ROOT ?=

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SOURCES := harness reference_samplers fixtures scripts tests

.PHONY: help setup check-sampler test test-all lint types check bench verdicts golden kill-matrix mutants \
	detail-ranking diagnosis diagnosis-pairs demo-fading demo-fading-seeds format clean
.DEFAULT_GOAL := help

help: ## what there is to run
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

setup: $(STAMP) ## create .venv and install everything into it

# torch first and alone: whoever wants another build of it names that in TORCH, and nothing replaces it.
$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	touch $@

ifeq ($(ROOT),)
check-sampler: $(STAMP) ## decide on SAMPLER (ours by default): SAMPLER=file.py:name DEVICE=cuda BUDGET=quick PYTHON=… ROOT=…
	$(BIN)/check-sampler $(SAMPLER) --device $(DEVICE) --budget $(BUDGET) $(ARGS)
else
# Another repository's targets are its own: where none is named, those of its pyproject.toml.
THEIRS := $(if $(filter file,$(origin SAMPLER)),,$(SAMPLER))
check-sampler:
	@cd "$(ROOT)" && PYTHONDONTWRITEBYTECODE=1 "$(PYTHON)" "$(CURDIR)/harness/sampler_harness/cli/in_place.py" \
		$(THEIRS) --device $(DEVICE) --budget $(BUDGET) $(ARGS)
endif

test: $(STAMP) ## what a person waits for: all tests but the slow ones, under four minutes on two idle cores
	$(BIN)/python -m pytest -q -n auto --dist loadgroup -m "not slow" $(ARGS)

test-all: $(STAMP) ## every test
	$(BIN)/python -m pytest -q -n auto --dist loadgroup $(ARGS)

lint: $(STAMP) ## ruff, rules and format
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

types: $(STAMP) ## mypy --strict
	$(BIN)/mypy

check: lint types test-all ## all that CI runs

bench: $(STAMP) ## how long things take, ratios in one run
	$(BIN)/python -m scripts.bench

verdicts: $(STAMP) ## verdicts of fifty fixtures as JSON, and what moved: ARGS="OUT.json", ARGS="--diff OLD.json NEW.json"
	$(BIN)/python -W ignore -m scripts.verdicts $(ARGS)

golden: $(STAMP) ## the references against recorded responses of released programs
	$(BIN)/python -m pytest tests/bank/test_golden.py -v

kill-matrix: $(STAMP) ## which check fails which faulty sampler
	$(BIN)/python -m scripts.kill_matrix

mutants: $(STAMP) ## small changes of the released samplers, and which no verdict notices: TARGET=diffusers:NAME ARGS="--sample 60"
	$(BIN)/python -W ignore -m scripts.release_mutants $(TARGET) $(ARGS)

false-alarms: $(STAMP) ## everything sound, drawn from several starts: ARGS="--budget standard --starts 1 2 3 NAME-PART …"
	$(BIN)/python -W ignore -m scripts.false_alarms $(ARGS)

detail-ranking: $(STAMP) ## how much detail each fault costs, and closed form against 10,000 samples
	$(BIN)/python -m scripts.detail_ranking

diagnosis: $(STAMP) ## every fault that an edit expresses: the first answer, the truth's rank, seconds
	$(BIN)/python -W ignore -m scripts.diagnosis_table $(ARGS)

diagnosis-pairs: $(STAMP) ## forty pairs of known faults together, and whether both are named
	$(BIN)/python -W ignore -m scripts.diagnosis_pairs $(ARGS)

demo-fading: $(STAMP) ## the story: real game frames, a small world model, four planted causes, one page
	$(BIN)/python -m fixtures.fading --out $(OUT) $(ARGS)

demo-fading-seeds: $(STAMP) ## the same with five seeds
	$(BIN)/python -m fixtures.fading --out $(OUT) --seeds 5 $(ARGS)

format: $(STAMP) ## let ruff put the files in order
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

clean: ## remove .venv and every cache
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist bench.json verdicts.json
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
