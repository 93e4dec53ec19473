"""Predictions as files: CSV, or JSON Lines."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from pathosnet.errors import InputError
from pathosnet.files import file_written_aside

SUFFIXES = (".csv", ".jsonl")
Record = Mapping[str, Any]
"""A row as JSON values; ``columns``, ``probabilities`` and ``dimensions`` hold further cells."""
NESTED = ("columns", "probabilities", "dimensions")


@contextmanager
def table_written(
    path: str | Path, columns: Sequence[str], overwrite: bool = False
) -> Iterator[Callable[[Record], None]]:
    """Gives a function that adds a row to a file, which appears when the block has ended without an error.

    Args:
        path: ``.csv`` or ``.jsonl``.
        columns: of the CSV.
        overwrite: replace the file if it is there.

    Raises:
        InputError: the file cannot be written, or columns have the same name.
    """
    check_table_path(path)
    folded = [name.lower() for name in columns]
    if twice := sorted({name for name in folded if folded.count(name) > 1}):
        raise InputError(
            f"{path}: would have several columns {', '.join(map(repr, twice))}: the table that is predicted has them, "
            "too; rename them there, or write .jsonl"
        )
    is_json = Path(path).suffix.lower() == ".jsonl"
    with ExitStack() as stack:
        aside = stack.enter_context(file_written_aside(path, overwrite))
        # Names of files may hold bytes that are no Unicode: they are spelled out, as \\udce9.
        file = stack.enter_context(aside.open("w", encoding="utf-8", errors="backslashreplace", newline=""))
        writer = csv.writer(file)
        if not is_json:
            writer.writerow(columns)

        def add(record: Record) -> None:
            if is_json:
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
                return
            cells = dict(record)
            for name in NESTED:
                cells |= record.get(name, {})
            writer.writerow([_to_cell(cells.get(name)) for name in columns])

        yield add
        file.flush()


def check_table_path(path: str | Path) -> None:
    """Checks the ending of a file's name, before the work that leads to it.

    Raises:
        InputError: it is none of those that can be written.
    """
    if Path(path).suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: expected a file ending in {' or '.join(SUFFIXES)}")


def _to_cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.8g}" if isinstance(value, float) else str(value)
