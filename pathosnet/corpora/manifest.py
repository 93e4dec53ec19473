"""A corpus as a CSV file: one row an utterance."""

import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pathosnet.corpora.tables import read_table
from pathosnet.emotions import ALIASES, check_labels, normalize_label, spelling_key
from pathosnet.errors import InputError
from pathosnet.files import locate, to_path
from pathosnet.targets import DimensionTarget, MultiTaskTarget, Target, to_target

OPTIONAL_COLUMNS = ("text", "speaker", "language", "corpus", "session", "script", "split", "fold")
LABELS_OF_CORPUS = "corpus"
VOTES = "votes_"
"""Begins the name of a column that says how many raters heard an emotion."""
GROUPING = (*(name for name in OPTIONAL_COLUMNS if name != "text"), "emotion")
"""Columns with a meaning here that divide utterances into groups."""
RESERVED = (*OPTIONAL_COLUMNS, "audio", "emotion", "seed", "manifest", "row", "label", "start", "end", "error", "mean")
"""Names of columns, here or in predictions, that numbers to estimate cannot have."""


@dataclass(frozen=True)
class Utterance:
    """A labelled recording.

    ``audio`` is None where the row names no file, ``text`` is empty where there is no transcript; the other columns are
    empty where the manifest has none, but for ``corpus``, which is then named after the file. Where numbers alone are
    estimated, ``emotion`` is empty; where emotions alone are recognized, ``values``. ``row`` counts from 1, which is
    the header, as spreadsheets do.
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
    """Numbers of the columns that are estimated; not a number (NaN) where one is not known beside the emotion."""
    votes: tuple[float, ...] = ()
    """Share of the raters' votes for each label, in their order; empty where the row has none for any of them."""
    content: str = ""
    """Hash of the recording's samples; empty until ``pathosnet.corpora.contents.identify`` has read it."""
    row: int = 0
    manifest: Path = Path("corpus.csv")
    more: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Cells of the columns that have no meaning here, such as sex, by their names in lower case."""

    @property
    def where(self) -> str:
        """File and row, for messages."""
        return f"{self.manifest}, row {self.row}"

    def cell(self, column: str) -> str:
        """Returns what the row has in a column, see ``check_column``; empty if nothing."""
        column = column.lower()
        return str(getattr(self, column)) if column in GROUPING else self.more.get(column, "")

    @property
    def sentence(self) -> str:
        """Key that utterances of the same sentence share: the script, else the text's letters; perhaps empty."""
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
    target: Target
    """Emotions that they are sorted into, dimensions, such as valence, with a number for each utterance, or both."""
    notes: tuple[str, ...] = ()
    """Notes for a person about recordings that are odd, were left out, or are listed twice."""

    def __len__(self) -> int:
        return len(self.utterances)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the emotions or dimensions, in order."""
        return self.target.labels

    def counts(self) -> dict[str, int]:
        """Returns emotion → number of utterances, in the order of the labels; nothing for dimensions."""
        counter = Counter(utterance.emotion for utterance in self.utterances)
        return {label: counter[label] for label in self.target.classes}

    def truth(self, positions: Sequence[int]) -> np.ndarray:
        """Returns what is known of utterances as their target has it: label numbers, values, or both."""
        chosen = [self.utterances[i] for i in positions]
        return self.target.encode([utterance.emotion for utterance in chosen], [u.values for u in chosen])

    def vote_shares(self, positions: Sequence[int]) -> np.ndarray:
        """Returns the raters' shares for each emotion, ``(positions, classes)``; 1 for the label where there are none.

        Zeros where there is no label, either.
        """
        shares = np.zeros((len(positions), len(self.target.classes)))
        for row, i in zip(shares, positions, strict=True):
            row[:] = self.utterances[i].votes or self.one_hot(i)
        return shares

    def one_hot(self, position: int) -> list[float]:
        """Returns 1 for the emotion of an utterance, 0 for the others."""
        return [float(label == self.utterances[position].emotion) for label in self.target.classes]

    @property
    def title(self) -> str:
        """The names of its files, for messages."""
        return ", ".join(map(str, self.paths))


def read_manifest(
    paths: str | Path | Sequence[str | Path],
    labels: Sequence[str] | Target,
    label_map: Mapping[str, str] | None = None,
    *,
    dimensions: Sequence[str] = (),
    drop_labels: Sequence[str] = (),
    needs_audio: bool = True,
) -> Corpus:
    """Reads a corpus.

    Args:
        paths: one CSV or several with a header, see ``read_table``: ``audio`` (relative to the CSV, or absolute),
            ``emotion``; optional ``text``, ``speaker``, ``language``, ``corpus``, ``session``, ``script``, ``split``,
            ``fold``, and how many raters heard which emotion, ``votes_anger`` and so on.
            Other columns are kept as they are.
            Without a corpus, a row belongs to the one that is named like the file, or like its folder if the file is
            called manifest.csv; files of one name are told apart by their folders.
        labels: the emotions to tell apart, or ``("corpus",)`` for those that the file has; of a DimensionTarget columns
            of numbers, with which the column ``emotion`` is not read.
        label_map: the file's own spellings, ``{"ira": "anger"}``.
        dimensions: columns of numbers beside the labels, for a MultiTaskTarget. A row may then lack either.
        drop_labels: spellings whose rows are left out.
        needs_audio: whether every row must name a file that is there.

    Returns:
        The corpus, in the order of the files and rows.

    Raises:
        InputError: the file or a row cannot be used; it names both.
    """
    paths = tuple(to_path(path) for path in ([paths] if isinstance(paths, (str, Path)) else paths))
    for path in paths:
        if sum(other.resolve() == path.resolve() for other in paths) > 1:
            raise InputError(f"{path}: expected each corpus once, got this one several times")
    dropped = {spelling_key(label) for label in drop_labels}
    dimensions = labels.dimensions if isinstance(labels, Target) else tuple(dimensions)
    alone = isinstance(labels, DimensionTarget)
    may_lack = bool(dimensions) and not alone  # a row may have an emotion alone, or numbers alone
    needed = dimensions if alone else () if may_lack else ("emotion",)
    tables = {}
    for path in paths:
        table = read_table(path, [*(["audio"] if needs_audio else []), *needed])
        kept = [(number, row) for number, row in table.dicts() if spelling_key(row.get("emotion", "")) not in dropped]
        if not kept:
            raise InputError(f"{path}: holds no utterances; expected a row for each under the header")
        if may_lack and not {"emotion", *map(str.lower, dimensions)} & kept[0][1].keys():
            raise InputError(f"{path}: expected a column emotion, or {', '.join(dimensions)}; it has neither")
        tables[path] = kept
    if not isinstance(labels, Target) and tuple(labels) == (LABELS_OF_CORPUS,):
        labels = _labels_of([row for table in tables.values() for _, row in table], label_map or {})
        with _blaming(paths):
            check_labels(labels)
    target = to_target(labels)
    if dimensions and not isinstance(labels, Target):
        target = MultiTaskTarget.of(target.labels, dimensions)
    for name in dimensions:
        if name.lower() in RESERVED:
            raise InputError(f"targets: {name!r} is what tables call something else; rename the column")
    names = _corpus_names(paths)
    utterances = []
    read = {*OPTIONAL_COLUMNS, "audio", "emotion", *(name.lower() for name in dimensions)}
    for path, rows in tables.items():
        votes = {} if alone else _vote_columns(path, rows[0][1], target.classes, label_map=label_map or {})
        for number, row in rows:
            where = f"{path}, row {number}"
            about: dict[str, Any] = {name: row.get(name, "") for name in OPTIONAL_COLUMNS}
            about["corpus"] = about["corpus"] or names[path]
            cells = [row.get(name.lower(), "") for name in dimensions]
            about["values"] = tuple(
                math.nan if may_lack and not cell else _to_number(cell, name, where)
                for name, cell in zip(dimensions, cells, strict=True)
            )
            if not alone and (emotion := row.get("emotion", "")):
                about["emotion"] = normalize_label(emotion, target.classes, label_map, where=where)
            about["votes"] = _vote_shares(row, votes, len(target.classes), where=where)
            if not (about.get("emotion") or alone or (may_lack and (about["votes"] or any(cells)))):
                lacking = "neither an emotion nor a number" if may_lack else "no emotion"
                raise InputError(f"{where}: has {lacking}; fill it in or remove the row")
            about["more"] = {name: cell for name, cell in row.items() if name and name not in read}
            audio = _find_audio(path, row.get("audio", ""), needs_audio, where=where)
            utterances.append(Utterance(audio, row=number, manifest=path, **{"emotion": "", **about}))
    return Corpus(paths, tuple(utterances), target)


def check_column(corpus: Corpus, name: str) -> None:
    """Checks that a corpus has a column that divides its utterances into groups.

    Raises:
        InputError: no row has anything in it.
    """
    if not any(utterance.cell(name) for utterance in corpus.utterances):
        utterances = corpus.utterances
        known = [one for one in GROUPING if any(utterance.cell(one) for utterance in utterances)]
        known += dict.fromkeys(one for utterance in utterances for one, cell in utterance.more.items() if cell)
        raise InputError(f"{corpus.title}: has no column {name!r} to group by, only {', '.join(known) or 'none'}")


@contextmanager
def _blaming(paths: Sequence[Path]) -> Iterator[None]:
    """Adds the files to an error about what they hold together."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{', '.join(map(str, paths))}: {error}") from error


