"""Everything that a cross-validation writes: predictions, figures, tables, pictures, and ``report.html``.

The page is one file, without scripts and without parts from elsewhere; Jinja2 escapes whatever comes from corpora.
"""

import base64
import datetime
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np

from pathosnet.corpora.manifest import corpus_title
from pathosnet.evaluation.aggregation import MEAN, PAPER_METRICS
from pathosnet.evaluation.groups import GroupFigures, describe_differences, groups_table
from pathosnet.evaluation.plots import DPI, plot_confusions, plot_curves, plot_estimates, plot_reliability
from pathosnet.evaluation.predictions import Estimates, Predictions, PredictionTable
from pathosnet.evaluation.results import HEADER, DimensionResults, MultiTaskResults, Results, measure_results
from pathosnet.evaluation.tables import UNDEFINED, Table, percent
from pathosnet.features.profile import describe_adaptation
from pathosnet.files import write_json

NUM_MISTAKES = 20


@dataclass(frozen=True)
class CrossValidationReport:
    """A finished cross-validation, ready to be reported.

    Args:
        predictions: of all folds and seeds.
        guarantees: what each fold keeps apart, in words.
        leaks: how much of each test part its training part has seen, in words.
        histories: stage → for each fold and seed, for each epoch: figure → value.
        config: every option.
        versions: package → version.
        command: that made it.
        temperatures: seed and fold → the calibration temperature that its logits were divided by.
        groups: figures of groups of people.
        layer_weights: acoustic feature → for each fold and seed, the weight of each layer of its encoder.
    """

    predictions: PredictionTable
    guarantees: Sequence[str]
    leaks: Sequence[str]
    histories: Mapping[str, Sequence[Sequence[Mapping[str, float]]]]
    config: Mapping[str, Any]
    versions: Mapping[str, str]
    command: str = ""
    temperatures: Mapping[tuple[str, str], float] = field(default_factory=dict)
    layer_weights: Mapping[str, Sequence[Sequence[float]]] = field(default_factory=dict)
    groups: Sequence[GroupFigures] = ()


class Recording(NamedTuple):
    """A cell of a table that plays a recording."""

    audio: str
    """Its address, relative to the page."""


def write_evaluation(folder: Path, report: CrossValidationReport) -> Any:
    """Writes predictions, figures, tables, pictures and the page into an existing folder.

    Returns:
        What ``measure_results`` returns.
    """
    predictions = report.predictions
    results = measure_results(predictions, report.temperatures)
    predictions.write(folder / "predictions.csv")
    write_json(folder / "metrics.json", results.to_dict())
    for one in results.parts:
        table, precise = one.table(), one.precise_table()
        for suffix, text in (("md", table.markdown()), ("csv", precise.csv()), ("tex", table.latex())):
            (folder / f"{one.table_name}.{suffix}").write_text(text, encoding="utf-8")
    _draw(folder, report, results)
    page = _render(folder, report, results)
    (folder / "report.html").write_text(page, encoding="utf-8", errors="xmlcharrefreplace")  # odd names of files
    return results


AnyResults = Results | DimensionResults | MultiTaskResults


def _render(folder: Path, report: CrossValidationReport, results: AnyResults) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    predictions = report.predictions
    seeds = list(dict.fromkeys(predictions.column("seed")))
    today = datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    pairs = zip(report.guarantees, report.leaks, strict=True)
    folds = [(str(fold), guarantee, leak) for fold, (guarantee, leak) in enumerate(pairs)]
    shown: dict[str, Any] = {
        "title": f"Cross-validation: {', '.join(dict.fromkeys(predictions.column('corpus')))}",
        "subtitle": f"{len(folds)} folds, seed{'s'[: len(seeds) > 1]} {', '.join(seeds)}, written {today}",
        "report": report,
        "folds": Table(("fold", "kept apart", "leak"), folds, left=range(3)),
        "options": Table(("option", "value"), [(name, str(v)) for name, v in report.config.items()], left=range(2)),
        "png": lambda name: _png(folder / f"{name}.png"),
        "percent": percent,
        "layers": [_layer_table(*one) for one in report.layer_weights.items()],
        "first_seed": seeds[0],
        "embeddings": (folder / "embeddings.png").is_file(),
        "groups": groups_table(report.groups) if report.groups else None,
        "differences": describe_differences(report.groups),
        "adapted": describe_adaptation(str(report.config.get("normalize", "none"))),
    }
    shown |= {"emotions": None, "dimensions": None}
    for (_, part), of_part in zip(predictions.parts(), results.parts, strict=True):
        if isinstance(part, Predictions) and isinstance(of_part, Results):
            shown["emotions"] = _about_emotions(folder, part, of_part)
        elif isinstance(part, Estimates) and isinstance(of_part, DimensionResults):
            shown["dimensions"] = _about_dimensions(folder, part, of_part)
    loader = PackageLoader("pathosnet.evaluation", "templates")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    return environment.get_template("report.html").render(shown)


