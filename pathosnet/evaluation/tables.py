"""The paper's Table 2 as Markdown, CSV and LaTeX."""

import csv
import io
from collections.abc import Sequence

from pathosnet.evaluation.aggregation import PAPER_METRICS, Row

HEADER = ("corpus", "utterances", "Acc.", "Prec.", "Rec.", "F1", "AUC", "UAR")
UNDEFINED = "–"
Cells = Sequence[str]
_TEX_SPECIAL = {c: f"\\{c}" for c in "&%$#_{}"} | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_TEX_SPECIAL["\\"] = r"\textbackslash{}"


def percent(value: float | None) -> str:
    """Shows a share as the paper does, in per cent with one decimal.

    >>> percent(0.7704), percent(None)
    ('77.0', '–')
    """
    return UNDEFINED if value is None else f"{100 * value:.1f}"


def table_cells(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Returns the cells beneath HEADER; the UAR comes with its standard deviation over folds."""
    return [
        (
            row.name,
            str(row.utterances),
            *(percent(row.figures[metric]) for metric in PAPER_METRICS),
            UNDEFINED if row.uar is None else percent(row.uar.mean) + _spread(row.uar.sd),
        )
        for row in rows
    ]


def to_markdown(rows: Sequence[Row]) -> str:
    """Makes a Markdown table."""
    return markdown_table(HEADER, table_cells(rows))


def markdown_table(header: Cells, rows: Sequence[Cells]) -> str:
    """Makes a Markdown table of texts; all columns but the first hold numbers."""
    lines = [header, ("---", *("---:" for _ in header[1:])), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def to_csv(rows: Sequence[Row]) -> str:
    """Makes CSV with full precision, an empty cell where a figure is not defined."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    over_seeds = (*PAPER_METRICS, "uar")
    sds = (f"{metric}_sd_over_seeds" for metric in over_seeds)
    writer.writerow(("corpus", "utterances", *PAPER_METRICS, "uar", "uar_sd", "pooled_uar", *sds))
    for row in rows:
        spread = (None, None) if row.uar is None else (row.uar.mean, row.uar.sd)
        figures = (*(row.figures[metric] for metric in PAPER_METRICS), *spread, row.pooled_uar)
        values = (*figures, *(row.over_seeds[metric] for metric in over_seeds))
        writer.writerow((row.name, row.utterances, *("" if value is None else f"{value:.6f}" for value in values)))
    return text.getvalue()


def to_latex(rows: Sequence[Row]) -> str:
    """Makes a LaTeX tabular that needs no package."""
    return latex_table(HEADER, table_cells(rows))


def latex_table(header: Cells, rows: Sequence[Cells]) -> str:
    """Makes a LaTeX tabular of texts; all columns but the first hold numbers."""
    lines = [" & ".join(_escaped(cell) for cell in header) + r" \\ \hline"]
    lines += [" & ".join(_escaped(cell) for cell in cells) + r" \\" for cells in rows]
    body = "\n".join(lines)
    return f"\\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}\n\\hline\n{body}\n\\hline\n\\end{{tabular}}\n"


def to_text(rows: Sequence[Row]) -> str:
    """Makes a table for a terminal."""
    return text_table(HEADER, table_cells(rows))


def text_table(header: Cells, rows: Sequence[Cells]) -> str:
    """Makes a table of texts for a terminal; all columns but the first hold numbers."""
    lines = [header, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True))])
        for line in lines
    )


def _spread(sd: float | None) -> str:
    return "" if sd is None else f" ± {percent(sd)}"


def _escaped(cell: str) -> str:
    text = "".join(_TEX_SPECIAL.get(c, c) for c in cell)
    return text.replace("±", r"$\pm$").replace("–", "--")
