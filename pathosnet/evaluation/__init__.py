"""How good predictions are: numbers and pictures."""

from pathosnet.evaluation.metrics import Metrics, measure
from pathosnet.evaluation.plots import plot_confusion_matrix

__all__ = ["Metrics", "measure", "plot_confusion_matrix"]
