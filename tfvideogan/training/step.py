"""The training step, the same for every model, strategy and precision."""

import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import keras
import tensorflow as tf

from tfvideogan.gan import GAN, GENERATOR_STEP, Batch, Scalars
from tfvideogan.layers import spectral
from tfvideogan.ops import noise
from tfvideogan.training import regularizers

BACKWARD = "backward"  # name scope of gradients that layers write by hand; TensorFlow's own stand in gradient_tape/
Sum = tuple[list[tf.Tensor], Scalars]  # gradients, and what is logged: of a part, or of several added


class Player(NamedTuple):
    """Who takes a step: its name, its loss of a batch (terms, watched), and the network that its optimizer updates."""

    name: str
    loss: Callable[[Batch], tuple[Scalars, Scalars]]
    network: keras.Model
    optimizer: keras.optimizers.Optimizer


class Step:
    """The training step: `d_steps` discriminator updates, each with its own batch and followed by D's constraints, one generator
    update, the average. Of a model with chunks, D is updated, and G with the last batch, for each chunk in turn.

    A function of the list of `d_steps` (distributed) batches. Returns named scalars: the loss terms, what the model watches, and the
    gradients' global norms (of a replica's own gradient, averaged); of the last of several updates.

    Args:
        d_update, g_update: of a batch, or of a chunk of one.
        finish: ends the step; of the scalars so far.
        chunks: tells in how many the next batch is learned.
        cut: of a batch, so many chunks and the first one's state; None of a model that learns batches whole.
        advance: of a chunk with its state, the next one's state.

    Attributes:
        functions: the update of D, that of G, and what ends the step.
    """

    def __init__(
        self,
        d_update: Callable[[Batch], Scalars],
        g_update: Callable[[Batch], Scalars],
        finish: Callable[[Scalars], Scalars],
        chunks: Callable[[], int],
        cut: Callable[[Batch, int], tuple[list[Batch], Batch]] | None,
        advance: Callable[[Batch], Batch],
    ):
        self.functions, self.chunks, self.cut, self.advance = (d_update, g_update, finish), chunks, cut, advance

    def __call__(self, batches: list[Batch]) -> Scalars:
        d_update, g_update, finish = self.functions
        scalars: Scalars = {}
        for batch in batches[:-1]:
            for chunk in self.in_turn(batch):
                d_update(chunk)
        for chunk in self.in_turn(batches[-1]):
            scalars = d_update(chunk)
            scalars = {**scalars, **g_update(chunk)}
        return finish(scalars)

    def traces(self) -> int:
        """How often its tf.functions were traced so far: compiled, those that XLA compiles whole."""
        functions = [f for f in self.functions if isinstance(f, tf.types.experimental.PolymorphicFunction)]
        return sum(function.experimental_get_tracing_count() for function in functions)

    def in_turn(self, batch: Batch) -> Iterator[Batch]:
        """The chunks of a batch, each with the state that follows from the one before, as the weights then are."""
        if self.cut is None:
            yield batch
            return
        chunks, state = self.cut(batch, self.chunks())
        for i, chunk in enumerate(chunks):
            if i:
                state = self.advance(chunks[i - 1] | state)
            yield chunk | state


