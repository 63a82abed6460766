"""Sampler: a generator made ready to be watched, evaluated or exported."""

import functools
import inspect
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfvideogan.config import UserError
from tfvideogan.gan import GAN, Batch, Details, Inputs, Specs, layers_of
from tfvideogan.generation import rollout
from tfvideogan.layers.norm import StandingNorm, standing_at
from tfvideogan.ops import forms
from tfvideogan.ops.video import from_unit, to_unit

CHUNK = 8  # clips that a Sampler draws at once
OVERSHOOT = 0.25  # beyond [0,1] that a picture may have: resizing overshoots at sharp edges; 0..255 and [-1,1] are mistakes


def kind_of(specs: Specs) -> str:
    """What a generator with these inputs does: synthesis, prediction or translation."""
    if "first_frames" in specs:
        return "prediction"
    return "synthesis" if set(specs) <= {"z", "label"} else "translation"


def is_picture(spec: tf.TensorSpec) -> bool:
    """Whether an input is a video of colors, which comes in [0,1] through the module's door."""
    return len(spec.shape) == 5 and spec.shape[-1] == 3 and spec.dtype.is_floating


def fixed_sampler(part: str) -> str:
    """The name of a Sampler's function that holds a part of the latent fixed."""
    return f"sample_{part}_fixed"