def _draw(folder: Path, report: CrossValidationReport, results: AnyResults) -> None:
    def paths(name: str) -> list[Path]:
        return [folder / f"{name}.png", folder / f"{name}.svg"]

    chance = None
    for (_, part), found in zip(report.predictions.parts(), results.parts, strict=True):
        if isinstance(found, Results):
            panels = {f"{row.name}\n{row.utterances} utterances": row.confusion for row in found.rows}
            plot_confusions(panels, found.labels, paths("confusion"))
            plot_reliability(found.reliability, paths("reliability"), found.uncalibrated)
            chance = 1 / len(found.labels)
        else:
            plot_estimates(part.truth, part.outputs, found.labels, *paths("estimates"))
    if report.histories:
        plot_curves(report.histories, paths("curves"), chance=chance)


def _about_emotions(folder: Path, predictions: Predictions, results: Results) -> dict[str, Any]:
    rows, labels = results.rows, results.labels
    over_seeds = [(row.name, *(percent(row.over_seeds[name]) for name in (*PAPER_METRICS, "uar"))) for row in rows]
    has_seeds = any(sd is not None for row in rows for sd in row.over_seeds.values())
    recalls = [(row.name, *(percent(row.recalls[label]) for label in labels)) for row in rows]
    speakers = {(row["corpus"], row["speaker"]) for row in predictions.rows}
    return {
        "results": results,
        "total": rows[-1],
        "counts": {"utterances": rows[-1].utterances, "speakers": len(speakers)},
        "chance": 1 / len(labels),
        "guessing_loss": np.log(len(labels)),
        "over_seeds": has_seeds and Table((HEADER[0], *HEADER[2:]), over_seeds, has_total=len(rows) > 1),
        "recalls": Table(("corpus", *labels), recalls, has_total=len(rows) > 1),
        "tested": _class_counts(predictions),
        "mistakes": _mistakes(folder, predictions),
    }


def _about_dimensions(folder: Path, estimates: Estimates, results: DimensionResults) -> dict[str, Any]:
    return {
        "results": results,
        "pooled": _pooled(results),
        "tested": _rating_ranges(estimates),
        "mistakes": _errors(folder, estimates),
    }


def _layer_table(feature: str, weights: Sequence[Sequence[float]]) -> Table:
    means, deviations = np.mean(weights, axis=0), np.std(weights, axis=0)
    cells = (f"{percent(mean)} ± {percent(deviation)}" for mean, deviation in zip(means, deviations, strict=True))
    return Table(("layer", *map(str, range(len(means)))), [(feature, *cells)])


def _class_counts(predictions: Predictions) -> Table:
    once = predictions.take(sorted(predictions.distinct()[0]))
    counts = [
        (corpus_title(*key), np.bincount(group.truth, minlength=len(once.labels)))
        for key, group in once.groups("corpus", "language").items()
    ]
    if len(counts) > 1:
        counts.append(("all", np.sum([of for _, of in counts], axis=0)))
    rows = [(name, *map(str, of), str(of.sum())) for name, of in counts]
    return Table(("corpus", *once.labels, "all"), rows, has_total=len(rows) > 1)


