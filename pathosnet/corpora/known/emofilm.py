"""EmoFilm: scenes of films in their English, Italian and Spanish versions, without transcripts.

Its spreadsheet of speakers is read as CSV: export it, and put it into the folder or name it with ``--speakers``.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from pathosnet.corpora.importing import (
    CorpusImporter,
    ImportedUtterance,
    ImportOptions,
    Notes,
    named_files,
    read_corpus_table,
)
from pathosnet.errors import InputError
from pathosnet.files import walk_files

EMOTIONS = {"ans": "fear", "dis": "contempt", "gio": "happiness", "rab": "anger", "tri": "sadness"}
LANGUAGES = ("en", "it", "es")
NAME = re.compile(rf"(?P<scene>[fm]_(?P<emotion>{'|'.join(EMOTIONS)})\d{{3}}[a-z])(?P<language>{'|'.join(LANGUAGES)})")


def _read(folder: Path, options: ImportOptions, notes: Notes) -> Iterator[ImportedUtterance]:
    speakers = _read_speakers(folder, options, notes)
    for audio, name in named_files(folder, NAME, "f_gio001ait.wav", notes=notes):
        if speakers and audio.stem not in speakers:
            notes.count("without a speaker in the spreadsheet", audio.relative_to(folder))
        yield ImportedUtterance(
            audio,
            emotion=EMOTIONS[name["emotion"]],
            speaker=speakers.get(audio.stem, ""),
            script=name["scene"],
            language=name["language"],
        )


def _read_speakers(folder: Path, options: ImportOptions, notes: Notes) -> dict[str, str]:
    """Returns a recording's name without suffix → its speaker."""
    if options.speakers:
        return _speakers_of(Path(options.speakers))
    sheets = sorted(path for path in walk_files(folder) if path.suffix.lower() in (".csv", ".xlsx", ".xls"))
    for sheet in sheets:
        if sheet.suffix.lower() == ".csv":
            try:
                return _speakers_of(sheet)
            except InputError as error:
                notes.say(f"no speakers are taken from {error}")
    if sheets:
        notes.say(f"the speakers are not known: export {sheets[0]} as CSV and name it with --speakers")
    return {}


def _speakers_of(path: Path) -> dict[str, str]:
    try:
        head = path.read_text(encoding="utf-8-sig").partition("\n")[0]
        delimiter = csv.Sniffer().sniff(head, ",;\t").delimiter
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as a CSV file in UTF-8 ({error})") from error
    header = [column.strip('" \r') for column in head.split(delimiter)]
    found = [next((name for name in header if word in name.lower()), "") for word in ("file", "speaker")]
    if not all(found):
        raise InputError(f"{path}: expected a column called file and one called speaker, got {', '.join(header)}")
    file, speaker = found
    return {Path(row[file]).stem: row[speaker] for row in read_corpus_table(path, found, delimiter)}


IMPORTER = CorpusImporter(
    name="emofilm",
    title="EmoFilm",
    languages=LANGUAGES,
    emotions=tuple(EMOTIONS.values()),
    source="Zenodo, on request",
    layout="recordings named voice, emotion, scene, language, such as f_gio001ait.wav",
    read=_read,
    options=("speakers",),
)
