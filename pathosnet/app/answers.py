"""A recording's answer on the page: an answer in words, its parts over time, a picture. Knows nothing of Gradio."""

import html
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pathosnet.audio.reading import SAMPLE_RATE, Recording, read_recording
from pathosnet.errors import InputError
from pathosnet.evaluation.plots import new_figure
from pathosnet.features.profile import Profile
from pathosnet.prediction.timeline import Segment, overview, predict_timeline
from pathosnet.prediction.timeline_plot import clock, colors_of, draw_segments, show_time
from pathosnet.recognizer.prediction import Prediction
from pathosnet.recognizer.recognizer import PathosNet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LONG_SECONDS = 30.0
"""Whoever speaks longer rarely has one emotion."""
COLUMNS = 800  # of the waveform's picture
INK = "#123457"
"""The color of lines and letters, which becomes that of the page, light or dark."""


@dataclass(frozen=True)
class Answer:
    """Everything that the page shows of a recording.

    Args:
        summary: in Markdown.
        values: label → probability or estimate.
        parts: rows of the table of segments, see ``parts_header``.
        picture: SVG, as HTML.
    """

    summary: str
    values: dict[str, float] = field(default_factory=dict)
    parts: list[list[str]] = field(default_factory=list)
    picture: str = ""


def answer(model: PathosNet, path: str | Path | None, text: str = "", profile: Profile | None = None) -> Answer:
    """Predicts a recording, as a whole and segment by segment.

    Args:
        model: to ask.
        path: the recording; None if there is none.
        text: what is said, if that is known.
        profile: of the speaker.

    Raises:
        InputError: there is nothing to answer from, or the recording cannot be used.
    """
    if path is None and not (text.strip() and model.text is not None):
        words = " or write what is said" if model.text is not None else ""
        raise InputError(f"Record something, choose a file{words} first.")
    recording = None if path is None else read_recording(path)
    prediction = model.predict(recording, text.strip() or None, profile=profile)
    if recording is None or path is None:
        return Answer(_summary(prediction, 0.0, []), prediction.values)
    segments = _segments(model, Path(path), profile)
    return Answer(
        _summary(prediction, len(recording) / SAMPLE_RATE, segments),
        prediction.values,
        [_part(segment) for segment in segments],
        picture=draw(recording, segments),
    )


@dataclass(frozen=True)
class Asked:
    """A recording and words that were answered, to compare the next answer with.

    Args:
        path: of the recording, if there was one.
        text: what was said to be said.
        values: label → probability or estimate.
    """

    path: str | None
    text: str
    values: dict[str, float]


def compare(before: Asked | None, now: Asked) -> str:
    """Says in Markdown what other words have changed in the answer.

    Args:
        before: the last answer, if there was one.
        now: this one.

    Returns:
        A sentence and a table; nothing unless the recording is the same, and the words are not.
    """
    if before is None or before.path != now.path or before.text == now.text:
        return ""
    changes = {label: value - before.values[label] for label, value in now.values.items()}
    label = max(changes, key=lambda name: abs(changes[name]))
    told = f"most: {_escaped(label)} ({changes[label]:+.2f})" if abs(changes[label]) >= 0.005 else "nothing"
    rows = [
        f"| {_escaped(name)} | {before.values[name]:.2f} | {now.values[name]:.2f} | {change:+.2f} |"
        for name, change in changes.items()
    ]
    said = f"{_quoted(now.text)} instead of {_quoted(before.text)} changes {told}."
    return "\n".join(
        [f"**What the words change.** {said}\n", "| | before | now | difference |", "|---|--:|--:|--:|", *rows]
    )


def _quoted(text: str) -> str:
    return f"“{_escaped(' '.join(text.split()))}”" if text.strip() else "no words"


def _segments(model: PathosNet, path: Path, profile: Profile | None) -> list[Segment]:
    if not len(model.acoustic):
        return []
    try:
        return list(predict_timeline(model, path, profile=profile))
    except InputError:  # nothing is heard, as the whole recording's warnings say
        return []


def _summary(prediction: Prediction, seconds: float, segments: Sequence[Segment]) -> str:
    if prediction.label and prediction.confidence is not None:
        lines = [f"### {_escaped(prediction.label)}, {prediction.confidence:.0%}"]
    else:
        lines = [f"### {'no answer' if prediction.probabilities else 'estimates'}"]
    if prediction.probabilities and prediction.dimensions:
        lines.append(", ".join(f"{_escaped(name)} {value:.2f}" for name, value in prediction.dimensions.items()))
    if prediction.label and (known := [f"{name} {share:.0%}" for name, share in prediction.valence.items()]):
        lines.append(f"Valence: {', '.join(known)}")
    lines += [f"**Do not rely on it:** {_escaped(warning)}." for warning in prediction.warnings]
    if seconds > LONG_SECONDS and segments:
        shares = overview(segments).get("shares", {})
        told = ", ".join(f"{_escaped(label)} {share:.0%}" for label, share in shares.items())
        about = f" Of the time that is heard: {told}." if told else ""
        lines.append(f"One answer for {seconds:.0f} s means little; look at the parts.{about}")
    return "\n\n".join(lines)


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]()#+!|<>$~-])", r"\\\1", text)


