# Every target does its own set-up in .venv, from nothing but make and a Python.
PYTHON ?= python3  # 3.10 to 3.13
BIN := .venv/bin
RUN := runs/quickstart
# bfloat16 only where the CPU has instructions for it: emulated, it is slower than float32.
PRECISION := $(shell grep -qE 'avx512_bf16|amx_bf16' /proc/cpuinfo 2>/dev/null && echo mixed_bfloat16 || echo float32)
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: help demo demo-video docs test test-slow test-accelerators test-io test-beam test-jax mutants lint clean

help:
	@echo "make demo                   a small DVD-GAN on made-up clips: train to export"
	@echo "make demo-video VIDEOS=DIR  a MoCoGAN on your clips, in 20 minutes: one page"
	@echo "make docs                   the documentation: build/site/index.html"
	@echo "make test                   the fast tests"
	@echo "make test-slow              the slow ones"
	@echo "make test-accelerators      what a CPU can prove of GPUs and TPUs (hours)"
	@echo "make test-io                s3:// through TF-IO, in .venv-io (TensorFlow 2.16)"
	@echo "make test-beam              prepare on Apache Beam, in .venv-beam"
	@echo "make test-jax               whole training steps in JAX's XLA, in .venv-jax"
	@echo "make mutants                faults that fast tests must notice (hours);"
	@echo "                            MUTANTS=--only=tgan for some"
	@echo "make lint                   ruff, mypy, and the rules of other files"
	@echo "make clean                  remove .venv, .venv-io, .venv-beam, .venv-jax"
	@echo "PYTHON=python3.12 make ...  chooses the Python of the next .venv: 3.10 to 3.13,"
	@echo "                            of test-io to 3.12"

# One stamp for the whole set-up: it is done again when the dependencies change.
.venv/installed: pyproject.toml setup.py
	@$(PYTHON) -c "import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14) and 'got Python %d.%d, expected 3.10 to 3.13, as in: make PYTHON=python3.12' % sys.version_info[:2])"
	@echo "== setting up .venv (some minutes, once)"
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --prefer-binary --editable ".[test]"  # setuptools warns of being editable
	@touch $@

demo: .venv/installed
	@echo "== 1/5 training on made-up clips"
	$(BIN)/python -m tfvideogan.train --flagfile=configs/quickstart.flags --precision=$(PRECISION) --workdir=$(RUN)
	@echo "== 2/5 evaluating"
	$(BIN)/python -m tfvideogan.evaluate --workdir=$(RUN)
	@echo "== 3/5 sampling"
	$(BIN)/python -m tfvideogan.sample --workdir=$(RUN) --output=$(RUN)/demo.gif
	@echo "== 4/5 exporting"
	$(BIN)/python -m tfvideogan.export --workdir=$(RUN) --output=$(RUN)/export --overwrite
	@echo "== 5/5 loading the export with TF-Hub"
	@# TensorFlow's start-up lines are of interest only where it fails.
	$(BIN)/python examples/load.py $(RUN)/export 2> $(RUN)/load.log || { cat $(RUN)/load.log; exit 1; }
	@echo "== done. Clips: $(RUN)/demo.gif  scores: $(RUN)/metrics.jsonl"
	@echo "   Module: $(RUN)/export  TensorBoard: $(BIN)/tensorboard --logdir=$(RUN)/logs"

