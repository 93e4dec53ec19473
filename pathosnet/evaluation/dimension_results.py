"""Everything that a cross-validation writes about its estimates of numbers, such as valence."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean

import numpy as np

from pathosnet.corpora.manifest import corpus_title
from pathosnet.evaluation import page
from pathosnet.evaluation.aggregation import CUMULATIVE, Spread
from pathosnet.evaluation.bootstrap import bootstrap_ccc, interval, resample_counts
from pathosnet.evaluation.concordance import DimensionMetrics
from pathosnet.evaluation.figures import plot_curves
from pathosnet.evaluation.plots import plot_estimates
from pathosnet.evaluation.predictions import Estimates
from pathosnet.evaluation.results import Experiment, distinct_utterances, pictures, what_to_draw
from pathosnet.evaluation.tables import UNDEFINED, latex_table, markdown_table, text_table
from pathosnet.files import write_json

NUM_ERRORS = 20
MEAN = "mean"
Interval = tuple[float, float]


@dataclass(frozen=True)
class DimensionRow:
    """What is reported of a group of test utterances."""

    name: str
    utterances: int
    """Of one seed."""
    ccc: dict[str, Spread]
    """Dimension, and ``mean`` of all → concordance correlation over folds and seeds, each counting alike; an
    undefined coefficient counts as 0."""
    pooled: DimensionMetrics
    """Of all folds' (and seeds') estimates together."""


def aggregate_dimensions(estimates: Estimates) -> list[DimensionRow]:
    """Computes a row for each corpus and language, and for all of them.

    Args:
        estimates: of all folds and seeds.
    """
    groups = estimates.groups("corpus", "language")
    rows = [_row(corpus_title(*key), group) for key, group in groups.items()]
    return rows + ([_row(CUMULATIVE, estimates)] if len(groups) > 1 else [])


def _row(name: str, estimates: Estimates) -> DimensionRow:
    folds = [fold.measure() for fold in estimates.groups("seed", "fold").values()]
    ccc = {label: Spread.of([fold.ccc[label] or 0.0 for fold in folds]) for label in estimates.labels}
    ccc[MEAN] = Spread.of([fold.mean_ccc for fold in folds])
    return DimensionRow(name, len(distinct_utterances(estimates)[0]), ccc, estimates.measure())


def write_dimension_evaluation(folder: Path, experiment: Experiment) -> list[DimensionRow]:
    """Writes estimates, metrics, tables, figures and the report into an existing folder."""
    estimates = experiment.predictions
    assert isinstance(estimates, Estimates)
    rows, intervals = aggregate_dimensions(estimates), ccc_intervals(estimates)
    estimates.write(folder / "predictions.csv")
    write_json(
        folder / "metrics.json",
        {"rows": [asdict(row) for row in rows], "intervals": intervals, "dimensions": estimates.labels},
    )
    header, cells = _cells(rows)
    (folder / "table.md").write_text(markdown_table(header, cells), encoding="utf-8")
    (folder / "table.tex").write_text(latex_table(header, cells), encoding="utf-8")
    _write_csv(folder / "table.csv", rows)
    plot_estimates(estimates.truth, estimates.outputs, estimates.labels, *pictures(folder, "estimates"))
    if experiment.histories:
        plot_curves(experiment.histories, pictures(folder, "curves"))
    _write_report(folder, experiment, estimates, rows, intervals)
    return rows


def to_text(rows: Sequence[DimensionRow]) -> str:
    """Makes a table for a terminal."""
    return text_table(*_cells(rows))


def ccc_intervals(estimates: Estimates) -> dict[str, dict[str, Interval]]:
    """Resamples utterances, or speakers with all that they say; an utterance counts with its mean over the seeds.

    Returns:
        What is drawn (``utterances``, ``speakers``) → dimension, and ``mean`` of all → 95 % interval of the concordance
        correlation of all folds together.
    """
    first, numbers = distinct_utterances(estimates)
    sums = np.zeros((len(first), len(estimates.labels)))
    np.add.at(sums, numbers, estimates.outputs)
    means = sums / np.bincount(numbers)[:, None]
    truth, rows = estimates.truth[first], [estimates.rows[i] for i in first]
    found: dict[str, dict[str, Interval]] = {}
    for name, drawn in what_to_draw(rows).items():
        ccc = bootstrap_ccc(truth, means, resample_counts(drawn))
        found[name] = {label: interval(ccc[:, i]) for i, label in enumerate(estimates.labels)}
        found[name][MEAN] = interval(ccc.mean(axis=1))
    return found


def _cells(rows: Sequence[DimensionRow]) -> tuple[Sequence[str], list[Sequence[str]]]:
    header = ("corpus", "utterances", *(f"CCC {name}" for name in rows[0].ccc))
    return header, [(row.name, str(row.utterances), *map(_spread, row.ccc.values())) for row in rows]


def _spread(value: Spread) -> str:
    return f"{value.mean:.3f}" + ("" if value.sd is None else f" ± {value.sd:.3f}")


def _write_csv(path: Path, rows: Sequence[DimensionRow]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("corpus", "utterances", "dimension", "ccc", "ccc_sd", "pooled_ccc", "pooled_pearson", "rmse"))
        for row in rows:
            pooled = row.pooled
            for name, rmse in pooled.rmse.items():
                of = row.ccc[name]
                values = (of.mean, of.sd, pooled.ccc[name], pooled.pearson[name], rmse)
                shown = ("" if value is None else f"{value:.6f}" for value in values)
                writer.writerow((row.name, row.utterances, name, *shown))


def _write_report(
    folder: Path,
    experiment: Experiment,
    estimates: Estimates,
    rows: Sequence[DimensionRow],
    intervals: Mapping[str, Mapping[str, Interval]],
) -> None:
    sections = [
        page.section("Results", _results(rows, intervals)),
        page.section(
            "Estimates over the truth",
            page.picture(folder / "estimates.png", "Of all folds; the dashed line is right."),
        ),
        page.section("Corpora", _corpora(estimates)),
        page.folds(experiment),
        page.curves(folder, experiment),
        page.section("Largest errors", _errors(folder, estimates)),
        page.what_was_run(experiment),
    ]
    page.write_page(folder, experiment, sections)


def _results(rows: Sequence[DimensionRow], intervals: Mapping[str, Mapping[str, Interval]]) -> str:
    header, cells = _cells(rows)
    shown = page.table(header, cells, numbers=range(1, len(header)), last_is_sum=len(rows) > 1)
    said = (
        "CCC: concordance correlation coefficient (Lin, 1989), 1 at best, 0 for a constant; mean over folds (and "
        "seeds) ± its standard deviation."
    )
    pooled = rows[-1].pooled
    drawn = list(intervals)
    lines = []
    for name, rmse in pooled.rmse.items():
        ends = ("{:.3f} to {:.3f}".format(*intervals[kind][name]) for kind in drawn)
        lines.append((name, _shown(pooled.ccc[name]), *ends, _shown(pooled.pearson[name]), f"{rmse:.3g}"))
    ends = ("{:.3f} to {:.3f}".format(*intervals[kind][MEAN]) for kind in drawn)
    lines.append((MEAN, f"{pooled.mean_ccc:.3f}", *ends, _shown(mean(v or 0.0 for v in pooled.pearson.values())), ""))
    head = ("all folds together", "CCC", *(f"95 % over {kind}" for kind in drawn), "Pearson", "RMSE")
    together = page.table(head, lines, numbers=range(1, len(head)), last_is_sum=True)
    return f"{shown}<p class=soft>{page.text(said)}</p>{together}"


def _shown(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:.3f}"


def _corpora(estimates: Estimates) -> str:
    once = estimates.take(distinct_utterances(estimates)[0].tolist())
    cells = []
    for key, group in once.groups("corpus", "language").items():
        lows, highs = group.truth.min(axis=0), group.truth.max(axis=0)
        spread = zip(group.truth.mean(axis=0), group.truth.std(axis=0), lows, highs, strict=True)
        shown = (f"{m:.2f} ± {sd:.2f} ({low:g} to {high:g})" for m, sd, low, high in spread)
        cells.append((corpus_title(*key), str(len(group)), *shown))
    header = ("corpus", "utterances", *once.labels)
    return page.table(header, cells, numbers=range(1, len(header)))


def _errors(folder: Path, estimates: Estimates) -> str:
    """Shows the utterances whose estimates are farthest off, in standard deviations of each dimension."""
    scale = np.maximum(estimates.truth.std(axis=0), 1e-12)
    distances = (np.abs(estimates.outputs - estimates.truth) / scale).mean(axis=1)
    _, numbers = distinct_utterances(estimates)
    worst: dict[int, int] = {}  # several seeds may be wrong about the same utterance
    for i in np.argsort(-distances, kind="stable"):
        worst.setdefault(int(numbers[i]), int(i))
    lines = []
    for i in list(worst.values())[:NUM_ERRORS]:
        row = estimates.rows[i]
        pairs = (
            f"<td class=number>{truth:.2f} → {estimate:.2f}</td>"
            for truth, estimate in zip(estimates.truth[i], estimates.outputs[i], strict=True)
        )
        where = page.text(f"{row['corpus']}, row {row['row']}, fold {row['fold']}")
        said = page.text(row["text"] or UNDEFINED)
        played = page.player(folder, row["audio"])
        cells = f"<td class=text>{said}</td>{''.join(pairs)}<td>{played}</td><td class=soft>{where}</td>"
        lines.append(f"<tr>{cells}</tr>")
    names = ("text", *(f"{label}, true → estimated" for label in estimates.labels), "recording", "utterance")
    head = "".join(f"<th>{page.text(name)}</th>" for name in names)
    return f"<div class=wide><table><tr>{head}</tr>{''.join(lines)}</table></div>"
