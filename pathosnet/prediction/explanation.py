"""Explanations by occlusion: what an answer would be without a stretch of sound, a word, the voice or the text."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from pathosnet.audio.reading import MIN_SAMPLES, SAMPLE_RATE, Recording, read_recording
from pathosnet.errors import InputError
from pathosnet.features.text.tokens import plain_text
from pathosnet.recognizer.prediction import Prediction
from pathosnet.recognizer.recognizer import PathosNet
from pathosnet.recognizer.training_examples import TrainingExample, TrainingExamples

SHORTEST, LONGEST = 0.25, 1.0
"""Seconds that are taken away at once, unless told otherwise: an eighth of the clip within these bounds."""
MOST_STRETCHES = 100
FADE_SAMPLES = 160
"""Samples over which the ends at a cut are blended, 10 ms: a click would be a cue of its own."""
SMALLEST_PROBABILITY = 1e-30


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
    """Reasons of an answer.

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
        nearest: training utterances of which the classifier reads the most similar features, the nearest first; None if
            no run kept them beside the model.
    """

    label: str
    prediction: Prediction
    voice_alone: Prediction | None
    text_alone: Prediction | None
    stretches: tuple[Stretch, ...]
    words: tuple[Word, ...]
    warnings: tuple[str, ...] = ()
    nearest: tuple[TrainingExample, ...] | None = None

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
            "nearest": None if self.nearest is None else [asdict(one) for one in self.nearest],
            "warnings": list(self.warnings),
        }

    def text(self) -> str:
        """Says in a few lines what the answer rests on."""
        said = [f"{self.label}: {value_of(self.prediction, self.label):.2f}"]
        if self.voice_alone and self.text_alone:
            alone = (value_of(one, self.label) for one in (self.voice_alone, self.text_alone))
            said.append("of the voice alone {:.2f}, of the text alone {:.2f}".format(*alone))
        if (stretch := self.strongest_stretch) and stretch.effect > 0:
            said.append(f"most in the sound: {stretch.start:.2f} to {stretch.end:.2f} s ({stretch.effect:+.2f})")
        elif stretch:
            said.append("no stretch of the sound speaks for it")
        if (word := self.strongest_word) and word.effect > 0:
            said.append(f"most in the text: {word.word!r} ({word.effect:+.2f})")
        elif word:
            said.append("no word speaks for it")
        said += self._nearest_in_words()
        return "\n".join([*said, *(f"warning: {warning}" for warning in self.warnings)])

    def _nearest_in_words(self) -> list[str]:
        if self.nearest is None:
            return ["nearest training utterances: none were kept beside this model"]
        rows = [
            (one.audio or repr(one.text), one.label, one.speaker and f"speaker {one.speaker}", f"{one.distance:.3f}")
            for one in self.nearest
        ]
        return ["nearest training utterances, with their distance:", *(f"  {', '.join(filter(None, r))}" for r in rows)]


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
    examples = TrainingExamples.beside(model)
    nearest = None if examples is None else examples.nearest(model.embed([recording], [said], [language])[0])
    full = _score(whole, label)
    effects = [full - _score(answer, label) for answer in answers]
    heard, read = len(cuts), len(asked) - len(cuts) - len(alone)
    return Explanation(
        label,
        whole,
        voice_alone=answers[-2] if alone else None,
        text_alone=answers[-1] if alone else None,
        nearest=None if nearest is None else tuple(nearest),
        stretches=tuple(
            Stretch(start / SAMPLE_RATE, end / SAMPLE_RATE, effect)
            for (start, end), effect in zip(cuts, effects, strict=False)
        ),
        words=tuple(Word(word, effect) for word, effect in zip(words[:read], effects[heard:], strict=False)),
        warnings=(
            *whole.warnings,
            *(["this model reads no text"] if text and model.text is None else []),
            *(["this model hears no sound"] if audio is not None and recording is None else []),
            *(["the recording is too short to take anything away"] if recording is not None and not cuts else []),
            *(["there is a single word, and nothing without it"] if read < len(words) else []),
        ),
    )


def _answerable(texts: Sequence[str | None], recording: Recording | None) -> list[str | None]:
    """Leaves out the last word of a text alone: without it, nothing is left to answer."""
    return [one for one in texts if one or recording is not None]


def _cuts(samples: int, seconds: float | None) -> list[tuple[int, int]]:
    """Returns the first sample of each stretch and the one behind its last; none if nothing could be left."""
    length = seconds or min(LONGEST, max(SHORTEST, samples / SAMPLE_RATE / 8))
    width = round(length * SAMPLE_RATE)
    if seconds is None:
        width = max(width, 2 * math.ceil(samples / MOST_STRETCHES))
    if width < 2 or samples - width < MIN_SAMPLES:
        return []
    steps = math.ceil((samples - width) / (width / 2))
    return [(start, start + width) for i in range(steps + 1) for start in [round(i * (samples - width) / steps)]]


def _without(recording: Recording, start: int, end: int) -> Recording:
    """Cuts out a stretch and blends the ends."""
    before, behind = recording.waveform[:start], recording.waveform[end:]
    fade = min(FADE_SAMPLES, len(before), len(behind))
    if fade == 0:
        return Recording(torch.cat([before, behind]))
    rising = torch.linspace(0.0, 1.0, fade)
    joint = before[-fade:] * (1.0 - rising) + behind[:fade] * rising
    return Recording(torch.cat([before[:-fade], joint, behind[fade:]]))


def value_of(prediction: Prediction, label: str) -> float:
    """Returns an emotion's probability, or a dimension's estimate."""
    return prediction.values[label]


def _score(prediction: Prediction, label: str) -> float:
    """Returns the log-odds of an emotion, or a dimension's estimate."""
    value = value_of(prediction, label)
    if label in prediction.dimensions:
        return value
    # The others' sum, not 1 - p: of an answer that is nearly sure, that would be rounded to nothing.
    others = sum(one for name, one in prediction.probabilities.items() if name != label)
    return math.log(max(value, SMALLEST_PROBABILITY)) - math.log(max(others, SMALLEST_PROBABILITY))
