"""An exported module: written from a run's generator, and read back."""

import contextlib
import dataclasses
import inspect
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_hub as hub

from tfvideogan import __version__
from tfvideogan.config import FLAGS_FILE, Config, UserError, to_flags
from tfvideogan.files import read_lines, require_writable, without_patterns, write_whole
from tfvideogan.generation import hugging_face, rollout
from tfvideogan.generation.card_header import header
from tfvideogan.generation.sampler import fixed_sampler, is_picture, taking_int64
from tfvideogan.ops import forms
from tfvideogan.ops.video import to_unit

LABELS_FILE = "labels.txt"
EXPORTED = ("saved_model.pb", "variables", "about.json")  # one of these is in an exported module or page, and in no run
FUNCTIONS = {"prediction": "predict", "translation": "translate", "synthesis": "sample"}  # that tell kinds of modules apart
EXPORT_TRUNCATIONS = (0.25, 0.5, 0.75, 1.0)  # that an exported module keeps standing statistics for


@dataclasses.dataclass(frozen=True)
class Generator:
    """What is sampled and evaluated.

    Attributes:
        name: the folder or handle it came from.
        config: Config of its run.
        labels: names of its classes.
        step: generator steps it was trained for; 0 if the module does not say.
        source: the Sampler, or the loaded module: its functions are those of `sampler.Sampler`.
        scores: the records of its evaluations at this step, for the card.
    """

    name: str
    config: Config
    labels: tuple[str, ...]
    step: int
    source: tf.Module
    scores: tuple[dict, ...] = ()

    @property
    def kind(self) -> str:
        """synthesis, prediction or translation."""
        return next(kind for kind, function in FUNCTIONS.items() if hasattr(self.source, function))

    @property
    def given_frames(self) -> int:
        """Frames that a prediction is given; 0 for other kinds."""
        return specs_of(self.source.predict)[0].shape[1] if self.kind == "prediction" else 0

    @property
    def input_names(self) -> list[str]:
        """Of what `generate` reads."""
        return [spec.name for spec in specs_of(self.source.generate)]

    @property
    def has_latent(self) -> bool:
        """Whether the same inputs can give several clips."""
        return "z" in self.input_names

    def draw(self, batch: dict[str, tf.Tensor], seed: tf.Tensor, truncation: float) -> tf.Tensor:
        """Clips [N,T,H,W,3] float32 in [0,1]; of a prediction, the given frames and those that follow.

        Args:
            batch: what the kind reads: "label" int32 [N]; "video" [N,T,H,W,3] in [-1,1], whose first frames are continued; or
                "source" [N,T,H,W,C] and what else a translation reads, as the first frames of "video".
            seed: int32 [2].
            truncation: of the latent; 1 for none.
        """
        if self.kind == "synthesis":
            return self.source.sample(batch["label"], seed, tf.constant(truncation))
        if self.kind == "translation":
            return self.source.translate(**self.read(batch))
        first = to_unit(batch["video"][:, : self.given_frames])
        label = [batch["label"]] if len(specs_of(self.source.predict)) == 4 else []  # of a predictor with classes
        return tf.concat([first, self.source.predict(first, seed, tf.constant(truncation), *label)], 1)

    def read(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """What `translate` reads of a batch, by name; pictures in [0,1]. Of the video the first frames, which are given."""
        given = {spec.name: spec for spec in specs_of(self.source.translate)}
        read = {name: to_unit(batch[name]) if is_picture(spec) else batch[name] for name, spec in given.items()}
        return {name: value[:, : given[name].shape[1]] if name == "video" else value for name, value in read.items()}

    def in_turn(self, batch: dict[str, tf.Tensor], history: bool = True) -> tf.Tensor:
        """As `draw` of a translation that `streams`, frame by frame: clips of any number of frames, in little memory.

        Args:
            history: whether a frame is made from those before; else each is made as if it were the first, or, where several first frames
                are given or made at once, as if it followed these.
        """
        inputs = self.read(batch)
        given = inputs.pop("video", None)
        begin = specs_of(self.source.start)[0].shape[1]

        def part(start: int, stop: int) -> dict[str, tf.Tensor]:
            return {name: value[:, start:stop] for name, value in inputs.items()}

        video, state = self.source.start(**part(0, begin), **({} if given is None else {"video": given}))
        frames = [video]
        for t in range(begin, inputs["source"].shape[1]):
            first = begin == 1 and not history
            video, after = self.source.start(**part(t, t + 1)) if first else self.source.next(state, part(t, t + 1))
            state = after if history else state
            frames.append(video)
        return tf.concat(frames, 1)

    def goes_on(self, unrolled: bool = False) -> bool:
        """Whether `parts` can be drawn."""
        return self.kind != "translation" and hasattr(self.source, f"start{self._way(unrolled)}")

    @property
    def streams(self) -> bool:
        """Whether it translates frame by frame, from a state."""
        return self.kind == "translation" and hasattr(self.source, "start")

    def parts(
        self, batch: dict[str, tf.Tensor], seed: tf.Tensor, truncation: float, frames: int, unrolled: bool = False
    ) -> Iterator[np.ndarray]:
        """As `draw`, clips of any number of frames, a part [N,t,H,W,3] at a time.

        Args:
            frames: of a clip; of a prediction, with the given ones.
            unrolled: whether a prediction goes on from its network's state, and is not fed its own frames.
        """
        start, following = (getattr(self.source, f"{name}{self._way(unrolled)}") for name in ("start", "next"))
        label = (batch["label"],) if "label" in [spec.name for spec in specs_of(self.source.generate)] else ()
        if self.kind == "prediction":
            first = to_unit(batch["video"][:, : self.given_frames])
            yield first.numpy()
            yield from rollout.parts(start, following, (first, seed, tf.constant(truncation), *label), frames - self.given_frames)
        else:
            yield from rollout.parts(start, following, (batch["label"], seed, tf.constant(truncation)), frames)

    def _way(self, unrolled: bool) -> str:
        return "_unrolled" if unrolled and self.kind == "prediction" else ""


def specs_of(function: tf.types.experimental.PolymorphicFunction) -> tuple[tf.TensorSpec, ...]:
    """The inputs of a Sampler's function, or of a loaded module's, with their names."""
    return function.input_signature or function.concrete_functions[0].structured_input_signature[0]


def from_module(handle: str, config: Config) -> Generator:
    """An exported module: its folder, hf://USER/NAME or a TF-Hub handle. Its frames, size and labels are its own; the rest of the
    Config is `config`'s."""
    folder = hugging_face.downloaded(handle) if hugging_face.is_handle(handle) else handle
    try:
        with without_patterns(folder) if Path(folder).is_dir() else contextlib.nullcontext(folder) as place:
            module = hub.load(place)
            _, frames, height, width, _ = module.signatures["serving_default"].structured_outputs["video"].shape
            labels = tuple(read_lines(module.labels.asset_path.numpy().decode()))
    except (OSError, AttributeError, LookupError, ValueError, tf.errors.OpError) as error:  # by what of it is gone or cut short
        raise UserError(f"--module={handle}: no exported video generator: {error}") from error
    config = dataclasses.replace(config, frames=frames, size=height, width=0 if width == height else width, classes=len(labels))
    return Generator(handle, config, labels, int(getattr(module, "step", 0)), module)


def refuse_existing(path: str, overwrite: bool) -> None:
    """Raises UserError if `path` is there and not to be overwritten, as no folder but an export is, or the folder above it cannot be
    written to."""
    if Path(path).exists() and not overwrite:
        raise UserError(f"--output={path}: is there already; give another, or --overwrite")
    if Path(path).is_dir() and any(Path(path).iterdir()) and not any((Path(path) / name).exists() for name in EXPORTED):
        raise UserError(f"--output={path}: holds no export, which --overwrite would replace; expected a new folder, or an export's")
    require_writable("output", Path(path).absolute().parent, folder=True)


def write(generator: Generator, path: str, overwrite: bool) -> None:
    """Writes a run's generator as a SavedModel, with run.flags and a card beside it: whole, or not at all.

    Raises: UserError if `path` is there and not to be overwritten.
    """
    folder = Path(path)
    refuse_existing(path, overwrite)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
        labels = Path(temporary) / LABELS_FILE
        write_whole(labels, "".join(f"{label}\n" for label in generator.labels))
        module, new = generator.source, Path(temporary) / "module"
        module.labels = tf.saved_model.Asset(str(labels))
        module.step = tf.Variable(generator.step, trainable=False)  # a constant would not be saved
        module.trace_rollouts()
        generate = module.generate
        with forms.plain():  # for servers; `generate` and `sample` themselves, for TensorFlow with all its parts, are faster
            signature = serving(generate).get_concrete_function()
        wide = {"generate", "start", "start_unrolled", *FUNCTIONS.values(), *map(fixed_sampler, ("content", "motion"))}
        saved = {name: function for name, function in vars(module).items() if name in wide}
        for name, function in saved.items():
            setattr(module, name, taking_int64(function))
        try:
            tf.saved_model.save(module, str(new), signatures=signature)
        finally:
            for name, function in saved.items():
                setattr(module, name, function)
        write_whole(new / FLAGS_FILE, to_flags(generator.config))
        write_whole(new / "README.md", card(generator))
        if folder.exists():
            shutil.rmtree(folder)
        new.rename(folder)


def serving(generate: tf.types.experimental.PolymorphicFunction) -> tf.types.experimental.PolymorphicFunction:
    """The signature for servers: `generate` with its inputs' names, giving {"video": ...}."""

    def serve(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"video": generate.python_function(*inputs)}

    serve.__signature__ = inspect.signature(generate.python_function)  # type: ignore[attr-defined]  # typeshed's functions have none
    return tf.function(serve, input_signature=generate.input_signature, autograph=False)


def card(generator: Generator) -> str:
    """What a user of the module must know, in Markdown, under a head for model hubs."""
    config, source = generator.config, generator.source
    height, width = config.frame_size
    clip = f"float32 [N,{config.frames},{height},{width},3] in [0,1]"
    inputs = {
        name: spec
        for name, spec in zip(inspect.signature(source.generate.python_function).parameters, source.generate.input_signature, strict=True)
    }
    given = ", ".join(_described(name, spec, source.latent_distribution) for name, spec in inputs.items())
    calls = [(f"generate({', '.join(inputs)})", given, clip)]
    if generator.kind == "synthesis":
        arguments = "int32 [N], int32 [2], float32 [] (1: none)"
        calls.append(("sample(label, seed, truncation)", arguments, "the same; one seed gives one video, always"))
        for part in ("content", "motion"):
            if hasattr(source, fixed_sampler(part)):
                calls.append((fixed_sampler(part), "as `sample`", f"the same, of one {part}"))
    elif generator.kind == "prediction":
        first = _described("first_frames", source.predict.input_signature[0], "")
        name, last = (", label", ", int32 [N]") if "label" in inputs else ("", "")
        arguments = f"{first}, int32 [2], float32 [] (1: none){last}"
        calls.append((f"predict(first_frames, seed, truncation{name})", arguments, "the frames that follow"))
    else:
        specs = source.translate.input_signature
        calls.append(
            (
                f"translate({', '.join(spec.name for spec in specs)})",
                ", ".join(_described(spec.name, spec, "") for spec in specs),
                "the same",
            )
        )
    for suffix, way in (
        ("", "their own last frames" if generator.kind == "prediction" else "the state"),
        ("_unrolled", "the network's state"),
    ):
        if hasattr(source, f"start{suffix}") and not generator.streams:
            calls.append((f"start{suffix}(...)", f"as `{FUNCTIONS[generator.kind]}`", "the same video, and a state"))
            calls.append(
                (f"next{suffix}(state)", "the state of `start` or `next`", f"the frames that follow, from {way}, and the next state")
            )
    if generator.streams:
        first, given = specs_of(source.start)[0].shape[1], "as `translate`"
        calls.append(("start(...)", f"{given}, of the first {first} frames", "these frames, and a state"))
        calls.append(("next(state, inputs)", f"a state, and a dict of them {given}, of one frame", "the next frame, and the next state"))
    rows = [f"| {r['metric']} | {r['value']:.4g} | {r['stderr']:.2g} | {json.dumps(r['protocol'])} |" for r in generator.scores]
    table = ["| metric | value | standard error | protocol |", "|---|---|---|---|", *rows] if rows else ["Not evaluated."]
    return f"""{header(config, generator.kind, generator.scores)}
# {config.model} on {config.dataset}, {config.frames} frames of {width}x{height}

A video generator ({generator.kind}) trained with tfvideogan {__version__} for {generator.step} steps, exported with averaged weights
and standing statistics, computing in {source.precision}. {sum(int(tf.size(v)) for v in source.trainable_variables):,} parameters.

| call | inputs | output |
|---|---|---|
{chr(10).join(f"| `{call}` | {arguments} | {result} |" for call, arguments, result in calls)}

Labels (`assets/{LABELS_FILE}`): {", ".join(f"{i} {label}" for i, label in enumerate(generator.labels))}.
BN's standing statistics are kept for truncations {", ".join(f"{t:g}" for t in source.truncations)}, and interpolated between them.

A label that is not among these, pictures in 0..255 or [-1,1], or a truncation that is no finite number, is an error; inside a function with
`jit_compile=True`, which has no such errors, these clips are NaN.

License of the weights: that of the data they were trained on. All settings: `{FLAGS_FILE}`.

## Scores
{chr(10).join(table)}
"""


def _described(name: str, spec: tf.TensorSpec, latent_distribution: str) -> str:
    """A row's text for an input: "z float32 [N,120] from N(0,1)"."""
    shape = ",".join("N" if axis is None else str(axis) for axis in spec.shape)
    law = f" from {latent_distribution}" if name == "z" else " in [0,1]" if is_picture(spec) else ""
    return f"{name} {spec.dtype.name} [{shape}]{law}"
