"""One page that shows a whole cross-validation: ``report.html``, without scripts and without parts from elsewhere."""

import base64
import datetime
import html
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pathosnet.evaluation.aggregation import PAPER_METRICS
from pathosnet.evaluation.plots import DPI
from pathosnet.evaluation.tables import HEADER, percent, table_cells

if TYPE_CHECKING:
    from pathosnet.evaluation.predictions import Predictions
    from pathosnet.evaluation.results import Experiment, Results

NUM_MISTAKES = 20
STYLE = """
:root { --ink: #1f2933; --soft: #616e7c; --line: #d9e2ec; --wash: #f5f7fa; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: white; overflow-wrap: break-word; }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
p.soft, td.soft, figcaption { color: var(--soft); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .6rem 0; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { font-weight: 600; border-bottom: 2px solid var(--line); }
td.number, th.number { text-align: right; } td.number { white-space: nowrap; }
tr.sum td { font-weight: 600; }
div.wide { overflow-x: auto; } td.text { overflow-wrap: anywhere; min-width: 12rem; }
figure { margin: .6rem 0; } img { max-width: 100%; height: auto; }
pre, code { background: var(--wash); font-size: .85rem; } pre { padding: .6rem .8rem; overflow-x: auto; }
pre { white-space: pre-wrap; } details summary { cursor: pointer; } audio { height: 1.8rem; width: 12rem; }
@media print {
  body { margin: 0; max-width: none; } h2 { break-after: avoid; } figure, tr { break-inside: avoid; }
  audio { display: none; }
}
"""


def write_report(folder: Path, experiment: "Experiment", results: "Results") -> None:
    """Writes ``report.html`` into the folder that holds the pictures.

    Args:
        folder: of the run.
        experiment: what was run.
        results: its figures.
    """
    predictions = experiment.predictions
    seeds = list(dict.fromkeys(predictions.column("seed")))
    title = f"Cross-validation: {', '.join(dict.fromkeys(predictions.column('corpus')))}"
    today = datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    about = f"{len(experiment.guarantees)} folds, seed{'s'[: len(seeds) > 1]} {', '.join(seeds)}, written {today}"
    sections = [
        f"<h1>{_text(title)}</h1><p class=soft>{_text(about)}</p>",
        _section("Results", _results(predictions, results)),
        _section("Recalls", _recalls(predictions, results)),
        _section(
            "Confusions", _picture(folder / "confusion.png", "Shares of the true class, averaged over the folds.")
        ),
        _section("Corpora", _corpora(predictions.labels, experiment.counts)),
        _section("Folds and leaks", _folds(experiment)),
        _section("Learning curves", _picture(folder / "curves.png", "Faint: a fold. Bold: their mean."))
        if experiment.histories
        else "",
        _section(
            "How far probabilities can be trusted",
            _picture(folder / "reliability.png", "Above the line: more often right than the model thinks."),
        ),
        _section("Most confident mistakes", _mistakes(folder, predictions)),
        _section("What was run", _configuration(experiment)),
    ]
    page = (
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(sections)
        + "\n</body></html>\n"
    )
    (folder / "report.html").write_text(page, encoding="utf-8", errors="xmlcharrefreplace")  # odd names of files


def _results(predictions: "Predictions", results: "Results") -> str:
    table = _table(HEADER, table_cells(results.rows), numbers=range(1, len(HEADER)), last_is_sum=len(results.rows) > 1)
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
    return table + "".join(f"<p class=soft>{_text(line)}</p>" for line in said) + _over_seeds(results)


def _over_seeds(results: "Results") -> str:
    if all(sd is None for row in results.rows for sd in row.over_seeds.values()):
        return ""
    cells = [(row.name, *(percent(row.over_seeds[name]) for name in (*PAPER_METRICS, "uar"))) for row in results.rows]
    table = _table((HEADER[0], *HEADER[2:]), cells, numbers=range(1, 7), last_is_sum=len(cells) > 1)
    return f"<details open><summary>Standard deviations over the seeds</summary>{table}</details>"


