"""Files and folders that appear whole or not at all."""

import csv
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pathosnet.errors import InputError

FINGERPRINT_BYTES = 1 << 20


@contextmanager
def written_aside(target: str | Path, overwrite: bool = False, marker: str | None = None) -> Iterator[Path]:
    """Gives a new folder beside ``target`` that takes its name once the block has ended without an error.

    If the block fails, or is interrupted, the folder is removed and ``target`` is as it was.

    Args:
        target: the folder to make.
        overwrite: replace ``target`` if it is there already.
        marker: a file that a folder must hold to be replaced, unless it is empty; so that nobody loses another one.

    Raises:
        InputError: ``target`` exists and may not be replaced, or its parent cannot be written to.
    """
    target = Path(target)
    _check_replaceable(target, overwrite, marker)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.partial-", dir=target.parent))
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror or error}); choose another folder") from error
    try:
        aside.chmod(0o755)
        yield aside
        _check_replaceable(target, overwrite, marker)  # it may have appeared in the meantime
        if target.exists():
            _exchange(aside, target)
        else:
            os.rename(aside, target)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


@contextmanager
def file_written_aside(target: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """Gives a path beside ``target`` for a file that takes its name once the block has ended without an error.

    Args:
        target: the file to make.
        overwrite: replace ``target`` if it is there already.

    Raises:
        InputError: ``target`` exists and may not be replaced, or its folder cannot be written to.
    """
    target = Path(target)
    _check_file_replaceable(target, overwrite)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=f".{target.name}.partial-", dir=target.parent) as probe:
            aside = Path(probe.name)
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror or error}); choose another place") from error
    try:
        yield aside
        _check_file_replaceable(target, overwrite)  # it may have appeared in the meantime
        os.replace(aside, target)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def _check_file_replaceable(target: Path, overwrite: bool) -> None:
    if target.is_dir():
        raise InputError(f"{target}: is a folder, expected a file to write; choose another name")
    if target.exists() and not overwrite:
        raise InputError(f"{target}: exists already; choose another file, or replace it with --overwrite")


def _check_replaceable(target: Path, overwrite: bool, marker: str | None) -> None:
    if target.exists() and not overwrite:
        raise InputError(f"{target}: exists already; choose another folder, or replace it with --overwrite")
    if target.exists() and not target.is_dir():
        raise InputError(f"{target}: is a file, expected a folder to write to; choose another name")
    if marker and target.exists() and any(target.iterdir()) and not (target / marker).exists():
        raise InputError(f"{target}: holds other things (no {marker}) and is not replaced; choose another folder")


def _exchange(new: Path, target: Path) -> None:
    """Puts a folder in another's place; if that fails, the other is where it was."""
    discarded = Path(tempfile.mkdtemp(prefix=f".{target.name}.replaced-", dir=target.parent))
    old = discarded / target.name
    try:
        os.rename(target, old)
        os.rename(new, target)
    except BaseException:
        if old.exists() and not target.exists():
            os.rename(old, target)
        raise
    finally:
        if target.exists():
            shutil.rmtree(discarded, ignore_errors=True)


def make_folder(path: Path) -> None:
    """Makes a folder, if it is not there.

    Raises:
        InputError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "is a file, expected a folder" if path.is_file() else f"cannot be made ({error.strerror})"
        raise InputError(f"{path}: {reason}; choose another name") from error


def read_csv(
    path: str | Path, expected: str = "a CSV file", delimiter: str = ",", strict: bool = True
) -> list[list[str]]:
    """Reads the cells of a table in UTF-8, with or without a byte-order mark.

    Args:
        path: of the file.
        expected: what it should be, for the message.
        delimiter: between cells.
        strict: whether quotes must be in their places.

    Raises:
        InputError: the file is missing or is no such table.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.reader(file, delimiter=delimiter, strict=strict))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); expected {expected}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text ({error.reason}); save it as CSV in UTF-8") from error
    except csv.Error as error:
        raise InputError(f"{path}: is not a valid CSV file ({error}); expected {expected}") from error


def read_json(path: str | Path) -> Any:
    """Reads a JSON file, with an error that names it.

    Raises:
        InputError: the file is missing or is not JSON.
    """
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not valid JSON ({error})") from error


def write_json(path: str | Path, value: Any) -> None:
    """Writes indented JSON in UTF-8."""
    Path(path).write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def fingerprint(path: Path) -> str:
    """Hashes size, beginning and end: enough to tell large files apart, without reading gigabytes."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(FINGERPRINT_BYTES))
        file.seek(max(0, size - FINGERPRINT_BYTES))
        digest.update(file.read(FINGERPRINT_BYTES))
    return digest.hexdigest()


def hash_file(path: str | Path) -> str:
    """Hashes a file's content, SHA-256.

    Raises:
        InputError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with Path(path).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    return digest.hexdigest()
