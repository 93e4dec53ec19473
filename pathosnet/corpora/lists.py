"""Anybody's lists of training, validation and test recordings: tables, JSON Lines, or a file's name a line."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

from pathosnet.corpora.contents import listen
from pathosnet.corpora.known.patterns import compile_pattern
from pathosnet.corpora.manifest import Corpus, Utterance
from pathosnet.corpora.splits import PART_SPELLINGS, PARTS, Split
from pathosnet.corpora.tables import decode, read_table
from pathosnet.errors import InputError
from pathosnet.files import locate, to_path
from pathosnet.targets import ClassTarget, DimensionTarget

TABLES, JSON_LINES = (".csv", ".tsv"), (".jsonl", ".json", ".ndjson")
COLUMNS = {
    "audio": ("audio", "wav", "path", "file", "filename", "filepath", "file_path", "audio_path", "clip", "recording"),
    "emotion": ("emotion", "emo", "label", "class", "category"),
    "speaker": ("speaker", "spk", "speaker_id", "spk_id", "actor", "subject"),
    "text": ("text", "transcript", "transcription", "sentence"),
    "script": ("script", "sentence_id", "statement"),
    "session": ("session", "session_id"),
    "corpus": ("corpus", "dataset"),
    "content": ("content",),
}
"""Fact about an utterance → the names that columns of it go by, the most usual first."""
NOT_LISTED = "manifest"
"""A column of files that this library wrote: they hold the bare names of recordings, which are no paths."""


class NamePattern:
    """Facts in the names of recordings.

    Args:
        pattern: see ``pathosnet.corpora.known.patterns``; empty for nothing.
    """

    def __init__(self, pattern: str) -> None:
        self.expression = compile_pattern(pattern, needed="") if pattern else None
        self.depth = pattern.count("/") + 1

    def read(self, name: str) -> dict[str, str]:
        """Returns what a name says; nothing if it does not fit."""
        end = "/".join(PurePath(name.replace("\\", "/")).parts[-self.depth :])
        match = self.expression.fullmatch(end) if self.expression else None
        found = match.groupdict() if match else {}
        return {group: text for group, text in found.items() if group in COLUMNS}


@dataclass(frozen=True)
class Listed:
    """Utterances of lists, and how each fold divides them.

    Args:
        corpus: the utterances; each has its recording's content where that is known.
        folds: the name of each fold → its parts.
        names: of each recording, as it is listed; empty where that does not tell it from others.
        absent: number of recordings that are listed but not there, so that only their names are known.
    """

    corpus: Corpus
    folds: dict[str, Split]
    names: tuple[str, ...]
    absent: int


def read_parted_table(path: str | Path, pattern: str = "") -> Listed:
    """Reads a table whose columns say which part each row is in.

    Args:
        path: of a CSV. Every column that holds nothing but names of parts (train, dev, test, …) is a fold. Where there
            is none, each value of the column ``fold`` is tested in turn by what was trained on the others.
        pattern: see ``read_part_lists``.

    Raises:
        InputError: the table cannot be read, or has no such column.
    """
    path = to_path(path)
    rows, names = list(_rows_of(path)), NamePattern(pattern)
    cells = [{name.lower(): str(value).strip() for name, value in row.items()} for _, row in rows]
    columns = [name for name in cells[0] if _names_parts(row.get(name, "") for row in cells)]
    folds = {name: _split(name, [PART_SPELLINGS.get(row[name].lower(), "") for row in cells]) for name in columns}
    if not folds and len(values := sorted({row.get("fold", "") for row in cells} - {""})) > 1:
        folds = {
            f"fold {value}": _split(value, ["test" if row["fold"] == value else "train" for row in cells])
            for value in values
        }
    if not folds:
        raise InputError(
            f"{path}: expected a column that says train, validation or test, such as split, or a column fold, got "
            f"{', '.join(cells[0])}; lists of one part each go to --train, --validation and --test"
        )
    return _listed([path], [_utterance(path, *row, pattern=names) for row in rows], folds)


def read_part_lists(lists: Mapping[str, Sequence[str | Path]], pattern: str = "") -> Listed:
    """Reads a list, or several, for each part.

    Args:
        lists: part → its files: tables (``.csv``, ``.tsv``), JSON Lines (``.jsonl``), or, with any other ending, the
            name of a recording on each line. Names are relative to the list, or absolute.
        pattern: of the recordings' names, such as ``{speaker}_{emotion}_*.wav``; it says what the lists do not.

    Raises:
        InputError: a list cannot be read, or there is nothing to compare with.
    """
    if not lists.get("train") or not (lists.get("validation") or lists.get("test")):
        raise InputError("expected a list of the training part and one of the validation or test part")
    utterances, parts, names = [], [], NamePattern(pattern)
    paths = [to_path(path) for part in PARTS for path in lists.get(part, ())]
    for part in PARTS:
        for path in map(to_path, lists.get(part, ())):
            found = [_utterance(path, *row, pattern=names) for row in _rows_of(path)]
            utterances += found
            parts += [part] * len(found)
    return _listed(paths, utterances, {"lists": _split("lists", parts)})


def _listed(paths: Sequence[Path], found: Sequence[tuple[Utterance, str]], folds: dict[str, Split]) -> Listed:
    """Listens to the recordings that are there and not known by their content yet."""
    utterances = [utterance for utterance, _ in found]
    here = [i for i, u in enumerate(utterances) if not u.content and u.audio is not None and u.audio.is_file()]
    for i, heard in zip(here, listen(utterances[i] for i in here), strict=True):
        utterances[i] = replace(utterances[i], content=heard.content)
    labels = tuple(sorted({utterance.emotion for utterance in utterances} - {""}))
    target = ClassTarget(labels) if len(labels) > 1 else DimensionTarget(())  # there may be none, or one
    absent = sum(not utterance.content and utterance.audio is not None for utterance in utterances)
    return Listed(Corpus(tuple(paths), tuple(utterances), target), folds, tuple(name for _, name in found), absent)


def _utterance(path: Path, number: int, row: Mapping[str, Any], *, pattern: NamePattern) -> tuple[Utterance, str]:
    """Returns what a row is about, and the name of its recording where that is a path."""
    cells = {name.lower(): "" if value is None else str(value).strip() for name, value in row.items()}
    about = {name: next((cells[c] for c in columns if cells.get(c)), "") for name, columns in COLUMNS.items()}
    name = about.pop("audio")
    about |= {group: text for group, text in pattern.read(name).items() if not about.get(group)}
    about["emotion"] = about["emotion"].lower()
    audio = None if NOT_LISTED in cells or not name else _find(path.parent, name)
    utterance = Utterance(audio, row=number, manifest=path, **about)  # type: ignore[arg-type]
    return utterance, "" if audio is None else str(audio)


def _find(folder: Path, name: str) -> Path:
    try:
        return locate(folder, name)
    except InputError:  # a path of another machine
        return Path(name)


def _rows_of(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Gives the rows of a list with their numbers, each with the list's own names of columns."""
    suffix = path.suffix.lower()
    if suffix in TABLES:
        rows: list[tuple[int, Mapping[str, Any]]] = list(read_table(path, ()).dicts())
    else:
        lines = enumerate(decode(path)[0].splitlines(), start=1)
        said = [(number, line.strip()) for number, line in lines if line.strip()]
        rows = [
            (number, _parse(path, number, line) if suffix in JSON_LINES else {"audio": line}) for number, line in said
        ]
    if not rows:
        raise InputError(f"{path}: holds no rows; expected one for each recording")
    if not any(name.lower() in COLUMNS["audio"] for name in rows[0][1]):
        raise InputError(
            f"{path}: expected a column that names recordings ({', '.join(COLUMNS['audio'])}), got "
            f"{', '.join(rows[0][1])}"
        )
    yield from rows


def _parse(path: Path, number: int, line: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, row {number}: is not JSON ({error}); expected one object a line") from error
    if not isinstance(row, dict):
        raise InputError(f"{path}, row {number}: expected a JSON object with the recording's name, got {line[:40]!r}")
    return row


def _names_parts(values: Iterator[str]) -> bool:
    found = {value.lower() for value in values} - {""}
    return len(found) > 1 and found <= PART_SPELLINGS.keys()


def _split(name: str, parts: Sequence[str]) -> Split:
    places = {part: tuple(i for i, own in enumerate(parts) if own == part) for part in PARTS}
    return Split(**places, strategy=name)
