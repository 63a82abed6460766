"""One file per paper, found by its name. `build` makes the model a Config describes."""

import difflib
import importlib
import pkgutil
from collections.abc import Collection
from types import ModuleType

import keras

from tfvideogan import data
from tfvideogan.config import Config, UserError
from tfvideogan.gan import GAN, Specs


def names() -> list[str]:
    """The models there are: the files of this folder."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def find(name: str) -> ModuleType:
    """The model file of that name, which holds `Config` and `Model`. Raises UserError if there is none."""
    if name not in names():
        close = difflib.get_close_matches(name, names(), 1)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise UserError(f"--model={name}: expected one of {', '.join(names())}.{hint}")
    return importlib.import_module(f"{__name__}.{name}")


def dataset(config: Config, split: str, more: Collection[str] = ()) -> data.Dataset:
    """The clips of `config.dataset` with all that the model reads, and `more` entries where the data set has them. Raises UserError as
    `data.load`, and where some of what the model reads is missing."""
    found = data.load(config, split, {*find(config.model).Model.batch_specs(config), *more})
    check(config, found.specs)
    return found


def check(config: Config, specs: Specs) -> None:
    """Raises UserError if the model reads entries that a data set with these specs does not give."""
    for name, expected in find(config.model).Model.batch_specs(config).items():
        got = specs.get(name)
        if got is None:
            raise UserError(f"--dataset={config.dataset}: got {', '.join(sorted(specs))}, expected {name!r} too for --model={config.model}")
        if got.dtype != expected.dtype or not got.shape.is_compatible_with(expected.shape):
            given, read = (f"{spec.dtype.name} {[*spec.shape[1:]]}" for spec in (got, expected))
            raise UserError(f"--dataset={config.dataset}: got {name!r} of {given}, expected {read} by --model={config.model}")


def build(config: Config) -> GAN:
    """The model of a Config with its initial weights, which follow from `config.seed`. Sets Keras' dtype policy."""
    keras.config.set_dtype_policy(config.precision)
    keras.utils.set_random_seed(config.seed)
    gan = find(config.model).Model(config)
    for average, weight, _ in gan.ema_pairs():
        average.assign(weight)
    return gan
