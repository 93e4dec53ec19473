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
from pathosnet.evaluation.metrics import DimensionMetrics, Metrics, MultiTaskMetrics, measure, measure_dimensions
from pathosnet.evaluation.plots import plot_both, plot_confusion_matrix, plot_estimates
from pathosnet.files import read_csv
from pathosnet.targets import PREDICTED, ClassTarget, DimensionTarget, MultiTaskTarget, Target

ABOUT = ("manifest", "row", "audio", "text", "speaker", "session", "script", "language", "corpus")
ROW = ("seed", "fold", *ABOUT)
"""The first columns of every ``predictions.csv``."""
Table = TypeVar("Table", bound="PredictionTable")
Row = dict[str, str]


@dataclass(frozen=True)
class PredictionTable:
    """Answers of a model beside the truth, one row a test utterance (for each seed).

    Args:
        labels: names of the outputs.
        rows: of each utterance ``seed``, ``fold``, ``manifest``, ``row``, ``audio``, ``text``, ``speaker``,
            ``session``, ``script``, ``language``, ``corpus``.
        truth: of each utterance.
        outputs: ``(utterances, labels)``.
        votes: raters' shares of each emotion, ``(utterances, classes)``; None where nobody voted.
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
        """Meaning of the outputs: it names the columns of the file."""
        return self.target_kind(self.labels)

    @property
    def numbers(self) -> np.ndarray:
        """Label numbers where the target has classes, ``(utterances,)``; NaN where one is not known."""
        return self.truth

    def parts(self) -> "list[tuple[Sequence[int], Predictions | Estimates]]":
        """Returns the tables of one kind that it consists of, each with the positions of its rows."""
        raise NotImplementedError

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
        """Returns the raters' shares; where nobody voted, 1 for the true emotion."""
        if self.votes is not None:
            return self.votes
        return (self.numbers[:, None] == np.arange(len(self.target.classes))).astype(float)

    def write(self, path: str | Path) -> None:
        """Writes CSV in UTF-8."""
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            voted = [] if self.votes is None else [VOTES + label for label in self.target.classes]
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
        target = cls._target_in(header[len(ROW) :], path)
        rows, truth, outputs, votes = [], [], [], []
        voted = header[len(ROW) :] != target.columns
        for number, cells in enumerate(lines[1:], start=2):
            if len(cells) != len(header):
                raise InputError(f"{path}, row {number}: is damaged (expected {len(header)} cells, got {len(cells)})")
            row = dict(zip(header, cells, strict=True))
            try:
                truth.append(cls._truth_in(row, target))
                outputs.append([float(row[name]) for name in _output_columns(target)])
                votes += [[float(row[VOTES + label]) for label in target.classes]] if voted else []
            except ValueError as error:
                raise InputError(f"{path}, row {number}: is damaged ({error})") from error
            rows.append({name: row[name] for name in ROW})
        shares = np.array(votes) if voted else None
        return cls(target.labels, tuple(rows), np.array(truth), outputs=np.array(outputs), votes=shares)

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
    picture: ClassVar[str]
    """Stem of the picture that shows the outputs beside the truth."""
    _expected: ClassVar[str]
    """The columns of a file after ROW, in words."""

    def _cells(self, i: int) -> Iterable[str]:
        raise NotImplementedError

    @classmethod
    def _target_in(cls, columns: tuple[str, ...], path: str | Path) -> Target:
        raise NotImplementedError

    @classmethod
    def _truth_in(cls, row: Row, target: Target) -> Any:
        raise NotImplementedError


