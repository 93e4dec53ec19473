"""How good predictions are: numbers and pictures."""

from pathosnet.evaluation.concordance import DimensionMetrics, measure_dimensions
from pathosnet.evaluation.metrics import Metrics, measure
from pathosnet.evaluation.plots import check_plot_path, plot_confusion_matrix, plot_estimates
from pathosnet.evaluation.predictions import Estimates, Predictions
from pathosnet.evaluation.word_errors import WordErrors, measure_word_errors

__all__ = [
    "DimensionMetrics",
    "Estimates",
    "Metrics",
    "Predictions",
    "WordErrors",
    "check_plot_path",
    "measure",
    "measure_dimensions",
    "measure_word_errors",
    "plot_confusion_matrix",
    "plot_estimates",
]