class Sampler(tf.Module):
    """A generator with standing statistics: the object that is sampled, evaluated, and saved as the exported module.

    Its functions follow from the names of the generator's inputs; pictures, in and out, are float32 in [0,1].

        generate(**inputs)                         the generator's inputs -> [N,T,H,W,3]
        sample(label, seed, truncation)            synthesis: int32 [N], int32 [2], float32 []
        sample_content_fixed, sample_motion_fixed  as `sample`, but the clips share that part of the latent
        latent_parts                               first and last + 1 of the numbers of z that are a clip's "content", its "motion"
        blend(z, weights)                          as `generate`, with weights of the classes [N,classes]
        predict(first_frames, seed, truncation)    prediction: [N,C,H,W,3] -> the frames that follow; of classes, with a `label` at the end
        start, next                                `sample` or `predict` in parts without end (`generation/rollout.py`), if the model can
        start_unrolled, next_unrolled              the same of a prediction that can also go on from its network's state
        translate(source)                          translation: [N,T,H,W,C], or what else the generator reads -> [N,T,H,W,3]
        start, next                                `translate` frame by frame, if the model can: of the first frames' source, and of a state
                                                   and the next frame's

    Standing statistics depend on the truncation (BigGAN, appendix C.1): they are kept for each of `truncations`, and interpolated
    linearly between them. `generate` and `blend` are told no truncation, and take those of 1, or of the nearest.

    A label that the model has not, pictures in 0..255, in [-1,1] or not finite, and a truncation that is no finite number, are an
    InvalidArgumentError that names it and what is expected. XLA leaves such checks out of what it compiles whole (`jit_compile=True`):
    there these clips are NaN. No clips are asked for by N = 0.

    Args:
        gan: the model.
        ema: sample from the averaged weights, else from the raw ones.
        interpolate_frames: if above 1, put this many frames less one between each two, as the model's `interpolate` does.
        truncations: in ascending order.
    """

    variables: list[tf.Variable] = []  # plain lists, where tf.Module's properties would see none of a Keras 3 network's variables
    trainable_variables: list[tf.Variable] = []

    def __init__(self, gan: GAN, ema: bool = True, interpolate_frames: int = 1, truncations: tuple[float, ...] = (1.0,)):
        super().__init__()
        network = gan.ema_generator if ema else gan.generator
        specs, law = gan.input_specs, gan.latent_distribution
        self._gan, self._network, self._norms, self.truncations = gan, network, layers_of(network, StandingNorm), truncations
        for norm in self._norms:
            norm.tabulate(len(truncations))
        self.trainable_variables = [v.value for v in network.trainable_variables]
        self.variables = [v.value for v in network.variables] + [s for norm in self._norms for s in norm.standing]
        # Saved with the module, so that others can tell content and motion apart.
        self.latent_parts = {name: tf.Variable([part.start, part.stop], trainable=False) for name, part in gan.latent_parts.items()}
        self.kind, self.latent_distribution, self.precision = kind_of(specs), law.name, gan.config.precision
        vector, pair, number = tf.TensorSpec([None], tf.int32), tf.TensorSpec([2], tf.int32), tf.TensorSpec([], tf.float32)
        norms, blends = self._norms, gan.blends and gan.config.classes

        # Closures, not methods: a Keras object held by the module would be written into its SavedModel.
        @functools.partial(tf.function, autograph=False)
        def first_part(inputs: Inputs, rows: tf.Tensor) -> tuple[tf.Tensor, Inputs]:
            with standing_at(norms, rows):
                video, state = gan.unroll(network, inputs, {})
                return to_unit(video), state

        @functools.partial(tf.function, autograph=False)
        def later_part(asked: dict[str, Inputs], rows: tf.Tensor) -> tuple[tf.Tensor, Inputs]:
            with standing_at(norms, rows, last=True):
                video, state = gan.unroll(network, asked["inputs"], asked["state"])
                return to_unit(video), state

        @functools.partial(tf.function, autograph=False)
        def chunk(inputs: Inputs, rows: tf.Tensor) -> tf.Tensor:
            with standing_at(norms, rows):
                if interpolate_frames > 1:
                    return to_unit(gan.interpolate(network, inputs, interpolate_frames))
                # The same graph as `start`'s, where there is one: it is traced and exported once.
                return first_part(inputs, rows)[0] if gan.unrolls else to_unit(network(**inputs, mode="sample"))

        def run(inputs: Inputs, truncation: tf.Tensor | float, label: tf.Tensor | None) -> tf.Tensor:
            return marked(in_chunks(chunk, inputs, rows_at(truncations, truncation)), inputs, truncation, label)

        def marked(video: tf.Tensor, inputs: Inputs, truncation: tf.Tensor | float, label: tf.Tensor | None) -> tf.Tensor:
            pictures = [inputs[name] * 0.5 + 0.5 for name, spec in specs.items() if is_picture(spec) and name in inputs]
            return nan_where_invalid(video, truncation, label, gan.config.classes, pictures)

        def within(inputs: Inputs) -> Inputs:
            """The generator's inputs, in its order, from those with pictures in [0,1]; labels that there are."""
            if "label" in specs:
                inputs = {**inputs, "label": checked_label(inputs["label"], gan.config.classes)}
            asked = {name: spec for name, spec in specs.items() if name in inputs}
            return {
                name: from_unit(checked_picture(name, inputs[name])) if is_picture(spec) else inputs[name] for name, spec in asked.items()
            }

        def generate(inputs: Inputs) -> tf.Tensor:
            return run(within(inputs), 1.0, inputs.get("label"))

        def draw(n: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
            # Philox wherever it is computed: TensorFlow's own choice depends on the device.
            return gan.latents(tf.map_fn(lambda i: tf.random.experimental.stateless_fold_in(seed, i, "philox"), tf.range(n)))

        def sample(label: tf.Tensor, seed: tf.Tensor, truncation: tf.Tensor, fixed: np.ndarray | None = None) -> tf.Tensor:
            label = checked_label(label, gan.config.classes)  # also of a generator that reads none
            z = draw(tf.size(label), seed)
            if fixed is not None:
                z = tf.where(fixed, z[:1], z)
            return run(within({"z": law.truncate(z, checked_truncation(truncation)), "label": label}), truncation, label)

        def fixing(part: slice) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]:
            """`sample` where every clip has the first one's part of the latent."""
            held = np.zeros([gan.latent_width], bool)
            held[part] = True
            return lambda label, seed, truncation: sample(label, seed, truncation, held)

        def predict(first_frames: tf.Tensor, seed: tf.Tensor, truncation: tf.Tensor, label: tf.Tensor | None = None) -> tf.Tensor:
            inputs = {"first_frames": first_frames, "label": label}
            if "z" in specs:
                inputs["z"] = law.truncate(draw(tf.shape(first_frames)[0], seed), checked_truncation(truncation))
            return run(within(inputs), truncation, label)[:, specs["first_frames"].shape[1] :]

        def unroll(inputs: Inputs, state: Inputs, truncation: tf.Tensor) -> tuple[tf.Tensor, Inputs]:
            rows = rows_at(truncations, checked_truncation(truncation))
            if state:
                video, after = in_chunks(later_part, {"inputs": inputs, "state": state}, rows)
            else:
                inputs = within(inputs)
                video, after = in_chunks(first_part, inputs, rows)
            return marked(video, inputs, truncation, inputs.get("label")), after

        def calibrate(batch: Batch, truncation: tf.Tensor, row: tf.Tensor) -> None:
            with standing_at(norms, row):
                network(**self._asked(batch, truncation), mode="calibrate")

        self.generate = _named(generate, list(specs.values()))
        if blends:
            weights = tf.TensorSpec([None, gan.config.classes], tf.float32, "weights")

            def blend(inputs: Inputs) -> tf.Tensor:
                return run({"z": inputs["z"], "label": inputs["weights"]}, 1.0, None)

            self.blend = _named(blend, [specs["z"], weights])
        if self.kind == "synthesis":
            signature = [vector, pair, number]
            self.sample = tf.function(sample, input_signature=signature, autograph=False)
            for name, part in gan.latent_parts.items():
                setattr(self, fixed_sampler(name), tf.function(fixing(part), input_signature=signature, autograph=False))
        elif self.kind == "prediction":
            first = tf.TensorSpec(specs["first_frames"].shape, tf.float32)
            signature = [first, pair, number, vector] if "label" in specs else [first, pair, number]
            self.predict = tf.function(predict, input_signature=signature, autograph=False)
            self._start(rollout.feeding_back(predict), signature)
        else:
            given = [spec for name, spec in specs.items() if name != "z"]

            def translate(inputs: Inputs) -> tf.Tensor:
                z = draw(tf.shape(inputs[given[0].name])[0], tf.constant([gan.config.seed, 0])) if "z" in specs else None
                inputs = {**inputs, **({} if z is None else {"z": z})}
                return generate({name: inputs[name] for name in specs})

            self.translate = _named(translate, given)
            if gan.unrolls:

                def at_once(spec: tf.TensorSpec, frames: int) -> tf.TensorSpec:
                    return tf.TensorSpec([None, frames, *spec.shape[2:]], spec.dtype, spec.name)

                def begin(inputs: Inputs) -> tuple[tf.Tensor, Inputs]:
                    return unroll(inputs, {}, tf.constant(1.0))

                def go_on(state: Inputs, inputs: Inputs) -> tuple[tf.Tensor, Inputs]:
                    return unroll(within(inputs), state, tf.constant(1.0))

                self.start = _named(begin, [at_once(spec, gan.first_part) for spec in given])
                self.next = tf.function(go_on, autograph=False)
                self._next_frame = {spec.name: at_once(spec, 1) for spec in given if spec.name != "video"}
        if gan.unrolls and interpolate_frames == 1 and self.kind != "translation":
            given_frames = specs["first_frames"].shape[1] if self.kind == "prediction" else 0
            ways = rollout.unrolling(
                lambda n, seed, truncation: {"z": law.truncate(draw(n, seed), checked_truncation(truncation))}, unroll, given_frames
            )
            self._start(ways, signature, "_unrolled" if given_frames else "")
        self._calibrate = tf.function(calibrate, autograph=False)

        def details(batch: Batch) -> Details:
            with standing_at(norms, rows_at(truncations, 1.0)):
                return gan.details(network, batch)

        self._details = tf.function(details, autograph=False)

    def _start(self, ways: tuple[rollout.Start, rollout.Next], signature: list[tf.TensorSpec], suffix: str = "") -> None:
        """Makes a rollout's two functions this module's."""
        start, following = ways
        setattr(self, f"start{suffix}", tf.function(start, input_signature=signature, autograph=False))
        setattr(self, f"next{suffix}", tf.function(following, autograph=False))

    def trace_rollouts(self) -> None:
        """Traces what goes on from states, for any number of clips: to be saved, it must have been."""
        for suffix in ("", "_unrolled"):
            if hasattr(self, f"start{suffix}"):
                _, state = getattr(self, f"start{suffix}").get_concrete_function().structured_outputs
                specs = tf.nest.map_structure(lambda t: tf.TensorSpec(t.shape, t.dtype), state)
                frame = [self._next_frame] if self.kind == "translation" else []
                getattr(self, f"next{suffix}").get_concrete_function(specs, *frame)

    def details(self, batch: Batch) -> Details:
        """What there is to see beside the video made of a batch of the data set: see `GAN.details`. An exported module has none."""
        return self._details({name: batch[name] for name in self._gan.batch_specs(self._gan.config)})

    @property
    def reads_clips(self) -> bool:
        """Whether calibration wants batches of the data set: of a generator with standing statistics that reads more than z and label."""
        return bool(self._norms) and self.kind != "synthesis"

    def _asked(self, batch: Batch, truncation: tf.Tensor) -> Inputs:
        """The generator's inputs for a batch, with the batch's own labels where the model draws others in training."""
        inputs = self._gan.inputs(batch)
        asked = {"z": self._gan.latent_distribution.truncate(inputs["z"], truncation)} if "z" in inputs else {}
        return {**inputs, **asked, **({"label": batch["label"]} if "label" in inputs else {})}

    def calibrate(self, given: Iterable[Batch] | None = None) -> "Sampler":
        """Computes the standing statistics anew, from the present weights: for each truncation, the average moments of
        `standing_batches` batches. A function of weights, seed and given batches alone; returns itself.

        Args:
            given: batches of the data set, for a generator that reads more than a latent and a label.

        Raises: UserError if it needs them and there are too few.
        """
        config = self._gan.config
        clips = config.calibration_clips
        for norm in self._norms:
            norm.reset()
        if not self._norms:
            return self
        batches = iter(given or ())
        for number in range(config.standing_batches):
            index = tf.range(number * clips, (number + 1) * clips)
            batch = {"label": index % max(config.classes, 1)}
            if self.kind != "synthesis":
                batch = next(batches, {})
                if not batch:
                    raise UserError(f"--model={config.model} reads videos: got no data set to compute BN's standing statistics from")
            index = index[: len(next(iter(batch.values())))]
            batch = {**batch, "seed": tf.stack([tf.fill([len(index)], config.seed), -1 - index], 1)}
            for row, truncation in enumerate(self.truncations):
                one_hot = tf.one_hot(row, len(self.truncations))
                self._calibrate(batch, tf.constant(truncation), one_hot)
        return self


