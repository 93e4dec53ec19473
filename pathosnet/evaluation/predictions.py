"""What models said of test utterances, as a table: ``predictions.csv``."""

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from pathosnet.corpora import Corpus, Utterance
from pathosnet.errors import InputError
from pathosnet.evaluation.concordance import DimensionMetrics, measure_dimensions
from pathosnet.evaluation.metrics import Metrics, measure
from pathosnet.evaluation.plots import plot_confusion_matrix, plot_estimates
from pathosnet.files import read_csv

ABOUT = ("manifest", "row", "audio", "text", "speaker", "session", "script", "language", "corpus")
ROW = ("seed", "fold", *ABOUT)
"""Columns that every ``predictions.csv`` begins with."""
PREDICTED = "predicted"
Table = TypeVar("Table", bound="_Tested")
Parsed = TypeVar("Parsed")


@dataclass(frozen=True)
class _Tested:
    """Utterances that were tested, one row each (for each seed).

    Args:
        labels: names of the outputs.
        rows: what is known about each utterance: ``seed``, ``fold``, ``manifest``, ``row``, ``audio``, ``text``,
            ``speaker``, ``session``, ``script``, ``language``, ``corpus``.
        truth: of each utterance.
        outputs: ``(utterances, labels)``.
    """

    labels: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    truth: np.ndarray
    outputs: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> list[str]:
        """Returns one of the rows' columns."""
        return [row[name] for row in self.rows]

    def where(self: Table, accept: Callable[[dict[str, str]], bool]) -> Table:
        """Keeps the rows that a function accepts."""
        return self.take([i for i, row in enumerate(self.rows) if accept(row)])

    def take(self: Table, positions: Sequence[int]) -> Table:
        """Keeps the rows at the positions."""
        chosen = np.asarray(positions, dtype=int)
        rows = tuple(self.rows[i] for i in chosen)
        return type(self)(self.labels, rows, self.truth[chosen], self.outputs[chosen])

    def groups(self: Table, *columns: str) -> dict[tuple[str, ...], Table]:
        """Divides by the values of columns, in the order in which they first occur."""
        positions: dict[tuple[str, ...], list[int]] = {}
        for i, row in enumerate(self.rows):
            positions.setdefault(tuple(row[name] for name in columns), []).append(i)
        return {key: self.take(chosen) for key, chosen in positions.items()}

    @classmethod
    def of(
        cls: type[Table], corpus: Corpus, positions: Sequence[int], outputs: np.ndarray, seed: int, fold: int
    ) -> Table:
        """Makes a table of a model's outputs ``(positions, labels)`` for a corpus' utterances at some positions."""
        utterances = [corpus.utterances[i] for i in positions]
        rows = tuple({"seed": str(seed), "fold": str(fold), **_about(utterance)} for utterance in utterances)
        return cls(corpus.labels, rows, corpus.truth(positions), np.asarray(outputs, dtype=float))

    @classmethod
    def join(cls: type[Table], several: Iterable[Table]) -> Table:
        """Puts tables of the same labels one below the other."""
        several = list(several)
        rows = tuple(row for table in several for row in table.rows)
        truth = np.concatenate([table.truth for table in several])
        return cls(several[0].labels, rows, truth, np.concatenate([table.outputs for table in several]))

    def write(self, path: str | Path) -> None:
        """Writes CSV in UTF-8."""
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow((*ROW, *self._columns()))
            for i, row in enumerate(self.rows):
                writer.writerow((*(row[name] for name in ROW), *self._cells(i)))

    def measure(self) -> Any:
        """Compares what the model said with the truth."""
        raise NotImplementedError

    def plot(self, path: str | Path) -> None:
        """Draws what the model said beside the truth, into a ``.png``, ``.svg`` or ``.pdf`` file."""
        raise NotImplementedError

    def _columns(self) -> tuple[str, ...]:
        raise NotImplementedError

    def _cells(self, i: int) -> Iterable[str]:
        raise NotImplementedError


