"""Checkpoints: TensorFlow's files of tensors, each under the path of its variable: `generator/grus/0/reset_gate/kernel`.

A path is made of attributes and places in lists, so it depends neither on the order in which attributes are set nor on Keras'
numbering of layers; `g_optimizer/momentum/grus/0/reset_gate/kernel` is what an optimizer keeps of the same weight.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfvideogan.files import without_patterns

INDEX, DATA = ".index", ".data-00000-of-00001"  # TensorFlow's two files of a checkpoint
Variables = dict[str, tf.Variable]
# Attributes that Keras and TensorFlow give every network, lists of its variables among them.
BOOKKEEPING = frozenset(vars(keras.Model())) | {"_self_unconditional_dependency_names", "_self_unconditional_checkpoint_dependencies"}


def found(folder: Path) -> list[Path]:
    """Prefixes of the checkpoints in a folder, newest first."""
    # Listed, not globbed: a folder's name may have brackets.
    files = [file for file in folder.iterdir() if file.suffix == INDEX or file.name.endswith(DATA)] if folder.is_dir() else []
    prefixes = {file.with_suffix("") for file in files}
    numbered = [prefix for prefix in prefixes if prefix.name.startswith("ckpt-") and prefix.name[5:].isdigit()]
    return sorted(numbered, key=step_of, reverse=True)


def step_of(prefix: Path) -> int:
    """The generator step of a checkpoint."""
    return int(prefix.name[5:])


def save(folder: Path, step: int, variables: Mapping[str, tf.Variable], keep: int) -> None:
    """Writes the checkpoint of a step, and drops all but the newest `keep`. Raises OSError or tf.errors.OpError if it cannot."""
    folder.mkdir(parents=True, exist_ok=True)
    prefix = folder / f"ckpt-{step}"
    try:
        with tf.device("CPU:0"):
            values = [tf.constant(variable.numpy()) for variable in variables.values()]
            tf.raw_ops.SaveV2(prefix=str(prefix), tensor_names=list(variables), shape_and_slices=[""] * len(values), tensors=values)
    except (tf.errors.OpError, OSError):
        _remove(prefix)
        raise
    sound = [other for other in found(folder) if step_of(other) <= step]  # later ones were damaged, or the run would be there
    for old in [other for other in found(folder) if other not in sound[:keep]]:
        _remove(old)


def _remove(prefix: Path) -> None:
    for file in [*prefix.parent.iterdir()]:
        if file.name.startswith((f"{prefix.name}{INDEX}", f"{prefix.name}.data-")):  # and what TensorFlow has half written
            file.unlink()


def remove_unfinished(folder: Path) -> None:
    """Removes what was left by a process that was killed while it wrote."""
    for file in [*folder.iterdir()] if folder.is_dir() else []:
        if ".tempstate" in file.name:
            file.unlink()


def shapes(prefix: Path) -> dict[str, list[int]]:
    """The shape of every tensor in a checkpoint. Raises what TensorFlow's reader does if it is damaged."""
    with without_patterns(prefix) as plain:
        return tf.train.load_checkpoint(plain).get_variable_to_shape_map()


def read(prefix: Path, names: list[str]) -> dict[str, np.ndarray]:
    """These tensors of a checkpoint, whose sums are checked. Raises what TensorFlow's reader does if one is damaged."""
    with without_patterns(prefix) as plain:
        reader = tf.train.load_checkpoint(plain)
        return {name: reader.get_tensor(name) for name in names}


def paths(network: keras.layers.Layer) -> Variables:
    """Every variable of a network by its path. Raises ValueError if one has two paths, or none."""
    by_path: Variables = {}
    first: dict[int, str] = {}
    for path, variable in _walk("", network):
        if id(variable) in first:
            raise ValueError(f"{path} of {network.name} is {first[id(variable)]} too: a variable wants one owner")
        first[id(variable)], by_path[path] = path, variable.value
    lost = [variable.path for variable in network.variables if id(variable) not in first]
    if lost:
        raise ValueError(f"no attribute of {network.name} leads to {', '.join(lost)}")
    return by_path


def _walk(path: str, value: object) -> Iterator[tuple[str, keras.Variable]]:
    """The variables that a value leads to, with their paths. Keras' own layers keep some weights under names like `_kernel`."""
    if isinstance(value, keras.Variable):
        yield path, value
        return
    if isinstance(value, keras.layers.Layer | keras.random.SeedGenerator):
        parts = {name: part for name, part in vars(value).items() if name not in BOOKKEEPING}
    elif isinstance(value, dict):
        parts = value
    elif isinstance(value, list | tuple):
        parts = dict(enumerate(value))
    else:
        return
    for name, part in parts.items():
        yield from _walk(f"{path}/{str(name).lstrip('_')}".lstrip("/"), part)


def of_optimizer(optimizer: keras.optimizers.Optimizer, network: keras.layers.Layer) -> Variables:
    """What an optimizer keeps, by name: its count of updates, the loss scale where there is one, and what it has of every weight."""
    inner, named = optimizer, {"iterations": optimizer.iterations}
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        inner = optimizer.inner_optimizer
        named |= {"loss_scale": optimizer.dynamic_scale, "steps_at_loss_scale": optimizer.step_counter}
    path_of = {id(variable): path for path, variable in paths(network).items()}
    for slot, kept in inner.slots.items():
        for weight, variable in zip(network.trainable_variables, kept, strict=True):
            named[f"{slot}/{path_of[id(weight.value)]}"] = variable
    return {name: variable.value if isinstance(variable, keras.Variable) else variable for name, variable in named.items()}
