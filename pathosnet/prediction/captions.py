"""Subtitles: SubRip (``.srt``) and WebVTT (``.vtt``).

The files are parsed here rather than by pysubs2, which takes WebVTT's comments for words, drops cues whose times have
no fraction, and appends damaged ones to the cue before them, without an error.
"""

import codecs
import html
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pathosnet.errors import InputError
from pathosnet.files import to_path

ARROW = "-->"
MAX_BYTES = 32 << 20  # words of some hundred hours
TIME = r"(?:(\d+):)?([0-5]?\d):([0-5]?\d)(?:[.,](\d{1,3}))?"
TIMES = re.compile(rf"\s*{TIME}\s*{ARROW}\s*{TIME}(?:\s.*)?")
TAG = re.compile(r"<(?:/?[a-zA-Z][^<>]*|/|[\d:.]+)>|\{\\[^{}]*\}")
VOICE = re.compile(r"<v(?:\.[^\s<>]*)?\s+([^<>]+)>")
NAMED = re.compile(r"\s*\[([^\[\]:]{1,60})\]:\s*")
"""How WhisperX names speakers in subtitles: ``[SPEAKER_00]: words``."""
NOT_SPOKEN = re.compile(r"(NOTE|STYLE|REGION)(\s|$)")


@dataclass(frozen=True)
class Cue:
    """Words between two times in seconds.

    Args:
        start: of the first word.
        end: of the last one.
        text: the words, in one line.
        line: of the file that holds the times.
        speaker: who says them; empty if that is not known.
        words: the middle of each word in seconds, and the word, if the file has times of words.
        place: file and line, or segment, for errors.
    """

    start: float
    end: float
    text: str
    line: int
    speaker: str = ""
    words: tuple[tuple[float, str], ...] = ()
    place: str = ""


def read_captions(path: str | Path) -> list[Cue]:
    """Reads subtitles.

    Args:
        path: SubRip or WebVTT, in UTF-8 or UTF-16; the content tells the format.

    Returns:
        Cues by their start; their texts without tags, in one line. Those without words are left out. A cue of several
        voices becomes one for each, with times in proportion to their letters.

    Raises:
        InputError: the file cannot be read, or a line is not understood; it names both.
    """
    path = to_path(path)
    cues = [cue for cue in _parse(read_lines(path), path) if cue.text]
    if not cues:
        raise InputError(f"{path}: holds no cues; expected times such as 00:01.000 {ARROW} 00:02.500, then words")
    return sorted(cues, key=lambda cue: cue.start)


def read_lines(path: Path) -> list[str]:
    """Reads the lines of a text of moderate size, in UTF-8 or UTF-16.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise InputError(f"{path}: is larger than {MAX_BYTES >> 20} MiB; expected a transcript with times")
        is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = content.decode("utf-16" if is_utf16 else "utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"{path}, line {line}: is not UTF-8 text ({error.reason}); save it as UTF-8") from error
    return re.split(r"\r\n|\n|\r", text)


def _parse(lines: Sequence[str], path: Path) -> Iterator[Cue]:
    """Yields the cues of both formats: a block of lines that has times in its first or second line, then words."""
    is_vtt = lines[0].startswith("WEBVTT")
    for first, block in _blocks(lines):
        is_header = first == 0 and not any(ARROW in line for line in block)
        if is_vtt and (is_header or NOT_SPOKEN.match(block[0])):
            continue
        at = next((i for i, line in enumerate(block[:2]) if ARROW in line), None)
        if at is None:
            raise InputError(f"{path}, line {first + 1}: expected a cue's times, got {block[0].strip()[:40]!r}")
        yield from _by_voice(_to_cue(block[at], block[at + 1 :], first + at + 1, path=path))


def _blocks(lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Yields stretches of lines that are not blank, each with the position of its first.

    Cues that no blank line parts are parted before the number, or the times, of the next one.
    """
    block: list[str] = []
    for i, line in enumerate([*lines, ""]):
        numbered = line.strip().isdigit() and i + 1 < len(lines) and ARROW in lines[i + 1]
        begins = numbered or (ARROW in line and any(ARROW in earlier for earlier in block))
        if block and (begins or not line.strip()):
            yield i - len(block), block
            block = []
        if line.strip():
            block.append(line)


def _to_cue(times: str, words: Sequence[str], line: int, path: Path) -> Cue:
    match = TIMES.fullmatch(times)
    if match is None:
        raise InputError(
            f"{path}, line {line}: expected times such as 00:01.000 {ARROW} 00:02.500, got {times.strip()[:60]!r}"
        )
    start, end = _seconds(*match.groups()[:4]), _seconds(*match.groups()[4:])
    if end < start:
        raise InputError(f"{path}, line {line}: the cue ends before it begins: {times.strip()[:60]}")
    return Cue(start, end, " ".join(words), line=line, place=f"{path}, line {line}")


def _by_voice(cue: Cue) -> Iterator[Cue]:
    """Divides a cue, whose tags are in its text still, into those of its voices."""
    named = NAMED.match(cue.text)
    before, *voices = VOICE.split(cue.text[named.end() :] if named else cue.text)
    speakers = [named.group(1) if named else "", *voices[::2]]
    texts = [_plain(text) for text in (before, *voices[1::2])]
    letters = sum(map(len, texts))
    passed = 0
    for speaker, text in zip(speakers, texts, strict=True):
        if text:
            start, end = (cue.start + (cue.end - cue.start) * n / letters for n in (passed, passed + len(text)))
            yield replace(cue, start=start, end=end, text=text, speaker=_plain(speaker))
            passed += len(text)


def _plain(text: str) -> str:
    return " ".join(html.unescape(TAG.sub("", text)).split())


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str | None) -> float:
    return int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{fraction or 0}")


def words_by_interval(cues: Sequence[Cue], intervals: Sequence[tuple[float, float]]) -> list[str]:
    """Gives the words of cues to the intervals in which they are spoken.

    Where the times of words are not known, each one's share of its cue is that of its letters. A word belongs to every
    interval that holds its middle, else to the nearest one that its cue overlaps.

    Args:
        cues: see ``read_transcript``.
        intervals: start and end in seconds, by their start.

    Returns:
        A text for each interval, perhaps empty.
    """
    starts = [start for start, _ in intervals]
    longest = max((end - start for start, end in intervals), default=0.0)
    texts: list[list[str]] = [[] for _ in intervals]
    for cue in cues:
        around = range(bisect_left(starts, cue.start - longest), bisect_right(starts, cue.end))
        overlapped = [i for i in around if intervals[i][1] > cue.start]
        for time, word in _timed_words(cue):
            distances = {i: max(intervals[i][0] - time, time - intervals[i][1], 0.0) for i in overlapped}
            holding = [i for i in overlapped if intervals[i][0] <= time < intervals[i][1]]
            nearest = [min(distances, key=distances.__getitem__)] if distances else []
            for i in holding or nearest:
                texts[i].append(word)
    return [" ".join(words) for words in texts]


def _timed_words(cue: Cue) -> Iterator[tuple[float, str]]:
    """Yields the words with their middles; where they are not known, with those of their shares of the cue."""
    if cue.words:
        yield from cue.words
        return
    words = cue.text.split()
    letters = sum(map(len, words))
    before = 0
    for word in words:
        yield cue.start + (cue.end - cue.start) * (before + len(word) / 2) / letters, word
        before += len(word)
