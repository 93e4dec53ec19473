"""Emotions of a long recording, segment by segment; only a part of the recording is in memory at once."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pathosnet.audio.inspection import USELESS, inspect_waveform
from pathosnet.audio.reading import read_blocks
from pathosnet.errors import InputError
from pathosnet.features.profile import Profile
from pathosnet.files import to_path
from pathosnet.prediction.adaptation import Adaptation, gather_profiles
from pathosnet.prediction.pieces import NAMING, Piece, find_pieces, progress_bar
from pathosnet.prediction.segmentation import Cutting
from pathosnet.prediction.stream import Utterance, predict_stream
from pathosnet.prediction.transcripts import read_transcript
from pathosnet.recognizer.prediction import Prediction
from pathosnet.recognizer.recognizer import PathosNet

ALL = "all"
COLUMNS = ("start", "end")
"""First columns of a timeline as a table; the model's outputs, ``text`` and perhaps ``speaker`` follow."""


@dataclass(frozen=True)
class Segment:
    """A part of a recording; times are in seconds."""

    start: float
    end: float
    prediction: Prediction
    text: str = ""
    speaker: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Returns the times, the prediction's fields, the text, and the speaker if one is known, as JSON values."""
        times = {"start": round(self.start, 3), "end": round(self.end, 3)}
        found = {**times, **self.prediction.to_dict(), "text": self.text}
        return {**found, "speaker": self.speaker} if self.speaker else found


def predict_timeline(
    model: PathosNet,
    path: str | Path,
    cutting: Cutting | None = None,
    *,
    transcript: str | Path | None = None,
    speakers: str | Path | None = None,
    language: str | None = None,
    adapt: Adaptation = "none",
    profile: Profile | None = None,
    progress: bool = False,
) -> Iterator[Segment]:
    """Predicts the segments of a long recording, one after the other.

    The file is read twice, some of it at a time: once to find the segments, once to predict them.

    Args:
        model: to ask. One that reads text alone predicts the segments in which something is said.
        path: the recording, of any length.
        cutting: where to cut; see Cutting if None.
        transcript: what is said and when, and perhaps by whom: ``.srt``, ``.vtt``, ``.rttm``, or Whisper's ``.json``.
        speakers: who speaks when, such as ``.rttm``, if the transcript does not say it.
        language: of the transcript; found out if None and the model has several.
        adapt: to the profile of each speaker's own segments, or to that of all segments, see ``PathosNet.profile``; for
            that they are read once more.
        profile: of the speaker of all segments, instead.
        progress: show a progress bar, if there is a terminal to show it.

    Yields:
        Segments by their start, with silence between them.

    Raises:
        InputError: recording or transcript cannot be used, or no segment was found, or the model cannot
            adapt.
    """
    path, cutting = to_path(path), cutting or Cutting()
    cues = read_transcript(transcript, path.stem) if transcript is not None else []
    turns = read_transcript(speakers, path.stem) if speakers is not None else cues
    if not any(cue.text for cue in cues) and not len(model.acoustic):
        raise InputError("this model reads text alone: expected a transcript with times, such as .srt or .vtt")
    if (speakers is not None or adapt == "speaker") and not any(turn.speaker for turn in turns):
        raise InputError(f"{speakers or 'adapt: speaker'}: expected to learn who speaks, {NAMING}")
    if profile is not None and adapt != "none":
        raise InputError("adapt: makes profiles, and profile is one that was made; expected one of them")
    pieces = find_pieces(path, cutting, cues, turns=turns, progress=progress)
    if not len(model.acoustic):
        pieces = [piece for piece in pieces if piece.text]
    if not pieces:
        raise InputError(f"{path}: no segments found: nothing is heard for {cutting.min_seconds:g} s, or nothing said")
    bounds = [piece.bounds for piece in pieces]
    profiles = (
        [profile] * len(pieces) if profile else _profiles(model, pieces, _cut(read_blocks(path), bounds), adapt=adapt)
    )
    utterances = (
        Utterance(waveform, piece.text or None, language, profile)
        for waveform, piece, profile in zip(_cut(read_blocks(path), bounds), pieces, profiles, strict=True)
    )
    with progress_bar("segments", progress, total=len(pieces), unit="segment") as bar:
        for piece, answer in zip(pieces, predict_stream(model, utterances), strict=True):
            if isinstance(answer, InputError):
                raise InputError(f"{path}, {piece.start:.1f}–{piece.end:.1f} s: {answer}") from answer
            bar.update()
            yield Segment(piece.start, piece.end, answer, text=piece.text, speaker=piece.speaker)


def _profiles(
    model: PathosNet, pieces: Sequence[Piece], waveforms: Iterable[Tensor], *, adapt: Adaptation
) -> list[Profile | None]:
    """Makes the profile for each piece from all pieces of its speaker; none for a speaker who is not known."""
    if adapt == "none":
        return [None] * len(pieces)
    names = [piece.speaker if adapt == "speaker" else ALL for piece in pieces]
    known = ((name, one) for name, one in zip(names, waveforms, strict=True) if name and not _is_silent(one))
    profiles = gather_profiles(model, known)
    return [profiles.get(name) for name in names]


def _is_silent(waveform: Tensor) -> bool:
    return bool(set(inspect_waveform(waveform)) & set(USELESS))


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
        for how much each label is the most probable one, and ``means`` of estimated dimensions over the time. Where
        speakers are known, ``speakers``: the same for the segments of each, who speaks most first.
    """
    told = _overview(segments)
    names = dict.fromkeys(segment.speaker for segment in segments if segment.speaker)
    own = {name: _overview([segment for segment in segments if segment.speaker == name]) for name in names}
    by_time = sorted(own, key=lambda name: -own[name]["seconds"])
    return {**told, "speakers": {name: own[name] for name in by_time}} if own else told


def _overview(segments: Sequence[Segment]) -> dict[str, Any]:
    covered, until = 0.0, 0.0
    for segment in segments:
        covered += max(0.0, segment.end - max(segment.start, until))
        until = max(until, segment.end)
    told: dict[str, Any] = {"segments": len(segments), "seconds": round(covered, 3)}
    lengths = [segment.end - segment.start for segment in segments]
    answers = [segment.prediction for segment in segments]

    def mean(values: Iterable[float]) -> float:
        return sum(length * value for length, value in zip(lengths, values, strict=True)) / sum(lengths)

    if labels := list(answers[0].probabilities):
        told["shares"] = {label: mean(answer.label == label for answer in answers) for label in labels}
    if names := list(answers[0].dimensions):
        told["means"] = {name: mean(answer.dimensions[name] for answer in answers) for name in names}
    return told
