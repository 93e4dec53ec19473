"""Curves over several axes, side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pathosnet.evaluation.plots import CHANCE, DPI, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Panel:
    """Curves over one axis."""

    label: str
    """Label of the axis."""
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
        chance: the accuracy of guessing.
    """
    from matplotlib.ticker import PercentFormatter

    widths = [1.9 if isinstance(panel.positions[0], str) else 3.8 for panel in panels]
    figure = new_figure(max(sum(widths) + 0.8, 4.6), 4.0)
    columns = figure.subplots(1, len(panels), sharey=True, squeeze=False, width_ratios=widths)[0]
    for axes, panel in zip(columns, panels, strict=True):
        _draw_panel(axes, panel, chance)
    columns[0].set_ylim(0.0, 1.0)
    columns[0].yaxis.set_major_formatter(PercentFormatter(1.0))
    handles = {
        label: handle for axes in columns for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    names = sorted(handles, key=lambda name: name not in panels[0].curves)  # the curves come first
    ncols = len(names) if len(panels) > 1 else 3  # as many as there is room for
    figure.legend([handles[name] for name in names], names, loc="outside upper center", ncols=ncols, frameon=False)
    figure.savefig(path, dpi=DPI)


def _draw_panel(axes: "Axes", panel: Panel, chance: float | None) -> None:
    from matplotlib.ticker import PercentFormatter

    named = isinstance(panel.positions[0], str)
    positions = list(range(len(panel.positions))) if named else list(panel.positions)
    styles = ({"marker": "o"}, {"marker": "s", "linestyle": "--", "markerfacecolor": "none", "markersize": 9})
    for i, (name, values) in enumerate(panel.curves.items()):
        style: dict[str, Any] = {"color": f"C{i}", "capsize": 3, "label": name, **styles[i % len(styles)]}
        axes.errorbar(positions, values, panel.deviations[name], **style)
    for i, (name, value) in enumerate(panel.references.items()):
        axes.axhline(value, color=f"C{i}", linewidth=0.8, alpha=0.6, label=f"{name}, clean")
    if chance is not None:
        axes.axhline(chance, label="chance", **CHANCE)
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
