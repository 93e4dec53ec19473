"""The frame and the parts of ``report.html``: one page, without scripts and without parts from elsewhere."""

import base64
import datetime
import html
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from pathosnet.evaluation.plots import DPI

if TYPE_CHECKING:
    from pathosnet.evaluation.results import Experiment

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


def write_page(folder: Path, experiment: "Experiment", sections: Iterable[str]) -> None:
    """Writes ``report.html`` into an existing folder."""
    predictions = experiment.predictions
    seeds = list(dict.fromkeys(predictions.column("seed")))
    title = f"Cross-validation: {', '.join(dict.fromkeys(predictions.column('corpus')))}"
    today = datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    about = f"{len(experiment.guarantees)} folds, seed{'s'[: len(seeds) > 1]} {', '.join(seeds)}, written {today}"
    page = (
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{STYLE}</style></head>\n<body>\n"
        f"<h1>{text(title)}</h1><p class=soft>{text(about)}</p>\n" + "\n".join(sections) + "\n</body></html>\n"
    )
    (folder / "report.html").write_text(page, encoding="utf-8", errors="xmlcharrefreplace")  # odd names of files


def folds(experiment: "Experiment") -> str:
    """Says what each fold keeps apart, and what it does not."""
    cells = [
        (str(k), guarantee, leak)
        for k, (guarantee, leak) in enumerate(zip(experiment.guarantees, experiment.leaks, strict=True))
    ]
    return section("Folds and leaks", table(("fold", "what it keeps apart", "leak"), cells))


def curves(folder: Path, experiment: "Experiment") -> str:
    """Shows the learning curves, if there are any."""
    if not experiment.histories:
        return ""
    return section("Learning curves", picture(folder / "curves.png", "Faint: a fold. Bold: their mean."))


def player(folder: Path, audio: str) -> str:
    """Plays a recording from where it is, if it still is there."""
    if not audio or not Path(audio).is_file():
        return "–"
    try:
        address = quote(Path(os.path.relpath(audio, folder.resolve())).as_posix())
    except ValueError:  # on another drive
        address = Path(audio).as_uri()
    return f'<audio controls preload=none src="{html.escape(address)}"></audio>'


def what_was_run(experiment: "Experiment") -> str:
    """Shows command, versions and options."""
    options = table(("option", "value"), [(name, str(value)) for name, value in experiment.config.items()])
    versions = ", ".join(f"{name} {version}" for name, version in experiment.versions.items())
    command = f"<pre>{text(experiment.command)}</pre>" if experiment.command else ""
    every = f"<details><summary>Every option</summary>{options}</details>"
    return section("What was run", f"{command}<p class=soft>{text(versions)}</p>{every}")


def section(title: str, content: str) -> str:
    """Puts a headline above HTML."""
    return f"<section><h2>{text(title)}</h2>{content}</section>"


def picture(path: Path, caption: str) -> str:
    """Puts a PNG into the page."""
    content = path.read_bytes()
    width = int.from_bytes(content[16:20], "big") * 96 // DPI  # in CSS' pixels: text in it is then as large as meant
    data = base64.b64encode(content).decode("ascii")
    return (
        f'<figure><img alt="{text(caption)}" width={width} src="data:image/png;base64,{data}">'
        f"<figcaption>{text(caption)}</figcaption></figure>"
    )


def table(
    header: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int] = (), last_is_sum: bool = False
) -> str:
    """Makes a table of texts; ``numbers`` are the columns that are aligned to the right."""
    numeric = set(numbers)
    rows = list(rows)

    def line(cells: Sequence[str], tag: str, is_sum: bool = False) -> str:
        inside = "".join(
            f"<{tag}{' class=number' if i in numeric else ''}>{text(cell)}</{tag}>" for i, cell in enumerate(cells)
        )
        return f"<tr{' class=sum' if is_sum else ''}>{inside}</tr>"

    body = (line(row, "td", last_is_sum and i == len(rows) - 1) for i, row in enumerate(rows))
    return f"<div class=wide><table>{line(header, 'th')}{''.join(body)}</table></div>"


def text(value: str) -> str:
    """Makes HTML of a text."""
    return html.escape(value)
