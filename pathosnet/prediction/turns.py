"""Speech by speaker: turns of speakers, and the speakers of any other segments."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from pathosnet.prediction.captions import Cue
from pathosnet.prediction.segmentation import Interval


def join_turns(cues: Sequence[Cue], pause_seconds: float) -> list[Cue]:
    """Joins what a speaker says until somebody else speaks, or nobody.

    Args:
        cues: by their start.
        pause_seconds: after a pause of this length the same speaker has a new turn.

    Returns:
        Turns by their start; those of several speakers may overlap.

    >>> said = [Cue(0.0, 1.0, "Well,", 1, "Anna"), Cue(1.1, 2.0, "hello", 2, "Anna"), Cue(2.0, 3.0, "hi", 3, "Ben")]
    >>> [(turn.speaker, turn.start, turn.end, turn.text) for turn in join_turns(said, 0.3)]
    [('Anna', 0.0, 2.0, 'Well, hello'), ('Ben', 2.0, 3.0, 'hi')]
    """
    turns: list[Cue] = []
    for cue in cues:
        last = turns[-1] if turns else None
        if last is not None and last.speaker == cue.speaker and cue.start - last.end < pause_seconds:
            text = " ".join(filter(None, (last.text, cue.text)))
            turns[-1] = replace(last, end=max(last.end, cue.end), text=text, words=())
        else:
            turns.append(cue)
    return turns


def speakers_by_interval(cues: Sequence[Cue], intervals: Sequence[Interval]) -> list[str]:
    """Finds who speaks longest in each interval.

    Args:
        cues: by their start, with speakers as far as they are known.
        intervals: start and end in seconds, by their start.

    Returns:
        A speaker for each, empty where nobody is known to speak.

    >>> cues = [Cue(0.0, 2.0, "", 1, "Anna"), Cue(2.0, 5.0, "", 2, "Ben")]
    >>> speakers_by_interval(cues, [(0.0, 3.0), (1.5, 4.0), (6.0, 7.0)])
    ['Anna', 'Ben', '']
    """
    starts = [cue.start for cue in cues]
    longest = max((cue.end - cue.start for cue in cues), default=0.0)
    found = []
    for start, end in intervals:
        seconds: dict[str, float] = defaultdict(float)
        for cue in cues[bisect_left(starts, start - longest) : bisect_right(starts, end)]:
            if cue.speaker:
                seconds[cue.speaker] += max(0.0, min(end, cue.end) - max(start, cue.start))
        speaker = max(seconds, key=seconds.__getitem__, default="")
        found.append(speaker if seconds[speaker] > 0 else "")
    return found
