"""Paths, the cache, tables, notes about them, and files and folders that appear whole or not at all."""

import csv
import hashlib
import json
import os
import shutil
import sys
import tempfile
import unicodedata
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pathosnet.errors import InputError, find_full_disk, printable, shown
from pathosnet.plain_yaml import parse_yaml

FINGERPRINT_BYTES = 1 << 20
CACHE_VARIABLE = "PATHOSNET_CACHE"


def to_path(value: str | os.PathLike[str]) -> Path:
    """Reads a path as a person writes it: ``~`` is the home folder.

    >>> to_path("~/runs") == Path.home() / "runs"
    True
    """
    return Path(os.path.expanduser(value))


def cache_folder(name: str) -> Path:
    """Returns a folder of the user's cache, which need not exist yet.

    It is in ``$PATHOSNET_CACHE``; if that is not set, where the system keeps caches.

    Args:
        name: what is kept there.
    """
    if own := os.environ.get(CACHE_VARIABLE):
        return to_path(own) / name
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "pathosnet" / name


@contextmanager
def importing_from_here() -> Iterator[None]:
    """Lets modules of the current folder be imported inside the block; afterwards ``sys.path`` is as it was."""
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        yield
    finally:
        if here in sys.path:
            sys.path.remove(here)


@contextmanager
def naming_full_disk(place: str | Path) -> Iterator[None]:
    """Says in one line that a disk is full, whichever library found it out.

    Args:
        place: what the block writes.

    Raises:
        InputError: the disk is full.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if reason := find_full_disk(error):
            raise InputError(f"{place}: cannot be written ({reason}); make room, or choose another place") from error
        raise


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
    target = to_path(target)
    _check_replaceable(target, overwrite, marker)
    aside = target.with_name(f".{target.name}.partial-{uuid.uuid4().hex[:8]}")
    try:
        aside.mkdir(parents=True)  # not tempfile's, which nobody else may read, whatever the umask says
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror or error}); choose another folder") from error
    try:
        with naming_full_disk(target):
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
    target = to_path(target)
    _check_file_replaceable(target, overwrite)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=f".{target.name}.partial-", dir=target.parent) as probe:
            aside = Path(probe.name)
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror or error}); choose another place") from error
    try:
        with naming_full_disk(target):
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


def read_csv(path: str | Path, expected: str = "a CSV file") -> list[list[str]]:
    """Reads the cells of a table that this library wrote, in UTF-8 with commas.

    Args:
        path: of the file.
        expected: what it should be, for the message.

    Raises:
        InputError: the file is missing or is no such table.
    """
    path = to_path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.reader(file, strict=True))
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
    path = to_path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not valid JSON ({error})") from error


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Reads a YAML file that holds names with values; an empty one holds none.

    Raises:
        InputError: the file is missing or is no such YAML.
    """
    path = to_path(path)
    try:
        found = parse_yaml(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise InputError(f"{path}: is not valid YAML ({error})") from error
    if found is not None and not (isinstance(found, dict) and all(isinstance(name, str) for name in found)):
        raise InputError(f"{path}: expected lines such as epochs: 3, got {shown(found)}")
    return found or {}


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
        with to_path(path).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    return digest.hexdigest()


def is_main_process() -> bool:
    """Whether this process writes: with several processes (DDP) only the first does."""
    names = ("LOCAL_RANK", "SLURM_LOCALID", "NODE_RANK", "GROUP_RANK", "SLURM_NODEID")
    return all(os.environ.get(name, "0") == "0" for name in names)


def say_note(text: str) -> None:
    """Prints on stderr what a person should know though it is no error: what was recognized or left out."""
    if is_main_process():
        print(f"note: {printable(text)}", file=sys.stderr)


def walk_files(folder: str | Path) -> Iterator[Path]:
    """Yields the visible files beneath a folder in the order of their names, linked ones and linked folders too.

    A folder that several links lead to is read once, so that links in a circle come to an end.
    """
    entered: set[tuple[int, int]] = set()
    for path, folders, names in os.walk(folder, followlinks=True):
        state = os.stat(path)
        if (state.st_dev, state.st_ino) in entered:
            folders.clear()
            continue
        entered.add((state.st_dev, state.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and (file := Path(path, name)).is_file():
                yield file


def relative_path(file: str | Path, folder: str | Path) -> str:
    """Names a file from a folder, with ``/`` between the parts; links keep the names that were given.

    A file on another drive keeps its whole path.
    """
    file, folder = os.path.abspath(file), os.path.abspath(folder)
    try:
        if os.path.commonpath((file, folder)) != folder:
            folder = os.path.realpath(folder)  # the way up from a linked folder is the way up from its target
        return Path(os.path.relpath(file, folder)).as_posix()
    except ValueError:
        return file


def locate(folder: Path, name: str) -> Path:
    """Finds the file that a table names, whichever way its name is written.

    ``~`` is the home directory, backslashes may part folders, and letters with accents may be one character or two (as
    macOS writes them).

    Args:
        folder: that names are relative to.
        name: as the table has it.

    Returns:
        The file; the name as it stands if there is no such file.

    Raises:
        InputError: the file system refuses the name.
    """
    given = folder / name
    try:
        if given.is_file():
            return given
        for spelled in dict.fromkeys((name, name.replace("\\", "/"))):
            meant = folder / (os.path.expanduser(spelled) if spelled.startswith("~") else spelled)
            if (found := _in_any_normal_form(meant)) is not None and found.is_file():
                return found
    except OSError as error:
        raise InputError(f"{str(given)[:200]}: cannot be read ({error.strerror})") from error
    return given


def _in_any_normal_form(path: Path) -> Path | None:
    """Finds a path whose parts are there in another Unicode normal form."""
    found = Path(path.anchor)
    for part in path.parts[len(found.parts) :]:
        if not (found / part).exists():
            wanted = unicodedata.normalize("NFC", part)
            if wanted.isascii() or not found.is_dir():
                return None
            spellings = (name for name in os.listdir(found) if unicodedata.normalize("NFC", name) == wanted)
            if (part := next(spellings, "")) == "":
                return None
        found /= part
    return found
