"""Pictures, without a display."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pathosnet.errors import InputError
from pathosnet.evaluation.concordance import measure_dimensions

SUFFIXES = (".png", ".svg", ".pdf")
DPI = 150


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
    axes.set_xticks(range(len(labels)), labels, rotation=30, ha="right", rotation_mode="anchor", parse_math=False)
    axes.set_yticks(range(len(labels)), labels, parse_math=False)  # a label may hold dollar signs
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    bar = figure.colorbar(image, ax=axes, shrink=0.8, format=lambda share, _: f"{share:.0%}")
    bar.set_label("share of the true class")
    figure.savefig(path, dpi=DPI)


def plot_estimates(truth: np.ndarray, estimates: np.ndarray, names: Sequence[str], *paths: str | Path) -> None:
    """Draws estimates over the truth, a panel for each dimension.

    Args:
        truth: ``(utterances, dimensions)``.
        estimates: of the same shape.
        names: of the dimensions.
        *paths: pictures to write, ``.png``, ``.svg`` or ``.pdf``.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = math.ceil(len(names) / 4)
    columns = math.ceil(len(names) / lines)
    figure = Figure(figsize=(3.1 * columns + 0.4, 3.2 * lines + 0.2), layout="constrained")
    FigureCanvasAgg(figure)
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
        title = f"{name}: CCC {'–' if ccc is None else f'{ccc:.3f}'}, RMSE {metrics.rmse[name]:.3g}"
        axes.set_title(title, fontsize=9, parse_math=False)
        axes.tick_params(labelsize=8)
    for axes in panels.flat[len(names) :]:
        axes.set_axis_off()
    for path in paths:
        figure.savefig(path, dpi=DPI)


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
    figure.savefig(path, dpi=DPI)


@dataclass(frozen=True)
class Panel:
    """Curves over one axis."""

    label: str
    """Of the axis."""
    positions: Sequence[Any]
    """Along the axis: numbers, or names that are set apart evenly."""
    curves: Mapping[str, Sequence[float]]
    """Name → shares in [0, 1], as many as positions."""
    deviations: Mapping[str, Sequence[float]]
    """Name → standard deviations, drawn as bars."""
    references: Mapping[str, float]
    """Name → a share to compare with, drawn as a thin line."""
    as_percent: bool = False
    """Whether the positions are shares, too."""
    falling: bool = False
    """Whether the axis runs from its largest value to its smallest."""


def plot_panels(panels: Sequence[Panel], path: str | Path, chance: float | None = None) -> None:
    """Draws panels side by side over one vertical axis.

    Args:
        panels: at least one; all with the same names of curves.
        path: ``.png``, ``.svg`` or ``.pdf``.
        chance: a share that guessing reaches.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    widths = [1.9 if isinstance(panel.positions[0], str) else 3.8 for panel in panels]
    figure = Figure(figsize=(max(sum(widths) + 0.8, 4.6), 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    columns = figure.subplots(1, len(panels), sharey=True, squeeze=False, width_ratios=widths)[0]
    styles = ({"marker": "o"}, {"marker": "s", "linestyle": "--", "markerfacecolor": "none", "markersize": 9})
    for axes, panel in zip(columns, panels, strict=True):
        named = isinstance(panel.positions[0], str)
        positions = list(range(len(panel.positions))) if named else list(panel.positions)
        for i, (name, values) in enumerate(panel.curves.items()):
            bars = panel.deviations[name]
            axes.errorbar(positions, values, bars, color=f"C{i}", capsize=3, label=name, **styles[i % len(styles)])
        for i, (name, value) in enumerate(panel.references.items()):
            axes.axhline(value, color=f"C{i}", linewidth=0.8, alpha=0.6, label=f"{name}, clean")
        if chance is not None:
            axes.axhline(chance, color="grey", linestyle=":", label="chance")
        if named:
            axes.set_xticks(positions, panel.positions)
            axes.set_xlim(-0.5, len(positions) - 0.5)
        if panel.as_percent:
            axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        if panel.falling:
            axes.invert_xaxis()
        axes.set_xlabel(panel.label)
        axes.grid(alpha=0.3)
        axes.set_axisbelow(True)
    columns[0].set_ylim(0.0, 1.0)
    columns[0].yaxis.set_major_formatter(PercentFormatter(1.0))
    handles = {
        label: handle for axes in columns for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    names = sorted(handles, key=lambda name: name not in panels[0].curves)  # the curves come first
    ncols = len(names) if len(panels) > 1 else 3  # as many as there is room for
    figure.legend([handles[name] for name in names], names, loc="outside upper center", ncols=ncols, frameon=False)
    figure.savefig(path, dpi=DPI)
