"""What a training step costs, read off its graph: parameters, FLOPs, memory. Nothing is computed and no weight allocated."""

import collections
import dataclasses
import math
from collections.abc import Callable

import keras
import tensorflow as tf

from tfvideogan import models
from tfvideogan.config import Config, to_flags
from tfvideogan.gan import GAN, Batch, Scalars
from tfvideogan.ops import forms
from tfvideogan.training.optimizers import make_optimizers
from tfvideogan.training.step import BACKWARD, make_step

GRADIENT = "gradient_tape/"  # the scope tf.GradientTape computes in
IN_NO_MEMORY = ("Const", "VarHandleOp", "ReadVariableOp")
VIEWS = ("ExpandDims", "Identity", "IdentityN", "PreventGradient", "Reshape", "Squeeze", "StopGradient")
IN_PLACE = (
    "Add", "AddN", "AddV2", "BiasAdd", "Cast", "Exp", "LeakyRelu", "LeakyReluGrad", "Maximum", "Minimum", "Mul", "Neg", "RealDiv", "Relu",
    "ReluGrad", "Rsqrt", "SelectV2", "Sigmoid", "SigmoidGrad", "Softmax", "Softplus", "Sqrt", "Square", "Sub", "Tanh", "TanhGrad",
)  # fmt: skip
KEPT_BY_NO_ONE = ("Const", "VarHandleOp", "Placeholder")


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of one step of a Config, its whole global batch on one device.

    Attributes:
        generator, discriminator: trainable numbers.
        variables: bytes of all variables that train: both networks, the averages, the optimizers' state. What a checkpoint holds.
        gradients: bytes of the larger player's gradients, twice if they are added up over parts of the batch.
        flops: of the convolutions and matrix products, forward and backward, two for a multiplication and addition.
        activations: bytes that the larger of a D and a G step keeps for its gradient, in one of `accumulate_steps` parts.
        live: bytes at the peak of the step, beside the variables.
    """

    generator: int
    discriminator: int
    variables: int
    gradients: int
    flops: int
    activations: int
    live: int

    @property
    def peak(self) -> int:
        """Bytes at the peak of a step on one device."""
        return self.variables + self.live

    @property
    def state(self) -> int:
        """Bytes that every device holds, however many share the batch."""
        return self.variables + self.gradients


def measure(config: Config) -> Cost:
    """The Cost of a step as it is run; within `forms.plain()`, as the paper writes it."""
    return _measure(config)[0]


def report(config: Config) -> str:
    """The Config, a table of parameters, and FLOPs and memory of one step on one device."""
    (cost, gan), gib = _measure(config), 2**30
    return f"""{to_flags(config)}
{_parameters(gan)}
one step: {config.d_steps} D and 1 G update, {config.batch_size} clips in a batch, --accumulate_steps={config.accumulate_steps}
  {step_flops(config) / 1e9:,.0f} GFLOP as the paper writes it, {cost.flops / 1e9:,.0f} as it is run
  {cost.state / gib:.2f} GiB of weights, averages, optimizer state and gradients on every device
  {cost.activations / gib:.2f} GiB of activations, shared by the devices
  {cost.peak / gib:.2f} GiB at the peak of a step on one device, to 20 % where it was measured (benchmarks/README.md)
"""


def step_flops(config: Config) -> int:
    """FLOPs of one step, in the paper's form: of its convolutions and matrix products, forward and backward."""
    with forms.plain():
        return measure(config).flops


