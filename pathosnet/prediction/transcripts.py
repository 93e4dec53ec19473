"""Transcripts with times and speakers: files of all formats that a timeline takes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from pathosnet.errors import InputError
from pathosnet.files import to_path
from pathosnet.prediction.captions import Cue, read_captions, read_lines

SUFFIXES = (".srt", ".vtt", ".rttm", ".json")
RTTM_FIELDS = 8  # the last of them names the speaker; confidence and lookahead may follow
UNKNOWN = "<NA>"
SHOWN = 5  # names in a message


def read_transcript(path: str | Path, recording: str = "") -> list[Cue]:
    """Reads what is said when, as far as the file tells it.

    Args:
        path: subtitles (``.srt``, ``.vtt``), turns of speakers (``.rttm``), or Whisper's JSON.
        recording: name without its ending; of an RTTM file about several, its turns are taken.

    Returns:
        Cues by their start. Those of an RTTM file have no text.

    Raises:
        InputError: the file cannot be read, or something in it is not understood; it names both.
    """
    path = to_path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path}: expected a transcript with times, {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
    if suffix == ".rttm":
        cues = _read_rttm(path, recording)
    elif suffix == ".json":
        cues = list(_read_whisper(path))
    else:
        return read_captions(path)
    return sorted(cues, key=lambda cue: cue.start)


def _read_rttm(path: Path, recording: str) -> list[Cue]:
    """Reads turns: lines ``SPEAKER file channel start duration <NA> <NA> name``; those of other types are no turns.

    Source: NIST, The 2009 Rich Transcription Meeting Recognition Evaluation Plan, appendix A.
    """
    found: dict[str, list[Cue]] = {}
    for number, line in enumerate(read_lines(path), 1):
        fields = line.split()
        if fields[:1] != ["SPEAKER"]:
            if fields and not fields[0].startswith(";") and not fields[0].replace("-", "").isupper():
                raise InputError(f"{path}, line {number}: expected a type such as SPEAKER, got {fields[0][:40]!r}")
            continue
        try:
            name, start, length = fields[RTTM_FIELDS - 1], float(fields[3]), float(fields[4])
        except (IndexError, ValueError) as error:
            expected = "SPEAKER file channel start duration <NA> <NA> name"
            raise InputError(f"{path}, line {number}: expected {expected}, got {line.strip()[:80]!r}") from error
        place = f"{path}, line {number}"
        _check_times(start, start + length, place)
        speaker = "" if name == UNKNOWN else name
        turn = Cue(start, start + length, "", line=number, speaker=speaker, place=place)
        found.setdefault(fields[1], []).append(turn)
    if not found:
        raise InputError(f"{path}: holds no turns; expected lines that begin with SPEAKER")
    if len(found) > 1 and recording not in found:
        names = ", ".join(list(found)[:SHOWN]) + (", …" if len(found) > SHOWN else "")
        raise InputError(f"{path}: is about {len(found)} recordings, {names}; none of them is {recording!r}")
    return found[recording] if recording in found else next(iter(found.values()))


def _read_whisper(path: Path) -> Iterator[Cue]:
    """Reads segments, and their words where they have times.

    Whisper, faster-whisper, WhisperX and OpenAI's interface write ``segments`` (the last one perhaps only ``words``),
    whisper.cpp ``transcription``, Hugging Face's pipeline ``chunks``.
    """
    content = "\n".join(read_lines(path))
    try:
        data = json.loads(content)
    except ValueError as error:
        raise InputError(f"{path}: is not valid JSON ({error})") from error
    kinds = ("segments", "transcription", "chunks", "words")
    entries = data
    if isinstance(data, Mapping):
        entries = next((data[kind] for kind in kinds if isinstance(data.get(kind), list)), None)
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        got = ", ".join(map(str, list(data)[:SHOWN])) if isinstance(data, Mapping) else type(data).__name__
        raise InputError(f"{path}: expected Whisper's JSON, with one of {', '.join(kinds)}, got {got or 'nothing'}")
    cues = [cue for number, entry in enumerate(entries, 1) for cue in _cues_of(entry, number, path) if cue.text]
    if not cues:
        raise InputError(f"{path}: holds no words")
    yield from cues


def _cues_of(entry: Mapping[str, Any], number: int, path: Path) -> Iterator[Cue]:
    """Yields a segment; one for each speaker where words have speakers."""
    place = f"{path}, segment {number}"
    start, end = _times_of(entry, place)
    speaker = str(entry.get("speaker") or "")
    words = list(_words_of(entry, speaker, place))
    text = " ".join(str(entry.get("text", entry.get("word", ""))).split())
    if len({speaker for *_, speaker in words}) <= 1:
        timed = tuple(((first + last) / 2, word) for first, last, word, _ in words)
        speaker = words[0][3] if words else speaker
        yield Cue(start, end, text, line=number, speaker=speaker, words=timed, place=place)
        return
    for own, group in groupby(words, key=lambda word: word[3]):
        said = list(group)
        timed = tuple(((first + last) / 2, word) for first, last, word, _ in said)
        text = " ".join(word for _, _, word, _ in said)
        yield Cue(said[0][0], said[-1][1], text, line=number, speaker=own, words=timed, place=place)


def _words_of(entry: Mapping[str, Any], speaker: str, place: str) -> Iterator[tuple[float, float, str, str]]:
    """Yields start, end, word and speaker. Words without times (numbers, in WhisperX) follow the one before them."""
    known = entry.get("words")
    start, end = _times_of(entry, place)
    end = start
    for number, one in enumerate(known if isinstance(known, list) else [], 1):
        if not isinstance(one, Mapping):
            raise InputError(f"{place}, word {number}: expected a word with start and end, got {str(one)[:40]!r}")
        word = " ".join(str(one.get("word", one.get("text", ""))).split())
        start, end = _times_of(one, f"{place}, word {number}") if one.get("start") is not None else (end, end)
        speaker = str(one.get("speaker") or speaker)
        if word:
            yield start, end, word, speaker


def _times_of(entry: Mapping[str, Any], place: str) -> tuple[float, float]:
    if isinstance(offsets := entry.get("offsets"), Mapping):  # of whisper.cpp, in milliseconds
        start, end = (_number(offsets.get(name), place) / 1000 for name in ("from", "to"))
    elif isinstance(stamp := entry.get("timestamp"), Sequence) and len(stamp) == 2:
        start = _number(stamp[0], place)
        end = start if stamp[1] is None else _number(stamp[1], place)  # the last one may be cut off
    else:
        start, end = (_number(entry.get(name), place) for name in ("start", "end"))
    _check_times(start, end, place)
    return start, end


def _number(value: Any, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"{place}: expected start and end in seconds, got {value!r}")
    return float(value)


def _check_times(start: float, end: float, place: str) -> None:
    if not 0 <= start <= end < float("inf"):
        raise InputError(f"{place}: expected times from 0, the end behind the start, got {start:g} to {end:g}")
