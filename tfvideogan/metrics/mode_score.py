"""Mode score (Che et al. 2017, arXiv:1612.02136, 4.1): the inception score, less what the classes' shares differ."""

import numpy as np

from tfvideogan.metrics.arrays import log_marginal, log_probabilities


def mode_score(real_logits: np.ndarray, fake_logits: np.ndarray) -> float:
    """exp(E KL(p(y|x) || p(y)) - KL(p(y) || p*(y))), with p* the real clips' classes; higher is better, at most C.

    The paper prints KL(p(y|x) || p*(y)) in the first term, which makes the whole the inception score, since
    E KL(p(y|x) || p*) = E KL(p(y|x) || p) + KL(p || p*). This is the form that is in use.

    Args:
        real_logits: [N,C].
        fake_logits: [M,C].
    Raises: ValueError for other numbers of classes, or values not finite.
    """
    log_p, real = log_probabilities("fake_logits", fake_logits), log_marginal(log_probabilities("real_logits", real_logits))
    if len(real) != log_p.shape[1]:
        raise ValueError(f"real_logits of {len(real)} classes and fake_logits of {log_p.shape[1]}: expected as many")
    marginal = log_marginal(log_p)
    quality = np.mean(np.sum(np.exp(log_p) * (log_p - marginal), 1))
    return float(np.exp(quality - np.sum(np.exp(marginal) * (marginal - real))))