class Predictions(PredictionTable):
    """Emotions of test utterances; ``truth`` holds label numbers, ``(utterances,)``."""

    target_kind = ClassTarget
    picture = "confusion_matrix"
    _expected = f"emotion, {PREDICTED} and one a label"

    @property
    def probabilities(self) -> np.ndarray:
        """Probability of each label, ``(utterances, labels)``."""
        return self.outputs

    @property
    def predicted(self) -> np.ndarray:
        """Numbers of the most probable labels, ``(utterances,)``."""
        return np.asarray(self.outputs.argmax(axis=1))

    def parts(self) -> "list[tuple[Sequence[int], Predictions | Estimates]]":
        """Returns itself."""
        return [(range(len(self)), self)]

    def measure(self) -> Metrics:
        """Returns the paper's metrics, UAR, and further figures."""
        return measure(self.truth, self.probabilities, self.labels, shares=self.votes)

    def plot(self, path: str | Path) -> None:
        """Draws the confusion matrix."""
        plot_confusion_matrix(self.measure().confusion, self.labels, path)

    def _cells(self, i: int) -> Iterable[str]:
        return _class_cells(self.labels, self.truth[i], self.outputs[i])

    @classmethod
    def _target_in(cls, columns: tuple[str, ...], path: str | Path) -> Target:
        half = len(columns) // 2 + 1  # of columns whose second half holds votes for the labels
        if columns[half:] == tuple(VOTES + label for label in columns[2:half]):
            columns = columns[:half]
        if columns[:2] != ("emotion", PREDICTED) or len(columns) < 4:
            hint = "; it holds estimates, not classes" if dimensions_in(columns) else ""
            raise InputError(f"{path}: expected the columns {cls._expected}, got {columns}{hint}")
        if dimensions := [name for name in columns if f"{PREDICTED} {name}" in columns]:
            raise InputError(f"{path}: holds estimates of {', '.join(dimensions)} as well; expected classes alone")
        return ClassTarget(columns[2:])

    @classmethod
    def _truth_in(cls, row: Row, target: Target) -> int:
        return target.labels.index(row["emotion"])


class Estimates(PredictionTable):
    """Estimated dimensions of test utterances; ``truth`` and ``outputs`` are ``(utterances, dimensions)``."""

    target_kind = DimensionTarget
    picture = "estimates"
    _expected = "those of the estimates"

    def parts(self) -> "list[tuple[Sequence[int], Predictions | Estimates]]":
        """Returns itself."""
        return [(range(len(self)), self)]

    def measure(self) -> DimensionMetrics:
        """Returns concordance, correlation and error of each dimension."""
        return measure_dimensions(self.truth, self.outputs, self.labels)

    def plot(self, path: str | Path) -> None:
        """Draws estimates over the truth."""
        plot_estimates(self.truth, self.outputs, self.labels, path)

    def _cells(self, i: int) -> Iterable[str]:
        return _number_cells(self.truth[i], self.outputs[i])

    @classmethod
    def _target_in(cls, columns: tuple[str, ...], path: str | Path) -> Target:
        if not (names := dimensions_in(columns)):
            raise InputError(f"{path}: expected the columns NAME and {PREDICTED} NAME of each dimension, got {columns}")
        return DimensionTarget(names)

    @classmethod
    def _truth_in(cls, row: Row, target: Target) -> list[float]:
        return [float(row[name]) for name in target.labels]


