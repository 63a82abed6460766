"""Config: what every run needs, and the only home of defaults.

A paper's model file subclasses `Config`, overrides defaults with the paper's values (`frames: int = 12`) and adds its own
fields. Every field becomes a flag of the same name, type, default and help (see `cli.py`).
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

OPTIMIZERS = ("adam", "rmsprop")
FLAGS_FILE = "run.flags"  # of a run folder, and of an exported module
SCHEDULES = ("constant", "linear", "halving")
RENAMED = {"attention": ("g_attention", "d_attention")}  # fields of earlier versions, and what they are now
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
AUGMENTATIONS = ("none", "diffaugment", "ada")
LARGEST = 2**31 - 1  # whole number: TensorFlow's seeds and shapes are of 32 bits


class UserError(ValueError):
    """A mistake the user can mend. Programs print it as one line and exit with code 2.

    The message names the flag or file, what was got and what was expected.
    """


class RunFailed(RuntimeError):
    """What ends a run through no mistake of its flags: a full disk, a loss that stays non-finite, a lost worker.

    Programs print it as one line and exit with code 1. The message says what is kept, and how to go on.
    """


def field(default: Any, help: str, network: bool = False, fixed: bool = False, path: bool = False) -> Any:
    """A Config field with the help text its flag shows. It cannot change when a run is resumed if it shapes the networks or what
    they compute (`network`), or decides on how the run began or what its state is (`fixed`). A `path` is kept whole, so that it leads
    to the same place wherever a program is started."""
    return dataclasses.field(default=default, metadata={"help": help, "fixed": network or fixed, "path": path})


@dataclasses.dataclass(frozen=True)
class Clips:
    """Which clips are read, and how they are cut: what every program that reads clips needs. Raises UserError for impossible values."""

    dataset: str = field(
        "moving_shapes",
        "moving_shapes[/plain|/textured|/mixed|/shape_motion|/labels], moving_mnist, folder, prepared, ucf101[/split1|/split2|/split3], "
        "kinetics[/400|/600|/700], bair; to translate renderings[/unpaired|/paired], cartoon, pairs[/labels|/densepose] or faces",
    )
    data_dir: str = field("", "Folder of the data set; for moving_mnist the .npz of the digits. moving_shapes needs none.", path=True)
    split: str = field("train", "Clips to learn from: train, test, validation where there is one, or several, as train+test.")
    held_out: str = field(
        "", "Regular expression: files CLASS/NAME of a folder that match it are split test, the others train. Empty: every file is in both."
    )
    frames: int = field(16, "Frames of a clip (T).", network=True)
    size: int = field(64, "Height of a frame, in pixels.", network=True)
    width: int = field(0, "Width of a frame, in pixels; 0: as the height.", network=True)
    stride: int = field(1, "Source frames from one frame of a clip to the next.")
    max_stride: int = field(0, "If larger than stride, training draws each clip's stride uniformly from [stride, max_stride].")
    fps: float = field(
        0.0, "If not 0, clips have this many frames a second, picked by their times; stride and max_stride are then ignored."
    )
    flip: bool = field(False, "Mirror half of the training clips left to right.")
    random_crop: bool = field(False, "Crop training clips at a random place, not at the center; see short_side.")
    short_side: int = field(0, "Short side that frames are resized to before the crop; 0: the smallest that covers a frame.")
    batch_size: int = field(64, "Clips in a global batch, over all replicas.")
    seed: int = field(0, "Seed of the weights, the order of clips, and every random draw.", fixed=True)

    def __init_subclass__(cls) -> None:
        """A default that a subclass assigns (`frames: int = 12`, or `frames = 12`) keeps the field's type and help.

        Raises: TypeError if there is no such field, or the default is not of its type.
        """
        bases = [base for base in cls.__mro__[1:] if dataclasses.is_dataclass(base)]
        inherited: dict[str, Any] = {one.name: one for base in bases for one in dataclasses.fields(base)}
        own = cls.__annotations__
        for name, default in list(vars(cls).items()):
            if name.startswith("__") or isinstance(default, dataclasses.Field | property) or callable(default):
                continue
            if name not in inherited:
                raise TypeError(f"{cls.__module__}.{cls.__name__}.{name}: overrides no field")
            if type(default) is not inherited[name].type:
                raise TypeError(f"{cls.__module__}.{cls.__name__}.{name}: got {default!r}, expected {inherited[name].type.__name__}")
            own[name] = inherited[name].type
            setattr(cls, name, dataclasses.field(default=default, metadata=inherited[name].metadata))

    def __post_init__(self) -> None:
        for one in dataclasses.fields(self):
            if one.type is float and not math.isfinite(getattr(self, one.name)):
                raise UserError(f"--{one.name}={getattr(self, one.name)}: expected a finite number")
            if one.type is int and getattr(self, one.name) > LARGEST:
                raise UserError(f"--{one.name}={getattr(self, one.name)}: expected at most {LARGEST}")
        self.require_at_least(1, "frames", "size", "stride", "batch_size")
        self.require_at_least(0, "width", "max_stride", "seed", "fps")
        if self.short_side and self.short_side < min(self.frame_size):
            raise UserError(f"--short_side={self.short_side}: expected 0, or at least {min(self.frame_size)}, the short side of a frame")

    @property
    def frame_size(self) -> tuple[int, int]:
        """(height, width) of a frame, in pixels."""
        return self.size, self.width or self.size

    def require_square(self, flag: str = "model") -> None:
        """Raises UserError if frames are not square, for a model or data set, named by the flag, that makes no others."""
        if self.frame_size != (self.size, self.size):
            name = f"--{flag}={getattr(self, flag)}"
            raise UserError(f"--width={self.width}: got frames of {self.size}x{self.width}, expected square ones for {name}")

    def require_at_least(self, least: int, *names: str) -> None:
        """Raises UserError if one of these fields is less."""
        for name in names:
            if getattr(self, name) < least:
                raise UserError(f"--{name}={getattr(self, name)}: expected {f'at least {least}' if least else '0 or more'}")

    def require_one_of(self, choices: Sequence[str], *names: str) -> None:
        """Raises UserError if one of these fields is none of the choices."""
        for name in names:
            if getattr(self, name) not in choices:
                raise UserError(f"--{name}={getattr(self, name)}: expected one of {', '.join(choices)}")


@dataclasses.dataclass(frozen=True)
class Evaluation(Clips):
    """And how clips are evaluated."""

    evaluator: str = field(
        "moving_shapes",
        "The network that scores are by: moving_shapes, FILE.npz of your own, "
        "i3d:PLACE, i3d_float:PLACE, c3d:PLACE, c3d_tgan:PLACE or inception:PLACE.",
        path=True,
    )
    evaluator_sha256: str = field("", "The checksum that the evaluator's weights must have; empty takes any.")
    evaluate_videos: int = field(1000, "Generated clips, and real ones, behind an evaluation.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.evaluate_videos < 2:
            raise UserError(f"--evaluate_videos={self.evaluate_videos}: expected at least 2, for a covariance")


@dataclasses.dataclass(frozen=True)
class Config(Evaluation):
    """And how a model is trained: what every run needs, whatever the paper."""

    model: str = field("dvdgan", "Name of a file in tfvideogan/models.", network=True)
    classes: int = field(0, "Number of classes; 0 takes the data set's own number.", network=True)
    channels: int = field(64, "Base width of the networks (ch).", network=True)
    accumulate_steps: int = field(
        1,
        "Parts that a replica takes its share of the batch in, one after the other; their gradients are averaged. Holds the activations "
        "of one part; BN's moments are of a part.",
    )
    steps: int = field(100_000, "Generator steps of the whole run.")
    init_from: str = field(
        "",
        "Run folders, with commas: a new run starts with the weights of their newest checkpoints, where path and shape match.",
        fixed=True,
        path=True,
    )
    precision: str = field("float32", "float32, mixed_bfloat16 or mixed_float16.", network=True)
    d_steps: int = field(1, "D steps, each with fresh clips, before a G step.")
    optimizer: str = field("adam", "adam or rmsprop.", fixed=True)
    g_learning_rate: float = field(2e-4, "The optimizer's learning rate for G.")
    d_learning_rate: float = field(2e-4, "The optimizer's learning rate for D.")
    learning_rate_schedule: str = field(
        "constant", "constant; linear: to 0 at steps, from decay_start_step on; halving: every decay_every_steps. Of G and D."
    )
    decay_start_step: int = field(0, "Generator step from which --learning_rate_schedule=linear lowers the rates.")
    decay_every_steps: int = field(0, "Generator steps after which --learning_rate_schedule=halving halves the rates, each time.")
    beta_1: float = field(0.0, "Adam's decay of the first moment.")
    beta_2: float = field(0.999, "Adam's decay of the second moment.")
    adam_epsilon: float = field(1e-6, "Adam's epsilon.")
    rmsprop_decay: float = field(0.99, "RMSProp's decay of the mean square.")
    rmsprop_epsilon: float = field(1e-8, "RMSProp's epsilon, added to the root.")
    weight_decay: float = field(0.0, "L2: this times a weight is added to its gradient, for every weight of both players.")
    augment: str = field(
        "none",
        "What D sees of every clip, real or generated: none: the clip; diffaugment: its color, place and a part cut out are changed, the "
        "same in all of its frames; ada: so, with a probability that rises while D tells real clips by heart, and falls else.",
        fixed=True,
    )
    augment_strength: float = field(1.0, "What the ranges of --augment are multiplied by, in (0,1].")
    augment_per_frame: bool = field(False, "With --augment, every frame is changed by itself: a clip flickers, and so will G's.")
    ada_target: float = field(0.6, "Mean sign of D's score of real clips above which --augment=ada raises its probability.")
    ada_clips: int = field(
        5000,
        "Clips that D sees while --augment=ada moves its probability from 0 to 1, if it moves one way: for runs of minutes to hours. "
        "The paper's 500,000 are for runs of 25 million.",
    )
    r1_weight: float = field(0.0, "Weight in D's loss of |dD/dx|^2, its mean over real clips, added up over D's (gamma / 2 of R1).")
    r1_every: int = field(16, "D updates from one with --r1_weight to the next; the weight is multiplied by that.")
    lecam_weight: float = field(0.0, "Weight of LeCAM in D's loss: squared distances of scores from the other side's mean.", fixed=True)
    lecam_decay: float = field(0.99, "Decay of the moving averages of D's scores that LeCAM reads.")
    ema_decay: float = field(0.9999, "Decay of the moving average of G's weights that is sampled and exported.")
    ema_start_step: int = field(20_000, "Step from which the weights are averaged; before, the average is a copy.")
    standing_batches: int = field(16, "Batches behind the standing statistics of BN.")
    log_every_steps: int = field(100, "Steps between log lines and TensorBoard scalars.")
    checkpoint_every_steps: int = field(1000, "Steps between checkpoints.")
    sample_every_steps: int = field(1000, "Steps between sample GIFs.")
    evaluate_every_steps: int = field(0, "Steps between evaluations; 0 evaluates only when asked by `evaluate`.")
    keep_checkpoints: int = field(3, "Newest checkpoints to keep, beside the best one.")
    max_rollbacks: int = field(3, "Times a non-finite loss sends the run back to one checkpoint, to go on with other clips.")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_at_least(1, "channels", "d_steps", "standing_batches", "keep_checkpoints")
        self.require_at_least(1, "accumulate_steps", "log_every_steps", "checkpoint_every_steps", "sample_every_steps")
        self.require_at_least(0, "classes", "steps", "evaluate_every_steps", "max_rollbacks", "decay_start_step")
        self.require_at_least(1, "ada_clips", "r1_every")
        self.require_at_least(0, "r1_weight", "lecam_weight")
        self.require_at_least(0, "g_learning_rate", "d_learning_rate", "adam_epsilon", "rmsprop_epsilon", "weight_decay")
        self.require_parts(replicas=1)
        for name in ("beta_1", "beta_2", "rmsprop_decay", "ema_decay", "lecam_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"--{name}={getattr(self, name):g}: expected at least 0 and less than 1")
        self.require_one_of(OPTIMIZERS, "optimizer")
        self.require_one_of(AUGMENTATIONS, "augment")
        if not 0 < self.augment_strength <= 1:
            raise UserError(f"--augment_strength={self.augment_strength:g}: expected above 0, and at most 1")
        if not -1 < self.ada_target < 1:
            raise UserError(f"--ada_target={self.ada_target:g}: expected between -1 and 1, as the mean of a sign")
        self.require_one_of(SCHEDULES, "learning_rate_schedule")
        self.require_one_of(PRECISIONS, "precision")
        if self.learning_rate_schedule == "halving":
            self.require_at_least(1, "decay_every_steps")

    @property
    def calibration_clips(self) -> int:
        """Clips in a batch behind standing statistics: as many as behind the moments in training, but 256 at most."""
        return min(self.batch_size // self.accumulate_steps, 256)

    def require_parts(self, replicas: int) -> None:
        """Raises UserError if the batch cannot be shared by that many replicas, and each share taken in `accumulate_steps` parts."""
        parts = replicas * self.accumulate_steps
        if self.batch_size % parts:
            raise UserError(
                f"--batch_size={self.batch_size}: expected a multiple of {parts}, "
                f"the number of replicas ({replicas}) times --accumulate_steps={self.accumulate_steps}"
            )


def to_flags(config: Clips) -> str:
    """Every field as a line of a flagfile."""
    lines = []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        lines.append(f"--{field.name}={str(value).lower() if field.type is bool else value}\n")
    return "".join(lines)


def from_flags(text: str) -> dict[str, str]:
    """What `to_flags` wrote, of this version or an earlier one, by field; edited since, perhaps, by a program that begins a file with a
    byte order mark, or by one who writes --flip for --flip=true."""
    lines = [line.strip()[2:] for line in text.removeprefix("\ufeff").split("\n") if line.strip().startswith("--")]
    saved = {line.partition("=")[0]: line.partition("=")[2] if "=" in line else "true" for line in lines}
    return {now: value for name, value in saved.items() for now in RENAMED.get(name, (name,))}
