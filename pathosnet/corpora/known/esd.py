"""ESD, the emotional speech dataset: ten speakers of Mandarin, then ten of English; a table of each holds the texts."""

import re
from collections.abc import Iterator
from pathlib import Path

from pathosnet.corpora.importing import CorpusImporter, ImportedUtterance, ImportOptions, Notes, named_files
from pathosnet.corpora.known.names import UNSEEN
from pathosnet.corpora.tables import decode

EMOTIONS = {"angry": "anger", "happy": "happiness", "neutral": "neutral", "sad": "sadness", "surprise": "surprise"}
SENTENCES_AN_EMOTION = 350
FIRST_ENGLISH_SPEAKER = 11
PARTS = {"train": "train", "evaluation": "validation", "test": "test"}
NAME = re.compile(
    rf"(?:(?P<speaker>\d{{4}})/)?(?P<emotion>{'|'.join(EMOTIONS)})/(?:(?P<part>{'|'.join(PARTS)})/)?(?P<file>\d{{4}}_\d{{6}})",
    re.I,
)


def _read(folder: Path, options: ImportOptions, notes: Notes) -> Iterator[ImportedUtterance]:
    texts: dict[str, dict[str, str]] = {}
    for audio, name in named_files(folder, NAME, "0011/Angry/0011_000351.wav", notes=notes, parts=(4, 3, 2)):
        speaker, number = name["file"].split("_")
        if speaker not in texts:
            texts[speaker] = _texts(audio, speaker)
        yield ImportedUtterance(
            audio,
            texts[speaker].get(name["file"], ""),
            EMOTIONS[name["emotion"].lower()],
            speaker=speaker,
            script=str((int(number) - 1) % SENTENCES_AN_EMOTION + 1),  # the same sentences in every emotion
            language="en" if int(speaker) >= FIRST_ENGLISH_SPEAKER else "zh",
            split=PARTS.get((name["part"] or "").lower(), ""),
        )


def _texts(audio: Path, speaker: str) -> dict[str, str]:
    """Returns a speaker's recordings and what is said in them; nothing without the table."""
    tables = (folder / f"{speaker}.txt" for folder in audio.parents)
    table = next((path for path in tables if path.is_file()), None)
    lines = decode(table)[0].splitlines() if table else []
    cells = (line.split("\t") for line in lines)
    return {row[0].strip(): row[1].strip() for row in cells if len(row) > 1}


IMPORTER = CorpusImporter(
    name="esd",
    title="ESD",
    languages=("zh", "en"),
    emotions=tuple(EMOTIONS.values()),
    source="GitHub, HLTSingapore/Emotional-Speech-Data, after a signature",
    layout="recordings such as 0011/Angry/0011_000351.wav, with 0011/0011.txt" + UNSEEN,
    read=_read,
)
