"""How good predictions are: numbers and pictures."""

from pathosnet.evaluation.metrics import Metrics, measure
from pathosnet.evaluation.plots import check_plot_path, plot_confusion_matrix
from pathosnet.evaluation.predictions import Predictions
from pathosnet.evaluation.word_errors import WordErrors, measure_word_errors

__all__ = [
    "Metrics",
    "Predictions",
    "WordErrors",
    "check_plot_path",
    "measure",
    "measure_word_errors",
    "plot_confusion_matrix",
]