# Your own clips, one folder a class or all in one. The first step traces the networks, a minute or two; TRAIN_SECONDS end the training with
# all saved, and the same command goes on from there. FLAGS is for --steps=N and other settings of training. With HELD_OUT, a regular expression
# of CLASS/NAME, those videos are not learned from, and the page tells copies of the others. The scores are by the shipped evaluator, which
# knows shapes: they compare runs on the same videos.
VIDEOS ?=
HELD_OUT ?=
OWN := runs/demo_video
TRAIN_SECONDS ?= 1200
demo-video: .venv/installed
	@test -d "$(VIDEOS)" || { echo "VIDEOS=$(VIDEOS): got no folder, expected one of videos, as in: make demo-video VIDEOS=my_clips"; exit 2; }
	@echo "== 1/4 preparing the videos"
	$(BIN)/python -m tfvideogan.prepare --videos="$(VIDEOS)" --output=$(OWN)/data --size=64 --held_out='$(HELD_OUT)' --preview
	@echo "== 2/4 training for $(TRAIN_SECONDS) seconds"
	timeout --preserve-status --signal=TERM $(TRAIN_SECONDS) $(BIN)/python -m tfvideogan.train --flagfile=configs/few_mocogan.flags \
		--dataset=prepared --data_dir=$(OWN)/data --precision=$(PRECISION) --workdir=$(OWN)/run $(FLAGS)
	@echo "== 3/4 evaluating"
	$(BIN)/python -m tfvideogan.evaluate --workdir=$(OWN)/run --dataset=folder --data_dir="$(VIDEOS)" --held_out='$(HELD_OUT)' --metrics=fid,kid,precision_recall \
		--num_videos=200 --curve= --report=$(OWN)/report
	@echo "== 4/4 sampling"
	$(BIN)/python -m tfvideogan.sample --workdir=$(OWN)/run --output=$(OWN)/clips.gif
	$(BIN)/python -m tfvideogan.sample --workdir=$(OWN)/run --output=$(OWN)/sheet.png
	@echo "== done. Side by side: $(OWN)/report/report.html  clips: $(OWN)/clips.gif  frame by frame: $(OWN)/sheet.png  your videos: $(OWN)/data/preview.html"

.venv/docs: .venv/installed
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --prefer-binary --editable ".[docs]"
	@touch $@

docs: .venv/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "== done: build/site/index.html"

test: .venv/installed
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile --no-loadscope-reorder

test-slow: .venv/installed
	$(BIN)/python -m pytest -m slow

test-accelerators: .venv/installed
	$(BIN)/python -m pytest tests/accelerators tests/xla_test.py tests/layers/recompute_test.py tests/training/strategy_test.py -n 2
	$(BIN)/python -m pytest tests/layers/layers_test.py tests/models_test.py -k "clip or products or compiles_with_xla"

# One install with every pin in it, or pip would fetch the newest TensorFlow first. moto answers as S3 does.
.venv-io/installed: pyproject.toml setup.py
	@$(PYTHON) -c "import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13) and 'got Python %d.%d, expected 3.10 to 3.12 for TensorFlow 2.16, as in: make PYTHON=python3.12' % sys.version_info[:2])"
	@echo "== setting up .venv-io (some minutes, once)"
	test -x .venv-io/bin/pip || $(PYTHON) -m venv .venv-io
	.venv-io/bin/python -m pip install --quiet --upgrade pip
	.venv-io/bin/python -m pip install --quiet --prefer-binary "tensorflow==2.16.*" --editable ".[io,test]" "moto[server]>=5"
	@touch $@

test-io: .venv-io/installed
	.venv-io/bin/python -m pytest tests/data/io_test.py

# Beam wants an older protobuf than TensorFlow takes by itself.
.venv-beam/installed: pyproject.toml setup.py
	@echo "== setting up .venv-beam (some minutes, once)"
	test -x .venv-beam/bin/pip || $(PYTHON) -m venv .venv-beam
	.venv-beam/bin/python -m pip install --quiet --upgrade pip
	.venv-beam/bin/python -m pip install --quiet --prefer-binary --editable ".[beam]" hypothesis pytest
	@touch $@

test-beam: .venv-beam/installed
	.venv-beam/bin/python -m pytest tests/data/preparation/prepare_test.py -k beam

.venv-jax/installed:
	@echo "== setting up .venv-jax (a minute, once)"
	test -x .venv-jax/bin/pip || $(PYTHON) -m venv .venv-jax
	.venv-jax/bin/python -m pip install --quiet --prefer-binary jax
	@touch $@

test-jax: .venv/installed .venv-jax/installed
	$(BIN)/python -m pytest tests/lower_test.py

mutants: .venv/installed
	$(BIN)/python -m tests.mutants $(MUTANTS)

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/mypy tfvideogan
	$(BIN)/hadolint Dockerfile
	$(BIN)/check-jsonschema --builtin-schema=vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema=vendor.citation-file-format --default-filetype=yaml CITATION.cff

clean:
	rm -rf .venv .venv-io .venv-beam .venv-jax
