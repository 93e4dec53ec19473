"""The parts of a corpus, what they share (speakers, sentences, sessions), and files that keep them."""

import csv
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pathosnet.corpora.manifest import Corpus, Utterance
from pathosnet.errors import InputError
from pathosnet.files import read_csv, to_path

SPLITS = ("auto", "random", "speaker", "session", "script", "speaker+script", "corpus", "column")
"""Ways to divide a corpus, see ``split_corpus``."""
PARTS = ("train", "validation", "test")
PART_SPELLINGS = {"train": "train", "training": "train", "validation": "validation", "valid": "validation"}
PART_SPELLINGS |= {"val": "validation", "dev": "validation", "test": "test"}
"""Usual name of a part → its name here."""
GROUPS: dict[str, Callable[[Utterance], str]] = {
    "speaker": lambda utterance: utterance.speaker,
    "session": lambda utterance: utterance.session,
    "script": lambda utterance: utterance.sentence,
}
"""Kind of group that can be kept apart → function that gives an utterance's group."""
_ABOUT = ("manifest", "row", "corpus", "audio", "emotion", "speaker", "script")
_CONTENT = "content"
"""Column of the recordings' hashes, which files of older versions lack."""


@dataclass(frozen=True)
class Split:
    """Positions of a corpus' utterances, ascending. The test part may be empty, the others are not."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]
    strategy: str

    def parts(self) -> dict[str, tuple[int, ...]]:
        """Returns the parts by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def plural(name: str) -> str:
    """Returns what several of a group are called."""
    return f"{singular(name)}s"


def singular(name: str) -> str:
    """Returns what one of a group is called."""
    return "sentence" if name == "script" else name


def write_folds(path: str | Path, corpus: Corpus, folds: Mapping[str, Split]) -> None:
    """Writes which utterance is in which part: one row an utterance, one column a fold; empty where it is in none.

    Args:
        path: of the CSV file.
        corpus: that is divided.
        folds: name of the column → parts.
    """
    parts = [{i: name for name, part in fold.parts().items() for i in part} for fold in folds.values()]
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow((*_ABOUT, _CONTENT, *folds))
        for i, u in enumerate(corpus.utterances):
            audio = "" if u.audio is None else u.audio.name
            about = (u.manifest.name, u.row, u.corpus, audio, u.emotion, u.speaker, u.sentence)
            writer.writerow((*about, u.content, *(part.get(i, "") for part in parts)))


def read_folds(path: str | Path, corpus: Corpus) -> list[Split]:
    """Reads what ``write_folds`` wrote.

    Args:
        path: of the file.
        corpus: that it is about; it may have more.

    Raises:
        InputError: the file cannot be read, or is not of this corpus; it names file and row.
    """
    path = to_path(path)
    columns, rows = _read_rows(path)
    known = {(row["corpus"], row["row"]): (number, row) for number, row in rows}
    places: list[dict[str, list[int]]] = [defaultdict(list) for _ in columns]
    for i, utterance in enumerate(corpus.utterances):
        audio = "" if utterance.audio is None else utterance.audio.name
        number, row = known.get((utterance.corpus, str(utterance.row)), (0, {}))
        emotion = utterance.emotion or row.get("emotion")  # with dimensions, nobody reads the emotion
        if (row.get("audio"), row.get("emotion")) != (audio, emotion):
            where = f"{path}, row {number}" if number else str(path)
            raise InputError(
                f"{where}: does not fit {utterance.where} ({audio or utterance.text!r}, {utterance.emotion}); "
                "these folds were made of other manifests"
            )
        for column, parts in zip(columns, places, strict=True):
            parts[row[column]].append(i)
    return [
        Split(tuple(parts["train"]), tuple(parts["validation"]), tuple(parts["test"]), strategy=path.name)
        for parts in places
    ]


def read_parts(path: str | Path, corpus: Corpus) -> tuple[list[str | None], bool]:
    """Finds the part that each utterance was in when the file was written, wherever its recording is now.

    Recordings are known by their content; where they have none, or the file is of an older version, by the names of
    recording and speaker and by the sentence. What was listed several times counts as trained on if one of them was.

    Args:
        path: of a file with the single fold ``part``.
        corpus: any.

    Returns:
        One of PARTS, "" for what was in no part, or None for what the file does not know, for each utterance; and
        whether recordings had to be told by their names.

    Raises:
        InputError: the file cannot be read.
    """
    path = to_path(path)
    columns, rows = _read_rows(path)
    if columns != ["part"]:
        raise InputError(f"{path}: expected a single fold called part, got {', '.join(columns)}")
    by_key: dict[tuple[str, ...], list[dict[str, str]]] = defaultdict(list)
    for _, row in rows:
        by_key[row["audio"], row["speaker"], row["script"]].append(row)
        if row.get(_CONTENT):
            by_key[(row[_CONTENT],)].append(row)
    have_contents = any(row.get(_CONTENT) for _, row in rows)
    found: list[str | None] = []
    for utterance in corpus.utterances:
        audio = utterance.audio.name if utterance.audio else ""
        key = (audio, utterance.speaker, utterance.sentence)
        if have_contents and utterance.content:
            key = (utterance.content,)  # type: ignore[assignment]
        same = by_key.get(key, []) if any(key) else []
        place = (utterance.corpus, str(utterance.row))
        parts = {row["part"] for row in [row for row in same if (row["corpus"], row["row"]) == place] or same}
        found.append(next((part for part in (*PARTS, "") if part in parts), None))
    return found, not have_contents and any(utterance.content for utterance in corpus.utterances)