class MultiTaskPredictions(PredictionTable):
    """Emotions and dimensions of test utterances.

    ``truth`` holds the label number and the values, ``(utterances, 1 + dimensions)``, not a number (NaN) where one is
    not known; ``outputs`` are probabilities, then estimates.
    """

    target_kind = MultiTaskTarget
    _expected = f"emotion, {PREDICTED}, one a label, NAME and {PREDICTED} NAME of each dimension"

    @property
    def target(self) -> Target:
        """Meaning of the outputs."""
        return MultiTaskTarget(self.labels, len(self.labels) - self.truth.shape[1] + 1)

    @property
    def numbers(self) -> np.ndarray:
        """Label numbers, ``(utterances,)``; NaN where one is not known."""
        return self.truth[:, 0]

    def parts(self) -> "list[tuple[Sequence[int], Predictions | Estimates]]":
        """Returns the utterances whose emotion is known, and those of which every number is; none that is empty."""
        target = self.target
        count = len(target.classes)
        labeled = np.flatnonzero(np.isfinite(self.numbers)).tolist()
        rated = np.flatnonzero(np.isfinite(self.truth[:, 1:]).all(axis=1)).tolist()
        emotions, numbers = self.take(labeled), self.take(rated)
        found: list[tuple[Sequence[int], Predictions | Estimates]] = [
            (
                labeled,
                Predictions(
                    target.classes,
                    emotions.rows,
                    emotions.numbers.astype(np.int64),
                    outputs=emotions.outputs[:, :count],
                    votes=emotions.votes,
                ),
            ),
            (rated, Estimates(target.dimensions, numbers.rows, numbers.truth[:, 1:], numbers.outputs[:, count:])),
        ]
        return [(positions, part) for positions, part in found if positions]

    def measure(self) -> Metrics | DimensionMetrics:
        """Returns the figures of emotions and of dimensions; those of one kind where the other is not known."""
        measured: list[Any] = [part.measure() for _, part in self.parts()]
        if not measured:
            raise InputError("expected an utterance with an emotion or with all numbers to measure on, got none")
        return MultiTaskMetrics.of(*measured) if len(measured) > 1 else measured[0]

    def plot(self, path: str | Path) -> None:
        """Draws the confusion matrix, and beneath it the estimates over the truth."""
        (_, first), *more = self.parts()
        if not (more and isinstance(first, Predictions)):
            first.plot(path)
            return
        emotions, numbers = first, more[0][1]
        plot_both(
            emotions.measure().confusion,
            emotions.labels,
            truth=numbers.truth,
            estimates=numbers.outputs,
            names=numbers.labels,
            path=path,
        )

    def _cells(self, i: int) -> Iterable[str]:
        classes, count = self.target.classes, len(self.target.classes)
        number = self.numbers[i]
        of_classes = _class_cells(classes, int(number) if np.isfinite(number) else None, self.outputs[i, :count])
        return (*of_classes, *_number_cells(self.truth[i, 1:], self.outputs[i, count:]))

    @classmethod
    def _target_in(cls, columns: tuple[str, ...], path: str | Path) -> Target:
        count = sum(name.startswith(f"{PREDICTED} ") for name in columns)  # of dimensions
        rest = len(columns) - 2 - 2 * count
        num_classes = rest // 2 if columns[-1].startswith(VOTES) else rest
        if count and num_classes > 1:
            target = MultiTaskTarget(columns[2 : 2 + num_classes + count], num_classes)
            if columns in (target.columns, (*target.columns, *(VOTES + label for label in target.classes))):
                return target
        raise InputError(f"{path}: expected the columns {cls._expected}, got {columns}")

    @classmethod
    def _truth_in(cls, row: Row, target: Target) -> list[float]:
        number = target.classes.index(row["emotion"]) if row["emotion"] else np.nan
        return [number, *(float(row[name] or "nan") for name in target.dimensions)]


def _output_columns(target: Target) -> list[str]:
    return [*target.classes, *(f"{PREDICTED} {name}" for name in target.dimensions)]


def _class_cells(labels: Sequence[str], number: int | None, probabilities: np.ndarray) -> Iterable[str]:
    named = ("" if number is None else labels[number], labels[int(probabilities.argmax())])
    return (*named, *(f"{value:.8g}" for value in probabilities.tolist()))


def _number_cells(truth: np.ndarray, estimates: np.ndarray) -> Iterable[str]:
    return ("" if np.isnan(value) else f"{value:.8g}" for value in (*truth.tolist(), *estimates.tolist()))


def dimensions_in(columns: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the dimensions whose estimates columns hold; none if they hold something else."""
    names = columns[: len(columns) // 2]
    return names if columns == DimensionTarget(names).columns else ()


def tested_kind(target: Target) -> type[PredictionTable]:
    """Returns the class of tables that hold the outputs of a target."""
    kinds = (Predictions, Estimates, MultiTaskPredictions)
    return next(kind for kind in kinds if isinstance(target, kind.target_kind))


def _about(utterance: Utterance) -> Row:
    values = {name: getattr(utterance, name) for name in ABOUT}
    values["manifest"] = utterance.manifest.resolve()
    values["audio"] = "" if utterance.audio is None else utterance.audio.resolve()
    return {name: str(value) for name, value in values.items()}
