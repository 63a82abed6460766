"""What can be added to D's loss when clips are few, and what follows its scores from update to update, whatever the model.

- R1, lazily: the gradient penalty on real clips (Mescheder et al. 2018, arXiv 1801.04406, equation 9) in every `--r1_every`th update of D,
  times that number (StyleGAN2, Karras et al. 2020, arXiv 1912.04958, appendix B). It is part of the update's own gradient, so Adam's
  rates need no correction.
- LeCAM (Tseng et al. 2021, arXiv 2104.03310): `losses.lecam` with moving averages of the scores.
- ADA (Karras et al. 2020, arXiv 2006.06676, section 3.1): the probability of augmentation follows the sign of the scores of real clips.
  Differs from the paper: what is applied are DiffAugment's five changes (layers/augment.py), not the paper's own set of 18.

The numbers that follow are `GAN.adaptive`: of the scores of the global batch, over replicas and parts of it, and in every checkpoint.
"""

import tensorflow as tf

from tfvideogan import losses
from tfvideogan.gan import GAN, Batch, Scalars, fake_of

WINDOW = 4  # updates of D whose signs decide on one move of the probability (ADA 3.1)


def discriminator_loss(gan: GAN, batch: Batch, penalize: bool = False) -> tuple[Scalars, Scalars]:
    """The model's loss with the terms that are asked for, and what it watches with the signs of scores that ADA reads.

    Args:
        penalize: whether this is an update with R1.
    """
    state = gan.adaptive
    terms, watched, penalty = _penalized(gan, batch) if penalize else (*gan.discriminator_loss(batch), None)
    extra: Scalars = {}
    if penalty is not None:
        terms = {**terms, "d_r1": gan.config.r1_weight * gan.config.r1_every * penalty}
    elif gan.lazy_r1 is not None:
        extra["d_r1"] = tf.zeros([])
    if gan.config.lecam_weight:
        pairs = [(name, fake_of(name)) for name in gan.score_names]
        far = [losses.lecam(watched[r], watched[f], state[f"lecam_{r}"], state[f"lecam_{f}"]) for r, f in pairs]
        terms = {**terms, "d_lecam": gan.config.lecam_weight * tf.add_n(far)}
    if gan.config.augment == "ada":
        extra |= {f"{name}_sign": tf.reduce_mean(tf.sign(watched[name])) for name in gan.score_names}
    return terms, {**watched, **extra}


def _penalized(gan: GAN, batch: Batch) -> tuple[Scalars, Scalars, tf.Tensor]:
    """The model's loss, and E|dD/dx|^2 of real clips x, as the batch has them, before they are augmented; summed over discriminators."""
    seen: Batch = {name: batch[name] for name in ("video", "flow") if name in batch}
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(seen)
        terms, watched = gan.discriminator_loss({**batch, **seen})
        totals = [tf.reduce_sum(watched[name]) for name in gan.score_names]
    gradients = [gradient for total in totals for gradient in tape.gradient(total, list(seen.values())) if gradient is not None]
    return terms, watched, tf.add_n([_mean_square(tf.convert_to_tensor(gradient)) for gradient in gradients])


def _mean_square(gradient: tf.Tensor) -> tf.Tensor:
    """Of each example's [N,...] squared length, the mean."""
    return tf.reduce_mean(tf.reduce_sum(tf.square(gradient), list(range(1, len(gradient.shape)))))


def follow(gan: GAN, scalars: Scalars, update: tf.Tensor) -> None:
    """Moves `gan.adaptive`, and what is shown of R1, after an update of D.

    Args:
        scalars: what the loss gave, of the global batch.
        update: int64 [], how many updates of D there were before.
    """
    config, state = gan.config, gan.adaptive
    if config.augment == "ada":
        names = [f"{name}_sign" for name in gan.score_names]
        signs = {name: state[name] + scalars[name] / WINDOW for name in names}
        due = tf.equal(update % WINDOW, WINDOW - 1)
        # Of several discriminators the one that knows most clips by heart: it is the one that G no longer learns from.
        overfit = tf.reduce_max(tf.stack(list(signs.values())))
        move = tf.sign(overfit - config.ada_target) * (WINDOW * config.batch_size / config.ada_clips)
        p = state["augment_p"]
        p.assign(tf.where(due, tf.clip_by_value(p + move, 0.0, 1.0), p))
        for name, value in signs.items():
            state[name].assign(tf.where(due, 0.0, value))
    if config.lecam_weight:
        decay = tf.where(tf.equal(update, 0), 0.0, config.lecam_decay)  # from the first update's means on, not from 0
        for name in (kind for real in gan.score_names for kind in (real, fake_of(real))):
            average = state[f"lecam_{name}"]
            average.assign(decay * average + (1.0 - decay) * scalars[name])
    if gan.lazy_r1 is not None:
        gan.lazy_r1.assign(tf.where(is_due(gan, update), scalars["d_r1"] / config.r1_every, gan.lazy_r1))


def is_due(gan: GAN, update: tf.Tensor) -> tf.Tensor:
    """Whether D's update of this number, from 0 on, has R1."""
    return tf.equal(update % gan.config.r1_every, 0)


def shown(gan: GAN) -> Scalars:
    """What is logged of what follows: the probability of augmentation, and the penalty of the last update that had one."""
    kept = {"augment_p": gan.adaptive.get("augment_p"), "d_r1": gan.lazy_r1}
    return {name: tf.identity(variable) for name, variable in kept.items() if variable is not None}
