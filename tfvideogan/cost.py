"""What a training step costs, read off its graph: parameters, FLOPs, memory. Nothing is computed and no weight allocated."""

import math

import keras
import tensorflow as tf

from tfvideogan import models
from tfvideogan.config import Config
from tfvideogan.gan import GAN, Batch
from tfvideogan.layers import forms
from tfvideogan.run import to_flags
from tfvideogan.step import BACKWARD, make_optimizers, make_step

GRADIENT = "gradient_tape/"  # the scope tf.GradientTape computes in
KEPT_BY_NO_ONE = ("Const", "VarHandleOp", "Placeholder")


def report(config: Config) -> str:
    """The Config, a table of parameters, and FLOPs and memory of one step on one device.

    FLOPs count the convolutions and matrix products, forward and backward, two for a multiplication and addition: as the
    paper writes them, and as they are run, where some are merged. Memory is the weights with averages, optimizer state and
    gradients, and the activations that the larger of a D and a G step keeps for its gradient, for the whole global batch on
    one device.
    """
    gan, slots, operations = _step_graph(config)
    table, generator, discriminator = _parameters(gan)
    run = sum(_flops(operation) for operation in operations)
    scopes = {operation.name.split("/")[0] for operation in operations if operation.name.startswith(("d_step", "g_step"))}
    activations = max(_kept(operations, scope) for scope in scopes)
    state = 4 * (2 * generator + discriminator + slots + max(generator, discriminator))
    gib = 2**30
    return f"""{to_flags(config)}
{table}
one step: {config.d_steps} D and 1 G update, {config.batch_size} clips in a batch
  {step_flops(config) / 1e9:,.0f} GFLOP as the paper writes it, {run / 1e9:,.0f} as it is run
  {state / gib:.2f} GiB of weights, averages, optimizer state and gradients on every device
  {activations / gib:.2f} GiB of activations, shared by the devices
"""


def step_flops(config: Config) -> int:
    """FLOPs of one step, in the paper's form: of its convolutions and matrix products, forward and backward."""
    with forms.plain():
        return sum(_flops(operation) for operation in _step_graph(config)[2])


def _step_graph(config: Config) -> tuple[GAN, int, list[tf.Operation]]:
    """The model, the numbers its optimizers keep, and the operations of its step's graph."""
    with tf.Graph().as_default() as graph:
        gan = models.build(config)
        optimizers = make_optimizers(config)
        optimizers["d_optimizer"].build(gan.discriminator.trainable_variables)
        optimizers["g_optimizer"].build(gan.generator.trainable_variables)
        step = tf.Variable(0, dtype=tf.int64, trainable=False)
        make_step(gan, optimizers, step, tf.distribute.get_strategy())([_placeholders(config) for _ in range(config.d_steps)])
        slots = sum(math.prod(variable.shape) for optimizer in optimizers.values() for variable in optimizer.variables)
        return gan, slots, graph.get_operations()


def _placeholders(config: Config) -> Batch:
    n = config.batch_size
    return {
        "video": tf.compat.v1.placeholder(tf.float32, [n, config.frames, config.size, config.size, 3]),
        "label": tf.compat.v1.placeholder(tf.int32, [n]),
        "seed": tf.compat.v1.placeholder(tf.int32, [n, 2]),
    }


def _parameters(gan: GAN) -> tuple[str, int, int]:
    """A table of the networks' parts, and the numbers of weights of generator and discriminator."""
    lines, totals = ["parameters"], []
    for network in (gan.generator, gan.discriminator):
        totals.append(_count(network))
        lines.append(f"  {network.name:32s} {totals[-1]:>14,}")
        lines += [f"    {part.name:30s} {_count(part):>14,}" for part in network._flatten_layers(include_self=False, recursive=False)]
    return "\n".join(lines) + "\n", *totals


def _count(layer: keras.layers.Layer) -> int:
    return sum(math.prod(variable.shape) for variable in layer.trainable_variables)


def _flops(operation: tf.Operation) -> int:
    """Of a convolution, its two gradients, or a matrix product; 0 for anything else."""
    kind = operation.type
    if kind in ("Conv2D", "Conv3D"):
        out, kernel = operation.outputs[0].shape, operation.inputs[1].shape
    elif kind in ("Conv2DBackpropInput", "Conv3DBackpropInputV2"):
        out, kernel = operation.inputs[2].shape, operation.inputs[1].shape
    elif kind in ("Conv2DBackpropFilter", "Conv3DBackpropFilterV2"):
        out, kernel = operation.inputs[2].shape, operation.outputs[0].shape
    elif kind in ("MatMul", "BatchMatMulV2"):
        transposed = operation.get_attr("transpose_a" if kind == "MatMul" else "adj_x")
        return 2 * math.prod(operation.outputs[0].shape) * operation.inputs[0].shape[-2 if transposed else -1]
    else:
        return 0
    return 2 * math.prod(out) * math.prod(kernel[:-1])


def _kept(operations: list[tf.Operation], scope: str) -> int:
    """Bytes of the tensors of a scope that its gradient reads."""
    backward = (f"{GRADIENT}{scope}/", f"{scope}/{BACKWARD}/")

    def is_forward(operation: tf.Operation) -> bool:
        return operation.name.startswith(f"{scope}/") and not operation.name.startswith(backward)

    tensors = {
        tensor.ref()
        for operation in operations
        if operation.name.startswith(backward)
        for tensor in operation.inputs
        if is_forward(tensor.op) and tensor.op.type not in KEPT_BY_NO_ONE and tensor.shape.is_fully_defined()
    }
    return sum(math.prod(ref.deref().shape) * ref.deref().dtype.size for ref in tensors)
