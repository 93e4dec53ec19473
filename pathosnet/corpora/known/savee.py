"""SAVEE: four British speakers.

Three of an emotion's fifteen sentences are the same in every emotion, under other numbers; since the names do not say
which, ``script`` tells sentences apart within an emotion only.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from pathosnet.corpora.importing import CorpusImporter, ImportedUtterance, ImportOptions, Notes, named_files

EMOTIONS = {
    "a": "anger",
    "d": "disgust",
    "f": "fear",
    "h": "happiness",
    "n": "neutral",
    "sa": "sadness",
    "su": "surprise",
}
NAME = re.compile(r"(?:[^/]*/)?(?P<speaker>DC|JE|JK|KL)[/_](?P<emotion>sa|su|[adfhn])(?P<number>\d\d)")


def _read(folder: Path, options: ImportOptions, notes: Notes) -> Iterator[ImportedUtterance]:
    for audio, name in named_files(folder, NAME, "DC_a01.wav or DC/a01.wav", notes=notes, parts=2):
        yield ImportedUtterance(
            audio,
            emotion=EMOTIONS[name["emotion"]],
            speaker=name["speaker"],
            script=name["emotion"] + name["number"],
            language="en",
        )


IMPORTER = CorpusImporter(
    name="savee",
    title="SAVEE",
    languages=("en",),
    emotions=tuple(EMOTIONS.values()),
    source="University of Surrey, after registration",
    layout="recordings named speaker, emotion, number, such as DC_a01.wav or DC/a01.wav",
    read=_read,
)
