"""Pictures, without a display."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pathosnet.errors import InputError

SUFFIXES = (".png", ".svg", ".pdf")


def check_plot_path(path: str | Path) -> None:
    """Checks that a picture can be written, before the work that leads to it.

    Raises:
        InputError: the folder is missing, or the ending is of no known format.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: expected a picture ending in {', '.join(SUFFIXES)}")
    if not path.parent.is_dir():
        raise InputError(f"{path}: no such folder: {path.parent}; make it first")


def plot_confusion_matrix(confusion: Sequence[Sequence[float]], labels: Sequence[str], path: str | Path) -> None:
    """Draws a confusion matrix with each row's shares, and the counts beneath them.

    Args:
        confusion: rows are the truth, columns the predictions.
        labels: names of the classes.
        path: ``.png``, ``.svg`` or ``.pdf``.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    counts = np.asarray(confusion, dtype=float)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    size = 1.8 + 0.9 * len(labels)
    figure = Figure(figsize=(size + 0.6, size), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    for row, column in np.ndindex(*counts.shape):
        axes.text(
            column,
            row,
            f"{shares[row, column]:.0%}\n{counts[row, column]:g}",
            ha="center",
            va="center",
            color="white" if shares[row, column] > 0.5 else "black",
        )
    axes.set_xticks(range(len(labels)), labels, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    bar = figure.colorbar(image, ax=axes, shrink=0.8, format=lambda share, _: f"{share:.0%}")
    bar.set_label("share of the true class")
    figure.savefig(path, dpi=150)


def plot_search(losses: Sequence[tuple[int, float]], path: str | Path) -> None:
    """Draws the losses of a search's trials, and the lowest so far.

    Args:
        losses: number of the trial and its validation loss.
        path: ``.png``, ``.svg`` or ``.pdf``.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    numbers, values = [number for number, _ in losses], [loss for _, loss in losses]
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.scatter(numbers, values, s=18, color="tab:gray", label="trial")
    axes.step(numbers, np.minimum.accumulate(values), where="post", color="tab:blue", label="best so far")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("trial")
    axes.set_ylabel("validation loss")
    axes.legend()
    figure.savefig(path, dpi=150)
