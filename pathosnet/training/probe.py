"""A linear probe: the floor that a trained network has to reach on the same features and the same parts."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pathosnet.features.table import FeatureTable
from pathosnet.training.data import Parts

STRENGTHS = (0.003, 0.03, 0.3)
"""Inverse strengths of the regularization, of which the validation part chooses one."""
MAX_ITERATIONS = 500


@dataclass(frozen=True)
class Probe:
    """How logistic regression on features averaged over time does on the test part, beside the network.

    It is trained on the training part alone, with classes balanced; the validation part chooses its regularization.
    """

    uar: float
    accuracy: float
    network_uar: float
    """Figure of the trained network on the same utterances."""
    inverse_regularization: float

    @property
    def is_better(self) -> bool:
        """Whether the network does worse than a straight line."""
        return self.uar > self.network_uar

    def summary(self) -> str:
        """Returns one line for a person."""
        found = f"linear probe UAR {self.uar:.2f}, network {self.network_uar:.2f}"
        advice = "; the network does worse than a straight line, try --network linear or --refit"
        return found + (advice if self.is_better else "")


def measure_probe(table: FeatureTable, parts: Parts, test: Sequence[int], *, probabilities: np.ndarray) -> Probe:
    """Fits a linear probe, and measures it on the test part.

    Args:
        table: of classes, perhaps beside dimensions, features of all utterances.
        parts: which of them train, and which choose the regularization.
        test: positions of the test part, at least one.
        probabilities: what the network says of the test part, ``(test, classes)``.
    """
    vectors, targets = pool(table), table.class_numbers.numpy()
    train, validation, test = list(parts.train), list(parts.validation), list(test)
    mean, deviation = vectors[train].mean(axis=0), vectors[train].std(axis=0)
    vectors = (vectors - mean) / np.where(deviation > 0, deviation, 1.0)
    fitted = {strength: _fit(vectors[train], targets[train], strength) for strength in STRENGTHS}
    strength = max(fitted, key=lambda one: _uar(targets[validation], fitted[one].predict(vectors[validation])))
    said, truth = fitted[strength].predict(vectors[test]), targets[test]
    network = _uar(truth, probabilities.argmax(axis=1))
    return Probe(_uar(truth, said), float((said == truth).mean()), network, inverse_regularization=strength)


def pool(table: FeatureTable) -> np.ndarray:
    """Averages every input over time, ``(utterances, features of all inputs)``; an empty sequence counts as zeros."""
    columns = []
    for sequences in table.sequences.values():
        dim = sequences[0].shape[1:].numel()
        columns.append([x.float().flatten(1).mean(dim=0).numpy() if len(x) else np.zeros(dim) for x in sequences])
    return np.concatenate([np.asarray(column, dtype=np.float64) for column in columns], axis=1)


def _fit(vectors: np.ndarray, targets: np.ndarray, strength: float) -> Any:
    from sklearn.dummy import DummyClassifier
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(targets)) < 2:
        return DummyClassifier().fit(vectors, targets)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # close enough for a floor
        model = LogisticRegression(C=strength, class_weight="balanced", max_iter=MAX_ITERATIONS)
        return model.fit(vectors, targets)


def _uar(truth: np.ndarray, said: np.ndarray) -> float:
    """Returns the mean recall of the classes that occur."""
    return float(np.mean([(said[truth == label] == label).mean() for label in np.unique(truth)]))
