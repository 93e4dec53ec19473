"""TESS: two Canadian speakers, two hundred words, each after "Say the word"."""

import re
from collections.abc import Iterator
from pathlib import Path

from pathosnet.corpora.importing import CorpusImporter, ImportedUtterance, ImportOptions, Notes, named_files

EMOTIONS = {
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "neutral": "neutral",
    "ps": "surprise",  # pleasant surprise
    "sad": "sadness",
}
SPEAKERS = {"OAF": "OAF", "OA": "OAF", "YAF": "YAF"}  # one file is called OA_bite_neutral
NAME = re.compile(rf"(?P<speaker>{'|'.join(SPEAKERS)})_(?P<word>[a-z-]+)_(?P<emotion>{'|'.join(EMOTIONS)})", re.I)


def _read(folder: Path, options: ImportOptions, notes: Notes) -> Iterator[ImportedUtterance]:
    for audio, name in named_files(folder, NAME, "OAF_back_angry.wav", notes=notes):
        yield ImportedUtterance(
            audio,
            f"Say the word {name['word'].lower()}",
            EMOTIONS[name["emotion"].lower()],
            speaker=SPEAKERS[name["speaker"].upper()],
            language="en",
        )


IMPORTER = CorpusImporter(
    name="tess",
    title="TESS",
    languages=("en",),
    emotions=tuple(EMOTIONS.values()),
    source="University of Toronto, doi 10.5683/SP2/E8H2MF",
    layout="recordings named speaker, word, emotion, such as OAF_angry/OAF_back_angry.wav",
    read=_read,
)
