"""How near estimates of numbers come to the truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class DimensionMetrics:
    """Figures of estimates, each by dimension; a coefficient is None where truth or estimates do not vary."""

    utterances: int
    mean_ccc: float
    """Of all dimensions; one that does not vary counts as 0."""
    ccc: dict[str, float | None]
    """Concordance correlation coefficient (Lin, 1989), in [-1, 1]."""
    pearson: dict[str, float | None]
    """Pearson's correlation coefficient, in [-1, 1]."""
    rmse: dict[str, float]
    """Root of the mean squared error, in the units of the corpus."""

    def summary(self) -> str:
        """Returns one line for a person."""
        each = ", ".join(f"{name} {'–' if value is None else f'{value:.3f}'}" for name, value in self.ccc.items())
        return f"mean CCC {self.mean_ccc:.3f} ({each}; {self.utterances} utterances)"


def measure_dimensions(truth: np.ndarray, estimates: np.ndarray, names: Sequence[str]) -> DimensionMetrics:
    """Compares estimates with the truth.

    Args:
        truth: ``(utterances, dimensions)``.
        estimates: of the same shape.
        names: of the dimensions.

    Raises:
        ValueError: there are no utterances.

    >>> truth = np.array([[1.0], [2.0], [3.0]])
    >>> measure_dimensions(truth, truth + 1, ["valence"]).summary()
    'mean CCC 0.571 (valence 0.571; 3 utterances)'
    """
    if len(truth) == 0:
        raise ValueError("expected at least one utterance to measure, got none")
    x, y = np.asarray(estimates, dtype=float), np.asarray(truth, dtype=float)
    covariances = ((x - x.mean(0)) * (y - y.mean(0))).mean(0)
    varies = (np.ptp(x, axis=0) > 0) & (np.ptp(y, axis=0) > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        pearson = covariances / (x.std(0) * y.std(0))
        ccc = 2.0 * covariances / (x.var(0) + y.var(0) + (x.mean(0) - y.mean(0)) ** 2)

    def named(values: np.ndarray) -> dict[str, float | None]:
        return {name: float(value) if ok else None for name, value, ok in zip(names, values, varies, strict=True)}

    return DimensionMetrics(
        utterances=len(y),
        mean_ccc=float(np.where(varies, ccc, 0.0).mean()),
        ccc=named(ccc),
        pearson=named(pearson),
        rmse=dict(zip(names, np.sqrt(((x - y) ** 2).mean(0)).tolist(), strict=True)),
    )
