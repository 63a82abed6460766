# Every target does its own set-up in .venv, from nothing but make and a Python.
PYTHON ?= python3  # 3.10 to 3.13
BIN := .venv/bin
RUN := runs/quickstart
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: help demo test test-slow lint clean

help:
	@echo "make demo       train a small DVD-GAN on made-up clips; evaluate, sample, export it, and load it back"
	@echo "make test       the fast tests"
	@echo "make test-slow  the slow ones"
	@echo "make lint       ruff"
	@echo "make clean      remove .venv (PYTHON=python3.12 make ... chooses the Python of the next one)"

# One stamp for the whole set-up: it is done again when the dependencies change.
.venv/installed: pyproject.toml setup.py
	@$(PYTHON) -c "import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14) and 'Python %d.%d: want 3.10 to 3.13, as in: make PYTHON=python3.12' % sys.version_info[:2])"
	@echo "== setting up .venv (some minutes, once)"
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --prefer-binary --editable ".[test]"
	@touch $@

demo: .venv/installed
	@echo "== 1/5 training on made-up clips"
	$(BIN)/python -m tfvideogan.train --flagfile=configs/quickstart.flags --workdir=$(RUN)
	@echo "== 2/5 evaluating"
	$(BIN)/python -m tfvideogan.evaluate --workdir=$(RUN)
	@echo "== 3/5 sampling"
	$(BIN)/python -m tfvideogan.sample --workdir=$(RUN) --output=$(RUN)/demo.gif
	@echo "== 4/5 exporting"
	$(BIN)/python -m tfvideogan.export --workdir=$(RUN) --output=$(RUN)/export --overwrite
	@echo "== 5/5 loading the export with TF-Hub"
	$(BIN)/python examples/load.py $(RUN)/export
	@echo "== done. Clips: $(RUN)/demo.gif  scores: $(RUN)/metrics.jsonl  module: $(RUN)/export  TensorBoard: $(BIN)/tensorboard --logdir=$(RUN)/logs"

test: .venv/installed
	$(BIN)/python -m pytest -m "not slow"

test-slow: .venv/installed
	$(BIN)/python -m pytest -m slow

lint: .venv/installed
	$(BIN)/ruff check .

clean:
	rm -rf .venv
