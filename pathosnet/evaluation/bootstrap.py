"""Bootstrap: how much figures depend on the utterances, or speakers, that happened to be tested."""

from collections.abc import Sequence

import numpy as np

NUM_RESAMPLES = 1000
RESAMPLES_AT_ONCE = 50
LEVEL = 0.95
SMALLEST = 1e-12  # of what is divided by


def resample_counts(groups: Sequence[object], num_resamples: int = NUM_RESAMPLES, seed: int = 0) -> np.ndarray:
    """Draws groups with replacement, and counts how often each utterance was drawn.

    Args:
        groups: of each utterance, such as its speaker; all different to draw utterances one by one.
        num_resamples: number of drawings.
        seed: of the drawings.

    Returns:
        ``(num_resamples, utterances)``.
    """
    _, numbers = np.unique(np.asarray([str(group) for group in groups]), return_inverse=True)
    size = int(numbers.max()) + 1
    generator, shares = np.random.default_rng(seed), np.full(size, 1 / size)
    # A group is drawn about once: sixteen bits are plenty, and a quarter of what NumPy would take for all at once.
    counts = np.empty((num_resamples, len(numbers)), np.uint16)
    for row in counts:
        row[:] = generator.multinomial(size, shares)[numbers]
    return counts


def _sums(counts: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sums ``(utterances, columns)`` over every resample, a few at a time, since counts become float64 for it."""
    return np.concatenate([part @ values for part in np.array_split(counts, -(-len(counts) // RESAMPLES_AT_ONCE))])


def bootstrap_figures(truth: np.ndarray, right: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
    """Computes accuracy and UAR of every resample.

    Args:
        truth: label numbers, ``(utterances,)``.
        right: whether each prediction is right, or how often over several seeds, in [0, 1], ``(utterances,)``.
        counts: see ``resample_counts``.

    Returns:
        ``accuracy`` and ``uar``, each ``(num_resamples,)``; the UAR over the classes that were drawn.
    """
    of_class = np.eye(int(truth.max()) + 1)[truth]
    hits = _sums(counts, of_class * right[:, None])
    support = _sums(counts, of_class)
    with np.errstate(invalid="ignore"):
        return {"accuracy": hits.sum(axis=1) / support.sum(axis=1), "uar": np.nanmean(hits / support, axis=1)}


def bootstrap_ccc(truth: np.ndarray, estimates: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Computes the concordance correlation of every resample.

    Args:
        truth: ``(utterances, dimensions)``.
        estimates: of the same shape.
        counts: see ``resample_counts``.

    Returns:
        ``(num_resamples, dimensions)``; 0 where nothing varies.
    """
    middle = truth.mean(axis=0, dtype=float)
    x, y = estimates - middle, truth - middle  # so that sums of squares stay exact
    total = counts.sum(axis=1, keepdims=True)
    mx, my, xx, yy, xy = (_sums(counts, values) / total for values in (x, y, x * x, y * y, x * y))
    spread = (xx - mx * mx) + (yy - my * my) + (mx - my) ** 2
    covariance = xy - mx * my
    return np.divide(2.0 * covariance, spread, out=np.zeros_like(spread), where=spread > SMALLEST)


def interval(values: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Returns the percentiles between which the share ``level`` of the values lies."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
