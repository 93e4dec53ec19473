"""Segmentation of long recordings at pauses, into windows, or at cues. Times are in seconds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from pathosnet.errors import InputError

Segments = Literal["pauses", "windows", "cues", "turns"]
Detector = Literal["loudness", "silero"]
Interval = tuple[float, float]
"""Start and end."""

SHORTEST = 0.025
ROUNDING = 1e-6  # of sums of seconds
JOINED_ACROSS = 1.0
"""The longest pause across which a stretch that is too short is joined with its neighbour."""


@dataclass(frozen=True)
class Cutting:
    """How a long recording is cut into segments."""

    segments: Segments | None = None
    """Cut at pauses in the sound, into windows of one length, at the cues of the transcript, or where speakers take
    turns; if not given, at turns where speakers are known, else at pauses."""
    pause_seconds: float = 0.3
    """Pauses, turns: shorter pauses do not end a segment."""
    detector: Detector = "loudness"
    """Pauses: what is no pause: what is loud, or what Silero's network takes for speech (extra silero)."""
    pause_db: float | None = None
    """Pauses: what is so many decibels below the loudest moment is silence; found from the noise if not given."""
    min_seconds: float = 0.5
    """Pauses: shorter segments are joined with a near neighbour, else left out. Windows: the last is no shorter."""
    max_seconds: float = 12.0
    """Pauses: longer segments are cut where they are quietest."""
    window_seconds: float = 5.0
    """Windows: their length."""
    hop_seconds: float | None = None
    """Windows: from one's start to the next one's; their length if not given."""

    def __post_init__(self) -> None:
        """Checks the values."""
        if self.segments not in (None, *get_args(Segments)):
            raise InputError(f"segments: expected {', '.join(get_args(Segments))}, got {self.segments!r}")
        if self.detector not in get_args(Detector):
            raise InputError(f"detector: expected {' or '.join(get_args(Detector))}, got {self.detector!r}")
        lowest = {"pause_seconds": 0.0, "pause_db": 0.0}
        lowest |= dict.fromkeys(("min_seconds", "window_seconds", "hop_seconds"), SHORTEST)
        for name, bound in lowest.items():
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= bound):
                raise InputError(f"{name}: expected at least {bound:g}, got {value:g}")
        if not self.max_seconds >= 2 * self.min_seconds:
            raise InputError(
                f"max_seconds: expected at least twice min_seconds ({self.min_seconds:g}), got {self.max_seconds:g}"
            )


def cut_at_pauses(
    sounds: Sequence[Interval], levels: Sequence[float], level_seconds: float, *, cutting: Cutting
) -> list[Interval]:
    """Makes segments of the stretches where something is heard.

    Args:
        sounds: the stretches, in order.
        levels: of the sound every ``level_seconds``, any measure that grows with loudness.
        level_seconds: from one level to the next.
        cutting: shortest pause, shortest and longest segment.

    Returns:
        Segments in order, apart from each other, or end to end where a long one was cut.
    """
    joined: list[Interval] = []
    for start, end in sounds:
        if joined and start - joined[-1][1] < cutting.pause_seconds:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    segments = []
    for interval in _with_short_ones_joined(joined, cutting):
        segments += _cut_where_quiet(interval, levels, level_seconds, cutting=cutting)
    return segments


def _with_short_ones_joined(intervals: Sequence[Interval], cutting: Cutting) -> list[Interval]:
    kept: list[Interval] = []
    for i, (start, end) in enumerate(intervals):
        pause = start - kept[-1][1] if kept else math.inf
        next_pause = intervals[i + 1][0] - end if i + 1 < len(intervals) else math.inf
        is_short = end - start < cutting.min_seconds and pause <= next_pause
        if (
            kept
            and (is_short or kept[-1][1] - kept[-1][0] < cutting.min_seconds)
            and pause <= JOINED_ACROSS
            and end - kept[-1][0] <= cutting.max_seconds
        ):
            kept[-1] = (kept[-1][0], end)
        else:
            kept.append((start, end))
    return [(start, end) for start, end in kept if end - start >= cutting.min_seconds]


def _cut_where_quiet(
    interval: Interval, levels: Sequence[float], level_seconds: float, cutting: Cutting
) -> list[Interval]:
    start, end = interval
    pieces = []
    while end - start > cutting.max_seconds:
        # in the second half of what is allowed, and such that the rest is not too short
        earliest = math.ceil((start + cutting.max_seconds / 2) / level_seconds)
        latest = math.floor(min(start + cutting.max_seconds, end - cutting.min_seconds) / level_seconds)
        places = range(earliest, min(latest + 1, len(levels)))
        cut = min(places, key=levels.__getitem__) * level_seconds if places else (start + end) / 2
        pieces.append((start, cut))
        start = cut
    return [*pieces, (start, end)]


def windows(duration: float, cutting: Cutting) -> list[Interval]:
    """Makes windows of one length, the last of which may be shorter.

    Args:
        duration: of the recording.
        cutting: length, hop, and the shortest last window.

    >>> windows(12.0, Cutting("windows", window_seconds=5.0))
    [(0.0, 5.0), (5.0, 10.0), (10.0, 12.0)]
    """
    hop = cutting.hop_seconds or cutting.window_seconds
    least = min(cutting.min_seconds, cutting.window_seconds) - ROUNDING  # a whole window is never too short
    found = [(0.0, min(cutting.window_seconds, duration))]
    while found[-1][1] < duration and duration - len(found) * hop >= least:
        start = len(found) * hop
        found.append((start, min(start + cutting.window_seconds, duration)))
    return found
