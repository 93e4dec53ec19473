"""Turning a corpus, as its authors distribute it, into a manifest: the one interface of all importers."""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path

from pathosnet.corpora.manifest import VOTES
from pathosnet.corpora.tables import decode
from pathosnet.emotions import ALIASES, PAPER_EMOTIONS
from pathosnet.errors import InputError
from pathosnet.files import file_written_aside, relative_path, walk_files

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
"""A corpus that was converted keeps its names, but for the suffix."""
ALL = "all"


@dataclass(frozen=True)
class ImportedUtterance:
    """A row of the manifest. What the corpus does not say is empty; fields are columns, in this order."""

    audio: Path | None
    text: str = ""
    emotion: str = ""
    speaker: str = ""
    session: str = ""
    script: str = ""
    language: str = ""
    corpus: str = ""
    split: str = ""
    valence: str = ""
    activation: str = ""
    dominance: str = ""
    votes: Mapping[str, str] = field(default_factory=dict)
    """Emotion → how many raters heard it; the columns ``votes_anger`` and so on."""


COLUMNS = tuple(name for name in ImportedUtterance.__dataclass_fields__ if name != "votes")


@dataclass(frozen=True)
class ImportOptions:
    """Options that some corpora need; an importer names those that only it understands."""

    emotions: tuple[str, ...] = ()
    """Emotions to keep; ``("all",)`` keeps every one; empty: the importer's default."""
    label: Mapping[str, str] = field(default_factory=dict)
    """The corpus' spelling → the emotion that is meant."""
    pattern: str = ""
    """Names of files: * any letters, ? one, {emotion}, {speaker}, {session}, {script}, {language}, {text} or {split} a
    part; {speaker:??} one of two letters. With a / it is the path in the folder."""
    language: str = ""
    """Language of all recordings, such as es (--pattern, audformat)."""
    happiness: str = ""
    """IEMOCAP: excited (exc, the paper's 1041; default), happy (hap), or both."""
    speakers: str = ""
    """EmoFilm: its spreadsheet, exported as CSV."""
    clips: str = ""
    """MELD: folder of the extracted recordings, if not in FOLDER."""
    table: str = ""
    """audformat: the table of the emotions, if several differ."""
    column: str = ""
    """audformat: the scheme or column of the emotions (emotion)."""


class Notes:
    """Note about a recording that an import leaves out or finds strange; not an error."""

    def __init__(self) -> None:
        self._said: list[str] = []
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def say(self, text: str) -> None:
        """Adds a sentence."""
        self._said.append(text)

    def count(self, what: str, example: object) -> None:
        """Counts one more of something; the first is the example."""
        self._counts[what] += 1
        self._examples.setdefault(what, str(example))

    def lines(self) -> list[str]:
        """Returns the sentences, then what was counted.

        >>> notes = Notes()
        >>> notes.count("not named like a01.wav", "b.wav")
        >>> notes.lines()
        ['1 not named like a01.wav: b.wav']
        """
        counted = [
            f"{number} {what}: {self._examples[what]}{' …' if number > 1 else ''}"
            for what, number in self._counts.items()
        ]
        return self._said + counted


Reader = Callable[[Path, ImportOptions, Notes], Iterator[ImportedUtterance]]


@dataclass(frozen=True)
class CorpusImporter:
    """A corpus: what it is, and how its folder is read."""

    name: str
    title: str
    languages: tuple[str, ...]
    emotions: tuple[str, ...]
    """As the manifest has them."""
    source: str
    """Where people get it."""
    layout: str
    """Expected content of the folder, with an example."""
    read: Reader
    """Yields the utterances in the order of the files; emotions in any spelling that ``pathosnet.emotions`` knows."""
    licence: str = ""
    default_emotions: tuple[str, ...] = ()
    """Those that are kept unless a person asks for others; empty: all."""
    options: tuple[str, ...] = ()
    """Options that this importer understands, besides those of every importer."""


GENERAL_OPTIONS = ("emotions", "label")


@dataclass(frozen=True)
class Import:
    """Result of an import."""

    path: Path
    utterances: tuple[ImportedUtterance, ...]
    notes: tuple[str, ...]

    def counts(self) -> dict[str, int]:
        """Returns emotion → number of utterances, the paper's emotions first."""
        counter = Counter(utterance.emotion for utterance in self.utterances)
        order = [*PAPER_EMOTIONS, *sorted(set(counter) - set(PAPER_EMOTIONS))]
        return {emotion: counter[emotion] for emotion in order if counter[emotion]}


def import_corpus(
    importer: CorpusImporter,
    folder: str | Path,
    out: str | Path,
    *,
    options: ImportOptions | None = None,
    name: str = "",
    overwrite: bool = False,
) -> Import:
    """Writes the manifest of a corpus.

    Args:
        importer: of the corpus.
        folder: of the corpus.
        out: CSV to write; its audio paths are relative to it.
        options: see there.
        name: of the corpus, for the column ``corpus``; the importer's, unless told otherwise.
        overwrite: replace the CSV if it is there.

    Raises:
        InputError: the folder holds nothing of this corpus, an option is another corpus', or the file cannot be
            written.
    """
    folder, out = Path(folder).expanduser(), Path(out).expanduser()
    options = options or ImportOptions()
    _check_options(importer, options)
    if out.exists() and not overwrite:
        raise InputError(f"{out}: exists already; choose another file, or replace it with --overwrite")
    if not folder.is_dir():
        raise InputError(
            f"{folder}: {'is a file' if folder.exists() else 'no such folder'}; expected {importer.layout}"
        )
    notes = Notes()
    found = [_named(utterance, options, name or importer.name) for utterance in importer.read(folder, options, notes)]
    if not found:
        seen = "".join(f" ({line})" for line in notes.lines()[:2])
        raise InputError(f"{folder}: holds nothing of {importer.title}{seen}; expected {importer.layout}")
    kept = _of_emotions(found, options.emotions or importer.default_emotions, folder, notes=notes)
    write_manifest(out, kept)
    return Import(out, tuple(kept), tuple(notes.lines()))


