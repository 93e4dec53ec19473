"""Predictions for test utterances, as a table: ``predictions.csv``."""

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np

from pathosnet.corpora import Corpus, Utterance
from pathosnet.corpora.manifest import VOTES
from pathosnet.errors import InputError
from pathosnet.evaluation.metrics import DimensionMetrics, Metrics, measure, measure_dimensions
from pathosnet.evaluation.plots import plot_confusion_matrix, plot_estimates
from pathosnet.files import read_csv
from pathosnet.targets import PREDICTED, ClassTarget, DimensionTarget, Target

ABOUT = ("manifest", "row", "audio", "text", "speaker", "session", "script", "language", "corpus")
ROW = ("seed", "fold", *ABOUT)
"""The first columns of every ``predictions.csv``."""
Table = TypeVar("Table", bound="_Tested")
Row = dict[str, str]


@dataclass(frozen=True)
class _Tested:
    """Test utterances, one row each (for each seed).

    Args:
        labels: names of the outputs.
        rows: of each utterance ``seed``, ``fold``, ``manifest``, ``row``, ``audio``, ``text``, ``speaker``,
            ``session``, ``script``, ``language``, ``corpus``.
        truth: of each utterance.
        outputs: ``(utterances, labels)``.
        votes: raters' shares of each label, ``(utterances, labels)``; None where nobody voted.
    """

    labels: tuple[str, ...]
    rows: tuple[Row, ...]
    truth: np.ndarray
    outputs: np.ndarray
    votes: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def target(self) -> Target:
        """Meaning of the outputs: it names the columns of the file, and the picture."""
        return self.target_kind(self.labels)

    def column(self, name: str) -> list[str]:
        """Returns one of the rows' columns."""
        return [row[name] for row in self.rows]

    def where(self: Table, accept: Callable[[Row], bool]) -> Table:
        """Keeps the rows that a function accepts."""
        return self.take([i for i, row in enumerate(self.rows) if accept(row)])

    def take(self: Table, positions: Sequence[int]) -> Table:
        """Keeps the rows at the positions."""
        chosen = np.asarray(positions, dtype=int)
        rows = tuple(self.rows[i] for i in chosen)
        votes = None if self.votes is None else self.votes[chosen]
        return type(self)(self.labels, rows, self.truth[chosen], outputs=self.outputs[chosen], votes=votes)

    def groups(self: Table, *columns: str) -> dict[tuple[str, ...], Table]:
        """Divides by the values of columns, in the order in which they first occur."""
        positions: dict[tuple[str, ...], list[int]] = {}
        for i, row in enumerate(self.rows):
            positions.setdefault(tuple(row[name] for name in columns), []).append(i)
        return {key: self.take(chosen) for key, chosen in positions.items()}

    def distinct(self) -> tuple[np.ndarray, np.ndarray]:
        """Tells utterances apart, which several seeds may have tested.

        Returns:
            Position of the first row of each utterance, and for each row the number of its utterance.
        """
        keys = np.array([f"{row['row']} {row['manifest']}" for row in self.rows])
        _, first, numbers = np.unique(keys, return_index=True, return_inverse=True)
        return first, numbers

    @classmethod
    def of(
        cls: type[Table], corpus: Corpus, positions: Sequence[int], outputs: np.ndarray, *, seed: int, fold: int
    ) -> Table:
        """Makes a table from a model's outputs ``(positions, labels)`` for a corpus' utterances at some positions."""
        utterances = [corpus.utterances[i] for i in positions]
        rows = tuple({"seed": str(seed), "fold": str(fold), **_about(utterance)} for utterance in utterances)
        votes = corpus.vote_shares(positions) if any(utterance.votes for utterance in utterances) else None
        return cls(corpus.labels, rows, corpus.truth(positions), outputs=np.asarray(outputs, dtype=float), votes=votes)

    @classmethod
    def join(cls: type[Table], several: Iterable[Table]) -> Table:
        """Puts tables of the same labels one below the other."""
        several = list(several)
        rows = tuple(row for table in several for row in table.rows)
        truth = np.concatenate([table.truth for table in several])
        voted = any(table.votes is not None for table in several)
        votes = np.concatenate([table._votes_or_truth() for table in several]) if voted else None
        return cls(
            several[0].labels, rows, truth, outputs=np.concatenate([table.outputs for table in several]), votes=votes
        )

    def _votes_or_truth(self) -> np.ndarray:
        """Returns the raters' shares; where nobody voted, 1 for the true label."""
        return np.eye(len(self.labels))[self.truth] if self.votes is None else self.votes

    def write(self, path: str | Path) -> None:
        """Writes CSV in UTF-8."""
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            voted = [] if self.votes is None else [VOTES + label for label in self.labels]
            writer.writerow((*ROW, *self.target.columns, *voted))
            for i, row in enumerate(self.rows):
                shares = () if self.votes is None else (f"{share:.8g}" for share in self.votes[i].tolist())
                writer.writerow((*(row[name] for name in ROW), *self._cells(i), *shares))

    @classmethod
    def read(cls: type[Table], path: str | Path) -> Table:
        """Reads what ``write`` wrote.

        Raises:
            InputError: the file is missing, damaged or another.
        """
        lines = read_csv(path, "a predictions.csv")
        header = tuple(lines[0]) if lines else ()
        if header[: len(ROW)] != ROW or len(lines) < 2:
            raise InputError(f"{path}: expected the columns {', '.join(ROW)}, {cls._expected}, got {list(header)}")
        labels = cls._labels_in(header[len(ROW) :], path)
        rows, truth, outputs, votes = [], [], [], []
        voted = VOTES + labels[0] in header[len(ROW) :]
        for number, cells in enumerate(lines[1:], start=2):
            if len(cells) != len(header):
                raise InputError(f"{path}, row {number}: is damaged (expected {len(header)} cells, got {len(cells)})")
            row = dict(zip(header, cells, strict=True))
            try:
                of_row = cls._parse(row, labels)
                votes += [[float(row[VOTES + label]) for label in labels]] if voted else []
            except ValueError as error:
                raise InputError(f"{path}, row {number}: is damaged ({error})") from error
            rows.append({name: row[name] for name in ROW})
            truth.append(of_row[0])
            outputs.append(of_row[1])
        return cls(
            labels, tuple(rows), np.array(truth), outputs=np.array(outputs), votes=np.array(votes) if voted else None
        )

    @classmethod
    def read_all(cls: type[Table], paths: Iterable[str | Path]) -> Table:
        """Reads several files of the same labels as one table; see ``read``."""
        return cls.join(cls.read(path) for path in paths)

    def measure(self) -> Any:
        """Compares the predictions with the truth."""
        raise NotImplementedError

    def plot(self, path: str | Path) -> None:
        """Draws the predictions beside the truth, into a ``.png``, ``.svg`` or ``.pdf`` file."""
        raise NotImplementedError

    target_kind: ClassVar[type[Target]]
    """Meaning of the outputs."""
    _expected: ClassVar[str]
    """The columns of a file after ROW, in words."""

    def _cells(self, i: int) -> Iterable[str]:
        raise NotImplementedError

    @classmethod
    def _labels_in(cls, columns: tuple[str, ...], path: str | Path) -> tuple[str, ...]:
        raise NotImplementedError

    @classmethod
    def _parse(cls, row: Row, labels: tuple[str, ...]) -> tuple[Any, list[float]]:
        raise NotImplementedError


