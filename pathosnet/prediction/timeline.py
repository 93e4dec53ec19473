"""Emotions of a long recording, segment by segment; only a part of the recording is in memory at once."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from pathosnet.audio.reading import SAMPLE_RATE, read_blocks
from pathosnet.errors import InputError
from pathosnet.features.acoustic.silence import FRAME_SAMPLES, HOP_SAMPLES, MIN_POWER, frame_power, loud_intervals
from pathosnet.features.profile import Profile
from pathosnet.files import to_path
from pathosnet.prediction.adaptation import AT_ONCE
from pathosnet.prediction.captions import Cue, read_captions, words_by_interval
from pathosnet.prediction.segmentation import SHORTEST, Cutting, Interval, cut_at_pauses, windows
from pathosnet.prediction.stream import Utterance, predict_stream
from pathosnet.recognizer.prediction import Prediction
from pathosnet.recognizer.recognizer import PathosNet

COLUMNS = ("start", "end")
"""First columns of a timeline as a table; the model's outputs and ``text`` follow."""
QUIETEST = 0.05  # this share of a recording is taken for noise
ABOVE_NOISE_DB = 6.0
LEAST_DB, MOST_DB = 15.0, 60.0  # a pause is so far below the loudest moment, whatever the noise


@dataclass(frozen=True)
class Segment:
    """A part of a recording; times are in seconds."""

    start: float
    end: float
    prediction: Prediction
    text: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Returns the times, the prediction's fields and the text as JSON values."""
        times = {"start": round(self.start, 3), "end": round(self.end, 3)}
        return {**times, **self.prediction.to_dict(), "text": self.text}


def predict_timeline(
    model: PathosNet,
    path: str | Path,
    cutting: Cutting | None = None,
    *,
    transcript: str | Path | None = None,
    language: str | None = None,
    adapt: bool = False,
    progress: bool = False,
) -> Iterator[Segment]:
    """Predicts the segments of a long recording, one after the other.

    The file is read twice, some of it at a time: once to find the segments, once to predict them.

    Args:
        model: to ask. One that reads text alone predicts the segments in which something is said.
        path: the recording, of any length.
        cutting: where to cut; at pauses if None.
        transcript: what is said and when, ``.srt`` or ``.vtt``.
        language: of the transcript; found out if None and the model has several.
        adapt: adapt to the profile of the recording's own segments, see ``PathosNet.profile``; for that they are read
            once more.
        progress: show a progress bar, if there is a terminal to show it.

    Yields:
        Segments by their start, with silence between them.

    Raises:
        InputError: recording or transcript cannot be used, or no segment was found, or the model cannot
            adapt.
    """
    path, cutting = to_path(path), cutting or Cutting()
    cues = read_captions(transcript) if transcript is not None else []
    if not cues and (cutting.segments == "cues" or not len(model.acoustic)):
        why = "segments: cues" if cutting.segments == "cues" else "this model reads text alone"
        raise InputError(f"{why}: expected a transcript with times, .srt or .vtt")
    power, num_samples = frame_power(_read(path, progress))
    _check_cues(cues, num_samples / SAMPLE_RATE, path, transcript=transcript)
    intervals, texts = _segments(power, num_samples, cutting, cues=cues)
    if not len(model.acoustic):
        intervals = [interval for interval, text in zip(intervals, texts, strict=True) if text]
        texts = [text for text in texts if text]
    if not intervals:
        raise InputError(f"{path}: no segments found: nothing is heard for {cutting.min_seconds:g} s, or nothing said")
    bounds = [(round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)) for start, end in intervals]
    profile = _own_profile(model, _cut(_read(path), bounds)) if adapt else None
    pieces = _cut(_read(path), bounds)
    utterances = (Utterance(piece, text or None, language, profile) for piece, text in zip(pieces, texts, strict=True))
    bar = _bar("segments", progress, total=len(intervals), unit="segment")
    with bar:
        answers = predict_stream(model, utterances)
        for (start, end), text, answer in zip(intervals, texts, answers, strict=True):
            if isinstance(answer, InputError):
                raise InputError(f"{path}, {start:.1f}–{end:.1f} s: {answer}") from answer
            bar.update()
            yield Segment(start, end, answer, text=text)


def _own_profile(model: PathosNet, pieces: Iterator[Tensor]) -> Profile | None:
    """Makes a profile of segments, some at a time; None where all are too short for the features."""
    profile: Profile | None = None
    while batch := list(islice(pieces, AT_ONCE)):
        for features in model.extract(batch):
            if model.network.centers and not all(len(features[name]) for name in model.network.centers):
                continue
            one = model.profile_of([features])
            profile = one if profile is None else profile + one
    return profile


