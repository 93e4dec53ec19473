"""Explanations of an answer by occlusion: what it would be without a stretch of sound, a word, the voice or the text."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pathosnet.audio.reading import MIN_SAMPLES, SAMPLE_RATE, Recording, read_recording
from pathosnet.errors import InputError
from pathosnet.evaluation.plots import DPI, new_figure
from pathosnet.features.text.tokens import plain_text
from pathosnet.recognizer.prediction import Prediction
from pathosnet.recognizer.recognizer import PathosNet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHORTEST, LONGEST = 0.25, 1.0
"""Seconds that are taken away at once, unless told otherwise: an eighth of the clip within these bounds."""
MOST_STRETCHES = 100
FADE_SAMPLES = 160
"""Samples over which the ends at a cut are blended, 10 ms: a click would be a cue of its own."""
SMALLEST_PROBABILITY = 1e-6
FOR, AGAINST = "#d1495b", "#3d6fb4"


@dataclass(frozen=True)
class Stretch:
    """A stretch of sound, and what it does to the answer."""

    start: float
    """In seconds."""
    end: float
    effect: float
    """How much of the answer is its doing, see ``Explanation``."""


@dataclass(frozen=True)
class Word:
    """A word of the text, and what it does to the answer."""

    word: str
    effect: float


@dataclass(frozen=True)
class Explanation:
    """What an answer rests on.

    An effect is what is lost of the answer where the part is taken away: of an emotion in log-odds,
    log(p / (1 - p)), so that it shows for sure answers, too; of a dimension in its units. Above 0 the part speaks for
    the label, below against it. Effects do not sum up to anything: parts can say the same thing twice.

    Args:
        label: that is explained: the answer's, or another one.
        prediction: of everything together.
        voice_alone: answer to the voice without the text; None unless the model was given both.
        text_alone: answer to the text without the voice; likewise.
        stretches: of sound, by their start; they overlap.
        words: in order; a word that occurs twice is there twice.
        warnings: why not to trust the explanation.
    """

    label: str
    prediction: Prediction
    voice_alone: Prediction | None
    text_alone: Prediction | None
    stretches: tuple[Stretch, ...]
    words: tuple[Word, ...]
    warnings: tuple[str, ...] = ()

    @property
    def strongest_stretch(self) -> Stretch | None:
        """The stretch that speaks most for the label; None without sound."""
        return max(self.stretches, key=lambda one: one.effect, default=None)

    @property
    def strongest_word(self) -> Word | None:
        """The word that speaks most for the label; None without words."""
        return max(self.words, key=lambda one: one.effect, default=None)

    def to_dict(self) -> dict[str, Any]:
        """Returns JSON values."""
        alone = {"voice_alone": self.voice_alone, "text_alone": self.text_alone}
        return {
            "label": self.label,
            "prediction": self.prediction.to_dict(),
            **{name: one.to_dict() for name, one in alone.items() if one is not None},
            "stretches": [asdict(one) for one in self.stretches],
            "words": [asdict(one) for one in self.words],
            "warnings": list(self.warnings),
        }

    def text(self) -> str:
        """Says in a few lines what the answer rests on."""
        said = [f"{self.label}: {_value(self.prediction, self.label):.2f}"]
        if self.voice_alone and self.text_alone:
            alone = (_value(one, self.label) for one in (self.voice_alone, self.text_alone))
            said.append("of the voice alone {:.2f}, of the text alone {:.2f}".format(*alone))
        if (stretch := self.strongest_stretch) and stretch.effect > 0:
            said.append(f"most in the sound: {stretch.start:.2f} to {stretch.end:.2f} s ({stretch.effect:+.2f})")
        elif stretch:
            said.append("no stretch of the sound speaks for it")
        if (word := self.strongest_word) and word.effect > 0:
            said.append(f"most in the text: {word.word!r} ({word.effect:+.2f})")
        elif word:
            said.append("no word speaks for it")
        return "\n".join([*said, *(f"warning: {warning}" for warning in self.warnings)])


def explain(
    model: PathosNet,
    audio: Any = None,
    text: str | None = None,
    *,
    language: str | None = None,
    label: str | None = None,
    seconds: float | None = None,
    sample_rate: int | None = None,
) -> Explanation:
    """Explains an answer by taking away parts of what it rests on, one after the other.

    A stretch is cut out of the recording and the ends are joined. Silence in its place would be something to hear.

    Args:
        model: to ask.
        audio: in any form that ``PathosNet.predict`` takes, or None.
        text: what is said, or None.
        language: of the text.
        label: emotion or dimension to explain; the most probable emotion, or the first dimension, if None.
        seconds: that are cut out at once; see ``SHORTEST`` if None. Stretches overlap by half.
        sample_rate: of samples, in Hz.

    Raises:
        InputError: the recording cannot be used, nothing was given that the model reads, or it has no such label.
    """
    if label is not None and label not in model.labels:
        raise InputError(f"label: expected one of {', '.join(model.labels)}, got {label!r}")
    if seconds is not None and not seconds > 0:
        raise InputError(f"seconds: expected more than 0, got {seconds}")
    recording = None if audio is None or not len(model.acoustic) else read_recording(audio, sample_rate)
    words = plain_text(text or "").split() if model.text is not None else []
    said = " ".join(words) or None
    whole = model.predict(recording, said, language)
    label = label or whole.label or model.labels[0]
    cuts = _cuts(len(recording), seconds) if recording is not None else []
    shortened = [_without(recording, *cut) for cut in cuts if recording is not None]
    others = [" ".join(words[:i] + words[i + 1 :]) or None for i in range(len(words))]
    alone: list[tuple[Any, str | None]] = [(recording, None), (None, said)] if recording and said else []
    asked = [*((one, said) for one in shortened), *((recording, one) for one in _answerable(others, recording)), *alone]
    answers = model.predict_batch([one for one, _ in asked], [one for _, one in asked], [language] * len(asked))
    full = _score(whole, label)
    effects = [full - _score(answer, label) for answer in answers]
    heard, read = len(cuts), len(asked) - len(cuts) - len(alone)
    return Explanation(
        label,
        whole,
        *(answers[-2:] if alone else (None, None)),
        stretches=tuple(
            Stretch(start / SAMPLE_RATE, end / SAMPLE_RATE, effect)
            for (start, end), effect in zip(cuts, effects, strict=False)
        ),
        words=tuple(Word(word, effect) for word, effect in zip(words[:read], effects[heard:], strict=False)),
        warnings=_warnings(whole, recording, cuts=len(cuts), words=len(words), read=read),
    )


def _answerable(texts: Sequence[str | None], recording: Recording | None) -> list[str | None]:
    """Leaves out the last word of a text alone: without it, nothing is left to answer."""
    return [one for one in texts if one or recording is not None]


def _warnings(whole: Prediction, recording: Recording | None, *, cuts: int, words: int, read: int) -> tuple[str, ...]:
    found = [*whole.warnings]
    if recording is not None and not cuts:
        found.append("the recording is too short to take anything away")
    if words > read:
        found.append("there is a single word, and nothing without it")
    return tuple(found)


def _cuts(samples: int, seconds: float | None) -> list[tuple[int, int]]:
    """Returns the first sample of each stretch and the one behind its last; none if nothing could be left."""
    length = seconds or min(LONGEST, max(SHORTEST, samples / SAMPLE_RATE / 8))
    width = round(length * SAMPLE_RATE)
    if seconds is None:
        width = max(width, 2 * math.ceil(samples / MOST_STRETCHES))
    if width < 2 or samples - width < MIN_SAMPLES:
        return []
    starts = [*range(0, samples - width, max(1, width // 2)), samples - width]
    return [(start, start + width) for start in starts]


def _without(recording: Recording, start: int, end: int) -> Recording:
    """Cuts out a stretch and blends the ends."""
    before, behind = recording.waveform[:start], recording.waveform[end:]
    fade = min(FADE_SAMPLES, len(before), len(behind))
    if fade == 0:
        return Recording(torch.cat([before, behind]))
    rising = torch.linspace(0.0, 1.0, fade)
    joint = before[-fade:] * (1.0 - rising) + behind[:fade] * rising
    return Recording(torch.cat([before[:-fade], joint, behind[fade:]]))


def _value(prediction: Prediction, label: str) -> float:
    return prediction.values[label]


def _score(prediction: Prediction, label: str) -> float:
    """Returns the log-odds of an emotion, or a dimension's estimate."""
    value = _value(prediction, label)
    if prediction.dimensions:
        return value
    value = min(max(value, SMALLEST_PROBABILITY), 1.0 - SMALLEST_PROBABILITY)
    return math.log(value / (1.0 - value))


