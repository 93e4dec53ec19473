"""How good predictions are: numbers and pictures."""

from pathosnet.evaluation.metrics import Metrics, measure
from pathosnet.evaluation.plots import check_plot_path, plot_confusion_matrix
from pathosnet.evaluation.predictions import Predictions

__all__ = ["Metrics", "Predictions", "check_plot_path", "measure", "plot_confusion_matrix"]
