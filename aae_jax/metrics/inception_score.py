"""The Inception score of Salimans et al. 2016 (section 4), by whichever classifier."""

import numpy as np

from aae_jax.errors import UserError


def check_splits(num: int, splits: int) -> None:
    """Refuse a score of so many samples in so many parts.

    Raises:
        UserError: no part, or fewer samples than parts.
    """
    if splits < 1 or num < splits:
        raise UserError(
            f"the score of {num} samples in {splits} splits cannot be had: take at least one split "
            "and as many samples as splits"
        )


def inception_score(probabilities: np.ndarray, splits: int = 10) -> tuple[float, float]:
    """exp(E_x KL(p(y | x) || p(y))), p(y) being the mean over the samples of a split.

    As published: splits are contiguous, nothing is shuffled, and of their scores the mean and the
    population standard deviation are given. Between 1 and the number of classes; a probability of
    zero adds nothing.

    Args:
        probabilities: [n, k], rows that add up to 1, in the order in which samples were drawn.
        splits: parts of the samples, whose scores are averaged; they differ in size by one where n
            does not divide.

    Raises:
        UserError: fewer samples than splits, or what is no [n, k].
    """
    if probabilities.ndim != 2:
        raise UserError(f"probabilities are [n, k], and these have shape {probabilities.shape}")
    num = len(probabilities)
    check_splits(num, splits)
    scores = []
    for i in range(splits):
        part = probabilities[i * num // splits : (i + 1) * num // splits].astype(np.float64)
        # log 0 never counts: where a class has no share at all, no sample has any of it.
        log_part, log_mean = (np.log(np.where(p > 0, p, 1.0)) for p in (part, part.mean(axis=0)))
        scores.append(np.exp((part * (log_part - log_mean)).sum(axis=1).mean()))
    return float(np.mean(scores)), float(np.std(scores))
