"""Figures, tables and pictures that show how good predictions are."""

from pathosnet.evaluation.metrics import (
    DimensionMetrics,
    Metrics,
    WordErrors,
    measure,
    measure_dimensions,
    measure_word_errors,
)
from pathosnet.evaluation.plots import check_plot_path, plot_confusion_matrix, plot_estimates
from pathosnet.evaluation.predictions import Estimates, Predictions

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
