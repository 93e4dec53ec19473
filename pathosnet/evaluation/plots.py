"""Pictures of what was measured, drawn without a display."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pathosnet.errors import InputError
from pathosnet.evaluation.calibration import Reliability
from pathosnet.evaluation.metrics import measure_dimensions
from pathosnet.evaluation.tables import UNDEFINED
from pathosnet.files import to_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, FigureBase

SUFFIXES = (".png", ".svg", ".pdf")
DPI = 150
PAGE_WIDTH = 13.0
"""Inches: about what the report's page holds without making the letters too small."""
CURVES = (("loss", ("train_loss", "val_loss")), ("share", ("val_accuracy", "val_uar")), ("CCC", ("val_ccc",)))
"""Figures that share an axis, drawn as far as they were kept."""
LIMITS: Mapping[str, tuple[float | None, float | None]] = {"loss": (0.0, None), "share": (0.0, 1.0), "CCC": (None, 1.0)}
CURVE_STYLES = {
    "train_loss": ("tab:gray", "training loss"),
    "val_loss": ("tab:blue", "validation loss"),
    "val_accuracy": ("tab:orange", "validation accuracy"),
    "val_uar": ("tab:green", "validation UAR"),
    "val_ccc": ("tab:green", "validation CCC, mean of the dimensions"),
}
CHANCE: dict[str, Any] = {"color": "black", "linestyle": ":", "linewidth": 1.0}


def check_plot_path(path: str | Path) -> None:
    """Checks that a picture can be written, before the work that leads to it.

    Raises:
        InputError: the folder is missing, or the ending is of no known format.
    """
    path = to_path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: expected a picture ending in {', '.join(SUFFIXES)}")
    if not path.parent.is_dir():
        raise InputError(f"{path}: no such folder: {path.parent}; make it first")


