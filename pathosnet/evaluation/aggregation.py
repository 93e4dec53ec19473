"""Figures over folds, as the paper aggregates them (section 7), by corpus and language and all together."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev

import numpy as np

from pathosnet.corpora.manifest import corpus_title
from pathosnet.evaluation.metrics import DimensionMetrics, Metrics
from pathosnet.evaluation.predictions import Estimates, Predictions

CUMULATIVE = "cumulative"
PAPER_METRICS = ("accuracy", "precision", "recall", "f1", "auc")
"""In the order of the paper's Table 2."""
MEAN = "mean"


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation over folds or seeds; ``sd`` is None for a single one."""

    mean: float
    sd: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Computes mean and sample standard deviation."""
        return cls(mean(values), stdev(values) if len(values) > 1 else None)


@dataclass(frozen=True)
class Row:
    """Figures of a group of test utterances; None where the group has fewer than two classes."""

    name: str
    utterances: int
    """Number of utterances of one seed."""
    figures: dict[str, float | None]
    """The paper's metrics: the figure of every fold and class weighted with its number of samples, averaged over
    seeds."""
    over_seeds: dict[str, float | None]
    """Their standard deviations over seeds, and that of the mean UAR, ``uar``; None for a single seed."""
    uar: Spread | None
    """Unweighted average recall over folds and seeds."""
    pooled_uar: float | None
    """UAR of all folds' utterances together, averaged over seeds: small folds that lack a class do not distort it."""
    macro_f1: float | None
    """F1 of each class, each counting alike, of all folds' utterances together, averaged over seeds."""
    log_loss: float
    """Mean cross-entropy in nats of all folds' utterances together, averaged over seeds."""
    jensen_shannon: float | None
    """Mean Jensen-Shannon divergence from the raters' shares in bits, likewise; None where nobody voted."""
    accuracy: Spread | None
    """Accuracy over folds and seeds, each fold counting alike."""
    recalls: dict[str, float | None]
    """Label → recall over all folds and seeds."""
    confusion: list[list[float | None]]
    """Shares of each row, averaged over folds and seeds (the paper's Figure 2); None where a class does not occur."""


@dataclass(frozen=True)
class DimensionRow:
    """Figures of the estimates for a group of test utterances."""

    name: str
    utterances: int
    """Number of utterances of one seed."""
    ccc: dict[str, Spread]
    """Dimension, and ``mean`` of all → concordance correlation over folds and seeds, each counting alike; an
    undefined coefficient counts as 0."""
    pooled: DimensionMetrics
    """Figures of the estimates of all folds and seeds together."""


def aggregate(predictions: Predictions) -> list[Row]:
    """Computes a row for each corpus and language, and for all of them.

    Args:
        predictions: of all folds and seeds.
    """
    groups = predictions.groups("corpus", "language")
    rows = [_row(corpus_title(*key), group) for key, group in groups.items()]
    return rows + ([_row(CUMULATIVE, predictions)] if len(groups) > 1 else [])


def aggregate_dimensions(estimates: Estimates) -> list[DimensionRow]:
    """Computes a row for each corpus and language, and for all of them.

    Args:
        estimates: of all folds and seeds.
    """
    groups = estimates.groups("corpus", "language")
    rows = [_dimension_row(corpus_title(*key), group) for key, group in groups.items()]
    return rows + ([_dimension_row(CUMULATIVE, estimates)] if len(groups) > 1 else [])


def _row(name: str, predictions: Predictions) -> Row:
    seeds = list(predictions.groups("seed").values())
    pooled = [seed.measure() for seed in seeds]
    defined = len(np.unique(predictions.truth)) > 1
    by_seed = [[fold.measure() for fold in seed.groups("fold").values()] for seed in seeds] if defined else []
    folds = [metrics for of_seed in by_seed for metrics in of_seed]
    weighted = {
        metric: [value for of_seed in by_seed if (value := _weighted(of_seed, metric)) is not None]
        for metric in PAPER_METRICS
    }
    divergences = [metrics.jensen_shannon for metrics in pooled if metrics.jensen_shannon is not None]
    uars = [mean(fold.uar for fold in of_seed) for of_seed in by_seed]
    return Row(
        name=name,
        utterances=len(seeds[0]),
        figures={metric: mean(values) if values else None for metric, values in weighted.items()},
        over_seeds={
            metric: stdev(values) if len(values) > 1 else None for metric, values in {**weighted, "uar": uars}.items()
        },
        uar=Spread.of([metrics.uar for metrics in folds]) if defined else None,
        pooled_uar=mean(metrics.uar for metrics in pooled) if defined else None,
        macro_f1=mean(metrics.macro_f1 for metrics in pooled) if defined else None,
        log_loss=mean(metrics.log_loss for metrics in pooled),
        jensen_shannon=mean(divergences) if divergences else None,
        accuracy=Spread.of([metrics.accuracy for metrics in folds]) if defined else None,
        recalls=predictions.measure().recalls,
        confusion=_shares(list(predictions.groups("seed", "fold").values())),
    )


def _dimension_row(name: str, estimates: Estimates) -> DimensionRow:
    folds = [fold.measure() for fold in estimates.groups("seed", "fold").values()]
    ccc = {label: Spread.of([fold.ccc[label] or 0.0 for fold in folds]) for label in estimates.labels}
    ccc[MEAN] = Spread.of([fold.mean_ccc for fold in folds])
    return DimensionRow(name, len(estimates.distinct()[0]), ccc, pooled=estimates.measure())


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