def _part(segment: Segment) -> list[str]:
    found = segment.prediction
    values = [f"{value:.2f}" for value in found.dimensions.values()]
    if found.probabilities:
        values.insert(0, f"{found.label} {found.confidence:.0%}" if found.label else "no answer")
    return [f"{segment.start:.1f}–{segment.end:.1f} s", *values, "; ".join(found.warnings)]


def parts_header(model: PathosNet) -> list[str]:
    """Returns the header of the table of segments."""
    return ["time", *(["emotion"] if model.target.classes else []), *model.target.dimensions, "warnings"]


def draw(recording: Recording, segments: Sequence[Segment]) -> str:
    """Draws the waveform, and beneath it the probabilities of its segments, as SVG that suits light and dark pages."""
    import matplotlib

    seconds = len(recording) / SAMPLE_RATE
    emotional = [segment for segment in segments if segment.prediction.probabilities]
    style: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": "pathosnet",
        "font.family": "sans-serif",
        "font.size": 11.0,
    }
    style |= dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK)
    with matplotlib.rc_context(style):
        figure = new_figure(9.0, 3.4 if emotional else 1.7)
        figure.patch.set_alpha(0.0)
        panels = figure.subplots(1 + bool(emotional), 1, squeeze=False, sharex=True)[:, 0]
        _draw_waveform(panels[0], recording, emotional)
        for axes in panels:
            axes.patch.set_alpha(0.0)
            axes.set_yticks([])
        if emotional:
            draw_segments(panels[-1], emotional)
            panels[-1].set_ylabel("probability")
        show_time(panels[-1], 0.0, seconds, longest=seconds)
        panels[-1].set_xlabel("time (mm:ss)")
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return _legend(emotional) + _as_html(file.getvalue(), emotional, seconds)


def _draw_waveform(axes: "Axes", recording: Recording, segments: Sequence[Segment]) -> None:
    samples = recording.waveform.numpy()
    edges = np.linspace(0, len(samples), min(COLUMNS, len(samples)) + 1).astype(int)[:-1]
    low, high = np.minimum.reduceat(samples, edges), np.maximum.reduceat(samples, edges)
    times = edges / SAMPLE_RATE
    axes.fill_between(times, low, high, color=INK, alpha=0.35, linewidth=0.0)
    colors = colors_of(segments)
    for segment in segments:
        within = (times >= segment.start) & (times < segment.end)
        color = colors.get(segment.prediction.label, INK)
        axes.fill_between(times[within], low[within], high[within], color=color, linewidth=0.0)
    most = max(float(np.abs(samples).max()), 1e-4)
    axes.set_ylim(-most, most)
    axes.spines[:].set_visible(False)
    axes.tick_params(bottom=False)
    axes.set_ylabel("sound")


def _legend(segments: Sequence[Segment]) -> str:
    entries = [
        f'<span style="white-space:nowrap;margin-right:1.2em"><span style="display:inline-block;width:.9em;height:.9em;'
        f'background:{color};margin-right:.4em"></span>{html.escape(label)}</span>'
        for label, color in colors_of(segments).items()
    ]
    return f"<p>{' '.join(entries)}</p>" if entries else ""


def _as_html(svg: str, segments: Sequence[Segment], seconds: float) -> str:
    """Makes a picture part of a page: it fills the width, takes the page's color, and tells what it shows in words."""
    parts = [f"{clock(s.start, seconds)} {s.prediction.label or 'no answer'}" for s in segments]
    told = html.escape(f"Waveform of {seconds:.1f} seconds. {', '.join(parts)}", quote=True)
    root, rest = svg[svg.index("<svg") :].replace(INK, "currentColor").split(">", 1)
    root = re.sub(r' (width|height)="[^"]*"', "", root)
    # On a phone it is moved sideways, as its letters would else be too small to read.
    size = "width:100%;min-width:36em;max-width:60em;height:auto"
    return (
        f'<div style="overflow-x:auto" tabindex="0">{root} role="img" aria-label="{told}" style="{size}">{rest}</div>'
    )
