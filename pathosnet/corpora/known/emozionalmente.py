"""Emozionalmente: Italian speakers who recorded themselves; a table says who, what and how."""

from collections.abc import Iterator
from pathlib import Path

from pathosnet.corpora.importing import (
    CorpusImporter,
    ImportedUtterance,
    ImportOptions,
    Notes,
    find_recording,
    read_corpus_table,
)
from pathosnet.corpora.known.names import UNSEEN

TABLE = "metadata/samples.csv"
COLUMNS = ("file_name", "sentence", "emotion_expressed", "actor")


def _read(folder: Path, options: ImportOptions, notes: Notes) -> Iterator[ImportedUtterance]:
    if not (folder / TABLE).is_file():
        return
    for row in read_corpus_table(folder / TABLE, COLUMNS):
        audio = find_recording(folder / "audio" / Path(row["file_name"]).stem)
        if audio is None:
            notes.count(f"in {TABLE}, but not in audio", row["file_name"])
            continue
        yield ImportedUtterance(
            audio,
            row["sentence"],
            row["emotion_expressed"],
            speaker=row["actor"],
            language="it",
        )


IMPORTER = CorpusImporter(
    name="emozionalmente",
    title="Emozionalmente",
    languages=("it",),
    emotions=("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"),
    source="Zenodo, record 6569824",
    licence="CC BY 4.0",
    layout=f"{TABLE} with the columns {', '.join(COLUMNS)}, and recordings such as audio/1.wav" + UNSEEN,
    read=_read,
)
