"""Two cross-validations on the same folds, side by side."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pathosnet.errors import InputError
from pathosnet.evaluation.aggregation import PAPER_METRICS, Row, aggregate
from pathosnet.evaluation.bootstrap import bootstrap_figures, interval, resample_counts
from pathosnet.evaluation.predictions import Predictions
from pathosnet.evaluation.results import HEADER
from pathosnet.evaluation.tables import UNDEFINED, Table, percent

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
    """``accuracy`` and ``uar``, of all folds together; with several seeds, each utterance's mean is compared."""

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON values."""
        return asdict(self)

    def text(self) -> str:
        """Returns both tables side by side and the tests, for a terminal."""
        header = ["corpus", *(cell for metric in HEADER[2:] for cell in (f"{metric} A", "B", "B−A"))]
        rows = []
        for first, second in self.rows:
            cells = [first.name]
            for metric in (*PAPER_METRICS, "uar"):
                a, b = (_figure(row, metric) for row in (first, second))
                difference = UNDEFINED if a is None or b is None else f"{100 * (b - a):+.1f}"
                cells += [percent(a), percent(b), difference]
            rows.append(cells)
        said = [
            f"A = {self.names[0]}, B = {self.names[1]}; {self.utterances} utterances in the same folds",
            "",
            Table(header, rows).text(),
            "",
            f"right in A alone {self.only_first_right}, in B alone {self.only_second_right}: "
            f"McNemar's exact test p = {self.p_value:.4g}",
        ]
        for name, found in self.differences.items():
            shown = "UAR of all folds together" if name == "uar" else name
            said.append(
                f"{shown}: B−A {100 * found.value:+.1f} points, 95 % interval {100 * found.low:+.1f} to "
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
        labels = [", ".join(predictions.labels) for predictions in (second, first)]
        raise InputError(f"{names[1]}: has the labels {labels[0]}; expected those of {names[0]}, {labels[1]}")
    ours, theirs = _by_utterance(first, names[0]), _by_utterance(second, names[1])
    _check_same(ours, theirs, names)
    keys = list(ours)
    truth = np.array([ours[key][0] for key in keys])
    right = [np.array([found[key][1] for key in keys]) for found in (ours, theirs)]
    mostly = [values > 0.5 for values in right]
    only_first, only_second = int((mostly[0] & ~mostly[1]).sum()), int((mostly[1] & ~mostly[0]).sum())
    differing = only_first + only_second
    counts = resample_counts(range(len(keys)))
    resampled = [bootstrap_figures(truth, values, counts) for values in right]
    actual = [bootstrap_figures(truth, values, np.ones((1, len(keys)))) for values in right]
    differences = {
        name: Difference(
            float(actual[1][name][0] - actual[0][name][0]), *interval(resampled[1][name] - resampled[0][name])
        )
        for name in ("accuracy", "uar")
    }
    return Comparison(
        names=names,
        rows=_pair(aggregate(first), aggregate(second), names),
        utterances=len(keys),
        seeds=(len(set(first.column("seed"))), len(set(second.column("seed")))),
        only_first_right=only_first,
        only_second_right=only_second,
        p_value=float(binomtest(only_second, differing).pvalue) if differing else 1.0,
        differences=differences,
    )


def _by_utterance(predictions: Predictions, name: str) -> dict[Key, tuple[int, float]]:
    """Returns utterance and fold → label number, and the share of seeds that are right."""
    found: dict[Key, tuple[int, dict[str, bool]]] = {}
    right = predictions.predicted == predictions.truth
    for row, truth, hit in zip(predictions.rows, predictions.truth, right, strict=True):
        key = (row["corpus"], row["row"], row["audio"].replace("\\", "/").rpartition("/")[2], row["fold"])
        of_seeds = found.setdefault(key, (int(truth), {}))[1]
        if row["seed"] in of_seeds:
            raise InputError(f"{name}: tested {_shown(key)} twice; give each corpus a name of its own (column corpus)")
        of_seeds[row["seed"]] = bool(hit)
    return {key: (truth, sum(hits.values()) / len(hits)) for key, (truth, hits) in sorted(found.items())}


def _check_same(
    ours: dict[Key, tuple[int, float]], theirs: dict[Key, tuple[int, float]], names: tuple[str, str]
) -> None:
    if differing := ours.keys() ^ theirs.keys():
        lacking = min(differing, key=lambda key: (key[0], len(key[1]), key[1:]))  # rows in the order of their numbers
        without, other = names[::-1] if lacking in ours else names
        raise InputError(
            f"{without}: did not test {_shown(lacking)}, as {other} did ({len(ours.keys() - theirs.keys())} tests are "
            f"in {names[0]} alone, {len(theirs.keys() - ours.keys())} in {names[1]} alone); runs can be compared if "
            "they tested the same utterances in the same folds: --folds FIRST/folds.csv"
        )
    other_truth = [key for key in ours if ours[key][0] != theirs[key][0]]
    if other_truth:
        raise InputError(
            f"{names[1]}: has another emotion than {names[0]} for {_shown(other_truth[0])} and {len(other_truth) - 1} "
            "other utterances; expected the same"
        )


def _pair(first: list[Row], second: list[Row], names: tuple[str, str]) -> tuple[tuple[Row, Row], ...]:
    """Puts rows of the same name side by side: the runs may have read their corpora in another order."""
    named = {row.name: row for row in second}
    if {row.name for row in first} != named.keys():
        rows = [", ".join(sorted(row.name for row in of_run)) for of_run in (second, first)]
        raise InputError(
            f"{names[1]}: has the corpora and languages {rows[0]}; expected those of {names[0]}, {rows[1]}"
        )
    return tuple((row, named[row.name]) for row in first)


def _shown(key: Key) -> str:
    corpus, row, audio, fold = key
    return f"row {row} of {corpus} ({audio}) in fold {fold}"


def _figure(row: Row, metric: str) -> float | None:
    if metric == "uar":
        return None if row.uar is None else row.uar.mean
    return row.figures[metric]
