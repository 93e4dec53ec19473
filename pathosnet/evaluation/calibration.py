"""How far probabilities can be trusted."""

from dataclasses import dataclass

import numpy as np

NUM_BINS = 15
HIGHEST_TEMPERATURE = 20.0
SMALLEST_PROBABILITY = 1e-12


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


@dataclass(frozen=True)
class Calibration:
    """What temperature scaling did. Expected calibration errors are before and after."""

    temperature: float
    """Divides the logits: above 1 where the network was too sure of itself."""
    validation: tuple[float, float]
    test: tuple[float, float] | None
    """None if there is no test part."""

    def summary(self) -> str:
        """Returns one line for a person."""
        part, (before, after) = ("test", self.test) if self.test else ("validation", self.validation)
        error = f"expected calibration error {100 * before:.1f} % → {100 * after:.1f} % on the {part} part"
        return f"temperature {self.temperature:.2f}, {error}"


def fit_temperature(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """Finds the temperature that makes probabilities most likely (Guo et al., 2017).

    Args:
        truth: label numbers, ``(utterances,)``.
        probabilities: ``(utterances, classes)``, at temperature 1.

    Returns:
        Between 1 / 20 and 20: where every prediction is right, the most likely temperature would be 0.

    Raises:
        ValueError: there are no utterances, or a probability is no number.
    """
    from scipy.optimize import minimize_scalar

    if len(truth) == 0 or not np.isfinite(probabilities).all():
        raise ValueError("expected probabilities of at least one utterance, all of them numbers")

    def loss(log_temperature: float) -> float:
        scaled = np.log(change_temperature(probabilities, float(np.exp(log_temperature))))
        return -float(scaled[np.arange(len(truth)), truth].mean())

    limit = np.log(HIGHEST_TEMPERATURE)
    return float(np.exp(minimize_scalar(loss, bounds=(-limit, limit), method="bounded", options={"xatol": 1e-6}).x))


def change_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Divides the logits behind probabilities by a temperature; the most probable class stays.

    Args:
        probabilities: ``(utterances, classes)``.
        temperature: above 0; ``1 / temperature`` takes it back.

    >>> change_temperature(np.array([[0.9, 0.1]]), 2.0).round(2).tolist()
    [[0.75, 0.25]]
    """
    logits = np.log(np.maximum(probabilities.astype(float), SMALLEST_PROBABILITY)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    scaled: np.ndarray = np.maximum(powers / powers.sum(axis=1, keepdims=True), SMALLEST_PROBABILITY)
    return scaled