def make_step(
    gan: GAN,
    optimizers: dict[str, keras.optimizers.Optimizer],
    step: tf.Variable,
    strategy: tf.distribute.Strategy,
    flat: bool = False,
    whole: bool = False,
) -> Step:
    """The training step, the same for every model, strategy and precision.

    An update has the gradient of the whole batch; with `accumulate_steps`, of its parts in turn, so that the activations of
    one part alone are held.

    Args:
        gan, optimizers, strategy: built in the strategy's scope.
        step: counts the generator's updates.
        flat: its functions are Python's, to be traced into one graph, which compiles with XLA. Else each is a tf.function: D's is
            traced and optimised once however many updates there are, and they follow each other, where in one graph G's pass for
            the next would run beside the one before, in the memory of both.
        whole: XLA compiles each of these tf.functions whole, in place of the pieces that are faster so.
    """
    config, replicas, parts = gan.config, strategy.num_replicas_in_sync, gan.config.accumulate_steps

    def differentiate(player: Player, batch: Batch) -> Sum:
        """Of a part of the batch: its addend to the (scaled) gradient, and to the loss terms and what is watched."""
        weights = [weight.value for weight in player.network.trainable_variables]
        # Only the player's weights are watched: the other network is run, not recorded.
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            terms, watched = player.loss(batch)
            total = tf.add_n(list(terms.values()))
            if config.weight_decay:
                total += config.weight_decay * tf.add_n([tf.nn.l2_loss(weight) for weight in weights])  # of gradient w
            total = player.optimizer.scale_loss(total / (replicas * parts))  # the optimizer sums over replicas
        with tf.name_scope(BACKWARD):
            # An embedding's gradient is of slices, some of the same row: the norm wants their sum.
            gradients = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(total, weights)]
        return gradients, {name: mean(value) / parts for name, value in {**terms, **watched}.items()}

    def apply(player: Player, gradients: list[tf.Tensor], scalars: Scalars) -> Scalars:
        norm = tf.linalg.global_norm(gradients) * (replicas / loss_scale(player.optimizer))
        player.optimizer.apply(gradients, player.network.trainable_variables)
        return {**scalars, f"{player.name}_gradient_norm": norm}

    def loss_scale(optimizer: keras.optimizers.Optimizer) -> tf.Tensor | float:
        return optimizer.dynamic_scale.value if isinstance(optimizer, keras.optimizers.LossScaleOptimizer) else 1.0

    def update(player: Player, batch: Batch) -> Scalars:
        """On all replicas; so is the loop over parts, for what is summed over replicas within a pass cannot be within a loop."""

        def part(i: tf.Tensor) -> Sum:
            return strategy.run(lambda batch, i: differentiate(player, part_of(batch, i, parts)), args=(batch, i))

        def add(a: Sum, b: Sum) -> Sum:
            return strategy.run(lambda *sums: tf.nest.map_structure(tf.add, *sums), args=(a, b))

        def finish(gradients: list[tf.Tensor], scalars: Scalars) -> Scalars:
            for layer in held:
                layer.iterate()
            return apply(player, gradients, scalars)

        if not player.network.trainable_variables:
            return {}
        with tf.name_scope(f"{player.name}_step"):
            if parts == 1:
                return strategy.run(lambda batch: apply(player, *differentiate(player, batch)), args=(batch,))
            with spectral.hold() as held:
                sums = sum_in_turn(part, add, parts)
            return strategy.run(finish, args=sums)

    def generator_loss(batch: Batch) -> tuple[Scalars, Scalars]:
        return gan.generator_loss({**batch, "seed": noise.fork(batch["seed"], GENERATOR_STEP)})

    d_loss = functools.partial(regularizers.discriminator_loss, gan)
    d = Player("d", d_loss, gan.discriminator, optimizers["d_optimizer"])
    penalized_d = d._replace(loss=functools.partial(d_loss, penalize=True))
    g = Player("g", generator_loss, gan.generator, optimizers["g_optimizer"])

    def constrain(weight: tf.Variable, constraint: Callable, reads: tuple[tf.Variable, ...]) -> None:
        weight.assign(constraint(weight, *reads))

    def average(ema: tf.Variable, weight: tf.Tensor, decay: tf.Tensor, rest: tf.Tensor) -> None:
        ema.assign(decay * ema + rest * weight)

    def copy(ema: tf.Variable, weight: tf.Tensor) -> None:
        ema.assign(weight)

    def d_update(batch: Batch) -> Scalars:
        before = tf.identity(d.optimizer.iterations.value)
        if gan.lazy_r1 is None:
            scalars = update(d, batch)
        elif config.r1_every == 1:
            scalars = update(penalized_d, batch)
        else:
            due = regularizers.is_due(gan, before)
            scalars = tf.cond(due, lambda: update(penalized_d, batch), lambda: update(d, batch))
        for weight, constraint, reads in gan.discriminator_constraints(step + 1):
            strategy.extended.update(weight, constrain, args=(constraint, reads), group=False)
        if gan.adaptive or gan.lazy_r1 is not None:
            regularizers.follow(gan, over_replicas(scalars), before)
        return scalars

    def g_update(batch: Batch) -> Scalars:
        return update(g, batch)

    def finish(scalars: Scalars) -> Scalars:
        step.assign_add(1)
        decay = tf.where(step > config.ema_start_step, config.ema_decay, 0.0)  # before, the average is a copy
        rates = decay, 1.0 - decay
        for ema, weight, averaged in gan.ema_pairs():
            function, args = (average, (weight, *rates)) if averaged else (copy, (weight,))
            strategy.extended.update(ema, function, args=args, group=False)
        return {**over_replicas(scalars), **regularizers.shown(gan)}

    def over_replicas(scalars: Scalars) -> Scalars:
        return {name: strategy.reduce("MEAN", value, axis=None) for name, value in scalars.items()}

    def chunks() -> int:
        return gan.chunks if flat else gan.chunks_at(int(step.numpy()))  # a graph has as many as there can be

    def cut(batch: Batch, count: int) -> tuple[list[Batch], Batch]:
        def parts(batch: Batch) -> tuple[list[Batch], Batch]:
            batch = gan.sequence(batch, count)
            return [gan.chunk(batch, i) for i in range(count)], gan.initial_state(batch)

        return strategy.run(parts, args=(batch,))

    def advance(chunk: Batch) -> Batch:
        return strategy.run(gan.next_state, args=(chunk,))

    def function(python: Callable) -> Callable:
        return python if flat else tf.function(python, autograph=False, jit_compile=whole or None)

    in_chunks = function(cut) if gan.chunks > 1 else None
    return Step(function(d_update), function(g_update), function(finish), chunks, in_chunks, function(advance))


def mean(value: tf.Tensor) -> tf.Tensor:
    """Of scores [N,...], or of a scalar, which is its own."""
    return tf.reduce_mean(value) if value.shape.rank else value


def part_of(batch: Batch, i: tf.Tensor, parts: int) -> Batch:
    """Every `parts`th example from the i-th on: of a replica's share, then, the same examples however many replicas there are."""
    if parts == 1:
        return batch
    return {name: tf.gather(tf.reshape(value, [-1, parts, *value.shape[1:]]), i, axis=1) for name, value in batch.items()}


def sum_in_turn(part: Callable[[tf.Tensor], Sum], add: Callable[[Sum, Sum], Sum], parts: int) -> Sum:
    """part(0) + .. + part(parts - 1): traced once, and each begun when the one before it is done."""
    traced = tf.function(part, autograph=False).get_concrete_function(tf.TensorSpec([], tf.int32))
    zeros = tf.nest.map_structure(lambda t: tf.zeros(t.shape, t.dtype), traced.structured_outputs, expand_composites=True)
    _, sums = tf.while_loop(
        lambda i, _: i < parts, lambda i, sums: (i + 1, add(sums, traced(i))), (0, zeros), parallel_iterations=1, maximum_iterations=parts
    )
    return sums
