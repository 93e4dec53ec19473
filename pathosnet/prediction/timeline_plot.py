"""Picture of a timeline: rows of time like lines of text, the probabilities stacked, pauses left white.

Where speakers are known, each has a lane in every row, and a bar that sums up. Estimated dimensions have a panel each.
"""

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pathosnet.evaluation.plots import DPI, new_figure
from pathosnet.prediction.timeline import Segment, overview

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

ROW_SECONDS = (120, 300, 600, 1200, 1800, 3600)
MAX_ROWS = 6
STRETCH = 0.05  # so much of a row does not begin a new one
MAX_TICKS = 7  # in a row
TICK_SECONDS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600)
MAX_COLUMNS = 150  # in a row; more would be too thin to tell apart
ROW_INCHES, LANE_INCHES, BAR_INCHES = 1.25, 0.65, 0.28
MAX_LETTERS = 18  # of a speaker's name
STRIP = 0.12  # height of the strip that shows the most probable label, as a share of the row's
COLORS = {"happiness": "#f2b134", "anger": "#d1495b", "sadness": "#3d6fb4", "neutral": "#b9bec6"}
OTHER_COLORS = ("tab:green", "tab:purple", "tab:brown", "tab:cyan", "tab:pink", "tab:olive")

Box = list[tuple[float, float]]
"""Its corners."""


_Drawing = tuple[float, Callable[["FigureBase"], None]]
"""How high a picture is, in inches, and what draws it."""


class Column(NamedTuple):
    """A stretch of the picture with its probabilities."""

    start: float
    end: float
    probabilities: Mapping[str, float]


def plot_timeline(segments: Sequence[Segment], path: str | Path) -> None:
    """Draws the probabilities of segments over time, and beneath them the estimates, as far as there are any.

    A strip above each row shows the most probable label. Of segments that overlap, each is drawn up to the middle of
    the overlap. Of more segments than can be told apart, averages over equal times are drawn, as the axis says.

    Args:
        segments: at least one, by their start.
        path: ``.png``, ``.svg`` or ``.pdf``.
    """
    drawn: list[_Drawing] = []
    if segments[0].prediction.probabilities:
        drawn.append(_draw_probabilities(segments))
    if segments[0].prediction.dimensions:
        drawn.append(_draw_dimensions(segments))
    heights = [height for height, _ in drawn]
    figure = new_figure(11.0, sum(heights))
    halves = figure.subfigures(len(drawn), 1, squeeze=False, height_ratios=heights)[:, 0] if drawn[1:] else [figure]
    for half, (_, draw) in zip(halves, drawn, strict=True):
        draw(half)
    if len(drawn) > 1:  # one beneath the other, at the same times: as far from the left as the widest labels ask for
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        boxes = [axes.get_position() for axes in figure.axes]
        left, right = max(box.x0 for box in boxes), min(box.x1 for box in boxes)
        for axes, box in zip(figure.axes, boxes, strict=True):
            axes.set_position((left, box.y0, right - left, box.height))
    figure.savefig(path, dpi=DPI)


