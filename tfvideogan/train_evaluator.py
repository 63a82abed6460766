"""Trains a small video classifier to judge clips with:
`python -m tfvideogan.train_evaluator --dataset=moving_shapes --output=FILE.npz [--data_dir=DIR ...]`.

Beside the weights it writes a card, FILE.md, with the accuracy on the test split. Stopped midway it keeps nothing: half trained, it would
look like an evaluator.
"""

from pathlib import Path

import keras
from absl import logging

from tfvideogan import data
from tfvideogan.cli import define_path, launch
from tfvideogan.config import UserError
from tfvideogan.evaluators import classifier
from tfvideogan.evaluators.training import Config, card, fit, saw_the_test_clips, test_accuracy
from tfvideogan.files import write_whole

OUTPUT = define_path("output", None, "File of the weights, ending in .npz.")


def main(config: Config) -> None:
    if not OUTPUT.value or not OUTPUT.value.endswith(".npz"):
        raise UserError(f"--output={OUTPUT.value or ''}: expected a file ending in .npz")
    output = Path(OUTPUT.value)
    keras.utils.set_random_seed(config.seed)
    dataset, test = data.load(config, config.split), data.load(config, "test")  # before the training, which may take hours
    if len(dataset.labels) < 2:
        raise UserError(f"--dataset={config.dataset}: got one class, {dataset.labels[0]}; expected at least 2, to be told apart")
    network = classifier.VideoClassifier(len(dataset.labels))
    fit(network, config, dataset)
    classifier.save(output, network, dataset.labels)
    evaluator = classifier.load(str(output))  # judged as it will be used: from float16 weights
    accuracy, videos = test_accuracy(evaluator, test, config)
    if saw_the_test_clips(config):
        logging.warning("the accuracy is on clips it was trained on: hold some out with --held_out=REGEX, or train on --split=train")
    write_whole(output.with_suffix(".md"), card(output, config, dataset.labels, accuracy, videos))
    logging.info("wrote %s: accuracy %.4f on %d test clips", output, accuracy, videos)


if __name__ == "__main__":
    launch(main, kind=Config, output_files=("output",))