def _check_cues(cues: Sequence[Cue], duration: float, path: Path, transcript: str | Path | None) -> None:
    if cues and cues[-1].start > duration:
        late = next(cue for cue in cues if cue.start > duration)
        raise InputError(
            f"{transcript}, line {late.line}: begins at {late.start:.1f} s, after the end of {path} "
            f"({duration:.1f} s); is it another recording's?"
        )


def _segments(
    power: Tensor, num_samples: int, cutting: Cutting, cues: Sequence[Cue]
) -> tuple[list[Interval], list[str]]:
    """Returns the segments by their start, and what is said in each."""
    duration = num_samples / SAMPLE_RATE
    if cutting.segments == "cues":
        heard = [cue for cue in cues if min(cue.end, duration) - cue.start >= SHORTEST]
        return [(cue.start, min(cue.end, duration)) for cue in heard], [cue.text for cue in heard]
    if cutting.segments == "windows":
        intervals = windows(duration, cutting)
    else:
        sounds = _sounds(power, num_samples, cutting.pause_db)
        intervals = cut_at_pauses(sounds, power.tolist(), HOP_SAMPLES / SAMPLE_RATE, cutting=cutting)
    return intervals, words_by_interval(cues, intervals)


def _sounds(power: Tensor, num_samples: int, pause_db: float | None) -> list[Interval]:
    """Finds what is not silent, within half a hop where it begins and ends suddenly."""
    if power.max() <= MIN_POWER:
        return []
    top_db = _depth_of_pauses(power) if pause_db is None else pause_db
    sounds = []
    for first, last in loud_intervals(power, num_samples, top_db).tolist():
        # Frames that merely touch the sound are loud, too: half a frame before it, and half a frame and a hop after.
        start = first + (FRAME_SAMPLES - HOP_SAMPLES) // 2 if first else 0
        end = last - (FRAME_SAMPLES + HOP_SAMPLES) // 2 if last < num_samples else last
        if start < end:
            sounds.append((start / SAMPLE_RATE, end / SAMPLE_RATE))
    return sounds


def _depth_of_pauses(power: Tensor) -> float:
    """Returns how far below the loudest frame the noise ends: people shout and whisper in one recording."""
    decibels = 10.0 * torch.log10(power.clamp(min=MIN_POWER))
    noise = torch.quantile(decibels, QUIETEST)
    return float((decibels.max() - noise - ABOVE_NOISE_DB).clamp(LEAST_DB, MOST_DB))


def _read(path: Path, progress: bool = False) -> Iterator[Tensor]:
    with _bar("listening for pauses", progress, unit="s") as bar:
        for block in read_blocks(path):
            bar.update(len(block) // SAMPLE_RATE)
            yield block


def _bar(title: str, progress: bool, **options: Any) -> tqdm:
    return tqdm(desc=title, leave=False, disable=None if progress else True, **options)


def _cut(blocks: Iterator[Tensor], bounds: Iterable[tuple[int, int]]) -> Iterator[Tensor]:
    """Cuts pieces, by their start, out of a waveform that comes in blocks; they may overlap."""
    held, begin = torch.zeros(0), 0
    for start, end in bounds:
        while begin + len(held) < end and (block := next(blocks, None)) is not None:
            passed = min(max(start - begin, 0), len(held))
            held, begin = torch.cat([held[passed:], block]), begin + passed
        yield held[start - begin : end - begin].clone()


def overview(segments: Sequence[Segment]) -> dict[str, Any]:
    """Sums segments up.

    Returns:
        How many ``segments``, the ``seconds`` that they cover (where they overlap, once), and ``shares``: of the time,
        for how much each label is the most probable one; or ``means`` of estimated dimensions over the time.
    """
    covered, until = 0.0, 0.0
    for segment in segments:
        covered += max(0.0, segment.end - max(segment.start, until))
        until = max(until, segment.end)
    told: dict[str, Any] = {"segments": len(segments), "seconds": round(covered, 3)}
    lengths = [segment.end - segment.start for segment in segments]
    answers = [segment.prediction for segment in segments]

    def mean(values: Iterable[float]) -> float:
        return sum(length * value for length, value in zip(lengths, values, strict=True)) / sum(lengths)

    if names := list(answers[0].dimensions):
        return {**told, "means": {name: mean(answer.dimensions[name] for answer in answers) for name in names}}
    labels = list(answers[0].probabilities)
    return {**told, "shares": {label: mean(answer.label == label for answer in answers) for label in labels}}