def new_figure(width: float, height: float) -> "Figure":
    """Makes a Matplotlib figure, inches wide and high, that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def plot_confusion_matrix(confusion: Sequence[Sequence[float]], labels: Sequence[str], path: str | Path) -> None:
    """Draws a confusion matrix with the shares of each row, and the counts beneath them.

    Args:
        confusion: rows are the truth, columns the predictions.
        labels: names of the classes.
        path: ``.png``, ``.svg`` or ``.pdf``.
    """
    figure = new_figure(*_confusion_size(labels))
    _draw_confusion_matrix(figure, confusion, labels)
    figure.savefig(path, dpi=DPI)


def plot_both(
    confusion: Sequence[Sequence[float]],
    labels: Sequence[str],
    *,
    truth: np.ndarray,
    estimates: np.ndarray,
    names: Sequence[str],
    path: str | Path,
) -> None:
    """Draws a confusion matrix, and beneath it estimates over the truth; see the functions that draw one of them."""
    (width, above), (wider, below) = _confusion_size(labels), _estimates_size(names)
    figure = new_figure(max(width, wider), above + below)
    halves = figure.subfigures(2, 1, squeeze=False, height_ratios=(above, below))[:, 0]
    _draw_confusion_matrix(halves[0], confusion, labels)
    _draw_estimates(halves[1], truth, estimates, names=names)
    figure.savefig(path, dpi=DPI)


def _confusion_size(labels: Sequence[str]) -> tuple[float, float]:
    width = 1.2 + 0.085 * max(map(len, labels)) + 0.9 * len(labels)
    return width + 0.9, width - 0.1


def _draw_confusion_matrix(figure: "FigureBase", confusion: Sequence[Sequence[float]], labels: Sequence[str]) -> None:
    counts = np.asarray(confusion, dtype=float)
    totals = counts.sum(axis=1)
    shares = np.divide(counts, totals[:, None], out=np.zeros_like(counts), where=totals[:, None] > 0)
    axes = figure.subplots()
    texts = [
        [f"{share:.0%}\n{n:g}" for share, n in zip(*rows, strict=True)] for rows in zip(shares, counts, strict=True)
    ]
    _draw_shares(axes, shares, labels=labels, texts=texts)
    axes.set(xlabel="predicted", ylabel="true")
    uar = shares.diagonal()[totals > 0].mean() if totals.any() else 0.0
    title = f"{totals.sum():g} utterances\nUAR {uar:.1%} (chance {1 / len(labels):.1%})"
    axes.set_title(title, fontsize=10)
    _add_share_bar(figure, [axes], "share of the true class")


def plot_confusions(
    panels: Mapping[str, Sequence[Sequence[float | None]]], labels: Sequence[str], paths: Sequence[str | Path]
) -> None:
    """Draws confusion matrices side by side: shares of the true class, averaged over the folds.

    Args:
        panels: title → shares, rows are the truth; None where a class does not occur.
        labels: names of the classes.
        paths: pictures to write, ``.png``, ``.svg`` or ``.pdf``.
    """
    cell = 0.55 if len(labels) <= 6 else 0.42
    size = 0.8 + 0.065 * max(map(len, labels)) + cell * len(labels)
    lines = math.ceil(len(panels) / max(1, min(3, int(PAGE_WIDTH / size))))
    columns = math.ceil(len(panels) / lines)  # four stand in two lines of two
    figure = new_figure(columns * size + 0.9, lines * (size + 0.3))
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes, (title, rows) in zip(grid.flat, panels.items(), strict=False):
        shares = np.array([[np.nan if share is None else share for share in row] for row in rows], dtype=float)
        texts = [[UNDEFINED if np.isnan(share) else f"{100 * share:.0f}" for share in row] for row in shares]
        _draw_shares(axes, shares, labels=labels, texts=texts, fontsize=8)
        wrapped = "\n".join(textwrap.fill(line, int(11 * size)) for line in title.splitlines())
        axes.set_title(wrapped, fontsize=9, parse_math=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    for axes in grid[:, 0]:
        axes.set_ylabel("true", fontsize=8)
    for axes in grid.flat[max(0, len(panels) - columns) : len(panels)]:
        axes.set_xlabel("predicted", fontsize=8)
    _add_share_bar(figure, grid, "share of the true class,\nmean of the folds", shrink=0.8 / lines, fontsize=8)
    _save(figure, paths)


def _draw_shares(
    axes: "Axes",
    shares: np.ndarray,
    *,
    labels: Sequence[str],
    texts: Sequence[Sequence[str]],
    fontsize: float | None = None,
) -> None:
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    for (i, j), share in np.ndenumerate(shares):
        color = "white" if share > 0.55 else "black"
        axes.text(j, i, texts[i][j], ha="center", va="center", fontsize=fontsize, color=color)
    # A label may hold dollar signs, which are no formula here.
    axes.set_xticks(range(len(labels)), labels, rotation=35, ha="right", rotation_mode="anchor", parse_math=False)
    axes.set_yticks(range(len(labels)), labels, parse_math=False)
    axes.tick_params(labelsize=fontsize)


def _add_share_bar(
    figure: "FigureBase", panels: Any, label: str, *, shrink: float = 0.8, fontsize: float | None = None
) -> None:
    image = np.asarray(panels).flat[0].images[0]
    bar = figure.colorbar(image, ax=panels, shrink=shrink, format=lambda share, _: f"{100 * share:.0f} %")
    bar.set_label(label, fontsize=fontsize)
    bar.ax.tick_params(labelsize=fontsize)


def plot_estimates(truth: np.ndarray, estimates: np.ndarray, names: Sequence[str], *paths: str | Path) -> None:
    """Draws estimates over the truth, a panel for each dimension.

    Args:
        truth: ``(utterances, dimensions)``.
        estimates: of the same shape.
        names: of the dimensions.
        *paths: pictures to write, ``.png``, ``.svg`` or ``.pdf``.
    """
    figure = new_figure(*_estimates_size(names))
    _draw_estimates(figure, truth, estimates, names=names)
    _save(figure, paths)


def _estimates_grid(names: Sequence[str]) -> tuple[int, int]:
    lines = math.ceil(len(names) / 4)
    return lines, math.ceil(len(names) / lines)


def _estimates_size(names: Sequence[str]) -> tuple[float, float]:
    lines, columns = _estimates_grid(names)
    return 3.1 * columns + 0.4, 3.2 * lines + 0.2


def _draw_estimates(figure: "FigureBase", truth: np.ndarray, estimates: np.ndarray, *, names: Sequence[str]) -> None:
    lines, columns = _estimates_grid(names)
    panels = figure.subplots(lines, columns, squeeze=False)
    metrics = measure_dimensions(truth, estimates, names)
    opacity = min(0.7, max(0.08, 60 / len(truth)))
    for axes, name, x, y in zip(panels.flat, names, truth.T, estimates.T, strict=False):
        low, high = min(x.min(), y.min()), max(x.max(), y.max())
        margin = 0.04 * (high - low)
        ends = (low - margin, high + margin)
        axes.plot(ends, ends, color="tab:gray", linestyle="--", linewidth=1)
        axes.scatter(x, y, s=14, color="tab:blue", alpha=opacity, edgecolors="none")
        axes.set(xlim=ends, ylim=ends, aspect="equal", xlabel="true", ylabel="estimated")
        ccc = metrics.ccc[name]
        title = f"{name}: CCC {UNDEFINED if ccc is None else f'{ccc:.3f}'}, RMSE {metrics.rmse[name]:.3g}"
        axes.set_title(title, fontsize=9, parse_math=False)
        axes.tick_params(labelsize=8)
    for axes in panels.flat[len(names) :]:
        axes.set_axis_off()


def plot_curves(
    histories: Mapping[str, Sequence[Sequence[Mapping[str, float]]]],
    paths: Sequence[str | Path],
    *,
    chance: float | None = None,
) -> None:
    """Draws losses and validation figures by epoch: a faint line a fold, a bold one their mean.

    Args:
        histories: stage → for each fold, for each epoch: figure → value.
        paths: pictures to write.
        chance: the accuracy of guessing.
    """
    from matplotlib.ticker import MaxNLocator

    width = min(3.4, max(2.1, 0.85 * PAGE_WIDTH / len(histories)))
    figure = new_figure(width * len(histories) + 0.6, 4.8)
    known = next(iter(histories.values()))[0][0]
    rows = [(kind, names) for kind, names in CURVES if names[-1] in known]
    panels = figure.subplots(len(rows), len(histories), squeeze=False, sharey="row", sharex="col")
    for column, (stage, folds) in zip(panels.T, histories.items(), strict=True):
        for axes, (kind, names) in zip(column, rows, strict=True):
            for name in names:
                _draw_curves(axes, name, [[epoch[name] for epoch in fold] for fold in folds])
            if kind == "share" and chance is not None:
                axes.axhline(chance, label="chance", **CHANCE)
            axes.grid(alpha=0.3)
            axes.tick_params(labelsize=8)
            axes.set_ylim(*LIMITS[kind])
        column[0].set_title(stage, fontsize=9)
        column[-1].set_xlabel("epoch", fontsize=8)
        column[-1].xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    for axes, (kind, _) in zip(panels[:, 0], rows, strict=True):
        axes.set_ylabel(kind, fontsize=8)
    handles = [line for axes in panels[:, 0] for line in axes.get_legend_handles_labels()[0]]
    ncols = 2 if width * len(histories) < 6 else len(handles)
    figure.legend(handles=handles, loc="outside upper center", ncols=ncols, fontsize=8, frameon=False)
    _save(figure, paths)


def _draw_curves(axes: "Axes", name: str, folds: Sequence[Sequence[float]]) -> None:
    color, label = CURVE_STYLES[name]
    longest = max(len(fold) for fold in folds)
    values = np.full((len(folds), longest), np.nan)
    for line, fold in zip(values, folds, strict=True):
        line[: len(fold)] = fold
        axes.plot(range(1, len(fold) + 1), fold, color=color, alpha=0.25, linewidth=0.8)
    everywhere = ~np.isnan(values).any(axis=0)  # folds end early one by one: a mean over fewer would jump
    mean = np.where(everywhere, values.mean(axis=0), np.nan)
    axes.plot(range(1, longest + 1), mean, color=color, linewidth=1.8, label=label)


def plot_reliability(
    reliability: Reliability, paths: Sequence[str | Path], uncalibrated: Reliability | None = None
) -> None:
    """Draws how often predictions of each confidence are right, over how many there are.

    Args:
        reliability: see ``measure_reliability``.
        paths: pictures to write.
        uncalibrated: the same before temperature scaling.
    """
    figure = new_figure(4.2, 5.0)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    edges = np.linspace(0, 1, len(reliability.counts) + 1)[:-1]
    bars: dict[str, Any] = {"width": 1 / len(edges), "align": "edge", "edgecolor": "white"}
    some = reliability.counts > 0
    upper.plot([0, 1], [0, 1], color="tab:gray", linestyle="--", label="confidence = accuracy")
    upper.bar(edges[some], reliability.accuracy[some], color="lightsteelblue", label="right", **bars)
    points: dict[str, Any] = {"linestyle": "none", "markersize": 4, "clip_on": False}
    means = (reliability.confidence[some], reliability.accuracy[some])
    upper.plot(*means, marker="o", color="tab:orange", label="mean confidence in the bin", **points)
    title = f"expected calibration error {100 * reliability.expected_calibration_error:.1f} %"
    if uncalibrated is not None:
        there = uncalibrated.counts > 0
        before = (uncalibrated.confidence[there], uncalibrated.accuracy[there])
        hollow = {"marker": "s", "color": "dimgray", "fillstyle": "none"}
        upper.plot(*before, label="before temperature scaling", **hollow, **points)
        title += f" (before: {100 * uncalibrated.expected_calibration_error:.1f} %)"
    upper.set_ylabel("share that is right", fontsize=8)
    upper.set_title(title, fontsize=9)
    upper.set(xlim=(0, 1), ylim=(0, 1))
    figure.legend(*upper.get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=8, frameon=False)
    lower.bar(edges, reliability.counts, color="tab:gray", **bars)
    lower.set_ylabel("predictions", fontsize=8)
    lower.set_xlabel("probability of the predicted class", fontsize=8)
    for axes in (upper, lower):
        axes.tick_params(labelsize=8)
    _save(figure, paths)


def plot_search(losses: Sequence[tuple[int, float]], path: str | Path) -> None:
    """Draws the losses of a search's trials, and the lowest so far.

    Args:
        losses: number of the trial and its validation loss.
        path: ``.png``, ``.svg`` or ``.pdf``.
    """
    from matplotlib.ticker import MaxNLocator

    numbers, values = zip(*losses, strict=True)
    figure = new_figure(6.4, 3.6)
    axes = figure.subplots()
    axes.scatter(numbers, values, s=18, color="tab:gray", label="trial")
    axes.step(numbers, np.minimum.accumulate(values), where="post", color="tab:blue", label="best so far")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="trial", ylabel="validation loss")
    axes.legend()
    figure.savefig(path, dpi=DPI)


def _save(figure: "Figure", paths: Sequence[str | Path]) -> None:
    for path in paths:
        figure.savefig(path, dpi=DPI)
