"""How far two arrays are apart."""

from typing import Any

import numpy as np
import torch

TOLERANCE = 1e-5


def relative_error(ours: Any, reference: Any) -> float:
    """Returns ‖ours − reference‖ / ‖reference‖ in float64; infinite if the shapes differ or NaN is among the values."""
    ours, reference = (
        np.asarray(value.detach() if isinstance(value, torch.Tensor) else value, dtype=np.float64)
        for value in (ours, reference)
    )
    if ours.shape != reference.shape or not np.isfinite(ours).all():
        return float("inf")
    difference, size = np.linalg.norm(ours - reference), np.linalg.norm(reference)
    return float(difference / size) if size > 0 else float(difference)


def assert_same(ours: Any, reference: Any, stage: str, tolerance: float = TOLERANCE) -> None:
    """Asserts that float32 values are those of the reference, by their relative error."""
    error = relative_error(ours, reference)
    assert error <= tolerance, f"{stage}: relative error {error:.2g}, allowed {tolerance:.0e}"


def assert_same_probabilities(ours: Any, reference: Any, tolerance: float = TOLERANCE) -> None:
    """Asserts that no probability is further away than the tolerance."""
    ours, reference = (
        np.asarray(value.detach() if isinstance(value, torch.Tensor) else value, dtype=np.float64)
        for value in (ours, reference)
    )
    assert ours.shape == reference.shape
    error = float(np.abs(ours - reference).max())
    assert error <= tolerance, f"probabilities: off by {error:.2g}, allowed {tolerance:.0e}"
