"""Calibration: how closely probabilities agree with the frequency of being right, and temperature scaling."""

from dataclasses import dataclass

import numpy as np

NUM_BINS = 15
HIGHEST_TEMPERATURE = 20.0
FEW_UTTERANCES = 100
"""Size of a validation part below which the temperature is a guess."""
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
    """Temperature scaling and its effect: expected calibration errors before and after."""

    temperature: float
    """Divides the logits: above 1 where the network was too sure of itself."""
    validation: tuple[float, float]
    test: tuple[float, float] | None
    """None if there is no test part."""
    utterances: int = 0
    """Size of the validation part; 0 if that is not known."""

    def summary(self) -> str:
        """Says in a sentence what calibration did, and what is wrong about it."""
        part, (before, after) = ("test", self.test) if self.test else ("validation", self.validation)
        said = (
            f"logits are divided by {self.temperature:.2f}, which changes the expected calibration error of the {part} "
            f"part from {100 * before:.1f} % to {100 * after:.1f} %"
        )
        return "; ".join((said, *self.warnings()))

    def warnings(self) -> list[str]:
        """Returns why probabilities may not be trusted all the same."""
        before, after = self.test or self.validation
        found = []
        if after > before:
            found.append("that is worse (--calibration none leaves them as they are)")
        if 0 < self.utterances < FEW_UTTERANCES:
            found.append(f"{self.utterances} validation utterances are too few to rely on it")
        if not 1.01 / HIGHEST_TEMPERATURE < self.temperature < HIGHEST_TEMPERATURE / 1.01:
            found.append(
                "the divisor is at its bound, since the validation part has no or only wrong answers to learn from"
            )
        return found


def fit_temperature(truth: np.ndarray, logits: np.ndarray) -> float:
    """Finds the temperature that makes the truth most likely (Guo et al., 2017).

    Args:
        truth: label numbers, ``(utterances,)``.
        logits: ``(utterances, classes)``; logarithms of probabilities are logits, too.

    Returns:
        Between 1 / 20 and 20: where every prediction is right, the most likely temperature would be 0.

    Raises:
        ValueError: there are no utterances, or a logit is no number.
    """
    from scipy.optimize import minimize_scalar

    if len(truth) == 0 or not np.isfinite(logits).all():
        raise ValueError("expected logits of at least one utterance, all of them numbers")

    def loss(log_temperature: float) -> float:
        scaled = np.log(softmax(logits, float(np.exp(log_temperature))))
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
    return softmax(np.log(np.maximum(probabilities.astype(float), SMALLEST_PROBABILITY)), temperature)


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Returns the probabilities of logits ``(utterances, classes)`` at a temperature; none is quite 0."""
    scaled = logits.astype(float) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    probabilities: np.ndarray = np.maximum(powers / powers.sum(axis=1, keepdims=True), SMALLEST_PROBABILITY)
    return probabilities


def calibration_errors(truth: np.ndarray, logits: np.ndarray, temperature: float) -> tuple[float, float]:
    """Returns the expected calibration errors of logits ``(utterances, classes)`` before and at a temperature."""
    before, after = (
        measure_reliability(truth, softmax(logits, one)).expected_calibration_error for one in (1.0, temperature)
    )
    return before, after
