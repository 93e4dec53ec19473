"""Recordings known by what they hold: the same samples are the same recording, whatever its file is called."""

import hashlib
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pathosnet.audio.decoding import open_audio
from pathosnet.audio.inspection import OUT_OF_RANGE, USELESS, Inspection
from pathosnet.audio.read_ahead import naming_row
from pathosnet.audio.reading import mix_blocks
from pathosnet.corpora.manifest import Corpus, Utterance
from pathosnet.errors import InputError
from pathosnet.files import hash_file

HASH_DIGITS = 16
LOSSLESS = (".wav", ".flac", ".aiff", ".aif", ".aifc", ".au", ".caf", ".w64", ".rf64")
"""Formats whose samples do not depend on the decoder."""
ROWS_SHOWN = 10


@dataclass(frozen=True)
class Heard:
    """Facts about one recording, found in one pass."""

    content: str = ""
    """Hash; empty where there is no file."""
    oddities: tuple[str, ...] = ()
    """See ``pathosnet.audio.inspection.inspect_waveform``."""


def identify(corpus: Corpus, drop_useless: bool = True) -> Corpus:
    """Reads every recording once, so that it is known by its content.

    WAV and FLAC files of the same samples (rounded to 16 bits) are the same recording; of lossy formats, whose decoders
    differ, the file's bytes count.

    Args:
        corpus: whose recordings are there.
        drop_useless: leave out rows whose recordings are silent, or whose channels cancel: nothing can be learned of
            them.

    Returns:
        The corpus, its utterances with their contents, and notes about what was left out or is listed twice.

    Raises:
        InputError: a recording cannot be read, so that nobody knows which it is; one is listed twice with different
            labels; or nothing is left.
    """
    heard = listen(corpus.utterances)
    known = [replace(u, content=one.content) for u, one in zip(corpus.utterances, heard, strict=True)]
    notes = [*corpus.notes]
    for oddity in (*USELESS, OUT_OF_RANGE):
        rows = [u for u, one in zip(known, heard, strict=True) if oddity in one.oddities]
        left_out = "; left out" if oddity in USELESS and drop_useless else ""
        notes += [f"{_rows(rows)}: {oddity}{left_out}"] if rows else []
    useful = [u for u, one in zip(known, heard, strict=True) if not set(USELESS) & set(one.oddities)]
    if not useful and drop_useless:
        raise InputError(f"{corpus.title}: every recording is silent; expected speech")
    notes += _repetitions(useful)
    return replace(corpus, utterances=tuple(useful if drop_useless else known), notes=tuple(notes))


def listen(utterances: Iterable[Utterance]) -> list[Heard]:
    """Reads each utterance's recording to its end, several at a time.

    Raises:
        InputError: a recording cannot be read; it names file and row.
    """
    with ThreadPoolExecutor() as pool:  # decoding and hashing leave other threads alone
        return list(pool.map(_listen, utterances))


def _repetitions(utterances: Iterable[Utterance]) -> list[str]:
    """Says which rows are the same recording."""
    rows: dict[str, list[Utterance]] = defaultdict(list)
    for utterance in utterances:
        if utterance.content:
            rows[utterance.content].append(utterance)
    notes = []
    for same in rows.values():
        for other in same[1:]:
            if (other.emotion, other.values) != (same[0].emotion, same[0].values):
                labels = " and ".join(u.emotion or ", ".join(map(str, u.values)) for u in (same[0], other))
                raise InputError(
                    f"{same[0].where} and {other.where}: are the same recording with different labels, {labels}; "
                    "remove one of the rows, or both"
                )
        if len(same) > 1:
            notes.append(f"{_rows(same)}: are the same recording; folds keep them together")
    return notes


def _rows(utterances: Sequence[Utterance]) -> str:
    """Names rows, all of them if they are few."""
    by_file: dict[Path, list[str]] = defaultdict(list)
    for utterance in utterances:
        by_file[utterance.manifest].append(str(utterance.row))
    return "; ".join(
        f"{path}, row{'s'[: len(rows) > 1]} {', '.join(rows[:ROWS_SHOWN])}"
        + (f" and {len(rows) - ROWS_SHOWN} more" if len(rows) > ROWS_SHOWN else "")
        for path, rows in by_file.items()
    )


def _listen(utterance: Utterance) -> Heard:
    """Hashes a recording and looks for silence, a block at a time."""
    path = utterance.audio
    if path is None:
        return Heard()
    inspection = Inspection(str(path))
    digest = hashlib.sha256()

    def hashed(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for block in blocks:
            yield block  # and only finite samples come back
            digest.update(np.clip(np.rint(block * 32768.0), -32768, 32767).astype("<i2").tobytes())

    with naming_row(utterance), open_audio(path) as (rate, blocks):
        digest.update(f"{rate} Hz".encode())
        deque(mix_blocks(hashed(blocks), rate, inspection), maxlen=0)  # reads to the end, keeps nothing
    content = digest.hexdigest() if path.suffix.lower() in LOSSLESS else hash_file(path)
    return Heard(content[:HASH_DIGITS], inspection.warnings())
