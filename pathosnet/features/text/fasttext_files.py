"""Opening fastText models, whose own reader accepts truncated files: it then answers with garbage, or never ends."""

import struct
import warnings
from pathlib import Path
from typing import Any, BinaryIO

from pathosnet.errors import InputError
from pathosnet.files import to_path

MAGIC = 793_712_314
ARGUMENTS = struct.Struct("<12i d")
DICTIONARY_HEAD = struct.Struct("<3i 2q")  # entries, words, labels; tokens, pruned n-grams
ENTRY_TAIL = 1 + 8 + 1  # the word's terminator, its count, its type
CENTROIDS = 256  # of a product quantiser


def load_fasttext_model(path: str | Path) -> Any:
    """Opens a fastText model.

    Args:
        path: ``.bin`` or ``.ftz``.

    Raises:
        InputError: the fasttext package or the file is missing, or the file is damaged.
    """
    path = to_path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecations inside the package
            import fasttext
    except ImportError as error:
        raise InputError(f"{path}: needs the fasttext package; pip install 'pathosnet[fasttext]'") from error
    if not path.is_file():
        raise InputError(f"{path}: no such fastText model")
    try:
        expected = _expected_size(path)
        if path.stat().st_size != expected:
            raise ValueError(f"it has {path.stat().st_size} bytes, expected {expected}")
        return fasttext.load_model(str(path))
    except (OSError, ValueError, MemoryError, RuntimeError, struct.error) as error:
        raise InputError(f"{path}: cannot be read as a fastText model ({error}); get the file again") from error


def _expected_size(path: Path) -> int:
    """Walks through the parts of a model and says where the last one ends.

    Source: facebookresearch/fastText, the ``save`` functions of FastText, Args, Dictionary, DenseMatrix,
    QuantMatrix and ProductQuantizer.
    """
    with path.open("rb") as file:
        magic, version = _read(file, struct.Struct("<2i"))
        if magic != MAGIC or version not in (11, 12):
            raise ValueError("it does not begin as one")
        _read(file, ARGUMENTS)
        _skip_dictionary(file)
        (quantised,) = _read(file, struct.Struct("<?"))
        _skip_matrix(file, quantised)
        (quantised_output,) = _read(file, struct.Struct("<?"))
        _skip_matrix(file, quantised and quantised_output)
        return file.tell()


def _read(file: BinaryIO, layout: struct.Struct) -> tuple[Any, ...]:
    values = layout.unpack(file.read(layout.size))
    if any(value < 0 for value in values[:1]):
        raise ValueError("a size in it is negative")
    return values


def _skip_dictionary(file: BinaryIO) -> None:
    num_entries, _, _, _, num_pruned = _read(file, DICTIONARY_HEAD)
    start = file.tell()
    data = b""
    position = 0
    for _ in range(num_entries):
        end = data.find(b"\0", position)
        while end < 0 or end + ENTRY_TAIL > len(data):
            more = file.read(1 << 20)
            if not more:
                raise ValueError("it ends within its dictionary")
            start, data, position = start + position, data[position:] + more, 0
            end = data.find(b"\0")
        position = end + ENTRY_TAIL
    file.seek(start + position + 8 * max(0, num_pruned))


def _skip_matrix(file: BinaryIO, quantised: bool) -> None:
    if not quantised:
        rows, columns = _read(file, struct.Struct("<2q"))
        file.seek(4 * rows * columns, 1)
        return
    has_norms, rows, _, num_codes = _read(file, struct.Struct("<? 2q i"))
    file.seek(num_codes, 1)
    _skip_quantiser(file)
    if has_norms:
        file.seek(rows, 1)
        _skip_quantiser(file)


def _skip_quantiser(file: BinaryIO) -> None:
    dim, *_ = _read(file, struct.Struct("<4i"))
    file.seek(4 * dim * CENTROIDS, 1)
