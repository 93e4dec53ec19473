"""RAVDESS: 24 actors, two sentences. Its songs are left out."""

import re
from collections.abc import Iterator
from pathlib import Path

from pathosnet.corpora.importing import CorpusImporter, ImportedUtterance, ImportOptions, Notes, named_files

EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happiness",
    "04": "sadness",
    "05": "anger",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}
SENTENCES = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
SONG = "02"
NAME = re.compile(
    r"03-(?P<channel>0[12])-(?P<emotion>0[1-8])-(?P<intensity>0[12])-(?P<sentence>0[12])-(?P<take>0[12])-(?P<actor>\d\d)"
)


def _read(folder: Path, options: ImportOptions, notes: Notes) -> Iterator[ImportedUtterance]:
    for audio, name in named_files(folder, NAME, "03-01-05-01-02-01-12.wav", notes=notes):
        if name["channel"] == SONG:
            notes.count("songs, left out", audio.relative_to(folder))
            continue
        yield ImportedUtterance(
            audio,
            SENTENCES[name["sentence"]],
            EMOTIONS[name["emotion"]],
            speaker=f"actor{name['actor']}",
            language="en",
        )


IMPORTER = CorpusImporter(
    name="ravdess",
    title="RAVDESS",
    languages=("en",),
    emotions=tuple(EMOTIONS.values()),
    source="Zenodo, record 1188976",
    licence="CC BY-NC-SA 4.0",
    layout="Actor_01 … Actor_24 with recordings such as Actor_12/03-01-05-01-02-01-12.wav",
    read=_read,
)
