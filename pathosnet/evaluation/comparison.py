"""Two cross-validations on the same folds, side by side."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pathosnet.errors import InputError
from pathosnet.evaluation.aggregation import PAPER_METRICS, Row, aggregate
from pathosnet.evaluation.bootstrap import bootstrap_figures, interval, resample_counts
from pathosnet.evaluation.predictions import Predictions
from pathosnet.evaluation.tables import percent

Key = tuple[str, str, str, str]


@dataclass(frozen=True)
class Difference:
    """The second's figure minus the first's, in [-1, 1], with a 95 % interval of a paired bootstrap."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """Two cross-validations of the same utterances in the same folds."""

    names: tuple[str, str]
    rows: tuple[tuple[Row, Row], ...]
    utterances: int
    seeds: tuple[int, int]
    only_first_right: int
    """Utterances that the first gets right and the second does not; with several seeds, in most of them."""
    only_second_right: int
    p_value: float
    """McNemar's exact test of these two numbers."""
    differences: dict[str, Difference]
    """``accuracy`` and ``uar``; with several seeds, each utterance's mean over them is compared."""

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON values."""
        return asdict(self)

    def text(self) -> str:
        """Returns both tables side by side and the tests, for a person."""
        head = ["corpus", *(f"{metric} {name}" for metric in (*PAPER_METRICS, "uar") for name in ("A", "B", "B−A"))]
        lines = [head]
        for first, second in self.rows:
            cells = [first.name]
            for metric in (*PAPER_METRICS, "uar"):
                a, b = (_figure(row, metric) for row in (first, second))
                cells += [percent(a), percent(b), "–" if a is None or b is None else f"{100 * (b - a):+.1f}"]
            lines.append(cells)
        widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
        table = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
        said = [
            f"A = {self.names[0]}, B = {self.names[1]}; {self.utterances} utterances in the same folds",
            "",
            *table,
            "",
            f"right in A alone {self.only_first_right}, in B alone {self.only_second_right}: "
            f"McNemar's exact test p = {self.p_value:.4g}",
        ]
        for name, found in self.differences.items():
            said.append(
                f"{name}: B−A {100 * found.value:+.1f} points, 95 % interval {100 * found.low:+.1f} to "
                f"{100 * found.high:+.1f} (paired bootstrap)"
            )
        if max(self.seeds) > 1:
            said.append(
                f"seeds: A {self.seeds[0]}, B {self.seeds[1]}; an utterance counts with its mean over the seeds, in "
                "McNemar's test as right if most of them are"
            )
        return "\n".join(said)


def compare(first: Predictions, second: Predictions, names: tuple[str, str] = ("A", "B")) -> Comparison:
    """Compares two cross-validations.

    Args:
        first: of all folds and seeds.
        second: of the same utterances in the same folds.
        names: of the two.

    Raises:
        InputError: other utterances, folds, truths or labels.
    """
    from scipy.stats import binomtest

    if first.labels != second.labels:
        raise InputError(f"{names[1]}: has the labels {second.labels}, expected those of {names[0]}, {first.labels}")
    ours, theirs = _by_utterance(first), _by_utterance(second)
    if ours.keys() != theirs.keys():
        lacking = sorted(ours.keys() ^ theirs.keys())[0]
        without = names[1] if lacking in ours else names[0]
        corpus, row, audio, fold = lacking
        raise InputError(
            f"{without}: did not test row {row} of {corpus} ({audio}) in fold {fold}; runs can be compared if they "
            "tested the same utterances in the same folds (--folds …/folds.csv)"
        )
    keys = list(ours)
    truth = np.array([ours[key][0] for key in keys])
    if any(theirs[key][0] != label for key, label in zip(keys, truth, strict=True)):
        raise InputError(f"{names[1]}: has other emotions for some utterances than {names[0]}")
    right = [np.array([found[key][1] for key in keys]) for found in (ours, theirs)]
    mostly = [values > 0.5 for values in right]
    only_first, only_second = int((mostly[0] & ~mostly[1]).sum()), int((mostly[1] & ~mostly[0]).sum())
    differing = only_first + only_second
    counts = resample_counts(range(len(keys)))
    resampled = [bootstrap_figures(truth, values, counts) for values in right]
    actual = [bootstrap_figures(truth, values, np.ones((1, len(keys)))) for values in right]
    return Comparison(
        names,
        tuple(zip(aggregate(first), aggregate(second), strict=True)),
        len(keys),
        (len(set(first.column("seed"))), len(set(second.column("seed")))),
        only_first,
        only_second,
        float(binomtest(only_second, differing).pvalue) if differing else 1.0,
        {
            name: Difference(
                float(actual[1][name][0] - actual[0][name][0]), *interval(resampled[1][name] - resampled[0][name])
            )
            for name in ("accuracy", "uar")
        },
    )


def _by_utterance(predictions: Predictions) -> dict[Key, tuple[int, float]]:
    """Returns utterance and fold → label number, and the share of seeds that are right."""
    found: dict[Key, tuple[int, list[bool]]] = {}
    right = predictions.predicted == predictions.truth
    for row, truth, hit in zip(predictions.rows, predictions.truth, right, strict=True):
        key = (row["corpus"], row["row"], row["audio"].rpartition("/")[2], row["fold"])
        found.setdefault(key, (int(truth), []))[1].append(bool(hit))
    return {key: (truth, float(np.mean(hits))) for key, (truth, hits) in sorted(found.items())}


def _figure(row: Row, metric: str) -> float | None:
    if metric == "uar":
        return None if row.uar is None else row.uar.mean
    return row.figures[metric]
