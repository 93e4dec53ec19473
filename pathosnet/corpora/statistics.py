"""Statistics of manifests: utterances per class as in the paper's Table 1, durations, speakers, missing values."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pathosnet.corpora.manifest import LABELS_OF_CORPUS, Utterance, read_manifest
from pathosnet.emotions import PAPER_EMOTIONS

VGGISH_SECONDS = 0.975
"""A shorter clip holds no example for VGGish."""
MISSING = ("speakers", "no text", "no audio")


@dataclass(frozen=True)
class Durations:
    """Duration of the readable recordings, in seconds."""

    total: float
    shortest: float
    mean: float
    longest: float
    under_vggish: int
    """Clips too short for VGGish, under 0.975 s."""


@dataclass(frozen=True)
class Statistics:
    """Statistics of one language of one corpus, or of everything."""

    corpus: str
    language: str
    counts: dict[str, int]
    """Emotion → utterances."""
    utterances: int
    speakers: int
    """As far as the manifest names them."""
    without_text: int
    without_audio: int
    """Rows without a recording, or with one that is not there or cannot be read."""
    durations: Durations | None
    """None where there are no recordings."""

    def to_dict(self) -> dict[str, Any]:
        """Returns what JSON can hold."""
        return asdict(self)


def corpus_statistics(
    paths: Sequence[str | Path], label_map: Mapping[str, str] | None = None, drop_labels: Sequence[str] = ()
) -> tuple[list[Statistics], Statistics]:
    """Counts what manifests hold.

    Durations come from the files' headers.

    Args:
        paths: of the manifests.
        label_map: the manifests' own spellings.
        drop_labels: spellings whose rows are left out.

    Returns:
        One of each corpus and language, in the order of the manifests; and of all.

    Raises:
        InputError: a manifest cannot be used.
    """
    corpus = read_manifest(list(paths), (LABELS_OF_CORPUS,), label_map, drop_labels=drop_labels, needs_audio=False)
    emotions = [emotion for emotion in PAPER_EMOTIONS if emotion in corpus.labels]
    emotions += [emotion for emotion in corpus.labels if emotion not in PAPER_EMOTIONS]
    groups: dict[tuple[str, str], list[Utterance]] = {}
    for utterance in corpus.utterances:
        groups.setdefault((utterance.corpus, utterance.language), []).append(utterance)
    seconds = {utterance: recording_seconds(utterance.audio) for utterance in corpus.utterances}
    parts = [_of(*group, utterances, emotions, seconds) for group, utterances in groups.items()]
    return parts, _of("total", "", corpus.utterances, emotions=emotions, seconds=seconds)


def statistics_tables(parts: Sequence[Statistics], total: Statistics) -> str:
    """Lays statistics out for a person: utterances per class, then durations, speakers and what is missing."""
    lines = [*parts, total]
    counted = [("corpus", "language", *total.counts, "utterances")]
    counted += [(one.corpus, one.language, *map(str, one.counts.values()), str(one.utterances)) for one in lines]
    timed: list[tuple[str, ...]] = [
        ("corpus", "language", "hours", "min s", "mean s", "max s", f"< {VGGISH_SECONDS} s", *MISSING)
    ]
    for one in lines:
        times: tuple[str, ...] = ("–",) * 5
        if (found := one.durations) is not None:
            each = (f"{value:.2f}" for value in (found.shortest, found.mean, found.longest))
            times = (f"{found.total / 3600:.2f}", *each, str(found.under_vggish))
        missing = (str(one.speakers or "–"), str(one.without_text), str(one.without_audio))
        timed.append((one.corpus, one.language, *times, *missing))
    return f"{_aligned(counted)}\n\n{_aligned(timed)}"


def _of(
    corpus: str,
    language: str,
    utterances: Sequence[Utterance],
    emotions: Sequence[str],
    seconds: Mapping[Utterance, float | None],
) -> Statistics:
    counter = Counter(utterance.emotion for utterance in utterances)
    known = [length for utterance in utterances if (length := seconds[utterance]) is not None]
    durations = None
    if known:
        short = sum(length < VGGISH_SECONDS for length in known)
        durations = Durations(sum(known), min(known), sum(known) / len(known), longest=max(known), under_vggish=short)
    return Statistics(
        corpus,
        language,
        {emotion: counter[emotion] for emotion in emotions},
        utterances=len(utterances),
        speakers=len({(utterance.corpus, utterance.speaker) for utterance in utterances if utterance.speaker}),
        without_text=sum(not utterance.text for utterance in utterances),
        without_audio=len(utterances) - len(known),
        durations=durations,
    )


def recording_seconds(audio: Path | None) -> float | None:
    """Returns a recording's length as its header says, in seconds; None if there is none that can be read."""
    import soundfile

    if audio is None:
        return None
    try:
        header = soundfile.info(audio)
    except (soundfile.SoundFileError, RuntimeError, OSError):
        return None
    return float(header.duration)


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    """Puts columns below each other, the first two to the left, numbers to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = (
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)