def _measure(config: Config) -> tuple[Cost, GAN]:
    # R1 in every update: what is measured is a step with it, as of lazy R1 every so many are.
    parts, whole = config.accumulate_steps, dataclasses.replace(config, accumulate_steps=1, r1_every=1)
    gan, *rest = _updates(whole)
    cost = _cost(whole, gan, *rest)
    if parts > 1:  # only one part's activations are held; the gradients of the parts before it stand beside its own
        part = measure(dataclasses.replace(whole, batch_size=config.batch_size // parts))
        sums, batches = cost.gradients, config.d_steps * batch_bytes(config)
        live = part.live + sums + batches - batches // parts
        cost = dataclasses.replace(cost, activations=part.activations, gradients=2 * sums, live=live)
    return cost, gan


def _updates(config: Config) -> tuple[GAN, list[tf.Variable], list[tf.Operation], list[tf.Operation]]:
    """The model, its optimizers' variables, and the operations that an update of D runs, and one of G."""
    with tf.Graph().as_default() as graph:
        gan = models.build(config)
        count = tf.Variable(0, dtype=tf.int64, trainable=False)
        optimizers = make_optimizers(gan, count)
        step = make_step(gan, optimizers, count, tf.distribute.get_strategy(), flat=True)

        def operations(update: Callable[[Batch], Scalars]) -> list[tf.Operation]:
            before = len(graph.get_operations())
            chunk = next(step.in_turn(_placeholders(config)))
            return _needed(graph, list(update(chunk).values()), before)

        d_update, g_update, _ = step.functions
        kept = [variable.value for optimizer in optimizers.values() for variable in optimizer.variables]
        return gan, kept, operations(d_update), operations(g_update)


def _cost(config: Config, gan: GAN, optimizers: list[tf.Variable], d_update: list[tf.Operation], g_update: list[tf.Operation]) -> Cost:
    generator, discriminator = _count(gan.generator), _count(gan.discriminator)
    networks = [v.value for network in (gan.generator, gan.ema_generator, gan.discriminator) for v in network.variables]
    d_flops, g_flops = (sum(_flops(operation) for operation in update) for update in (d_update, g_update))
    return Cost(
        generator,
        discriminator,
        variables=sum(math.prod(v.shape) * v.dtype.size for v in [*networks, *optimizers]),
        gradients=4 * max(generator, discriminator),
        flops=gan.chunks * (config.d_steps * d_flops + g_flops),
        activations=max(_kept(d_update, "d_step"), _kept(g_update, "g_step")),
        # The updates follow each other; whoever calls one holds the batches of the others.
        live=max(_live(d_update), _live(g_update)) + (config.d_steps - 1) * batch_bytes(config),
    )


def _needed(graph: tf.Graph, results: list[tf.Tensor], before: int = 0) -> list[tf.Operation]:
    """The operations that the results depend on, and the assignments but for the `before` first operations'. TensorFlow runs no
    others: it differentiates a convolution by both of its inputs, and of G's step through D, say, drops the gradients of D's kernels."""
    operations = graph.get_operations()
    found: set[tf.Operation] = set()
    ahead = [result.op for result in results] + [operation for operation in operations[before:] if not operation.outputs]
    while ahead:
        operation = ahead.pop()
        if operation not in found:
            found.add(operation)
            ahead += [tensor.op for tensor in operation.inputs] + list(operation.control_inputs)
    return [operation for operation in operations if operation in found]


def batch_bytes(config: Config) -> int:
    """Of a global batch."""
    specs = models.find(config.model).Model.batch_specs(config).values()
    return config.batch_size * sum(math.prod(spec.shape[1:]) * spec.dtype.size for spec in specs)


def _placeholders(config: Config) -> Batch:
    specs = models.find(config.model).Model.batch_specs(config)
    return {name: tf.compat.v1.placeholder(spec.dtype, [config.batch_size, *spec.shape[1:]]) for name, spec in specs.items()}


def _parameters(gan: GAN) -> str:
    """A table of the networks' parts."""
    lines = ["parameters"]
    for network in (gan.generator, gan.discriminator):
        lines.append(f"  {network.name:32s} {_count(network):>14,}")
        lines += [f"    {part.name:30s} {_count(part):>14,}" for part in network._flatten_layers(include_self=False, recursive=False)]
    return "\n".join(lines) + "\n"


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
    """Bytes of what operations of a scope make and its gradient reads."""
    home = _homes(operations)

    def is_forward(operation: tf.Operation) -> bool:
        return operation.name.startswith(f"{scope}/") and not _is_backward(operation)

    read = {home[tensor.ref()] for operation in operations if _is_backward(operation) for tensor in operation.inputs}
    made = [memory.deref() for memory in read if is_forward(memory.deref().op) and memory.deref().op.type not in KEPT_BY_NO_ONE]
    return sum(math.prod(tensor.shape) * tensor.dtype.size for tensor in made if tensor.shape.is_fully_defined())


def _is_backward(operation: tf.Operation) -> bool:
    return operation.name.startswith(GRADIENT) or f"/{BACKWARD}/" in operation.name


def _live(operations: list[tf.Operation]) -> int:
    """Bytes of the tensors alive at once, at most, beside the variables: activations, gradients, kernels, the batches.

    A tensor lives until its last reader is done. VIEWS have their input's memory; IN_PLACE take it over where they are its last
    reader and need as much. Not counted: workspace within an operation, such as a convolution's or a compiled piece's; what is
    lost between blocks of memory; tensors of unknown shape.
    """
    order, home = _by_turns(operations), _homes(operations)
    readers = collections.Counter(memory for operation in order for memory in {home[tensor.ref()] for tensor in operation.inputs})
    size = {memory: _bytes(memory.deref()) for memory in set(home.values())}
    live = peak = 0
    for operation in order:
        read = {home[tensor.ref()] for tensor in operation.inputs}
        done = {memory for memory in read if readers[memory] == 1 and memory.deref().op.type != "Placeholder"}  # the caller holds these
        readers.subtract(read)
        made = [output.ref() for output in operation.outputs if home[output.ref()] == output.ref()]
        if operation.type in IN_PLACE:
            taken = next((memory for memory in done if size[memory] == size[made[0]]), None)
            if taken is not None:
                done.remove(taken)
                live -= size[taken]
        live += sum(size[memory] for memory in made)
        peak = max(peak, live)
        live -= sum(size[memory] for memory in [*done, *(memory for memory in made if not readers[memory])])
    return peak


def _homes(operations: list[tf.Operation]) -> dict:
    """Of a reference to each tensor, that to the tensor whose memory it is in."""
    home: dict = {}
    for operation in operations:
        for i, output in enumerate(operation.outputs):
            source = _viewed(operation, i)
            home[output.ref()] = output.ref() if source is None else home[source.ref()]
    return home


def _viewed(operation: tf.Operation, output: int) -> tf.Tensor | None:
    """The input whose memory the output has."""
    if operation.type == "Split" and len(operation.outputs) == 1:
        return operation.inputs[1]
    return operation.inputs[output] if operation.type in VIEWS else None


def _by_turns(operations: list[tf.Operation]) -> list[tf.Operation]:
    """In the order of TensorFlow's executor with one thread: first ready, first run. So independent parts, such as D_S and D_T,
    run side by side, and hold their memory at the same time. Gradients run after all passes: if each operation took as long as
    another, the gradient of D's pass for real clips would be done before G has drawn the fake ones; in truth both passes are held."""
    waits, after = {}, collections.defaultdict(list)
    for operation in operations:
        needs = {tensor.op for tensor in operation.inputs} | set(operation.control_inputs)
        waits[operation] = len(needs)
        for need in needs:
            after[need].append(operation)
    forward: collections.deque[tf.Operation] = collections.deque()
    backward: collections.deque[tf.Operation] = collections.deque()
    order = []

    def add(operation: tf.Operation) -> None:
        (backward if _is_backward(operation) else forward).append(operation)

    for operation in operations:
        if not waits[operation]:
            add(operation)
    while forward or backward:
        operation = (forward or backward).popleft()
        order.append(operation)
        for reader in after[operation]:
            waits[reader] -= 1
            if not waits[reader]:
                add(reader)
    return order


def _bytes(tensor: tf.Tensor) -> int:
    """0 of an unknown shape, of a variable's handle, and of a variable's value as it is read: that is the variable's memory."""
    if tensor.op.type in IN_NO_MEMORY or not tensor.shape.is_fully_defined():
        return 0
    return math.prod(tensor.shape) * tensor.dtype.size
