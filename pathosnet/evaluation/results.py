"""Everything that a cross-validation writes about its predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pathosnet.evaluation.aggregation import Row, aggregate
from pathosnet.evaluation.bootstrap import bootstrap_figures, interval, resample_counts
from pathosnet.evaluation.calibration import Reliability, change_temperature, measure_reliability
from pathosnet.evaluation.figures import plot_confusions, plot_curves, plot_reliability
from pathosnet.evaluation.predictions import Estimates, Predictions
from pathosnet.evaluation.report import write_report
from pathosnet.evaluation.tables import to_csv, to_latex, to_markdown
from pathosnet.files import write_json


@dataclass(frozen=True)
class Experiment:
    """What was run, as the report shows it.

    Args:
        predictions: of all folds and seeds.
        counts: corpus and language → emotion → number of utterances.
        guarantees: what each fold keeps apart, in words.
        leaks: how much of each test part its training part has seen, in words.
        histories: stage → for each fold and seed, for each epoch: figure → value.
        config: every option.
        versions: package → version.
        command: that made it.
        temperatures: seed and fold → the calibration temperature that its predictions were divided by.
    """

    predictions: Predictions | Estimates
    counts: Mapping[str, Mapping[str, int]]
    guarantees: Sequence[str]
    leaks: Sequence[str]
    histories: Mapping[str, Sequence[Sequence[Mapping[str, float]]]]
    config: Mapping[str, Any]
    versions: Mapping[str, str]
    command: str = ""
    temperatures: Mapping[tuple[str, str], float] = field(default_factory=dict)


@dataclass(frozen=True)
class Results:
    """Figures of a cross-validation."""

    rows: list[Row]
    """By corpus and language, and cumulative."""
    intervals: dict[str, dict[str, tuple[float, float]]]
    """What is drawn again (``utterances``, ``speakers``) → ``accuracy``, ``uar`` (of all folds together) → 95 %
    interval. The speakers' is there only if all are known and there are several; it is the honest one for other
    people's voices."""
    reliability: Reliability
    uncalibrated: Reliability | None = None
    """Before the temperatures; None if there were none."""


def measure_results(predictions: Predictions, temperatures: Mapping[tuple[str, str], float] | None = None) -> Results:
    """Computes all figures of a cross-validation's predictions.

    Args:
        predictions: of all folds and seeds.
        temperatures: see Experiment.
    """
    reliability = measure_reliability(predictions.truth, predictions.probabilities)
    uncalibrated = None
    if temperatures:
        before = [
            change_temperature(row[None], 1 / temperatures.get((about["seed"], about["fold"]), 1.0))[0]
            for row, about in zip(predictions.probabilities, predictions.rows, strict=True)
        ]
        uncalibrated = measure_reliability(predictions.truth, np.stack(before))
    return Results(aggregate(predictions), _intervals(predictions), reliability, uncalibrated)


def write_evaluation(folder: Path, experiment: Experiment) -> Results:
    """Writes predictions of emotions, metrics, tables, figures and the report into an existing folder."""
    predictions = experiment.predictions
    assert isinstance(predictions, Predictions)
    results = measure_results(predictions, experiment.temperatures)
    predictions.write(folder / "predictions.csv")
    write_json(
        folder / "metrics.json",
        {
            "rows": [asdict(row) for row in results.rows],
            "intervals": results.intervals,
            "expected_calibration_error": results.reliability.expected_calibration_error,
            "expected_calibration_error_before": results.uncalibrated
            and results.uncalibrated.expected_calibration_error,
            "labels": predictions.labels,
        },
    )
    for suffix, write in (("md", to_markdown), ("csv", to_csv), ("tex", to_latex)):
        (folder / f"table2.{suffix}").write_text(write(results.rows), encoding="utf-8")
    plot_confusions(results.rows, predictions.labels, pictures(folder, "confusion"))
    if experiment.histories:
        plot_curves(experiment.histories, pictures(folder, "curves"))
    plot_reliability(results.reliability, pictures(folder, "reliability"), results.uncalibrated)
    write_report(folder, experiment, results)
    return results


def pictures(folder: Path, name: str) -> list[Path]:
    """Returns the files that a figure is written to."""
    return [folder / f"{name}.png", folder / f"{name}.svg"]


def _intervals(predictions: Predictions) -> dict[str, dict[str, tuple[float, float]]]:
    """Resamples utterances, or speakers with all that they say; an utterance counts with its mean over the seeds."""
    first, numbers = distinct_utterances(predictions)
    right = np.bincount(numbers, predictions.predicted == predictions.truth) / np.bincount(numbers)
    truth, rows = predictions.truth[first], [predictions.rows[i] for i in first]
    groups = what_to_draw(rows)
    return {
        name: {
            metric: interval(values)
            for metric, values in bootstrap_figures(truth, right, resample_counts(drawn)).items()
        }
        for name, drawn in groups.items()
    }


def distinct_utterances(table: Predictions | Estimates) -> tuple[np.ndarray, np.ndarray]:
    """Finds the first row of each utterance, which several seeds may have tested, and each row's utterance."""
    keys = np.array([f"{row['row']} {row['manifest']}" for row in table.rows])
    _, first, numbers = np.unique(keys, return_index=True, return_inverse=True)
    return first, numbers


def what_to_draw(rows: Sequence[Mapping[str, str]]) -> dict[str, Sequence[object]]:
    """Returns what bootstrap samples are drawn of: utterances and, if all are known and several, speakers."""
    groups: dict[str, Sequence[object]] = {"utterances": range(len(rows))}
    speakers = [(row["corpus"], row["speaker"]) for row in rows]
    if all(speaker for _, speaker in speakers) and len(set(speakers)) > 1:
        groups["speakers"] = speakers
    return groups
