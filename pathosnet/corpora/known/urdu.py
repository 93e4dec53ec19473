"""URDU: clips of talk shows, without transcripts."""

import re
from collections.abc import Iterator
from pathlib import Path

from pathosnet.corpora.importing import CorpusImporter, ImportedUtterance, ImportOptions, Notes, named_files

FOLDERS = {"Angry": "anger", "Happy": "happiness", "Neutral": "neutral", "Sad": "sadness"}
EMOTIONS = {folder[0]: emotion for folder, emotion in FOLDERS.items()}
NAME = re.compile(r"(?P<speaker>S[FM]\d+)_(?P<file>F\d+)_(?P<emotion>[AHNS])(?P<number>\d+)")


def _read(folder: Path, options: ImportOptions, notes: Notes) -> Iterator[ImportedUtterance]:
    for audio, name in named_files(folder, NAME, "SM1_F2_N012.wav", notes=notes):
        emotion = EMOTIONS[name["emotion"]]
        if FOLDERS.get(audio.parent.name, emotion) != emotion:
            notes.count("in the folder of another emotion than the name says, left out", audio.relative_to(folder))
            continue
        yield ImportedUtterance(audio, emotion=emotion, speaker=name["speaker"], language="ur")


IMPORTER = CorpusImporter(
    name="urdu",
    title="URDU",
    languages=("ur",),
    emotions=tuple(EMOTIONS.values()),
    source="GitHub, siddiquelatif/URDU-Dataset",
    layout="Angry, Happy, Neutral, Sad with recordings such as Neutral/SM1_F2_N012.wav",
    read=_read,
)