def with_labels(corpus: Corpus, labels: Sequence[str]) -> Corpus:
    """Puts a corpus' labels into another order.

    Args:
        corpus: to be changed.
        labels: the same labels; of both kinds, the emotions first.
    """
    target = replace(corpus.target, labels=tuple(labels))
    votes = [corpus.target.classes.index(label) for label in target.classes]
    values = [corpus.target.dimensions.index(label) for label in target.dimensions]
    utterances = (
        replace(u, values=tuple(u.values[i] for i in values), votes=tuple(u.votes[i] for i in votes if u.votes))
        for u in corpus.utterances
    )
    return replace(corpus, target=target, utterances=tuple(utterances))


def _corpus_names(paths: Sequence[Path]) -> dict[Path, str]:
    """Names corpora after their files, with as many of the folders above as it takes to tell them apart."""
    parts = {path: Path(os.path.abspath(path)).with_suffix("").parts for path in paths}
    parts = {path: found[:-1] if found[-1] == "manifest" else found for path, found in parts.items()}
    depths = dict.fromkeys(paths, 1)
    while True:
        names = {path: "/".join(parts[path][-depths[path] :]) for path in paths}
        counts = Counter(names.values())
        alike = [path for path in paths if counts[names[path]] > 1 and depths[path] < len(parts[path])]
        if not alike:
            return names
        for path in alike:
            depths[path] += 1


