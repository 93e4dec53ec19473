"""Picture of an explanation: effects over time and of words, and what voice and text say alone."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from pathosnet.audio.reading import SAMPLE_RATE, read_recording
from pathosnet.errors import InputError
from pathosnet.evaluation.plots import DPI, new_figure
from pathosnet.prediction.explanation import Explanation, value_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FOR, AGAINST = "#d1495b", "#3d6fb4"
MOST_LETTERS = 60
Draw = Callable[["Axes", Explanation, Tensor | None], None]


def plot_explanation(
    explanation: Explanation, path: str | Path, audio: Any = None, *, sample_rate: int | None = None
) -> None:
    """Draws an explanation: effects over time and of words, what either says alone, the nearest training utterances.

    Args:
        explanation: see ``explain``.
        path: ``.png``, ``.svg`` or ``.pdf``.
        audio: the recording that was explained; its waveform is not drawn if None.
        sample_rate: of samples, in Hz.
    """
    waveform = None if audio is None or not explanation.stretches else read_recording(audio, sample_rate).waveform
    rows: list[tuple[Draw, float]] = [(_draw_waveform, 1.0)] if waveform is not None else []
    rows += [(_draw_stretches, 1.6)] if explanation.stretches else []
    rows += [(_draw_words, 0.6 + 0.22 * len(explanation.words))] if explanation.words else []
    rows += [(_draw_alone, 1.3)] if explanation.voice_alone else []
    rows += [(_draw_nearest, 0.4 + 0.22 * len(explanation.nearest))] if explanation.nearest else []
    if not rows:
        raise InputError(f"{path}: there is nothing to draw, since nothing could be taken away")
    heights = [height for _, height in rows]
    figure = new_figure(9.0, 0.7 + sum(heights) + 0.45 * len(rows))
    panels = figure.subplots(len(rows), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (draw, _) in zip(panels, rows, strict=True):
        draw(axes, explanation, waveform)
        axes.spines[["top", "right"]].set_visible(False)
    value = value_of(explanation.prediction, explanation.label)
    figure.suptitle(f"{explanation.label} ({value:.2f}): red speaks for it, blue against it", parse_math=False)
    figure.savefig(path, dpi=DPI)


def _draw_waveform(axes: "Axes", explanation: Explanation, waveform: Tensor | None) -> None:
    assert waveform is not None
    block = max(1, len(waveform) // 1500)
    peaks = waveform[: len(waveform) // block * block].reshape(-1, block)
    times = [(i + 0.5) * block / SAMPLE_RATE for i in range(len(peaks))]
    axes.fill_between(times, peaks.amin(dim=1).tolist(), peaks.amax(dim=1).tolist(), color="tab:gray", linewidth=0)
    axes.set_xlim(0.0, len(waveform) / SAMPLE_RATE)
    axes.set_yticks([])
    axes.set_ylabel("sound")
    if (strongest := explanation.strongest_stretch) and strongest.effect > 0:
        axes.axvspan(strongest.start, strongest.end, color=FOR, alpha=0.2, linewidth=0)


def _draw_stretches(axes: "Axes", explanation: Explanation, _: Tensor | None) -> None:
    stretches = explanation.stretches
    middles = [(one.start + one.end) / 2 for one in stretches]
    width = 0.9 * (stretches[1].start - stretches[0].start if len(stretches) > 1 else stretches[0].end)
    colors = [FOR if one.effect > 0 else AGAINST for one in stretches]
    axes.bar(middles, [one.effect for one in stretches], width=width, color=colors)
    axes.axhline(0.0, color="black", linewidth=0.8)
    axes.set_xlim(0.0, stretches[-1].end)
    axes.set_xlabel(f"seconds; a bar is the middle of the {stretches[0].end - stretches[0].start:.2f} s taken away")
    axes.set_ylabel(_unit(explanation))


def _draw_words(axes: "Axes", explanation: Explanation, _: Tensor | None) -> None:
    effects = [one.effect for one in explanation.words]
    axes.barh(range(len(effects)), effects, color=[FOR if effect > 0 else AGAINST for effect in effects])
    axes.set_yticks(range(len(effects)), [one.word for one in explanation.words], parse_math=False)
    axes.invert_yaxis()
    axes.axvline(0.0, color="black", linewidth=0.8)
    axes.set_xlabel(f"{_unit(explanation)} of each word")


def _draw_alone(axes: "Axes", explanation: Explanation, _: Tensor | None) -> None:
    both = {"both": explanation.prediction, "voice": explanation.voice_alone, "text": explanation.text_alone}
    values = [value_of(one, explanation.label) for one in both.values() if one is not None]
    axes.barh(range(len(values)), values, color="tab:gray")
    axes.set_yticks(range(len(values)), [name for name, one in both.items() if one is not None])
    axes.invert_yaxis()
    if explanation.label in explanation.prediction.probabilities:
        axes.set_xlim(0.0, 1.0)
        axes.axvline(
            1 / len(explanation.prediction.probabilities), color="black", linestyle=":", linewidth=1.0, label="chance"
        )
        axes.legend(frameon=False, fontsize=8)
    axes.set_xlabel(
        f"what is said of {explanation.label} by the voice alone, the text alone, and both", parse_math=False
    )


def _draw_nearest(axes: "Axes", explanation: Explanation, _: Tensor | None) -> None:
    nearest = explanation.nearest or ()
    axes.barh(range(len(nearest)), [one.distance for one in nearest], color="lightgray")
    for i, one in enumerate(nearest):
        name = one.name if len(one.name) <= MOST_LETTERS else f"{one.name[: MOST_LETTERS - 1]}…"
        told = ", ".join(filter(None, (name, one.label, one.speaker)))
        axes.text(0.005, i, told, transform=axes.get_yaxis_transform(), va="center", fontsize=9, parse_math=False)
    axes.set_yticks([])
    axes.set_ylabel("nearest")
    axes.invert_yaxis()
    axes.set_xlim(0.0, max([one.distance for one in nearest], default=0.0) or 1.0)
    axes.set_xlabel("cosine distance of the nearest training utterances (file, label, speaker)")


def _unit(explanation: Explanation) -> str:
    return "effect" if explanation.label in explanation.prediction.dimensions else "effect\n(log-odds)"
