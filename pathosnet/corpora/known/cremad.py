"""CREMA-D: 91 American actors, twelve sentences; emotions are what actors meant, votes are what raters heard."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from pathosnet.corpora.importing import ImportedUtterance, ImportOptions, Notes, read_corpus_table
from pathosnet.corpora.known.names import importer_of_names
from pathosnet.files import walk_files

EMOTIONS = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happiness",
    "NEU": "neutral",
    "SAD": "sadness",
}
SENTENCES = {
    "DFA": "Don't forget a jacket.",
    "IEO": "It's eleven o'clock.",
    "IOM": "I'm on my way to the meeting.",
    "ITH": "I think I have a doctor's appointment.",
    "ITS": "I think I've seen this before.",
    "IWL": "I would like a new alarm clock.",
    "IWW": "I wonder what this is about.",
    "MTI": "Maybe tomorrow it will be cold.",
    "TAI": "The airplane is almost full.",
    "TIE": "That is exactly what happened.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}
SAME_RECORDINGS = (
    ("1006_TIE_HAP_XX", "1006_TIE_NEU_XX"),
    ("1013_WSI_DIS_XX", "1013_WSI_SAD_XX"),
    ("1017_IWW_ANG_XX", "1017_IWW_FEA_XX"),
)
"""Pairs of files with the same samples: which emotion was meant is not known."""
LEFT_OUT = {"1076_MTI_SAD_XX": "it is silent"}
LEFT_OUT |= {
    one: f"it is the same recording as {other}" for pair in SAME_RECORDINGS for one, other in (pair, pair[::-1])
}
VOTES_FILE = "tabulatedVotes.csv"
VOICE_ALONE = re.compile(r"1\d{5}")
"""Rows whose raters heard the voice and saw no face are numbered so."""
VOTES = {letter: emotion for letter, emotion in zip("ADFHNS", EMOTIONS.values(), strict=True)}

_NAMES = importer_of_names(
    "cremad",
    "CREMA-D",
    pattern=rf"(?P<speaker>\d{{4}})_(?P<script>{'|'.join(SENTENCES)})_(?P<emotion>{'|'.join(EMOTIONS)})_(LO|MD|HI|XX?)",
    example="AudioWAV/1001_DFA_ANG_XX.wav",
    emotions=EMOTIONS,
    language="en",
    sentences=SENTENCES,
    left_out=LEFT_OUT,
    source="GitHub, CheyneyComputerScience/CREMA-D",
    licence="ODbL 1.0",
    seen=True,
)


def _read(folder: Path, options: ImportOptions, notes: Notes) -> Iterator[ImportedUtterance]:
    found = list(_NAMES.read(folder, options, notes))
    votes = _votes(folder, notes) if found else {}
    for utterance in found:
        assert utterance.audio is not None
        yield replace(utterance, votes=votes.get(utterance.audio.stem.upper(), {}))


def _votes(folder: Path, notes: Notes) -> Mapping[str, Mapping[str, str]]:
    """Returns what raters of the voice alone heard in each recording, if its table is there."""
    table = next((path for path in walk_files(folder) if path.name == VOTES_FILE), None)
    if table is None:
        notes.say(f"no votes: {VOTES_FILE} is not in the folder")
        return {}
    rows = read_corpus_table(table, ("fileName", *VOTES))
    numbers = next((name for name in rows[0] if name not in ("fileName", *VOTES)), "") if rows else ""
    voices = [row for row in rows if VOICE_ALONE.fullmatch(row.get(numbers, ""))] or rows
    return {row["fileName"].upper(): {emotion: row[letter] for letter, emotion in VOTES.items()} for row in voices}


IMPORTER = replace(_NAMES, read=_read)