def _mistakes(folder: Path, predictions: Predictions) -> Table:
    labels, predicted = predictions.labels, predictions.predicted
    confidence = predictions.probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    wrong = _once_each(predictions, order[(predicted != predictions.truth)[order]])
    rows = [
        (
            *(predictions.rows[i]["text"] or UNDEFINED, labels[predictions.truth[i]], labels[predicted[i]]),
            *(percent(confidence[i]), *_where(folder, predictions, i)),
        )
        for i in wrong[:NUM_MISTAKES]
    ]
    return Table(("text", "true", "predicted", "%", "recording", "utterance"), rows, left=(0, 1, 2, 4, 5))


def _pooled(results: DimensionResults) -> Table:
    pooled = results.rows[-1].pooled
    rows = []
    pearsons = [value or 0.0 for value in pooled.pearson.values()]
    for name in (*results.labels, MEAN):
        ccc, pearson = (
            (pooled.mean_ccc, sum(pearsons) / len(pearsons))
            if name == MEAN
            else (pooled.ccc[name], pooled.pearson[name])
        )
        ends = ("{:.3f} to {:.3f}".format(*found[name]) for found in results.intervals.values())
        rmse = f"{pooled.rmse[name]:.3g}" if name != MEAN else ""
        rows.append((name, _decimals(ccc), *ends, _decimals(pearson), rmse))
    over = (f"95 % over {kind}" for kind in results.intervals)
    return Table(("all folds together", "CCC", *over, "Pearson", "RMSE"), rows, has_total=True)


def _rating_ranges(estimates: Estimates) -> Table:
    once = estimates.take(sorted(estimates.distinct()[0]))
    rows = []
    for key, group in once.groups("corpus", "language").items():
        lows, highs = group.truth.min(axis=0), group.truth.max(axis=0)
        columns = zip(group.truth.mean(axis=0), group.truth.std(axis=0), lows, highs, strict=True)
        shown = (f"{mean:.2f} ± {sd:.2f} ({low:.3g} to {high:.3g})" for mean, sd, low, high in columns)
        rows.append((corpus_title(*key), str(len(group)), *shown))
    return Table(("corpus", "utterances", *once.labels), rows)


def _errors(folder: Path, estimates: Estimates) -> Table:
    """Lists the utterances whose estimates are farthest off, in standard deviations of each dimension."""
    scale = np.maximum(estimates.truth.std(axis=0), 1e-12)
    distances = (np.abs(estimates.outputs - estimates.truth) / scale).mean(axis=1)
    rows = [
        (
            estimates.rows[i]["text"] or UNDEFINED,
            *(f"{true:.2f} → {ours:.2f}" for true, ours in zip(estimates.truth[i], estimates.outputs[i], strict=True)),
            *_where(folder, estimates, i),
        )
        for i in _once_each(estimates, np.argsort(-distances, kind="stable"))[:NUM_MISTAKES]
    ]
    names = ("text", *(f"{label}, true → estimated" for label in estimates.labels), "recording", "utterance")
    return Table(names, rows, left=(0, len(names) - 2, len(names) - 1))


def _once_each(predictions: PredictionTable, order: np.ndarray) -> list[int]:
    """Returns the first position of each utterance in an order; several seeds may have tested the same one."""
    numbers = predictions.distinct()[1]
    first: dict[int, int] = {}
    for i in order:
        first.setdefault(int(numbers[i]), int(i))
    return list(first.values())


def _where(folder: Path, predictions: PredictionTable, i: int) -> tuple[Recording | str, str]:
    row = predictions.rows[i]
    seed = f", seed {row['seed']}" if len(set(predictions.column("seed"))) > 1 else ""
    return _recording(folder, row["audio"]), f"{row['corpus']}, row {row['row']}, fold {row['fold']}{seed}"


def _recording(folder: Path, audio: str) -> Recording | str:
    """Returns a player for a recording that is still where it was."""
    if not audio or not Path(audio).is_file():
        return UNDEFINED
    try:
        return Recording(quote(Path(os.path.relpath(audio, folder.resolve())).as_posix()))
    except ValueError:  # on another drive
        return Recording(Path(audio).as_uri())


def _png(path: Path) -> dict[str, Any]:
    """Returns what the page needs of a picture; in CSS pixels, its texts are as large as meant."""
    content = path.read_bytes()
    width = int.from_bytes(content[16:20], "big") * 96 // DPI
    return {"base64": base64.b64encode(content).decode("ascii"), "width": width}


def _decimals(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:.3f}"
