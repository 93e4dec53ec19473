"""Tables as people and spreadsheets write them: encoding and separator are recognized, and said."""

import codecs
import csv
import io
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pathosnet.errors import InputError
from pathosnet.files import say_note

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins like UTF-16's
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte-order marks and what they announce."""
EXPECTED = frozenset(("audio", "emotion", "text", "speaker", "language", "corpus"))
"""Columns by which a separator is recognized, besides those that must be there."""


@dataclass(frozen=True)
class Table:
    """A table's cells, stripped of the blanks around them."""

    header: tuple[str, ...]
    """As it is spelled."""
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    """Each with its number, counted from 1, which is the header."""

    def dicts(self) -> list[tuple[int, dict[str, str]]]:
        """Returns the rows by their columns' names in lower case; letters with accents are one character everywhere.

        The column ``audio`` stays as it is, since it names files.
        """
        names = [_composed(name).lower() for name in self.header]
        return [
            (
                number,
                {name: cell if name == "audio" else _composed(cell) for name, cell in zip(names, cells, strict=True)},
            )
            for number, cells in self.rows
        ]


def read_table(path: Path, columns: Sequence[str]) -> Table:
    """Reads a table whose columns are parted by commas, semicolons, tabs or vertical bars.

    A note on stderr says which form was recognized, unless it is UTF-8 with commas.

    Args:
        path: a file in UTF-8, UTF-16 or Windows-1252.
        columns: that it must have, in any case.

    Raises:
        InputError: the file cannot be read, or is no table with these columns; it names file and row.
    """
    text, note = decode(path)
    if note:
        say_note(note)
    separator = _separator(text, columns)
    if separator != ",":
        say_note(f"{path}: the columns are parted by {SEPARATORS.get(separator, repr(separator))}")
    try:
        table = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        raise InputError(f"{path}: is not a valid CSV file ({error}); expected a CSV file") from error
    first = 1 if table and len(table[0]) <= 2 and text.lower().startswith("sep=") else 0  # a line for Excel
    if len(table) <= first:
        raise InputError(f"{path}: is empty; expected a header with the columns audio, emotion and, if known, text")
    header = tuple(column.strip() for column in table[first])
    _check_header(path, header, columns)
    rows = []
    for number, cells in enumerate(table[first + 1 :], start=first + 2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            hint = "quote texts that hold commas" if separator == "," else "quote texts that hold the separator"
            raise InputError(f"{path}, row {number}: expected {len(header)} cells, got {len(cells)}; {hint}")
        rows.append((number, tuple(cell.strip() for cell in cells)))
    return Table(header, tuple(rows))


def _check_header(path: Path, header: Sequence[str], columns: Sequence[str]) -> None:
    names = [_composed(column).lower() for column in header]
    for column in columns:
        if _composed(column).lower() not in names:
            hint = "separate the columns with commas" if len(names) == 1 else f"name a column {column!r}"
            hint += "; columns of numbers are for train --targets" if column == "emotion" and len(names) > 1 else ""
            raise InputError(f"{path}: has no column {column!r}, only {', '.join(names) or 'nothing'}; {hint}")
    named = [column for column in names if column]  # spreadsheets leave empty columns at the end
    if len(set(named)) != len(named):
        raise InputError(f"{path}: expected each column once, got {', '.join(names)}")


def decode(path: Path) -> tuple[str, str]:
    """Reads a text in UTF-8, UTF-16 or Windows-1252.

    Returns:
        The text, and a note for a person; empty for UTF-8.

    Raises:
        InputError: the file cannot be read, or is no text.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); expected a CSV file") from error
    if content.startswith(b"PK\x03\x04"):
        raise InputError(f"{path}: is a spreadsheet or an archive; export it as CSV in UTF-8")
    encoding = next((encoding for mark, encoding in MARKS if content.startswith(mark)), _guess(content))
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not {encoding} text ({error.reason}); save it as CSV in UTF-8") from error
    if "\0" in text:
        raise InputError(f"{path}: holds NUL characters, so that it is no text; expected a CSV file in UTF-8")
    if encoding.startswith("utf-8"):
        return text, ""
    doubt = "; save it as UTF-8 if names or texts look wrong" if encoding == "cp1252" else ""
    name = {"cp1252": "Windows-1252"}.get(encoding, encoding.upper())
    return text, f"{path}: is not UTF-8; read as {name}{doubt}"


def _guess(content: bytes) -> str:
    """Tells the encoding of a text without a mark."""
    for encoding, zeros in (("utf-16-le", content[1::2]), ("utf-16-be", content[::2])):
        if zeros and zeros.count(0) > len(zeros) / 2:  # most letters of a header are Latin
            return encoding
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "utf-8" if b"\0" in content else "cp1252"
    return "utf-8"


def _separator(text: str, columns: Sequence[str]) -> str:
    """Finds what parts the columns: the separator with which most names in the header are known."""
    first = text.partition("\n")[0].strip()
    if first.lower().startswith("sep=") and len(first) == 5:
        return first[4]
    known = {*EXPECTED, *(column.lower() for column in columns)}

    def names(separator: str) -> int:
        return len(known.intersection(name.strip().strip('"').lower() for name in first.split(separator)))

    return max(SEPARATORS, key=names)


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)
