"""The report of a cross-validation over emotions: ``report.html``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pathosnet.evaluation import page
from pathosnet.evaluation.aggregation import PAPER_METRICS
from pathosnet.evaluation.predictions import Predictions
from pathosnet.evaluation.tables import HEADER, percent, table_cells

if TYPE_CHECKING:
    from pathosnet.evaluation.results import Experiment, Results

NUM_MISTAKES = 20


def write_report(folder: Path, experiment: "Experiment", results: "Results") -> None:
    """Writes ``report.html`` into the folder that holds the pictures.

    Args:
        folder: of the run.
        experiment: what was run.
        results: its figures.
    """
    predictions = experiment.predictions
    assert isinstance(predictions, Predictions)
    sections = [
        page.section("Results", _results(predictions, results)),
        page.section("Recalls", _recalls(predictions, results)),
        page.section(
            "Confusions", page.picture(folder / "confusion.png", "Shares of the true class, averaged over the folds.")
        ),
        page.section("Corpora", _corpora(predictions.labels, experiment.counts)),
        page.folds(experiment),
        page.curves(folder, experiment),
        page.section(
            "How far probabilities can be trusted",
            page.picture(folder / "reliability.png", "Above the line: more often right than the model thinks."),
        ),
        page.section("Most confident mistakes", _mistakes(folder, predictions)),
        page.what_was_run(experiment),
    ]
    page.write_page(folder, experiment, sections)


def _results(predictions: Predictions, results: "Results") -> str:
    shown = page.table(
        HEADER, table_cells(results.rows), numbers=range(1, len(HEADER)), last_is_sum=len(results.rows) > 1
    )
    said = [
        "Per cent. Accuracy to AUC as in the paper: weighted by class support, folds averaged with their number of "
        "samples per class. UAR: mean over folds (and seeds) ± its standard deviation. – : fewer than two classes."
    ]
    everything = results.rows[-1]
    numbers = {
        "utterances": everything.utterances,
        "speakers": len({(row["corpus"], row["speaker"]) for row in predictions.rows}),
    }
    pooled = f"accuracy {percent(everything.figures['accuracy'])}, UAR {percent(everything.pooled_uar)}"
    said.append(f"All folds together: {pooled}; the intervals are theirs.")
    for name, found in results.intervals.items():
        low, high = (tuple(map(percent, found[metric])) for metric in ("accuracy", "uar"))
        said.append(
            f"95 % bootstrap interval over {numbers[name]} {name}: accuracy {low[0]} to {low[1]}, UAR {high[0]} to "
            f"{high[1]}."
        )
    error = f"Expected calibration error: {percent(results.reliability.expected_calibration_error)} %"
    if results.uncalibrated is not None:
        error += f" (before temperature scaling: {percent(results.uncalibrated.expected_calibration_error)} %)"
    said.append(f"{error}.")
    return shown + "".join(f"<p class=soft>{page.text(line)}</p>" for line in said) + _over_seeds(results)


def _over_seeds(results: "Results") -> str:
    if all(sd is None for row in results.rows for sd in row.over_seeds.values()):
        return ""
    cells = [(row.name, *(percent(row.over_seeds[name]) for name in (*PAPER_METRICS, "uar"))) for row in results.rows]
    table = page.table((HEADER[0], *HEADER[2:]), cells, numbers=range(1, 7), last_is_sum=len(cells) > 1)
    return f"<details open><summary>Standard deviations over the seeds</summary>{table}</details>"


def _recalls(predictions: Predictions, results: "Results") -> str:
    cells = [(row.name, *(percent(row.recalls[label]) for label in predictions.labels)) for row in results.rows]
    header = ("corpus", *predictions.labels)
    return page.table(header, cells, numbers=range(1, len(header)), last_is_sum=len(cells) > 1)


def _corpora(labels: Sequence[str], counts: Any) -> str:
    cells = [
        (name, *(str(of[label]) for label in labels), str(sum(of[label] for label in labels)))
        for name, of in counts.items()
    ]
    if len(cells) > 1:
        sums = [sum(int(row[i]) for row in cells) for i in range(1, len(labels) + 2)]
        cells.append(("all", *map(str, sums)))
    header = ("corpus", *labels, "all")
    return page.table(header, cells, numbers=range(1, len(header)), last_is_sum=len(cells) > 1)


def _mistakes(folder: Path, predictions: Predictions) -> str:
    predicted = predictions.predicted
    mistakes = [i for i in range(len(predictions)) if predicted[i] != predictions.truth[i]]
    mistakes.sort(key=lambda i: -predictions.probabilities[i, predicted[i]])
    once: dict[tuple[str, str], int] = {}  # several seeds may be wrong about the same utterance
    for i in mistakes:
        once.setdefault((predictions.rows[i]["manifest"], predictions.rows[i]["row"]), i)
    wrong = list(once.values())
    several_seeds = len(set(predictions.column("seed"))) > 1
    if not wrong:
        return "<p>There are none.</p>"
    lines = []
    for i in wrong[:NUM_MISTAKES]:
        row = predictions.rows[i]
        where = f"{row['corpus']}, row {row['row']}, fold {row['fold']}"
        where += f", seed {row['seed']}" if several_seeds else ""
        cells = (
            f"<td class=text>{page.text(row['text'] or '–')}</td>",
            f"<td>{page.text(predictions.labels[predictions.truth[i]])}</td>",
            f"<td>{page.text(predictions.labels[predicted[i]])}</td>",
            f"<td class=number>{percent(predictions.probabilities[i, predicted[i]])}</td>",
            f"<td>{page.player(folder, row['audio'])}</td>",
            f"<td class=soft>{page.text(where)}</td>",
        )
        lines.append(f"<tr>{''.join(cells)}</tr>")
    head = "".join(f"<th>{name}</th>" for name in ("text", "true", "predicted", "%", "recording", "utterance"))
    return f"<div class=wide><table><tr>{head}</tr>{''.join(lines)}</table></div>"
