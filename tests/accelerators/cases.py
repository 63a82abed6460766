"""Every model, in each of its phases and with what changes the operations of its step: small, and traced as a GPU or TPU would run it."""

import tensorflow as tf

from tests.conftest import small
from tests.models_test import batch_of, step_of
from tfvideogan import models
from tfvideogan.config import Config
from tfvideogan.ops import forms

CASES: dict[str, dict] = {
    "cartoongan": {"model": "cartoongan"},
    "cartoongan initialization": {"model": "cartoongan", "phase": "initialization"},
    "dvdgan": {"model": "dvdgan"},
    "dvdgan attention": {"model": "dvdgan", "g_attention": 8, "d_attention": 8, "orthogonal_regularization": 1e-4, "phi": "crop"},
    "dvdgan_fp": {"model": "dvdgan_fp"},
    "dvdgan_fp tsru": {"model": "dvdgan_fp", "recurrent": "tsru", "d_inputs": "crops", "conditional": True},
    "everybody_dance_now global": {"model": "everybody_dance_now", "phase": "global"},
    "everybody_dance_now local": {"model": "everybody_dance_now", "phase": "local"},
    "everybody_dance_now face": {"model": "everybody_dance_now", "phase": "face", "size": 32, "face_size": 16},
    "ftgan flow": {"model": "ftgan", "phase": "flow"},
    "ftgan texture": {"model": "ftgan", "phase": "texture"},
    "ftgan joint": {"model": "ftgan", "phase": "joint"},
    "mocogan": {"model": "mocogan"},
    "mocogan self_feed": {"model": "mocogan", "epsilon": "self_feed", "category_to": "motion", "hidden": 8},
    "mocogan strided": {"model": "mocogan", "video_discriminator": "strided", "use_categories": False, "use_infogan": False},
    "tgan": {"model": "tgan", "loss": "wgan_svc", "clip_every_steps": 1},
    "tgan wgan_clip": {"model": "tgan", "loss": "wgan_clip", "conditional": True},
    "tgan vanilla": {"model": "tgan", "loss": "vanilla"},
    "tganv2": {"model": "tganv2"},
    "vgan": {"model": "vgan"},
    "vgan conditional": {"model": "vgan", "conditional": True},
    "vid2vid": {"model": "vid2vid", "phase": "joint"},
    "vid2vid finest": {"model": "vid2vid", "phase": "finest", "scales": 2},
}
# Whose step takes a minute to trace.
DEEP = {
    *("dvdgan", "dvdgan attention", "dvdgan_fp", "dvdgan_fp tsru", "mocogan", "mocogan self_feed", "mocogan strided"),
    *("tganv2", "vid2vid", "vid2vid finest"),
}
PRECISIONS = "float32", "mixed_bfloat16", "mixed_float16"


def config_of(case: str, **changes: object) -> Config:
    """The small Config of a case, with one D update: a second is the same function again."""
    model, *_ = case.split()
    return small(model, **{"d_steps": 1, **CASES[case], **changes})


def has_recompute(case: str) -> bool:
    return case.startswith("dvdgan")


def traced_step(config: Config) -> tf.types.experimental.ConcreteFunction:
    """The whole step, one graph: both players' updates with their constraints, and the averages."""
    with forms.accelerated():
        step = tf.function(step_of(models.build(config), flat=True), autograph=False)
        return step.get_concrete_function([batch_of(config, config.batch_size)])
