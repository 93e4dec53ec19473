"""All figures of a cross-validation: rows by corpus and language, bootstrap intervals, reliability."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pathosnet.evaluation.aggregation import MEAN, PAPER_METRICS, DimensionRow, Row, aggregate, aggregate_dimensions
from pathosnet.evaluation.bootstrap import bootstrap_ccc, bootstrap_figures, interval, resample_counts
from pathosnet.evaluation.calibration import Reliability, change_temperature, measure_reliability
from pathosnet.evaluation.predictions import Estimates, MultiTaskPredictions, Predictions, PredictionTable
from pathosnet.evaluation.tables import UNDEFINED, Table, percent

HEADER = ("corpus", "utterances", "Acc.", "Prec.", "Rec.", "F1", "AUC", "UAR")
Intervals = dict[str, dict[str, tuple[float, float]]]
"""Resampled units (``utterances``, ``speakers``) → figure of all folds together → 95 % interval. The interval over
speakers is there only if all are known and there are several; it is the honest one for other people's voices."""


@dataclass(frozen=True)
class Results:
    """Figures of predicted emotions."""

    labels: tuple[str, ...]
    rows: list[Row]
    """By corpus and language, and cumulative."""
    intervals: Intervals
    """Intervals of ``accuracy`` and ``uar``."""
    reliability: Reliability
    uncalibrated: Reliability | None = None
    """Before the temperatures; None if there were none."""
    table_name = "table2"

    @property
    def parts(self) -> "tuple[Results]":
        """Itself; see ``MultiTaskResults``."""
        return (self,)

    def table(self) -> Table:
        """Returns the paper's Table 2, in percent; the UAR comes with its standard deviation over folds."""
        rows = [
            (row.name, str(row.utterances), *(percent(row.figures[metric]) for metric in PAPER_METRICS), _uar(row))
            for row in self.rows
        ]
        return Table(HEADER, rows, has_total=len(rows) > 1)

    def precise_table(self) -> Table:
        """Returns all figures as numbers, None where one is not defined."""
        sds = (f"{metric}_sd_over_seeds" for metric in (*PAPER_METRICS, "uar"))
        header = ("corpus", "utterances", *PAPER_METRICS, "uar", "uar_sd", "pooled_uar", *sds, "macro_f1", "log_loss")
        voted = any(row.jensen_shannon is not None for row in self.rows)
        rows = [
            (
                *(row.name, row.utterances, *(row.figures[metric] for metric in PAPER_METRICS)),
                *(None if row.uar is None else value for value in (row.uar and row.uar.mean, row.uar and row.uar.sd)),
                *(row.pooled_uar, *(row.over_seeds[metric] for metric in (*PAPER_METRICS, "uar"))),
                *(row.macro_f1, row.log_loss),
                *((row.jensen_shannon,) if voted else ()),
            )
            for row in self.rows
        ]
        return Table((*header, "jensen_shannon") if voted else header, rows)

    def to_dict(self) -> dict[str, Any]:
        """Returns JSON values, for ``metrics.json``."""
        before = self.uncalibrated and self.uncalibrated.expected_calibration_error
        return {
            "rows": [asdict(row) for row in self.rows],
            "intervals": self.intervals,
            "expected_calibration_error": self.reliability.expected_calibration_error,
            "expected_calibration_error_before": before,
            "labels": self.labels,
        }


@dataclass(frozen=True)
class DimensionResults:
    """Figures of estimated dimensions."""

    labels: tuple[str, ...]
    rows: list[DimensionRow]
    """By corpus and language, and cumulative."""
    intervals: Intervals
    """Intervals of the concordance correlation of each dimension, and of their ``mean``."""
    table_name = "table"

    @property
    def parts(self) -> "tuple[DimensionResults]":
        """Itself; see ``MultiTaskResults``."""
        return (self,)

    def table(self) -> Table:
        """Returns the concordance correlations with their standard deviations over folds."""
        rows = [(row.name, str(row.utterances), *map(_ccc, row.ccc.values())) for row in self.rows]
        header = ("corpus", "utterances", *(f"CCC {name}" for name in self.rows[0].ccc))
        return Table(header, rows, has_total=len(rows) > 1)

    def precise_table(self) -> Table:
        """Returns a row for each corpus and dimension, with all figures as numbers."""
        header = ("corpus", "utterances", "dimension", "ccc", "ccc_sd", "pooled_ccc", "pooled_pearson", "rmse")
        rows = [
            (
                *(row.name, row.utterances, name, row.ccc[name].mean, row.ccc[name].sd),
                *(row.pooled.ccc[name], row.pooled.pearson[name], row.pooled.rmse[name]),
            )
            for row in self.rows
            for name in self.labels
        ]
        return Table(header, rows)

    def to_dict(self) -> dict[str, Any]:
        """Returns JSON values, for ``metrics.json``."""
        rows = [asdict(row) for row in self.rows]
        return {"rows": rows, "intervals": self.intervals, "dimensions": self.labels}


