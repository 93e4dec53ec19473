"""From a recording and what is known of it to the pieces that become segments."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from pathosnet.audio.reading import MIN_SAMPLES, SAMPLE_RATE, read_blocks
from pathosnet.audio.speech_detection import SpeechDetector
from pathosnet.errors import InputError
from pathosnet.features.acoustic.silence import FRAME_SAMPLES, HOP_SAMPLES, MIN_POWER, frame_power, loud_intervals
from pathosnet.prediction.captions import Cue, words_by_interval
from pathosnet.prediction.segmentation import Cutting, Interval, cut_at_pauses, windows
from pathosnet.prediction.turns import join_turns, speakers_by_interval

QUIETEST = 0.05  # this share of a recording is taken for noise
ABOVE_NOISE_DB = 6.0
LEAST_DB, MOST_DB = 15.0, 60.0  # a pause is so far below the loudest moment, whatever the noise
NAMING = ".rttm, .vtt with <v Name>, or Whisper's .json with speakers"
"""Source of the speakers, for messages."""


@dataclass(frozen=True)
class Piece:
    """A part of a recording; times are in seconds."""

    start: float
    end: float
    text: str = ""
    speaker: str = ""

    @property
    def bounds(self) -> tuple[int, int]:
        """The first sample, and the one after the last."""
        return round(self.start * SAMPLE_RATE), round(self.end * SAMPLE_RATE)


def find_pieces(
    path: Path, cutting: Cutting, cues: Sequence[Cue], *, turns: Sequence[Cue], progress: bool = False
) -> list[Piece]:
    """Listens to a recording once, and says where it is to be cut.

    Args:
        path: the recording.
        cutting: see Cutting.
        cues: what is said when, perhaps nothing.
        turns: who speaks when; ``cues`` themselves if they are to say it.
        progress: show a progress bar, if there is a terminal to show it.

    Returns:
        Pieces by their start, with what is said in them and by whom, as far as it is known.

    Raises:
        InputError: the recording cannot be read, or it ends before something is said, or what is needed to cut it so
            is missing.
    """
    kind = cutting.segments or ("turns" if any(turn.speaker for turn in turns) else "pauses")
    if kind == "cues" and not cues:
        raise InputError("segments: cues: expected a transcript with times, such as .srt or .vtt")
    if kind == "turns" and not any(turn.speaker for turn in turns):
        raise InputError(f"segments: turns: expected to learn who speaks, {NAMING}")
    detector = SpeechDetector() if kind == "pauses" and cutting.detector == "silero" else None
    blocks = _read(path, progress)
    power, num_samples = frame_power(detector.passing(blocks) if detector else blocks)
    duration = num_samples / SAMPLE_RATE
    _check_cues([*cues, *turns], duration, path)
    if kind == "cues":
        own = cues is turns
        pieces = _within(cues, duration)
        return pieces if own else _told(pieces, [], turns)
    if kind == "turns":
        pieces = _within(join_turns(turns, cutting.pause_seconds), duration)
        return pieces if cues is turns else _told(pieces, cues, [])
    if kind == "windows":
        intervals = windows(duration, cutting)
    else:
        sounds = detector.speech() if detector else _sounds(power, num_samples, cutting.pause_db)
        intervals = cut_at_pauses(sounds, power.tolist(), HOP_SAMPLES / SAMPLE_RATE, cutting=cutting)
    return _told([Piece(start, end) for start, end in intervals], cues, turns)


def _within(cues: Sequence[Cue], duration: float) -> list[Piece]:
    """Makes pieces of cues, as far as the recording goes; what is shorter than 25 ms has no features."""
    pieces = [Piece(cue.start, min(cue.end, duration), cue.text, speaker=cue.speaker) for cue in cues]
    return [piece for piece in pieces if piece.bounds[1] - piece.bounds[0] >= MIN_SAMPLES]


def _told(pieces: Sequence[Piece], cues: Sequence[Cue], turns: Sequence[Cue]) -> list[Piece]:
    """Adds to pieces what is said in them, and by whom; what is known stays."""
    intervals = [(piece.start, piece.end) for piece in pieces]
    texts, speakers = words_by_interval(cues, intervals), speakers_by_interval(turns, intervals)
    return [
        Piece(piece.start, piece.end, text or piece.text, speaker=speaker or piece.speaker)
        for piece, text, speaker in zip(pieces, texts, speakers, strict=True)
    ]


def _check_cues(cues: Sequence[Cue], duration: float, path: Path) -> None:
    if late := next((cue for cue in cues if cue.start > duration), None):
        raise InputError(
            f"{late.place}: begins at {late.start:.1f} s, after the end of {path} ({duration:.1f} s); is it another "
            "recording's?"
        )


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
    with progress_bar("listening for pauses", progress, unit="s") as bar:
        for block in read_blocks(path):
            bar.update(len(block) // SAMPLE_RATE)
            yield block


def progress_bar(title: str, progress: bool, **options: Any) -> tqdm:
    """Makes a bar that leaves nothing behind, if there is a terminal to show it."""
    return tqdm(desc=title, leave=False, disable=None if progress else True, **options)
