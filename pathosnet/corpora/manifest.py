"""A corpus as a CSV file: one row an utterance."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pathosnet.emotions import ALIASES, check_labels, normalise_label
from pathosnet.errors import InputError
from pathosnet.files import read_csv

OPTIONAL_COLUMNS = ("text", "speaker", "language", "corpus", "session", "script", "split", "fold")
LABELS_OF_CORPUS = "corpus"
RESERVED = (*OPTIONAL_COLUMNS, "audio", "emotion", "seed", "manifest", "row", "label", "start", "end", "error", "mean")
"""Names of columns, here or in predictions, that numbers to estimate cannot have."""


@dataclass(frozen=True)
class Utterance:
    """A labelled recording.

    ``audio`` is None where the row names no file, ``text`` is empty where there is no transcript; the other columns are
    empty where the manifest has none, but for ``corpus``, which is then named after the file. Where numbers are
    estimated, ``emotion`` is empty, elsewhere ``values``. ``row`` counts from 1, which is the header, as spreadsheets
    do.
    """

    audio: Path | None
    text: str
    emotion: str
    speaker: str = ""
    language: str = ""
    corpus: str = ""
    session: str = ""
    script: str = ""
    """Which sentence or scene it is, where several utterances share one."""
    split: str = ""
    fold: str = ""
    values: tuple[float, ...] = ()
    """Of the columns that are estimated."""
    row: int = 0
    manifest: Path = Path("corpus.csv")

    @property
    def where(self) -> str:
        """File and row, for messages."""
        return f"{self.manifest}, row {self.row}"

    @property
    def sentence(self) -> str:
        """What utterances of the same sentence share: the script, else the text's letters; perhaps nothing."""
        letters = "".join(c if c.isalnum() else " " for c in self.text.casefold())
        return self.script or " ".join(letters.split())


def corpus_title(corpus: str, language: str) -> str:
    """Names a language of a corpus.

    >>> corpus_title("emovo", "it")
    'emovo (it)'
    """
    return f"{corpus} ({language})" if language else corpus


@dataclass(frozen=True)
class Corpus:
    """The utterances of one or several manifests, and what a model is to say of them."""

    paths: tuple[Path, ...]
    utterances: tuple[Utterance, ...]
    labels: tuple[str, ...]
    """Emotions that they are sorted into, or dimensions that are estimated."""
    dimensional: bool = False
    """Whether the labels are dimensions, such as valence, with a number for each utterance."""

    def __len__(self) -> int:
        return len(self.utterances)

    def counts(self) -> dict[str, int]:
        """Returns emotion → number of utterances, in the order of the labels; nothing for dimensions."""
        if self.dimensional:
            return {}
        counter = Counter(utterance.emotion for utterance in self.utterances)
        return {label: counter[label] for label in self.labels}

    def truth(self, positions: Sequence[int]) -> np.ndarray:
        """Returns the label numbers of utterances, ``(positions,)``, or their values, ``(positions, dimensions)``."""
        chosen = [self.utterances[i] for i in positions]
        if self.dimensional:
            return np.array([utterance.values for utterance in chosen], dtype=float).reshape(-1, len(self.labels))
        return np.array([self.labels.index(utterance.emotion) for utterance in chosen], dtype=np.int64)

    @property
    def title(self) -> str:
        """The names of its files, for messages."""
        return ", ".join(map(str, self.paths))