class Predictions(_Tested):
    """Emotions of test utterances; ``truth`` holds label numbers, ``(utterances,)``."""

    target_kind = ClassTarget
    _expected = f"emotion, {PREDICTED} and one a label"

    @property
    def probabilities(self) -> np.ndarray:
        """Probability of each label, ``(utterances, labels)``."""
        return self.outputs

    @property
    def predicted(self) -> np.ndarray:
        """Numbers of the most probable labels, ``(utterances,)``."""
        return np.asarray(self.outputs.argmax(axis=1))

    def measure(self) -> Metrics:
        """Returns the paper's metrics, UAR, and further figures."""
        return measure(self.truth, self.probabilities, self.labels, shares=self.votes)

    def plot(self, path: str | Path) -> None:
        """Draws the confusion matrix."""
        plot_confusion_matrix(self.measure().confusion, self.labels, path)

    def _cells(self, i: int) -> Iterable[str]:
        named = (self.labels[self.truth[i]], self.labels[self.predicted[i]])
        return (*named, *(f"{value:.8g}" for value in self.outputs[i].tolist()))

    @classmethod
    def _labels_in(cls, columns: tuple[str, ...], path: str | Path) -> tuple[str, ...]:
        half = len(columns) // 2 + 1  # of columns whose second half holds votes for the labels
        if columns[half:] == tuple(VOTES + label for label in columns[2:half]):
            columns = columns[:half]
        if columns[:2] != ("emotion", PREDICTED) or len(columns) < 4:
            hint = "; it holds estimates, not classes" if dimensions_in(columns) else ""
            raise InputError(f"{path}: expected the columns {cls._expected}, got {columns}{hint}")
        return columns[2:]

    @classmethod
    def _parse(cls, row: Row, labels: tuple[str, ...]) -> tuple[int, list[float]]:
        return labels.index(row["emotion"]), [float(row[label]) for label in labels]


class Estimates(_Tested):
    """Estimated dimensions of test utterances; ``truth`` and ``outputs`` are ``(utterances, dimensions)``."""

    target_kind = DimensionTarget
    _expected = "those of the estimates"

    def measure(self) -> DimensionMetrics:
        """Returns concordance, correlation and error of each dimension."""
        return measure_dimensions(self.truth, self.outputs, self.labels)

    def plot(self, path: str | Path) -> None:
        """Draws estimates over the truth."""
        plot_estimates(self.truth, self.outputs, self.labels, path)

    def _cells(self, i: int) -> Iterable[str]:
        return (f"{value:.8g}" for value in (*self.truth[i].tolist(), *self.outputs[i].tolist()))

    @classmethod
    def _labels_in(cls, columns: tuple[str, ...], path: str | Path) -> tuple[str, ...]:
        if not (names := dimensions_in(columns)):
            raise InputError(f"{path}: expected the columns NAME and {PREDICTED} NAME of each dimension, got {columns}")
        return names

    @classmethod
    def _parse(cls, row: Row, labels: tuple[str, ...]) -> tuple[list[float], list[float]]:
        return [float(row[name]) for name in labels], [float(row[f"{PREDICTED} {name}"]) for name in labels]


def dimensions_in(columns: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the dimensions whose estimates columns hold; none if they hold something else."""
    names = columns[: len(columns) // 2]
    return names if columns == DimensionTarget(names).columns else ()


def tested_kind(target: Target) -> type[Predictions] | type[Estimates]:
    """Returns the class of tables that hold the outputs of a target."""
    kinds: tuple[type[Predictions] | type[Estimates], ...] = (Predictions, Estimates)
    return next(kind for kind in kinds if isinstance(target, kind.target_kind))


def _about(utterance: Utterance) -> Row:
    values = {name: getattr(utterance, name) for name in ABOUT}
    values["manifest"] = utterance.manifest.resolve()
    values["audio"] = "" if utterance.audio is None else utterance.audio.resolve()
    return {name: str(value) for name, value in values.items()}
