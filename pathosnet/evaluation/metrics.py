"""The paper's metrics (section 7) and the unweighted average recall, by scikit-learn."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Metrics:
    """Figures in [0, 1]; None where a figure is not defined (AUC where the truth holds a single class)."""

    utterances: int
    accuracy: float
    uar: float
    """Unweighted average recall: the mean of the recalls of the classes that occur."""
    precision: float
    recall: float
    f1: float
    """Precision, recall and F1 of each class, averaged with the class' support."""
    auc: float | None
    """Area under the ROC curve, one class against the rest, averaged with the class' support."""
    recalls: dict[str, float | None]
    """Label → recall; None if the label does not occur."""
    confusion: list[list[int]]
    """Rows are the truth, columns the predictions, both in the order of the labels."""

    def summary(self) -> str:
        """Returns one line for a person."""
        auc = "–" if self.auc is None else f"{self.auc:.3f}"
        return (
            f"accuracy {self.accuracy:.3f}, UAR {self.uar:.3f}, weighted F1 {self.f1:.3f}, AUC {auc} "
            f"({self.utterances} utterances)"
        )


def measure(truth: Sequence[int] | np.ndarray, probabilities: np.ndarray, labels: Sequence[str]) -> Metrics:
    """Compares predictions with the truth.

    Args:
        truth: label numbers, ``(utterances,)``.
        probabilities: ``(utterances, classes)``; the most probable class is the prediction.
        labels: names of the classes.

    Raises:
        ValueError: there are no utterances.
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    if len(truth) == 0:
        raise ValueError("expected at least one utterance to measure, got none")
    true = np.asarray(truth)
    predicted = probabilities.argmax(axis=1)
    classes = np.arange(len(labels))
    _, recalls, _, support = precision_recall_fscore_support(true, predicted, labels=classes, zero_division=0)
    precision, recall, f1, _ = precision_recall_fscore_support(
        true, predicted, labels=classes, average="weighted", zero_division=0
    )
    return Metrics(
        utterances=len(true),
        accuracy=float((true == predicted).mean()),
        uar=float(recalls[support > 0].mean()),
        precision=float(precision),
        recall=float(recall),
        f1=float(f1),
        auc=_weighted_auc(true, probabilities),
        recalls={
            label: float(value) if count else None for label, value, count in zip(labels, recalls, support, strict=True)
        },
        confusion=confusion_matrix(true, predicted, labels=classes).tolist(),
    )


def _weighted_auc(truth: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Equals scikit-learn's weighted one-vs-rest AUC; a class that the truth lacks, which that refuses, weighs 0."""
    from sklearn.metrics import roc_auc_score

    present = np.unique(truth)
    if len(present) < 2:
        return None
    areas = [roc_auc_score(truth == label, probabilities[:, label]) for label in present]
    return float(np.average(areas, weights=[(truth == label).sum() for label in present]))