def _read_rows(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Returns the columns of the folds, and the rows with their numbers."""
    table = read_csv(path, "a folds.csv")
    header = table[0] if table else []
    columns = header[len(_ABOUT) :]
    columns = columns[1:] if columns[:1] == [_CONTENT] else columns
    if tuple(header[: len(_ABOUT)]) != _ABOUT or not columns:
        raise InputError(f"{path}: expected the columns {', '.join(_ABOUT)} and one for each fold, got {header}")
    rows = []
    for number, cells in enumerate(table[1:], start=2):
        if len(cells) != len(header):
            raise InputError(f"{path}, row {number}: expected {len(header)} cells, got {len(cells)}")
        rows.append((number, dict(zip(header, cells, strict=True))))
        for column in columns:
            if rows[-1][1][column] not in (*PARTS, ""):
                raise InputError(
                    f"{path}, row {number}: expected {', '.join(PARTS)} or nothing in {column}, got "
                    f"{rows[-1][1][column]!r}"
                )
    return columns, rows


def find_leak(corpus: Corpus, split: Split) -> dict[str, int]:
    """Counts the test part's speakers, sentences and sessions, and how many of them the training part has too.

    Recordings are counted only if a part holds one that the training part has too.
    """
    leak = {}
    for name in GROUPS:
        seen, tested = (groups_of(corpus, part, name) for part in (split.train, split.test))
        leak[f"test_{plural(name)}"] = len(tested)
        leak[f"test_{plural(name)}_in_training"] = len(tested & seen)
    trained_on = {corpus.utterances[i].content for i in split.train} - {""}
    if repeated := sum(corpus.utterances[i].content in trained_on for i in split.test):
        leak |= {"test_recordings": len(split.test), "test_recordings_in_training": repeated}
    return leak


def describe_leak(leak: Mapping[str, int]) -> str:
    """Says in words how much of the test part the training part has seen.

    >>> describe_leak({"test_speakers": 4, "test_speakers_in_training": 3})
    '3 of 4 test speakers also occur in training'
    """
    kinds = [kind for kind in ("recordings", *map(plural, GROUPS)) if leak.get(f"test_{kind}")]
    found = (
        f"{leak[f'test_{kind}_in_training']} of {leak[f'test_{kind}']} test {kind} also occur in training"
        for kind in kinds
    )
    return "; ".join(found) or "the manifest names neither speakers nor texts"


def describe_split(corpus: Corpus, split: Split) -> str:
    """Says what a split guarantees, found by looking at its parts: what is kept apart, what is shared, what lacks."""
    said = []
    for name in GROUPS:
        train, validation, test = (groups_of(corpus, part, name) for part in split.parts().values())
        if not test:
            continue
        shared = {"training": len(test & train), "validation": len(test & validation)}
        if not any(shared.values()):
            said.append(f"no test {singular(name)} occurs in training or validation")
        else:
            where = " and ".join(f"{count} in {part}" for part, count in shared.items())
            said.append(f"of {len(test)} test {plural(name)}, {where}")
        if train & validation and not any(shared.values()):
            said.append(f"validation shares {len(train & validation)} of its {plural(name)} with training")
    for part in ("validation", "test"):
        has = {corpus.utterances[i].emotion for i in split.parts()[part]}
        lacking = [label for label, count in corpus.counts().items() if count and label not in has]
        if has and lacking:
            said.append(f"the {part} part has no {', no '.join(lacking)}")
    untested = sorted({u.corpus for u in corpus.utterances} - {corpus.utterances[i].corpus for i in split.test})
    if split.test and untested:
        said.append(f"not tested: {', '.join(untested)}")
    left_out = len(corpus) - sum(len(part) for part in split.parts().values())
    if left_out:
        said.append(f"{left_out} utterances are in no part, since they would join parts")
    return "; ".join(said) or "the manifest names neither speakers nor texts: what the parts share is not known"


def groups_of(corpus: Corpus, positions: Iterable[int], name: str) -> set[tuple[str, str]]:
    """Returns the speakers, sessions or scripts of some utterances, each with its corpus; unknown ones are left out."""
    found = ((corpus.utterances[i].corpus, GROUPS[name](corpus.utterances[i])) for i in positions)
    return {(of, group) for of, group in found if group}
