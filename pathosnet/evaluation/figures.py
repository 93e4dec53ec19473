"""The figures of a cross-validation: the paper's Figure 2, learning curves, reliability."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pathosnet.evaluation.aggregation import Row
from pathosnet.evaluation.calibration import Reliability
from pathosnet.evaluation.plots import DPI

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVES = (("loss", ("train_loss", "val_loss")), ("share", ("val_accuracy", "val_uar")), ("CCC", ("val_ccc",)))
"""What is drawn over one axis, as far as it was kept."""
LIMITS: Mapping[str, tuple[float | None, float | None]] = {"loss": (0.0, None), "share": (0.0, 1.0), "CCC": (None, 1.0)}
PAGE_WIDTH = 13.0
"""Inches: about what the report's page holds without making the letters too small."""
COLOURS = {
    "train_loss": ("tab:gray", "training loss"),
    "val_loss": ("tab:blue", "validation loss"),
    "val_accuracy": ("tab:orange", "validation accuracy"),
    "val_uar": ("tab:green", "validation UAR"),
    "val_ccc": ("tab:green", "validation CCC, mean of the dimensions"),
}


def plot_confusions(rows: Sequence[Row], labels: Sequence[str], paths: Sequence[str | Path]) -> None:
    """Draws a confusion matrix for each row: shares of the true class, averaged over the folds.

    Args:
        rows: see ``aggregate``.
        labels: names of the classes.
        paths: pictures to write, ``.png``, ``.svg`` or ``.pdf``.
    """
    cell = 0.55 if len(labels) <= 6 else 0.42
    size = 0.8 + 0.065 * max(map(len, labels)) + cell * len(labels)
    lines = math.ceil(len(rows) / max(1, min(3, int(PAGE_WIDTH / size))))
    columns = math.ceil(len(rows) / lines)  # four stand in two lines of two
    figure = _figure(columns * size + 0.9, lines * (size + 0.3))
    panels = figure.subplots(lines, columns, squeeze=False)
    for axes, row in zip(panels.flat, rows, strict=False):
        shares = np.array([[np.nan if v is None else v for v in line] for line in row.confusion], dtype=float)
        axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
        for (i, j), share in np.ndenumerate(shares):
            shown = "–" if np.isnan(share) else f"{100 * share:.0f}"
            colour = "white" if share > 0.55 else "black"
            axes.text(j, i, shown, ha="center", va="center", fontsize=8, color=colour)
        title = f"{textwrap.fill(row.name, int(11 * size))}\n{row.utterances} utterances"
        axes.set_title(title, fontsize=9, parse_math=False)  # names may hold dollar signs
        axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right", rotation_mode="anchor", parse_math=False)
        axes.set_yticks(range(len(labels)), labels, parse_math=False)
        axes.tick_params(labelsize=8)
    for axes in panels.flat[len(rows) :]:
        axes.set_axis_off()
    for axes in panels[:, 0]:
        axes.set_ylabel("true", fontsize=8)
    for axes in panels.flat[max(0, len(rows) - columns) : len(rows)]:
        axes.set_xlabel("predicted", fontsize=8)
    bar = figure.colorbar(
        panels.flat[0].images[0], ax=panels, shrink=0.8 / lines, format=lambda share, _: f"{100 * share:.0f} %"
    )
    bar.set_label("share of the true class,\nmean of the folds", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    _save(figure, paths)


def plot_curves(histories: Mapping[str, Sequence[Sequence[Mapping[str, float]]]], paths: Sequence[str | Path]) -> None:
    """Draws losses and validation figures by epoch: a faint line a fold, a bold one their mean.

    Args:
        histories: stage → for each fold, for each epoch: figure → value.
        paths: pictures to write.
    """
    from matplotlib.ticker import MaxNLocator

    width = min(3.4, max(2.1, 0.85 * PAGE_WIDTH / len(histories)))
    figure = _figure(width * len(histories) + 0.6, 4.8)
    known = next(iter(histories.values()))[0][0]
    axes_of = [(kind, names) for kind, names in CURVES if names[-1] in known]
    panels = figure.subplots(len(axes_of), len(histories), squeeze=False, sharey="row", sharex="col")
    for column, (stage, folds) in zip(panels.T, histories.items(), strict=True):
        for axes, (kind, names) in zip(column, axes_of, strict=True):
            for name in names:
                _draw_curves(axes, name, [[epoch[name] for epoch in fold] for fold in folds])
            axes.grid(alpha=0.3)
            axes.tick_params(labelsize=8)
            axes.set_ylim(*LIMITS[kind])
        column[0].set_title(stage, fontsize=9)
        column[1].set_xlabel("epoch", fontsize=8)
        column[1].xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    for axes, (kind, _) in zip(panels[:, 0], axes_of, strict=True):
        axes.set_ylabel(kind, fontsize=8)
    handles = [line for axes in panels[:, 0] for line in axes.get_legend_handles_labels()[0]]
    ncols = 2 if width * len(histories) < 6 else 4
    figure.legend(handles=handles, loc="outside upper center", ncols=ncols, fontsize=8, frameon=False)
    _save(figure, paths)


def plot_reliability(
    reliability: Reliability, paths: Sequence[str | Path], uncalibrated: Reliability | None = None
) -> None:
    """Draws how often predictions of each confidence are right, over how many there are.

    Args:
        reliability: see ``measure_reliability``.
        paths: pictures to write.
        uncalibrated: the same before temperature scaling.
    """
    figure = _figure(4.2, 5.0)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    edges = np.linspace(0, 1, len(reliability.counts) + 1)
    some = reliability.counts > 0
    width = edges[1]
    upper.plot([0, 1], [0, 1], color="tab:gray", linestyle="--", label="confidence = accuracy")
    of_bin = reliability.accuracy[some]
    upper.bar(edges[:-1][some], of_bin, width, align="edge", color="lightsteelblue", edgecolor="white", label="right")
    means = {"color": "tab:orange", "markersize": 4, "clip_on": False, "label": "mean confidence in the bin"}
    upper.plot(reliability.confidence[some], of_bin, "o", **means)
    title = f"expected calibration error {100 * reliability.expected_calibration_error:.1f} %"
    if uncalibrated is not None:
        there = uncalibrated.counts > 0
        hollow = {"color": "dimgray", "markersize": 4, "fillstyle": "none", "clip_on": False}
        upper.plot(
            uncalibrated.confidence[there],
            uncalibrated.accuracy[there],
            "s",
            label="before temperature scaling",
            **hollow,
        )
        title += f" (before: {100 * uncalibrated.expected_calibration_error:.1f} %)"
    upper.set_ylabel("share that is right", fontsize=8)
    upper.set_title(title, fontsize=9)
    upper.set_xlim(0, 1)
    upper.set_ylim(0, 1)
    figure.legend(*upper.get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=8, frameon=False)
    lower.bar(edges[:-1], reliability.counts, width, align="edge", edgecolor="white", color="tab:gray")
    lower.set_ylabel("predictions", fontsize=8)
    lower.set_xlabel("probability of the predicted class", fontsize=8)
    for axes in (upper, lower):
        axes.tick_params(labelsize=8)
    _save(figure, paths)


def _draw_curves(axes: "Axes", name: str, folds: Sequence[Sequence[float]]) -> None:
    longest = max(len(fold) for fold in folds)
    values = np.full((len(folds), longest), np.nan)
    for line, fold in zip(values, folds, strict=True):
        line[: len(fold)] = fold
        axes.plot(range(1, len(fold) + 1), fold, color=COLOURS[name][0], alpha=0.25, linewidth=0.8)
    everywhere = ~np.isnan(values).any(axis=0)  # folds end early one by one: a mean over fewer would jump
    mean = np.where(everywhere, values.mean(axis=0), np.nan)
    axes.plot(range(1, longest + 1), mean, color=COLOURS[name][0], linewidth=1.8, label=COLOURS[name][1])


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: "Figure", paths: Sequence[str | Path]) -> None:
    for path in paths:
        figure.savefig(path, dpi=DPI)