def nan_where_invalid(
    video: tf.Tensor, truncation: tf.Tensor | float, label: tf.Tensor | None, classes: int, pictures: Sequence[tf.Tensor] = ()
) -> tf.Tensor:
    """Clips [N,T,H,W,3], NaN where the truncation, the label or one of the pictures is none that `checked_truncation`, `checked_label` and
    `checked_picture` let through: what XLA compiles whole has no such checks, and would give a clip that looks like any other."""
    if isinstance(truncation, tf.Tensor):
        video = tf.where(tf.math.is_finite(truncation), video, np.nan)
    if label is not None:
        video = tf.where(tf.reshape(is_known(label, classes), [-1, 1, 1, 1, 1]), video, np.nan)
    for picture in pictures:
        video = tf.where(tf.reduce_all(is_in_unit(picture), [1, 2, 3, 4], keepdims=True), video, np.nan)
    return video


def is_in_unit(picture: tf.Tensor) -> tf.Tensor:
    """Which values are of [0,1], or as near as a resized picture's are; none that is not finite. bool, of the same shape."""
    return tf.abs(picture - 0.5) <= 0.5 + OVERSHOOT


def checked_picture(name: str, picture: tf.Tensor) -> tf.Tensor:
    """Pictures [N,T,H,W,3] in [0,1]. Raises InvalidArgumentError, when it runs, for other values, such as of 0..255 or [-1,1]."""
    told = [f"{name}: got values from", tf.reduce_min(picture), "to", tf.reduce_max(picture), "expected [0,1]"]
    check = tf.debugging.Assert(tf.reduce_all(is_in_unit(picture)), told)
    with tf.control_dependencies([check]):
        return tf.identity(picture)


