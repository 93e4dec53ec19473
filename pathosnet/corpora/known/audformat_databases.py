"""Databases in the audformat format (db.yaml and tables), as audb publishes them."""

import importlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from pathosnet.corpora.importing import CorpusImporter, ImportedUtterance, ImportOptions, Notes
from pathosnet.corpora.statistics import recording_seconds
from pathosnet.errors import InputError

TEXTS = ("transcription", "transcript", "text")
SPLITS = {"train": "train", "dev": "validation", "test": "test"}
TOLERANCE_SECONDS = 0.02


def _read(folder: Path, options: ImportOptions, notes: Notes) -> Iterator[ImportedUtterance]:
    if not (folder / "db.yaml").is_file():
        return
    column = options.column or "emotion"
    with warnings.catch_warnings():  # audformat is behind pandas' deprecations
        warnings.simplefilter("ignore", DeprecationWarning)
        database = _load(folder)
        frame, splits = _labels(database, column, options.table, folder=folder)
        languages = database.get("language", strict=True)  # or else the speakers' mother tongues would be found
    spoken = _code(database.languages[0]) if len(database.languages) == 1 else ""
    for index, row in frame.iterrows():
        file = index[0] if isinstance(index, tuple) else index
        language = languages["language"].get(index) if len(languages) else None
        audio = folder / file
        if _missing(row[column]):
            notes.count("without an emotion", file)
        elif not audio.is_file():
            notes.count("in the tables, but not in the folder", file)
        elif isinstance(index, tuple) and not _is_whole(audio, *index[1:]):
            notes.count("parts of a longer recording, left out (cut the recordings first)", f"{file} from {index[1]}")
        else:
            yield ImportedUtterance(
                audio,
                next((str(row[name]) for name in TEXTS if not _missing(row[name])), ""),
                str(row[column]),
                speaker="" if _missing(row["speaker"]) else str(row["speaker"]),
                language=options.language or (spoken if _missing(language) else _code(str(language))),
                corpus=database.name,
                split=splits.get(file, ""),
            )


def _load(folder: Path) -> Any:
    try:
        audformat = importlib.import_module("audformat")
    except ImportError as error:
        raise InputError("audformat databases need the package: pip install 'pathosnet[audformat]'") from error
    _check_harmless(folder)
    try:
        return audformat.Database.load(str(folder), load_data=True, verbose=False)
    except Exception as error:  # YAML, tables, schemes: whatever is broken about it
        raise InputError(f"{folder}: cannot be read as an audformat database ({error})") from error


def _check_harmless(folder: Path) -> None:
    """Refuses what audformat would run: tags of Python objects in YAML, and pickled tables."""
    path = folder / "db.yaml"
    try:
        header = yaml.load(path.read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        tables = [str(name) for part in ("tables", "misc_tables") for name in header.get(part) or ()]
    except (OSError, AttributeError, TypeError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read as an audformat database ({' '.join(str(error).split())})") from error
    for name in tables:
        if "/" in name or "\\" in name:
            raise InputError(f"{path}: expected tables in this folder, got {name!r}")
        if (pickled := folder / f"db.{name}.pkl").exists():
            raise InputError(
                f"{pickled}: is a pickled table, which could run code; have audb.load_to write the database anew, or "
                "delete it if the table is there as .csv or .parquet"
            )


def _labels(database: Any, column: str, table: str, folder: Path) -> tuple[Any, dict[str, str]]:
    """Returns a frame of emotions, speakers and texts; and file → part."""
    tables = [table] if table else None
    try:
        frame = database.get(column, ["speaker", *TEXTS], tables=tables)
        splits = {
            file: SPLITS.get(split.type, "")
            for name, split in database.splits.items()
            for file in database.get(column, tables=tables, splits=[name]).index.get_level_values("file")
        }
    except (KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{folder}: the emotions of column {column!r} cannot be told ({reason}); choose a --table out of "
            f"{', '.join(database.tables)}"
        ) from error
    if frame.empty:
        known = ", ".join(database.schemes) or "none"
        raise InputError(f"{folder}: has no column {column!r}; choose one of its schemes with --column: {known}")
    return frame, splits


def _missing(value: Any) -> bool:
    return value is None or value != value or str(value) in ("<NA>", "")  # pandas' NA does not compare


def _is_whole(audio: Path, start: Any, end: Any) -> bool:
    """Tells whether a segment is a whole recording; one that cannot be read is, and training names it."""
    if start.total_seconds() > 0:
        return False
    if end != end or (length := recording_seconds(audio)) is None:  # NaT: to its end
        return True
    return bool(end.total_seconds() > length - TOLERANCE_SECONDS)


def _code(language: str) -> str:
    """Returns the two letters of a language, of which audformat says three."""
    from iso639 import Lang
    from iso639.exceptions import InvalidLanguageValue

    try:
        return Lang(language).pt1 or language
    except InvalidLanguageValue:
        return language


IMPORTER = CorpusImporter(
    name="audformat",
    title="an audformat database",
    languages=(),
    emotions=(),
    source="audb and others; needs pathosnet[audformat]",
    layout="an audformat database with its db.yaml, as audb.load_to writes it",
    read=_read,
    options=("table", "column", "language"),
)