def _labels_of(rows: Sequence[Mapping[str, str]], label_map: Mapping[str, str]) -> tuple[str, ...]:
    mapped = {spelling_key(spelling): label for spelling, label in label_map.items()}
    said = [row["emotion"] for row in rows if row.get("emotion")]
    spelled = {mapped.get(spelling_key(emotion), emotion).lower() for emotion in said}
    return tuple(sorted({ALIASES.get(label, label) for label in spelled}))


def _vote_columns(
    path: Path, columns: Mapping[str, str], labels: Sequence[str], label_map: Mapping[str, str]
) -> dict[str, int]:
    """Returns the columns of votes for a label, each with the label's number; votes for other emotions do not count."""
    found = {}
    for column in columns:
        if column.startswith(VOTES):
            with suppress(InputError):
                label = normalize_label(column.removeprefix(VOTES), labels, label_map, where=str(path))
                found[column] = labels.index(label)
    return found


def _vote_shares(row: Mapping[str, str], columns: Mapping[str, int], num_labels: int, where: str) -> tuple[float, ...]:
    votes = [0.0] * num_labels
    for column, label in columns.items():
        count = _to_number(row[column], column, where) if row[column] else 0.0
        if count < 0:
            raise InputError(f"{where}: expected 0 or more as {column}, got {row[column]!r}")
        votes[label] += count
    total = sum(votes)
    return tuple(count / total for count in votes) if total else ()


def _find_audio(path: Path, name: str, needed: bool, where: str) -> Path | None:
    if not name:
        if needed:
            raise InputError(f"{where}: names no audio file; fill it in, or train on text alone with --acoustic none")
        return None
    try:
        audio = locate(path.parent, name)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    if needed and not audio.is_file():
        raise InputError(f"{where}: no such audio file: {audio} (paths are relative to the CSV)")
    return audio


def _to_number(cell: str, name: str, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        hint = "write a point for the comma" if "," in cell else "fill it in or remove the row"
        raise InputError(f"{where}: expected a number as {name}, got {cell!r}; {hint}")
    return value