def read_manifest(
    paths: str | Path | Sequence[str | Path],
    labels: Sequence[str],
    label_map: Mapping[str, str] | None = None,
    drop_labels: Sequence[str] = (),
    needs_audio: bool = True,
    dimensional: bool = False,
) -> Corpus:
    """Reads a corpus.

    Args:
        paths: one CSV or several, in UTF-8, with or without a byte-order mark, with a header: ``audio`` (relative to
            the CSV, or absolute), ``emotion``; optional ``text``, ``speaker``, ``language``, ``corpus``, ``session``,
            ``script``, ``split``, ``fold``. Other columns are left alone. Without a corpus, a row belongs to the one
            that is named like the file, or like its folder if the file is called manifest.csv.
        labels: the emotions to tell apart, or ``("corpus",)`` for those that the file has.
        label_map: the file's own spellings, ``{"ira": "anger"}``.
        drop_labels: spellings whose rows are left out.
        needs_audio: whether every row must name a file that is there.
        dimensional: the labels are columns of numbers instead; the column ``emotion`` is then not read.

    Returns:
        The corpus, in the order of the files and rows.

    Raises:
        InputError: the file or a row cannot be used; it names both.
    """
    paths = tuple(Path(path) for path in ([paths] if isinstance(paths, (str, Path)) else paths))
    for path in paths:
        if sum(other.resolve() == path.resolve() for other in paths) > 1:
            raise InputError(f"{path}: expected each corpus once, got this one several times")
    dropped = {label.lower() for label in drop_labels}
    columns = [*(["audio"] if needs_audio else []), *(labels if dimensional else ["emotion"])]
    tables = {}
    for path in paths:
        table = read_table(path, columns).dicts()
        tables[path] = [(number, row) for number, row in table if row.get("emotion", "").lower() not in dropped]
        if not tables[path]:
            raise InputError(f"{path}: holds no utterances; expected a row for each under the header")
    if tuple(labels) == (LABELS_OF_CORPUS,) and not dimensional:
        labels = _labels_of([row for table in tables.values() for _, row in table], label_map or {})
    if not dimensional:
        check_labels(labels)
    for name in labels if dimensional else ():
        if name.lower() in RESERVED:
            raise InputError(f"targets: {name!r} is what tables call something else; rename the column")

    def expressed(row: Mapping[str, str], where: str) -> dict[str, Any]:
        if dimensional:
            return {"emotion": "", "values": tuple(_to_number(row[name.lower()], name, where) for name in labels)}
        if not row["emotion"]:
            raise InputError(f"{where}: has no emotion; fill it in or remove the row")
        return {"emotion": normalise_label(row["emotion"], labels, label_map, where)}

    utterances = tuple(
        _to_utterance(path, number, row, needs_audio, expressed)
        for path, table in tables.items()
        for number, row in table
    )
    return Corpus(paths, utterances, tuple(labels), dimensional)


@dataclass(frozen=True)
class Table:
    """A CSV file's cells, stripped of the blanks around them."""

    header: tuple[str, ...]
    """As it is spelled."""
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    """Each with its number, counted from 1, which is the header."""

    def dicts(self) -> list[tuple[int, dict[str, str]]]:
        """Returns the rows with their columns' names in lower case."""
        names = [name.lower() for name in self.header]
        return [(number, dict(zip(names, cells, strict=True))) for number, cells in self.rows]


def read_table(path: Path, columns: Sequence[str]) -> Table:
    """Reads a manifest's cells, whatever they say.

    Args:
        path: a CSV file.
        columns: that it must have.

    Raises:
        InputError: the file cannot be read, or is no table with these columns.
    """
    table = read_csv(path)
    if not table:
        raise InputError(f"{path}: is empty; expected a header with the columns audio, emotion and, if known, text")
    header = [column.strip().lower() for column in table[0]]
    for column in columns:
        if column.lower() not in header:
            hint = "separate the columns with commas" if len(header) == 1 else f"name a column {column!r}"
            hint += "; columns of numbers are for train --targets" if column == "emotion" and len(header) > 1 else ""
            raise InputError(f"{path}: has no column {column!r}, only {', '.join(header) or 'nothing'}; {hint}")
    named = [column for column in header if column]  # spreadsheets leave empty columns at the end
    if len(set(named)) != len(named):
        raise InputError(f"{path}: expected each column once, got {', '.join(header)}")
    rows = []
    for number, cells in enumerate(table[1:], start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise InputError(
                f"{path}, row {number}: expected {len(header)} cells, got {len(cells)}; quote texts that hold commas"
            )
        rows.append((number, tuple(cell.strip() for cell in cells)))
    return Table(tuple(column.strip() for column in table[0]), tuple(rows))


def _labels_of(rows: Sequence[Mapping[str, str]], label_map: Mapping[str, str]) -> tuple[str, ...]:
    mapped = {spelling.lower(): label for spelling, label in label_map.items()}
    spelled = {mapped.get(row["emotion"].lower(), row["emotion"]).lower() for row in rows if row["emotion"]}
    return tuple(sorted({ALIASES.get(label, label) for label in spelled}))


def _to_utterance(
    path: Path,
    number: int,
    row: Mapping[str, str],
    needs_audio: bool,
    expressed: Callable[[Mapping[str, str], str], dict[str, Any]],
) -> Utterance:
    where = f"{path}, row {number}"
    audio = path.parent / row["audio"] if row.get("audio") else None
    if needs_audio and audio is None:
        raise InputError(f"{where}: names no audio file; fill it in, or train on text alone with --acoustic none")
    if needs_audio and audio is not None and not audio.is_file():
        raise InputError(f"{where}: no such audio file: {audio} (paths are relative to the CSV)")
    known: dict[str, Any] = {name: row.get(name, "") for name in OPTIONAL_COLUMNS}
    known["corpus"] = known["corpus"] or (path.resolve().parent.name if path.stem == "manifest" else path.stem)
    return Utterance(audio, row=number, manifest=path, **known, **expressed(row, where))


def _to_number(cell: str, name: str, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        hint = "write a point for the comma" if "," in cell else "fill it in or remove the row"
        raise InputError(f"{where}: expected a number as {name}, got {cell!r}; {hint}")
    return value
