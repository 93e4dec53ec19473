"""The parts of a corpus, and files that keep them."""

import csv
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pathosnet.corpora.manifest import Corpus, Utterance
from pathosnet.errors import InputError
from pathosnet.files import read_csv

PARTS = ("train", "validation", "test")
GROUPS: dict[str, Callable[[Utterance], str]] = {
    "speaker": lambda utterance: utterance.speaker,
    "session": lambda utterance: utterance.session,
    "script": lambda utterance: utterance.sentence,
}
"""What can be kept apart → what an utterance has of it."""
_ABOUT = ("manifest", "row", "corpus", "audio", "emotion", "speaker", "script")


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
        writer.writerow((*_ABOUT, *folds))
        for i, u in enumerate(corpus.utterances):
            audio = "" if u.audio is None else u.audio.name
            about = (u.manifest.name, u.row, u.corpus, audio, u.emotion, u.speaker, u.sentence)
            writer.writerow((*about, *(part.get(i, "") for part in parts)))


def read_folds(path: str | Path, corpus: Corpus) -> list[Split]:
    """Reads what ``write_folds`` wrote.

    Args:
        path: of the file.
        corpus: that it is about; it may have more.

    Raises:
        InputError: the file cannot be read, or is not of this corpus; it names file and row.
    """
    path = Path(path)
    table = read_csv(path, "a folds.csv")
    header = table[0] if table else []
    columns = header[len(_ABOUT) :]
    if tuple(header[: len(_ABOUT)]) != _ABOUT or not columns:
        raise InputError(f"{path}: expected the columns {', '.join(_ABOUT)} and one for each fold, got {header}")
    known = {}
    for number, cells in enumerate(table[1:], start=2):
        if len(cells) != len(header):
            raise InputError(f"{path}, row {number}: expected {len(header)} cells, got {len(cells)}")
        row = dict(zip(header, cells, strict=True))
        known[row["corpus"], row["row"]] = (number, row)
    places: list[dict[str, list[int]]] = [defaultdict(list) for _ in columns]
    for i, utterance in enumerate(corpus.utterances):
        audio = "" if utterance.audio is None else utterance.audio.name
        number, row = known.get((utterance.corpus, str(utterance.row)), (0, {}))
        emotion = row.get("emotion") if corpus.dimensional else utterance.emotion
        if (row.get("audio"), row.get("emotion")) != (audio, emotion):
            where = f"{path}, row {number}" if number else str(path)
            raise InputError(
                f"{where}: does not fit {utterance.where} ({audio or utterance.text!r}, {utterance.emotion}); "
                "these folds were made of other manifests"
            )
        for column, parts in zip(columns, places, strict=True):
            if row[column] not in (*PARTS, ""):
                raise InputError(
                    f"{path}, row {number}: expected {', '.join(PARTS)} or nothing in {column}, got {row[column]!r}"
                )
            parts[row[column]].append(i)
    return [
        Split(tuple(parts["train"]), tuple(parts["validation"]), tuple(parts["test"]), strategy=path.name)
        for parts in places
    ]