def _draw_probabilities(segments: Sequence[Segment]) -> _Drawing:
    from matplotlib.patches import Patch
    from matplotlib.ticker import PercentFormatter

    colors = colors_of(segments)
    lanes = {name: _columns(own) for name, own in _by_speaker(segments).items()}
    several = list(lanes) != [""]
    end = max(segment.end for segment in segments)
    num_rows, width = _rows(end, max(1, MAX_ROWS // len(lanes)))
    averaged = any(len(columns) > num_rows * MAX_COLUMNS for columns in lanes.values())
    time = _time_label(end)
    if averaged:
        step = _round_seconds(width / MAX_COLUMNS)
        lanes = {name: _averages(columns, step) for name, columns in lanes.items()}
        time += f", averages over {step} s"
    heights = [LANE_INCHES if several else ROW_INCHES] * (num_rows * len(lanes))
    heights += [0.3 + BAR_INCHES * len(lanes)] if several else []

    def draw(figure: "FigureBase") -> None:
        panels = figure.subplots(len(heights), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
        for i, (row, (name, columns)) in enumerate(itertools.product(range(num_rows), lanes.items())):
            axes, first, last = panels[i], row * width, (row + 1) * width
            within = [column for column in columns if column.end > first and column.start < last]
            _draw_columns(axes, within, colors, border=not averaged)
            axes.set_yticks([] if several else [0.0, 0.5, 1.0])
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
            show_time(axes, first, last, longest=end)
            if several:
                axes.set_ylabel(_shortened(name), rotation=0, ha="right", va="center", parse_math=False)
                axes.tick_params(labelbottom=(i + 1) % len(lanes) == 0)
        panels[num_rows * len(lanes) - 1].set_xlabel(time)
        if several:
            _plot_shares(panels[-1], _by_speaker(segments), colors)
        else:
            figure.supylabel("probability", fontsize="medium")
        handles = [Patch(color=color, label=label) for label, color in colors.items()]
        legend = figure.legend(handles=handles, loc="outside upper center", ncols=min(len(colors), 6), frameon=False)
        for text in legend.get_texts():
            text.set_parse_math(False)  # a label may hold dollar signs

    height = 1.25 + sum(heights) + (num_rows == 1 and not several) + 0.45 * several * (num_rows + 1)
    return height, draw


def colors_of(segments: Sequence[Segment]) -> dict[str, str]:
    """Returns a color for each label, the same in every picture for the paper's emotions."""
    others = itertools.cycle(OTHER_COLORS)
    labels = segments[0].prediction.probabilities if segments else ()
    return {label: COLORS[label] if label in COLORS else next(others) for label in labels}


def draw_segments(axes: "Axes", segments: Sequence[Segment]) -> None:
    """Draws the probabilities of segments as stacked boxes, and a strip above that shows the most probable label."""
    _draw_columns(axes, _columns(segments), colors_of(segments), border=True)


def _draw_columns(axes: "Axes", columns: Sequence[Column], colors: Mapping[str, str], *, border: bool) -> None:
    from matplotlib.collections import PolyCollection

    style = {"edgecolor": "white", "linewidth": 0.6} if border else {"edgecolor": "none"}
    for label, boxes in _boxes(columns, list(colors)).items():
        axes.add_collection(PolyCollection(boxes, facecolor=colors[label], **style))
    axes.set_ylim(0.0, 1.0 + 1.5 * STRIP)


def _plot_shares(axes: "Axes", lanes: Mapping[str, Sequence[Segment]], colors: Mapping[str, str]) -> None:
    """Draws a bar for each speaker: for how much of the time each label is the most probable one."""
    names = [f"{_shortened(name)}, {overview(own)['seconds']:.0f} s" for name, own in lanes.items()]
    left = [0.0] * len(names)
    for label, color in colors.items():
        shares = [overview(own)["shares"][label] for own in lanes.values()]
        axes.barh(range(len(names)), shares, left=left, height=0.7, color=color, edgecolor="white", linewidth=0.6)
        for i, share in enumerate(shares):
            if share >= 0.05:  # narrower ones hold no number
                axes.text(left[i] + share / 2, i, f"{share:.0%}", ha="center", va="center", fontsize=8)
        left = [start + share for start, share in zip(left, shares, strict=True)]
    axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.tick_params(left=False, bottom=False, labelbottom=False)
    axes.set(xlim=(0.0, 1.0), ylim=(len(names) - 0.5, -0.5), xlabel="share of the time, by the most probable emotion")
    axes.spines[:].set_visible(False)


def _by_speaker(segments: Sequence[Segment]) -> dict[str, list[Segment]]:
    """Returns the segments of each speaker, who speaks first first."""
    lanes: dict[str, list[Segment]] = {}
    for segment in segments:
        lanes.setdefault(segment.speaker, []).append(segment)
    return lanes


def _shortened(name: str) -> str:
    name = name or "not known"
    return name if len(name) <= MAX_LETTERS else f"{name[: MAX_LETTERS - 1]}…"


def _draw_dimensions(segments: Sequence[Segment]) -> _Drawing:
    from matplotlib.lines import Line2D

    names, speakers = list(segments[0].prediction.dimensions), list(_by_speaker(segments))
    starts, ends = zip(*((segment.start, segment.end) for segment in segments), strict=True)
    longest, means = max(ends), overview(segments)["means"]

    def draw(figure: "FigureBase") -> None:
        panels = figure.subplots(len(names), 1, squeeze=False, sharex=True)[:, 0]
        for i, (axes, name) in enumerate(zip(panels, names, strict=True)):
            values = [segment.prediction.dimensions[name] for segment in segments]
            axes.axhline(means[name], color="tab:gray", linewidth=0.8, linestyle="--")
            own = [f"C{speakers.index(segment.speaker)}" for segment in segments] if len(speakers) > 1 else f"C{i}"
            axes.hlines(values, starts, ends, color=own, linewidth=2.0)
            axes.set_ylabel(name, parse_math=False)
            axes.margins(y=0.15)
            show_time(axes, 0.0, longest, longest=longest)
        if len(speakers) > 1:
            handles = [Line2D([], [], color=f"C{i}", label=_shortened(name)) for i, name in enumerate(speakers)]
            legend = figure.legend(
                handles=handles, loc="outside upper center", ncols=min(len(speakers), 6), frameon=False
            )
            for text in legend.get_texts():
                text.set_parse_math(False)
        figure.align_ylabels(list(panels))
        panels[-1].set_xlabel(f"{_time_label(longest)}; dashed: mean over the time")

    return 0.7 + 1.5 * len(names), draw


def show_time(axes: "Axes", first: float, last: float, *, longest: float) -> None:
    """Makes the horizontal axis one of time, from ``first`` to ``last`` second of ``longest``."""
    from matplotlib.ticker import MultipleLocator

    axes.set_xlim(first, last)
    axes.xaxis.set_major_locator(MultipleLocator(_round_seconds((last - first) / MAX_TICKS)))
    axes.xaxis.set_major_formatter(lambda seconds, _: clock(seconds, longest))
    axes.spines[["top", "right"]].set_visible(False)


def _time_label(end: float) -> str:
    return f"time ({'h:mm:ss' if end >= 3600 else 'mm:ss'})"


def clock(seconds: float, longest: float) -> str:
    """Writes a time as mm:ss, or h:mm:ss where the longest one takes an hour.

    >>> clock(75, 600), clock(75, 3600)
    ('01:15', '0:01:15')
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if longest >= 3600 else f"{minutes:02}:{rest:02}"


def _rows(end: float, most: int = MAX_ROWS) -> tuple[int, float]:
    """Returns how many rows there are, ``most`` at most, and how many seconds each shows."""
    rows = most + STRETCH
    seconds = next((row for row in ROW_SECONDS if row * rows >= end), math.ceil(end / rows / 3600) * 3600)
    num_rows = max(1, math.ceil(end / seconds - STRETCH))
    return num_rows, end if num_rows == 1 else max(seconds, end / num_rows)


def _round_seconds(least: float) -> int:
    """Returns a round number of seconds, ``least`` or more."""
    return next((seconds for seconds in TICK_SECONDS if seconds >= least), math.ceil(least / 3600) * 3600)


def _columns(segments: Sequence[Segment]) -> list[Column]:
    """Returns the part of each segment that is drawn; no time is drawn twice."""
    borders = [
        ((one.end + other.start) / 2,) * 2 if other.start < one.end else (one.end, other.start)
        for one, other in itertools.pairwise(segments)
    ]
    starts = [segments[0].start, *(start for _, start in borders)]
    ends = [*(end for end, _ in borders), segments[-1].end]
    return [
        Column(start, max(start, end), segment.prediction.probabilities)
        for segment, start, end in zip(segments, starts, ends, strict=True)
    ]


def _averages(columns: Sequence[Column], step: float) -> list[Column]:
    """Returns columns of one width, each with the mean over its segments; none where there is no segment."""
    seconds: dict[int, float] = defaultdict(float)
    sums: dict[int, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for start, end, probabilities in columns:
        for i in range(int(start // step), math.ceil(end / step)):
            shared = min(end, (i + 1) * step) - max(start, i * step)
            seconds[i] += shared
            for label, value in probabilities.items():
                sums[i][label] += shared * value
    last = columns[-1].end
    return [
        Column(i * step, min((i + 1) * step, last), {label: value / seconds[i] for label, value in sums[i].items()})
        for i in sorted(sums)
        if seconds[i] > 0
    ]


def _boxes(columns: Sequence[Column], labels: Sequence[str]) -> dict[str, list[Box]]:
    """Returns each label's boxes: one in every column, and one in the strip where it is ahead."""
    boxes: dict[str, list[Box]] = {label: [] for label in labels}
    for start, end, probabilities in columns:
        bottom = 0.0
        for label in labels:
            top = bottom + probabilities[label]
            boxes[label].append(_box(start, end, bottom, top=top))
            bottom = top
        ahead = max(labels, key=probabilities.__getitem__)
        boxes[ahead].append(_box(start, end, 1.0 + 0.5 * STRIP, top=1.0 + 1.5 * STRIP))
    return boxes


def _box(left: float, right: float, bottom: float, top: float) -> Box:
    return [(left, bottom), (right, bottom), (right, top), (left, top)]