class Predictions(_Tested):
    """Emotions of utterances that were tested; ``truth`` holds label numbers, ``(utterances,)``."""

    @property
    def probabilities(self) -> np.ndarray:
        """Of each label, ``(utterances, labels)``."""
        return self.outputs

    @property
    def predicted(self) -> np.ndarray:
        """Numbers of the most probable labels, ``(utterances,)``."""
        return np.asarray(self.outputs.argmax(axis=1))

    @classmethod
    def read(cls, path: str | Path) -> "Predictions":
        """Reads what ``write`` wrote.

        Raises:
            InputError: the file is missing, damaged or another.
        """
        expected = ("emotion", PREDICTED)
        header, table = _read_table(path, f"{', '.join(expected)} and one a label")
        labels = header[len(expected) :]
        if header[: len(expected)] != expected or len(labels) < 2:
            hint = "; it holds estimates, not classes" if Estimates.names_in(header) else ""
            raise InputError(f"{path}: expected the columns {', '.join(expected)} and one a label, got {header}{hint}")

        def parse(row: dict[str, str]) -> tuple[int, list[float]]:
            return labels.index(row["emotion"]), [float(row[label]) for label in labels]

        rows, parsed = _parse_rows(path, table, parse)
        truth, probabilities = zip(*parsed, strict=True)
        return cls(labels, rows, np.array(truth), np.array(probabilities))

    def measure(self) -> Metrics:
        """Returns the paper's metrics and UAR."""
        return measure(self.truth, self.probabilities, self.labels)

    def plot(self, path: str | Path) -> None:
        """Draws the confusion matrix."""
        plot_confusion_matrix(self.measure().confusion, self.labels, path)

    def _columns(self) -> tuple[str, ...]:
        return ("emotion", PREDICTED, *self.labels)

    def _cells(self, i: int) -> Iterable[str]:
        named = (self.labels[self.truth[i]], self.labels[self.predicted[i]])
        return (*named, *(f"{value:.8g}" for value in self.outputs[i].tolist()))


class Estimates(_Tested):
    """Numbers that were estimated of utterances; ``truth`` and ``outputs`` are ``(utterances, dimensions)``."""

    @classmethod
    def read(cls, path: str | Path) -> "Estimates":
        """Reads what ``write`` wrote.

        Raises:
            InputError: the file is missing, damaged or another.
        """
        header, table = _read_table(path, "those of the estimates")
        names = cls.names_in(header)
        if not names:
            raise InputError(f"{path}: expected the columns NAME and {PREDICTED} NAME of each dimension, got {header}")

        def parse(row: dict[str, str]) -> tuple[list[float], list[float]]:
            return [float(row[name]) for name in names], [float(row[f"{PREDICTED} {name}"]) for name in names]

        rows, parsed = _parse_rows(path, table, parse)
        truth, estimates = zip(*parsed, strict=True)
        return cls(names, rows, np.array(truth), np.array(estimates))

    @staticmethod
    def names_in(header: tuple[str, ...]) -> tuple[str, ...]:
        """Returns the dimensions that columns are about; none if they are others."""
        names = header[: len(header) // 2]
        return names if header == (*names, *(f"{PREDICTED} {name}" for name in names)) else ()

    def measure(self) -> DimensionMetrics:
        """Returns concordance, correlation and error of each dimension."""
        return measure_dimensions(self.truth, self.outputs, self.labels)

    def plot(self, path: str | Path) -> None:
        """Draws estimates over the truth."""
        plot_estimates(self.truth, self.outputs, self.labels, path)

    def _columns(self) -> tuple[str, ...]:
        return (*self.labels, *(f"{PREDICTED} {name}" for name in self.labels))

    def _cells(self, i: int) -> Iterable[str]:
        return (f"{value:.8g}" for value in (*self.truth[i].tolist(), *self.outputs[i].tolist()))


def _read_table(path: str | Path, expected: str) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    """Returns the columns that follow ROW, and all rows; cells that are missing are missing there."""
    table = read_csv(path, "a predictions.csv")
    header = table[0] if table else []
    if tuple(header[: len(ROW)]) != ROW or len(table) < 2:
        raise InputError(f"{path}: expected the columns {', '.join(ROW)}, {expected}, got {header}")
    lines = []
    for number, cells in enumerate(table[1:], start=2):
        if len(cells) != len(header):
            raise InputError(f"{path}, row {number}: is damaged (expected {len(header)} cells, got {len(cells)})")
        lines.append(dict(zip(header, cells, strict=True)))
    return tuple(header[len(ROW) :]), lines


def _parse_rows(
    path: str | Path, table: Sequence[dict[str, str]], parse: Callable[[dict[str, str]], Parsed]
) -> tuple[tuple[dict[str, str], ...], list[Parsed]]:
    parsed = []
    for number, row in enumerate(table, start=2):
        try:
            parsed.append(parse(row))
        except ValueError as error:
            raise InputError(f"{path}, row {number}: is damaged ({error})") from error
    return tuple({name: row[name] for name in ROW} for row in table), parsed


def _about(utterance: Utterance) -> dict[str, str]:
    values = {name: getattr(utterance, name) for name in ABOUT}
    values["manifest"] = utterance.manifest.resolve()
    values["audio"] = "" if utterance.audio is None else utterance.audio.resolve()
    return {name: str(value) for name, value in values.items()}