def is_known(label: tf.Tensor, classes: int) -> tf.Tensor:
    """Which of these labels a model of so many classes has, bool [N]."""
    return (label >= 0) & (label < max(classes, 1))


def checked_label(label: tf.Tensor, classes: int) -> tf.Tensor:
    """Labels, int32 [N], of a model of so many classes. Raises InvalidArgumentError, when it runs, for one that it has not."""
    expected = f"expected 0 to {max(classes, 1) - 1}"
    check = tf.debugging.Assert(tf.reduce_all(is_known(label, classes)), ["label: got", label, expected], summarize=8)
    with tf.control_dependencies([check]):
        return tf.identity(label)


def checked_truncation(truncation: tf.Tensor) -> tf.Tensor:
    """A truncation, float32 []. Raises InvalidArgumentError, when it runs, if it is no finite number."""
    check = tf.debugging.Assert(tf.math.is_finite(truncation), ["truncation: got", truncation, "expected a finite number"])
    with tf.control_dependencies([check]):
        return tf.identity(truncation)


def taking_int64(function: tf.types.experimental.PolymorphicFunction) -> tf.types.experimental.PolymorphicFunction:
    """A function of the same arguments by name, whose int32 ones may be int64 too. Traced for all of them, so that it can be saved."""
    specs = function.input_signature
    parameters = list(inspect.signature(function.python_function).parameters)[: len(specs)]

    def call(*arguments: tf.Tensor) -> tf.Tensor:
        return function(*(tf.cast(given, spec.dtype) for given, spec in zip(arguments, specs, strict=True)))

    call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # typeshed's functions have none
        [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in parameters]
    )
    wider = tf.function(call, autograph=False)
    choices = [(tf.int32, tf.int64) if spec.dtype == tf.int32 else (spec.dtype,) for spec in specs]
    for dtypes in itertools.product(*choices):
        wider.get_concrete_function(*(tf.TensorSpec(spec.shape, dtype) for spec, dtype in zip(specs, dtypes, strict=True)))
    return wider