def _recalls(predictions: "Predictions", results: "Results") -> str:
    cells = [(row.name, *(percent(row.recalls[label]) for label in predictions.labels)) for row in results.rows]
    header = ("corpus", *predictions.labels)
    return _table(header, cells, numbers=range(1, len(header)), last_is_sum=len(cells) > 1)


def _corpora(labels: Sequence[str], counts: Any) -> str:
    cells = [
        (name, *(str(of[label]) for label in labels), str(sum(of[label] for label in labels)))
        for name, of in counts.items()
    ]
    if len(cells) > 1:
        sums = [sum(int(row[i]) for row in cells) for i in range(1, len(labels) + 2)]
        cells.append(("all", *map(str, sums)))
    header = ("corpus", *labels, "all")
    return _table(header, cells, numbers=range(1, len(header)), last_is_sum=len(cells) > 1)


def _folds(experiment: "Experiment") -> str:
    cells = [
        (str(k), guarantee, leak)
        for k, (guarantee, leak) in enumerate(zip(experiment.guarantees, experiment.leaks, strict=True))
    ]
    return _table(("fold", "what it keeps apart", "leak"), cells)


def _mistakes(folder: Path, predictions: "Predictions") -> str:
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
            f"<td class=text>{_text(row['text'] or '–')}</td>",
            f"<td>{_text(predictions.labels[predictions.truth[i]])}</td>",
            f"<td>{_text(predictions.labels[predicted[i]])}</td>",
            f"<td class=number>{percent(predictions.probabilities[i, predicted[i]])}</td>",
            f"<td>{_player(folder, row['audio'])}</td>",
            f"<td class=soft>{_text(where)}</td>",
        )
        lines.append(f"<tr>{''.join(cells)}</tr>")
    head = "".join(f"<th>{name}</th>" for name in ("text", "true", "predicted", "%", "recording", "utterance"))
    return f"<div class=wide><table><tr>{head}</tr>{''.join(lines)}</table></div>"


def _player(folder: Path, audio: str) -> str:
    if not audio or not Path(audio).is_file():
        return "–"
    try:
        address = quote(Path(os.path.relpath(audio, folder.resolve())).as_posix())
    except ValueError:  # on another drive
        address = Path(audio).as_uri()
    return f'<audio controls preload=none src="{html.escape(address)}"></audio>'


def _configuration(experiment: "Experiment") -> str:
    options = _table(("option", "value"), [(name, str(value)) for name, value in experiment.config.items()])
    versions = ", ".join(f"{name} {version}" for name, version in experiment.versions.items())
    command = f"<pre>{_text(experiment.command)}</pre>" if experiment.command else ""
    return f"{command}<p class=soft>{_text(versions)}</p><details><summary>Every option</summary>{options}</details>"


def _section(title: str, content: str) -> str:
    return f"<section><h2>{_text(title)}</h2>{content}</section>"


def _picture(path: Path, caption: str) -> str:
    content = path.read_bytes()
    width = int.from_bytes(content[16:20], "big") * 96 // DPI  # in CSS' pixels: text in it is then as large as meant
    data = base64.b64encode(content).decode("ascii")
    return (
        f'<figure><img alt="{_text(caption)}" width={width} src="data:image/png;base64,{data}">'
        f"<figcaption>{_text(caption)}</figcaption></figure>"
    )


def _table(
    header: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int] = (), last_is_sum: bool = False
) -> str:
    numeric = set(numbers)
    rows = list(rows)

    def line(cells: Sequence[str], tag: str, is_sum: bool = False) -> str:
        inside = "".join(
            f"<{tag}{' class=number' if i in numeric else ''}>{_text(cell)}</{tag}>" for i, cell in enumerate(cells)
        )
        return f"<tr{' class=sum' if is_sum else ''}>{inside}</tr>"

    body = (line(row, "td", last_is_sum and i == len(rows) - 1) for i, row in enumerate(rows))
    return f"<div class=wide><table>{line(header, 'th')}{''.join(body)}</table></div>"


def _text(value: str) -> str:
    return html.escape(value)
