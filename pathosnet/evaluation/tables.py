"""One table of texts, written as Markdown, LaTeX, CSV, or for a terminal; the report's template writes it as HTML."""

import csv
import io
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

UNDEFINED = "–"
_TEX_SPECIAL = {c: f"\\{c}" for c in "&%$#_{}"} | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_TEX_SPECIAL |= {"\\": r"\textbackslash{}", "±": r"$\pm$", "–": "--"}


def percent(value: float | None) -> str:
    """Formats a share as the paper does, in percent with one decimal.

    >>> percent(0.7704), percent(None)
    ('77.0', '–')
    """
    return UNDEFINED if value is None else f"{100 * value:.1f}"


@dataclass(frozen=True)
class Table:
    """Rows of texts under a header.

    >>> print(Table(("corpus", "UAR"), [("emovo", "35.0")]).text())
    corpus   UAR
    emovo   35.0
    """

    header: Sequence[str]
    rows: Sequence[Sequence[Any]]
    left: Collection[int] = (0,)
    """Columns that are aligned to the left; numbers are aligned to the right."""
    has_total: bool = False
    """Whether the last row sums up the others."""

    def markdown(self) -> str:
        """Returns a Markdown table."""
        rule = ["---" if i in self.left else "---:" for i in range(len(self.header))]
        lines = [self.header, rule, *self.rows]
        return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)

    def latex(self) -> str:
        """Returns a LaTeX tabular that needs no package."""
        columns = "".join("l" if i in self.left else "r" for i in range(len(self.header)))
        head, *body = (" & ".join(map(_tex, line)) + r" \\" for line in (self.header, *self.rows))
        lines = [f"\\begin{{tabular}}{{{columns}}}", r"\hline", rf"{head} \hline", *body, r"\hline", r"\end{tabular}"]
        return "\n".join(lines) + "\n"

    def csv(self) -> str:
        """Returns CSV; numbers have six decimals, and None is an empty cell."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.header, *map(_plain, self.rows)])
        return text.getvalue()

    def text(self) -> str:
        """Returns aligned columns for a terminal."""
        lines = [self.header, *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.header))]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if i in self.left else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            for line in lines
        )


def _tex(cell: str) -> str:
    return "".join(_TEX_SPECIAL.get(c, c) for c in cell)


def _plain(cells: Iterable[Any]) -> list[str]:
    return ["" if v is None else f"{v:.6f}" if isinstance(v, float) else str(v) for v in cells]
