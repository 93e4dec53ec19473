"""Predictions of test utterances as a table: ``predictions.csv``."""

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pathosnet.corpora import Corpus, Utterance
from pathosnet.errors import InputError
from pathosnet.files import read_csv

ABOUT = ("manifest", "row", "audio", "text", "speaker", "session", "script", "language", "corpus")
COLUMNS = ("seed", "fold", *ABOUT, "emotion", "predicted")


@dataclass(frozen=True)
class Predictions:
    """Utterances that were tested, one row each (for each seed).

    Args:
        labels: names of the classes.
        rows: what is known about each utterance: ``seed``, ``fold``, ``manifest``, ``row``, ``audio``, ``text``,
            ``speaker``, ``session``, ``script``, ``language``, ``corpus``.
        truth: label numbers, ``(utterances,)``.
        probabilities: ``(utterances, classes)``.
    """

    labels: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    truth: np.ndarray
    probabilities: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def predicted(self) -> np.ndarray:
        """Numbers of the most probable labels, ``(utterances,)``."""
        return np.asarray(self.probabilities.argmax(axis=1))

    def column(self, name: str) -> list[str]:
        """Returns one of the rows' columns."""
        return [row[name] for row in self.rows]

    def where(self, accept: Callable[[dict[str, str]], bool]) -> "Predictions":
        """Keeps the rows that a function accepts."""
        return self.take([i for i, row in enumerate(self.rows) if accept(row)])

    def take(self, positions: Sequence[int]) -> "Predictions":
        """Keeps the rows at the positions."""
        chosen = np.asarray(positions, dtype=int)
        rows = tuple(self.rows[i] for i in chosen)
        return Predictions(self.labels, rows, self.truth[chosen], self.probabilities[chosen])

    def groups(self, *columns: str) -> dict[tuple[str, ...], "Predictions"]:
        """Divides by the values of columns, in the order in which they first occur."""
        positions: dict[tuple[str, ...], list[int]] = {}
        for i, row in enumerate(self.rows):
            positions.setdefault(tuple(row[name] for name in columns), []).append(i)
        return {key: self.take(chosen) for key, chosen in positions.items()}

    def write(self, path: str | Path) -> None:
        """Writes CSV in UTF-8."""
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow((*COLUMNS, *self.labels))
            for row, truth, predicted, values in zip(
                self.rows, self.truth, self.predicted, self.probabilities.tolist(), strict=True
            ):
                known = (row[name] for name in ("seed", "fold", *ABOUT))
                shown = (f"{value:.8g}" for value in values)
                writer.writerow((*known, self.labels[truth], self.labels[predicted], *shown))

    @classmethod
    def read(cls, path: str | Path) -> "Predictions":
        """Reads what ``write`` wrote.

        Raises:
            InputError: the file is missing, damaged or another.
        """
        table = read_csv(path, "a predictions.csv")
        header = table[0] if table else []
        labels = tuple(header[len(COLUMNS) :])
        if tuple(header[: len(COLUMNS)]) != COLUMNS or len(labels) < 2 or len(table) < 2:
            raise InputError(f"{path}: expected the columns {', '.join(COLUMNS)} and one a label, got {header}")
        rows, truth, probabilities = [], [], []
        for number, cells in enumerate(table[1:], start=2):
            try:
                row = dict(zip(header, cells, strict=True))
                truth.append(labels.index(row["emotion"]))
                probabilities.append([float(row[label]) for label in labels])
            except ValueError as error:
                raise InputError(f"{path}, row {number}: is damaged ({error})") from error
            rows.append({name: row[name] for name in ("seed", "fold", *ABOUT)})
        return cls(labels, tuple(rows), np.array(truth), np.array(probabilities))

    @classmethod
    def of(
        cls, corpus: Corpus, positions: Sequence[int], probabilities: np.ndarray, seed: int, fold: int
    ) -> "Predictions":
        """Makes them of the probabilities ``(positions, classes)`` of a corpus' utterances at some positions."""
        utterances = [corpus.utterances[i] for i in positions]
        rows = tuple({"seed": str(seed), "fold": str(fold), **_about(utterance)} for utterance in utterances)
        truth = np.array([corpus.labels.index(u.emotion) for u in utterances], dtype=int)
        return cls(corpus.labels, rows, truth, np.asarray(probabilities, dtype=float))

    @classmethod
    def join(cls, several: Iterable["Predictions"]) -> "Predictions":
        """Puts predictions of the same labels one below the other."""
        several = list(several)
        rows = tuple(row for predictions in several for row in predictions.rows)
        truth = np.concatenate([predictions.truth for predictions in several])
        return cls(several[0].labels, rows, truth, np.concatenate([p.probabilities for p in several]))


def _about(utterance: Utterance) -> dict[str, str]:
    values = {name: getattr(utterance, name) for name in ABOUT}
    values["manifest"] = utterance.manifest.resolve()
    values["audio"] = "" if utterance.audio is None else utterance.audio.resolve()
    return {name: str(value) for name, value in values.items()}