@dataclass(frozen=True)
class MultiTaskResults:
    """Figures of emotions and of dimensions."""

    parts: tuple[Results | DimensionResults, ...]
    """Those of each kind that is known of any utterance."""

    def to_dict(self) -> dict[str, Any]:
        """Returns JSON values, for ``metrics.json``: ``emotions`` and ``dimensions``."""
        return {"emotions" if isinstance(one, Results) else "dimensions": one.to_dict() for one in self.parts}


def measure_results(
    predictions: PredictionTable,
    temperatures: Mapping[tuple[str, str], float] | None = None,
) -> Any:
    """Computes all figures of a cross-validation.

    Args:
        predictions: of all folds and seeds.
        temperatures: seed and fold → the calibration temperature that its logits were divided by.

    Returns:
        ``Results``, ``DimensionResults`` or ``MultiTaskResults``.
    """
    if isinstance(predictions, MultiTaskPredictions):
        return MultiTaskResults(tuple(measure_results(part, temperatures) for _, part in predictions.parts()))
    if isinstance(predictions, Estimates):
        return DimensionResults(predictions.labels, aggregate_dimensions(predictions), ccc_intervals(predictions))
    assert isinstance(predictions, Predictions)
    return Results(
        predictions.labels,
        aggregate(predictions),
        accuracy_intervals(predictions),
        reliability=measure_reliability(predictions.truth, predictions.probabilities),
        uncalibrated=_uncalibrated(predictions, temperatures) if temperatures else None,
    )


def accuracy_intervals(predictions: Predictions) -> Intervals:
    """Resamples utterances, or speakers with all their utterances; an utterance counts with its mean over the seeds."""
    first, numbers = predictions.distinct()
    right = np.bincount(numbers, predictions.predicted == predictions.truth) / np.bincount(numbers)
    found: Intervals = {}
    for name, groups in _groups_to_resample([predictions.rows[i] for i in first]).items():
        figures = bootstrap_figures(predictions.truth[first], right, resample_counts(groups))
        found[name] = {metric: interval(values) for metric, values in figures.items()}
    return found


def ccc_intervals(estimates: Estimates) -> Intervals:
    """Resamples utterances, or speakers with all their utterances; an utterance counts with its mean over the seeds."""
    first, numbers = estimates.distinct()
    sums = np.zeros((len(first), len(estimates.labels)))
    np.add.at(sums, numbers, estimates.outputs)
    means = sums / np.bincount(numbers)[:, None]
    found: Intervals = {}
    for name, groups in _groups_to_resample([estimates.rows[i] for i in first]).items():
        ccc = bootstrap_ccc(estimates.truth[first], means, resample_counts(groups))
        found[name] = {label: interval(ccc[:, i]) for i, label in enumerate(estimates.labels)}
        found[name][MEAN] = interval(ccc.mean(axis=1))
    return found


def _groups_to_resample(rows: Sequence[Mapping[str, str]]) -> dict[str, Sequence[object]]:
    groups: dict[str, Sequence[object]] = {"utterances": range(len(rows))}
    speakers = [(row["corpus"], row["speaker"]) for row in rows]
    if all(speaker for _, speaker in speakers) and len(set(speakers)) > 1:
        groups["speakers"] = speakers
    return groups


def _uncalibrated(predictions: Predictions, temperatures: Mapping[tuple[str, str], float]) -> Reliability:
    before = [
        change_temperature(row[None], 1 / temperatures.get((about["seed"], about["fold"]), 1.0))[0]
        for row, about in zip(predictions.probabilities, predictions.rows, strict=True)
    ]
    return measure_reliability(predictions.truth, np.stack(before))


def _uar(row: Row) -> str:
    if row.uar is None:
        return UNDEFINED
    return percent(row.uar.mean) + ("" if row.uar.sd is None else f" ± {percent(row.uar.sd)}")


def _ccc(value: Any) -> str:
    return f"{value.mean:.3f}" + ("" if value.sd is None else f" ± {value.sd:.3f}")
