"""How far probabilities can be trusted."""

from dataclasses import dataclass

import numpy as np

NUM_BINS = 15


@dataclass(frozen=True)
class Reliability:
    """Predictions sorted by the probability of the predicted class into bins of equal width (Guo et al., 2017)."""

    confidence: np.ndarray
    """Mean probability of the predicted class, ``(bins,)``; not a number in an empty bin."""
    accuracy: np.ndarray
    """Share of right predictions, ``(bins,)``; not a number in an empty bin."""
    counts: np.ndarray
    """Predictions, ``(bins,)``."""

    @property
    def expected_calibration_error(self) -> float:
        """Mean distance of confidence and accuracy, weighted with the number of predictions."""
        some = self.counts > 0
        distance = np.abs(self.confidence[some] - self.accuracy[some])
        return float(np.average(distance, weights=self.counts[some]))


def measure_reliability(truth: np.ndarray, probabilities: np.ndarray, num_bins: int = NUM_BINS) -> Reliability:
    """Compares probabilities with how often they are right.

    Args:
        truth: label numbers, ``(utterances,)``.
        probabilities: ``(utterances, classes)``.
        num_bins: of equal width; a value between two bins belongs to the lower.

    >>> found = measure_reliability(np.array([0, 1]), np.array([[0.9, 0.1], [0.7, 0.3]]), num_bins=2)
    >>> round(found.expected_calibration_error, 3)
    0.3
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    bins = np.clip(np.ceil(confidence * num_bins).astype(int) - 1, 0, num_bins - 1)
    counts = np.bincount(bins, minlength=num_bins)
    with np.errstate(invalid="ignore"):
        return Reliability(
            np.bincount(bins, confidence, num_bins) / counts, np.bincount(bins, right, num_bins) / counts, counts
        )
