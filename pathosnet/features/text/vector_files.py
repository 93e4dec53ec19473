"""Text files of word vectors: one word and its numbers a line."""

import gzip
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import torch
from torch import Tensor

from pathosnet.errors import InputError
from pathosnet.features.store import FeatureStore, Recipe
from pathosnet.files import fingerprint

KEPT_BYTES = 4 << 20
"""Smaller files are read faster than it is worth to keep them."""
ROWS_AT_ONCE = 4096
GZIP_MAGIC = b"\x1f\x8b"
MAX_LINE_BYTES = 1 << 17
"""Longest line of a packed file, which may be a stranger's."""
MAX_DIM = 2048
MAX_BLANK_LINES = 1000
"""A packed file of a megabyte can hold a milliard of them."""


def read_vectors(path: Path, max_words: int, store: FeatureStore | None = None) -> tuple[list[str], Tensor]:
    """Reads words and vectors; from a store, if they are kept there, without parsing.

    A file counts as the same if its size, its time of change, its beginning and its end are.

    Args:
        path: the file, with or without a first line ``count dim``.
        max_words: lines to read.
        store: keeps what was read of large files.

    Returns:
        The words, and ``(words, dim)`` float32, memory-mapped if it comes from the store.

    Raises:
        OSError: the file cannot be opened.
        InputError: it is damaged (naming the line), or holds nothing.
    """
    state = path.stat()
    if store is None or state.st_size < KEPT_BYTES:
        return _parse(path, max_words)
    contents = f"{fingerprint(path)} {state.st_mtime_ns}"
    shelf = store.shelf(Recipe("word-vectors", "table", {"file": path.name, "max_words": max_words}, weights=contents))
    kept = shelf.find(["words", "vectors"])
    if len(kept) == 2:
        return bytes(kept["words"].numpy()).decode().split("\n"), kept["vectors"]
    words, vectors = _parse(path, max_words)
    with shelf.writing() as add:
        add("words", torch.from_numpy(np.frombuffer("\n".join(words).encode(), dtype=np.uint8).copy()))
        add("vectors", vectors)
    return words, vectors


def _parse(path: Path, max_words: int) -> tuple[list[str], Tensor]:
    words: list[str] = []
    blocks: list[np.ndarray] = []  # of rows; nothing is kept for each number
    for word, row in _read_rows(path, max_words):
        if len(words) % ROWS_AT_ONCE == 0:
            blocks.append(np.empty((ROWS_AT_ONCE, len(row)), dtype=np.float32))
        blocks[-1][len(words) % ROWS_AT_ONCE] = row
        words.append(word)
    if not words:
        raise InputError(f"{path}: holds no word vectors; expected a line for each word: the word and its numbers")
    return words, torch.from_numpy(np.concatenate(blocks)[: len(words)])


def _read_rows(path: Path, max_words: int) -> Iterator[tuple[str, np.ndarray]]:
    with open_vectors(path) as file:
        dim = 0
        count = blank = 0
        # As bytes: words may hold characters that Python otherwise takes for line ends.
        for number, packed in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES + 1), b""), start=1):
            if len(packed) > MAX_LINE_BYTES:
                raise InputError(
                    f"{path}: line {number}: is longer than {MAX_LINE_BYTES:,} bytes; the file is no word-vector file"
                )
            line = packed.decode("utf-8-sig" if number == 1 else "utf-8", errors="replace").rstrip()
            if not line and (blank := blank + 1) > MAX_BLANK_LINES:
                raise InputError(
                    f"{path}: line {number}: is blank, as {blank - 1:,} before it; the file is no word-vector file"
                )
            if number == 1 and len(fields := line.split(" ")) == 2 and all(field.isdecimal() for field in fields):
                dim = int(fields[1])  # the count is not needed, and wrong in some files
            elif line:
                dim = dim or line.count(" ")
                if dim > MAX_DIM:
                    raise InputError(
                        f"{path}: line {number}: expected at most {MAX_DIM:,} numbers a word, got "
                        f"{dim if dim < 1 << 40 else 'far more'}; the file is damaged or is no word-vector file"
                    )
                yield _parse_line(path, number, line, dim=dim)
                count += 1
            if count == max_words:
                return


@contextmanager
def open_vectors(path: Path) -> Iterator[BinaryIO]:
    """Opens a text file of vectors, packed with gzip or not, whatever its name.

    Raises:
        OSError: it cannot be opened.
        InputError: it is packed, and damaged.
    """
    with path.open("rb") as file:
        is_packed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        file.seek(0)
        try:
            yield cast(BinaryIO, gzip.GzipFile(fileobj=file)) if is_packed else file
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise InputError(f"{path}: cannot be unpacked ({error}); get the file again") from error


def _parse_line(path: Path, number: int, line: str, dim: int) -> tuple[str, np.ndarray]:
    word, _, numbers = line.partition(" ")
    row = _parse_numbers(numbers)
    if len(row) != dim and dim > 0:  # the word holds spaces
        word, *fields = line.rsplit(" ", dim)
        row = _parse_numbers(" ".join(fields))
    if dim < 2 or len(row) != dim or not np.isfinite(row).all():
        raise InputError(
            f"{path}: line {number}: expected a word and {dim if dim >= 2 else 'its'} numbers, got {line[:40]!r}; "
            "the file is damaged or is no word-vector file"
        )
    return word, row


def _parse_numbers(text: str) -> np.ndarray:
    """Returns the numbers of a text, none if it holds anything else; too large ones become infinite."""
    with warnings.catch_warnings(), np.errstate(over="ignore"):
        warnings.simplefilter("error", DeprecationWarning)  # numpy's way to say that it stopped before the end
        try:
            return np.fromstring(text, dtype=np.float32, sep=" ")
        except (ValueError, DeprecationWarning):
            return np.zeros(0, dtype=np.float32)
