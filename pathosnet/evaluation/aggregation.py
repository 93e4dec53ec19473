"""Figures over folds, as the paper aggregates them (section 7), by corpus and language and all together."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev

import numpy as np

from pathosnet.corpora.manifest import corpus_title
from pathosnet.evaluation.metrics import Metrics
from pathosnet.evaluation.predictions import Predictions

CUMULATIVE = "cumulative"
PAPER_METRICS = ("accuracy", "precision", "recall", "f1", "auc")
"""In the order of the paper's Table 2."""


@dataclass(frozen=True)
class Spread:
    """A figure over folds or seeds; ``sd`` is None of a single one."""

    mean: float
    sd: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Computes mean and sample standard deviation."""
        return cls(mean(values), stdev(values) if len(values) > 1 else None)


@dataclass(frozen=True)
class Row:
    """What is reported of a group of test utterances."""

    name: str
    utterances: int
    """Of one seed."""
    figures: dict[str, float | None]
    """The paper's metrics: every fold's and class' figure weighted with its number of samples, averaged over seeds;
    None if the group has fewer than two classes."""
    over_seeds: dict[str, float | None]
    """Their standard deviations over seeds, and that of the mean UAR, ``uar``; None of a single seed."""
    uar: Spread | None
    """Unweighted average recall over folds and seeds."""
    pooled_uar: float | None
    """Of all folds' utterances together, averaged over seeds: small folds that lack a class do not distort it."""
    accuracy: Spread | None
    """Accuracy over folds and seeds, each fold counting alike."""
    recalls: dict[str, float | None]
    """Label → recall over all folds and seeds."""
    confusion: list[list[float | None]]
    """Each row's shares, averaged over folds and seeds (the paper's Figure 2); None where a class does not occur."""


def aggregate(predictions: Predictions) -> list[Row]:
    """Computes a row for each corpus and language, and for all of them.

    Args:
        predictions: of all folds and seeds.
    """
    groups = predictions.groups("corpus", "language")
    rows = [_row(corpus_title(*key), group) for key, group in groups.items()]
    return rows + ([_row(CUMULATIVE, predictions)] if len(groups) > 1 else [])


def _row(name: str, predictions: Predictions) -> Row:
    seeds = list(predictions.groups("seed").values())
    utterances = len(seeds[0])
    if len(np.unique(predictions.truth)) < 2:
        undefined: dict[str, float | None] = dict.fromkeys(PAPER_METRICS)
        over_seeds = {**undefined, "uar": None}
        recalls, shares = predictions.measure().recalls, _shares(list(predictions.groups("seed", "fold").values()))
        return Row(name, utterances, undefined, over_seeds, None, None, None, recalls, shares)
    by_seed = [[fold.measure() for fold in seed.groups("fold").values()] for seed in seeds]
    folds = [metrics for of_seed in by_seed for metrics in of_seed]
    figures: dict[str, float | None] = {}
    over_seeds = {"uar": Spread.of([mean(fold.uar for fold in of_seed) for of_seed in by_seed]).sd}
    for metric in PAPER_METRICS:
        values = [value for value in (_weighted(of_seed, metric) for of_seed in by_seed) if value is not None]
        figures[metric] = mean(values) if values else None
        over_seeds[metric] = stdev(values) if len(values) > 1 else None
    return Row(
        name,
        utterances,
        figures,
        over_seeds,
        Spread.of([metrics.uar for metrics in folds]),
        mean(seed.measure().uar for seed in seeds),
        Spread.of([metrics.accuracy for metrics in folds]),
        predictions.measure().recalls,
        _shares(list(predictions.groups("seed", "fold").values())),
    )


def _weighted(folds: Sequence[Metrics], metric: str) -> float | None:
    """Averages over folds; a fold's figure is the mean of its classes' with their support, so its size weighs it."""
    defined = [(getattr(fold, metric), fold.utterances) for fold in folds if getattr(fold, metric) is not None]
    if not defined:
        return None
    values, weights = zip(*defined, strict=True)
    return float(np.average(values, weights=weights))


def _shares(folds: Sequence[Predictions]) -> list[list[float | None]]:
    size = len(folds[0].labels)
    shares = np.full((len(folds), size, size), np.nan)
    for k, fold in enumerate(folds):
        counts = np.zeros((size, size))
        np.add.at(counts, (fold.truth, fold.predicted), 1)
        occurs = counts.sum(axis=1) > 0
        shares[k, occurs] = counts[occurs] / counts[occurs].sum(axis=1, keepdims=True)
    known = ~np.isnan(shares).all(axis=(0, 2))
    return [list(np.nanmean(shares[:, i], axis=0)) if known[i] else [None] * size for i in range(size)]
