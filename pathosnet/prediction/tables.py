"""Predictions as files: CSV, or JSON Lines."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pathosnet.errors import InputError
from pathosnet.files import file_written_aside
from pathosnet.recognizer.prediction import Prediction

if TYPE_CHECKING:
    import pandas

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


def predictions_to_frame(
    answers: Iterable[Prediction | InputError], names: Sequence[object] | None = None
) -> "pandas.DataFrame":
    """Makes a table for pandas of predictions, one row each.

    Args:
        answers: predictions of one model, or the errors that stand for them.
        names: of the rows, such as files; numbers from 0 if None.

    Returns:
        A frame with the columns ``label`` and ``confidence`` (of emotions), one for each emotion or dimension,
        ``warnings``, joined by semicolons, and, if there is one, ``error``. What an answer lacks is missing (NaN).

    Raises:
        InputError: pandas is not installed, or there are not as many names as answers.

    >>> answers = [Prediction.of_probabilities({"anger": 0.75, "happiness": 0.25})]
    >>> frame = predictions_to_frame(answers, ["a.wav"])
    >>> frame.loc["a.wav", "label"], float(frame.loc["a.wav", "happiness"])
    ('anger', 0.25)
    """
    try:
        import pandas
    except ImportError as error:
        raise InputError("a data frame needs the pandas package; pip install 'pathosnet[pandas]'") from error
    rows = [_frame_row(answer) for answer in answers]
    if names is not None and len(names) != len(rows):
        raise InputError(f"names: expected one for each of {len(rows)} predictions, got {len(names)}")
    columns = [name for name in dict.fromkeys(name for row in rows for name in row) if name not in _LAST]
    columns += [name for name in _LAST if any(name in row for row in rows)]
    return pandas.DataFrame(rows, index=None if names is None else list(names), columns=columns)


_LAST = ("warnings", "error")


def _frame_row(answer: Prediction | InputError) -> dict[str, Any]:
    if isinstance(answer, InputError):
        return {"error": str(answer)}
    of_label = {"label": answer.label, "confidence": answer.confidence} if answer.probabilities else {}
    return {**of_label, **answer.values, "warnings": "; ".join(answer.warnings)}


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