def plot_explanation(
    explanation: Explanation, path: str | Path, audio: Any = None, *, sample_rate: int | None = None
) -> None:
    """Draws an explanation: effects over time under the waveform, effects of words, and what either says alone.

    Args:
        explanation: see ``explain``.
        path: ``.png``, ``.svg`` or ``.pdf``.
        audio: the recording that was explained; its waveform is not drawn if None.
        sample_rate: of samples, in Hz.
    """
    waveform = None if audio is None or not explanation.stretches else read_recording(audio, sample_rate).waveform
    rows = [(_draw_waveform, 1.0)] if waveform is not None else []
    rows += [(_draw_stretches, 1.6)] if explanation.stretches else []
    rows += [(_draw_words, 0.6 + 0.22 * len(explanation.words))] if explanation.words else []
    rows += [(_draw_alone, 1.3)] if explanation.voice_alone else []
    if not rows:
        raise InputError(f"{path}: there is nothing to draw, since nothing could be taken away")
    heights = [height for _, height in rows]
    figure = new_figure(9.0, 0.7 + sum(heights) + 0.45 * len(rows))
    panels = figure.subplots(len(rows), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (draw, _) in zip(panels, rows, strict=True):
        draw(axes, explanation, waveform)
        axes.spines[["top", "right"]].set_visible(False)
    value = _value(explanation.prediction, explanation.label)
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
    values = [_value(one, explanation.label) for one in both.values() if one is not None]
    axes.barh(range(len(values)), values, color="tab:gray")
    axes.set_yticks(range(len(values)), [name for name, one in both.items() if one is not None])
    axes.invert_yaxis()
    if not explanation.prediction.dimensions:
        axes.set_xlim(0.0, 1.0)
        axes.axvline(
            1 / len(explanation.prediction.values), color="black", linestyle=":", linewidth=1.0, label="chance"
        )
        axes.legend(frameon=False, fontsize=8)
    axes.set_xlabel(
        f"what is said of {explanation.label} by the voice alone, the text alone, and both", parse_math=False
    )


def _unit(explanation: Explanation) -> str:
    return "effect" if explanation.prediction.dimensions else "effect\n(log-odds)"