def rows_at(truncations: tuple[float, ...], truncation: tf.Tensor | float) -> tf.Tensor:
    """The weights of a table's rows, float32 [K], that interpolate linearly at this truncation; beyond the ends, the ends."""
    points = tf.constant(truncations, tf.float32)
    place = tf.reduce_sum(tf.clip_by_value((truncation - points[:-1]) / (points[1:] - points[:-1]), 0.0, 1.0))  # in 0..K-1
    return tf.maximum(1.0 - tf.abs(place - tf.range(len(truncations), dtype=tf.float32)), 0.0)


def in_chunks(function: tf.types.experimental.PolymorphicFunction, inputs: Any, rows: tf.Tensor) -> Any:
    """`function(inputs, rows)` of any number N of examples, by calls with CHUNK of them and calls with one.

    The layers' large pieces are compiled by XLA, which does so anew for each N: so for two at most. And no more than two
    chunks' activations are held. Within `forms.plain()` nothing is compiled, and all is one call.

    Args:
        function: a tf.function of tensors [n,...], in dicts, -> [n,...], one or several; an example's result depends on that example alone.
        inputs: [N,...] each.
        rows: passed on.
    """
    n = tf.shape(tf.nest.flatten(inputs)[0])[0]
    if forms.is_asked():  # none are drawn as one, cut off: networks reshape to [-1, ...], which of nothing is undefined
        return tf.nest.map_structure(lambda t: t[:n], function(tf.nest.map_structure(lambda t: padded(t, tf.maximum(n, 1)), inputs), rows))
    whole = (n + CHUNK // 2 - 1) // CHUNK  # more than half a chunk is filled up: alone, a clip takes 0.2 to 0.4 of a chunk's time
    border, filled = whole * CHUNK, tf.maximum(whole * CHUNK, n)

    def draw(number: tf.Tensor, size: int, start: tf.Tensor) -> Any:
        kinds = tf.nest.map_structure(lambda t: tf.TensorSpec([size, *t.shape[1:]], t.dtype), inputs)
        kind = function.get_concrete_function(kinds, tf.TensorSpec(rows.shape, rows.dtype)).structured_outputs
        end = start + (number + 1) * size  # one more than are drawn: XLA, where it compiles all this whole, builds no loop over nothing
        parts = tf.nest.map_structure(lambda t: tf.reshape(padded(t, end)[start:end], [number + 1, size, *t.shape[1:]]), inputs)

        def one(i: tf.Tensor, drawn: Any) -> tuple[tf.Tensor, Any]:
            found = function(tf.nest.map_structure(lambda t: t[i], parts), rows)
            return i + 1, [array.write(i, t) for array, t in zip(drawn, tf.nest.flatten(found), strict=True)]

        drawn = [tf.TensorArray(t.dtype, number + 1, element_shape=t.shape) for t in tf.nest.flatten(kind)]
        # Two at a time, so that the small operations of one run beside those of the other: 0.7 of the time on two cores.
        _, drawn = tf.while_loop(lambda i, _: i < number, one, (0, drawn), parallel_iterations=2)
        stacked = [array.stack()[:number] for array in drawn]
        return tf.nest.pack_sequence_as(kind, [tf.reshape(t, [-1, *t.shape[2:]]) for t in stacked])

    chunks, alone = draw(whole, CHUNK, tf.constant(0)), draw(filled - border, 1, border)
    return tf.nest.map_structure(lambda *parts: tf.concat(parts, 0)[:n], chunks, alone)


def padded(t: tf.Tensor, examples: tf.Tensor) -> tf.Tensor:
    """[N,...] with zeros after it, of so many examples at least."""
    return tf.pad(t, [[0, tf.maximum(examples - tf.shape(t)[0], 0)], *[[0, 0]] * (len(t.shape) - 1)])


def _named(function: Callable[[Inputs], tf.Tensor], specs: list[tf.TensorSpec]) -> tf.types.experimental.PolymorphicFunction:
    """A tf.function whose parameters have the specs' names, from one of a dict."""
    names = [spec.name for spec in specs]

    def call(*arguments: tf.Tensor) -> tf.Tensor:
        return function(dict(zip(names, arguments, strict=True)))

    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typeshed's functions have none
    return tf.function(call, input_signature=specs, autograph=False)