def write_manifest(path: str | Path, utterances: Sequence[ImportedUtterance]) -> None:
    """Writes utterances as a CSV, with the columns that any of them fills; the file appears whole or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    path = Path(path)
    columns = [name for name in COLUMNS if any(getattr(utterance, name) for utterance in utterances)]
    with file_written_aside(path, overwrite=True) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        voted = sorted({emotion for utterance in utterances for emotion in utterance.votes})
        writer.writerow((*columns, *(f"{VOTES}{emotion}" for emotion in voted)))
        for utterance in utterances:
            row = {name: getattr(utterance, name) for name in columns}
            row |= {f"{VOTES}{emotion}": utterance.votes.get(emotion, "") for emotion in voted}
            if utterance.audio is not None:
                row["audio"] = relative_path(utterance.audio, path.parent)
            writer.writerow(row.values())


def audio_files(folder: Path) -> list[Path]:
    """Returns the recordings beneath a folder, in the order of their names; see ``walk_files``."""
    return sorted(path for path in walk_files(folder) if path.suffix.lower() in AUDIO_SUFFIXES)


def named_files(
    folder: Path, pattern: re.Pattern[str], example: str, *, notes: Notes, parts: int | Sequence[int] = 1
) -> Iterator[tuple[Path, re.Match[str]]]:
    """Yields the recordings of a corpus whose names say everything.

    Args:
        folder: of the corpus; recordings may be at any depth.
        pattern: of a name without its suffix; its groups tell the recordings apart. One whose groups were there already
            (archives that hold themselves, two formats of one clip) is counted, and left out.
        example: a name that fits, for the note about those that do not.
        notes: where left out files are counted.
        parts: so many last parts of the path are the name, joined by ``/``; of several numbers the first that fits.
    """
    seen = set()
    counts = [parts] if isinstance(parts, int) else parts
    for path in audio_files(folder):
        names = (*path.absolute().parent.parts, path.stem)
        matches = (pattern.fullmatch("/".join(names[-count:])) for count in counts)
        match = next((found for found in matches if found), None)
        if match is None:
            notes.count(f"not named like {example}", path.relative_to(folder))
        elif match.groups() in seen:
            notes.count("there already under the same name", path.relative_to(folder))
        else:
            seen.add(match.groups())
            yield path, match


def find_recording(stem: Path) -> Path | None:
    """Returns the recording of this name without suffix, in whichever format it is there."""
    candidates = (stem.with_name(stem.name + suffix) for suffix in AUDIO_SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)


def read_corpus_table(path: Path, columns: Iterable[str], delimiter: str = ",") -> list[dict[str, str]]:
    """Reads a corpus' own table.

    Args:
        path: of the file, see ``decode``.
        columns: that it must have.
        delimiter: between its cells.

    Raises:
        InputError: it cannot be read, or lacks a column.
    """
    try:
        table = csv.reader(io.StringIO(decode(path)[0], newline=""), delimiter=delimiter)
        filled = [cells for cells in table if cells]
    except csv.Error as error:
        raise InputError(f"{path}: is not a valid CSV file ({error}); expected a table") from error
    header = filled[0] if filled else []
    if any(column not in header for column in columns):
        raise InputError(f"{path}: expected the columns {', '.join(columns)}, got {', '.join(header) or 'none'}")
    return [
        {
            name: cell.strip()
            for i, (name, cell) in enumerate(zip_longest(header, cells[: len(header)], fillvalue=""))
            if name or i == 0  # tables of R number their rows in a column without a name
        }
        for cells in filled[1:]
    ]


def normal_emotion(spelling: str, label: Mapping[str, str] | None = None) -> str:
    """Returns the library's name of an emotion, or the spelling in lower case if it has none.

    >>> normal_emotion("Joy"), normal_emotion("W", {"w": "anger"}), normal_emotion("Pride")
    ('happiness', 'anger', 'pride')
    """
    key = spelling.strip().lower()
    key = {known.lower(): meant for known, meant in (label or {}).items()}.get(key, key).lower()
    return ALIASES.get(key, key)


def _check_options(importer: CorpusImporter, options: ImportOptions) -> None:
    for name in ImportOptions.__dataclass_fields__:
        if getattr(options, name) and name not in (*GENERAL_OPTIONS, *importer.options):
            known = ", ".join(f"--{option}" for option in (*GENERAL_OPTIONS, *importer.options))
            raise InputError(f"--{name}: {importer.title} has no such option, only {known}")


def _named(utterance: ImportedUtterance, options: ImportOptions, corpus: str) -> ImportedUtterance:
    emotion = normal_emotion(utterance.emotion, options.label)
    return replace(utterance, emotion=emotion, corpus=utterance.corpus or corpus)


def _of_emotions(
    found: Sequence[ImportedUtterance], wanted: Sequence[str], folder: Path, notes: Notes
) -> list[ImportedUtterance]:
    if not wanted or tuple(wanted) == (ALL,):
        return list(found)
    names = {normal_emotion(emotion) for emotion in wanted}
    left = Counter(utterance.emotion for utterance in found if utterance.emotion not in names)
    listed = ", ".join(f"{emotion} {number}" for emotion, number in left.most_common())
    if len(found) == left.total():
        raise InputError(f"{folder}: has none of the emotions {', '.join(wanted)}, only {listed}; see --emotions")
    if left:
        notes.say(f"other emotions are left out ({listed}); --emotions all keeps them")
    return [utterance for utterance in found if utterance.emotion in names]
