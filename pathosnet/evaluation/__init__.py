"""Figures, tables and pictures that show how good predictions are."""

from pathosnet.evaluation.metrics import (
    DimensionMetrics,
    Metrics,
    MultiTaskMetrics,
    WordErrors,
    measure,
    measure_dimensions,
    measure_word_errors,
)
from pathosnet.evaluation.plots import check_plot_path, plot_confusion_matrix, plot_estimates
from pathosnet.evaluation.predictions import Estimates, MultiTaskPredictions, Predictions

__all__ = [
    "DimensionMetrics",
    "Estimates",
    "Metrics",
    "MultiTaskMetrics",
    "MultiTaskPredictions",
    "Predictions",
    "WordErrors",
    "check_plot_path",
    "measure",
    "measure_dimensions",
    "measure_word_errors",
    "plot_confusion_matrix",
    "plot_estimates",
]
