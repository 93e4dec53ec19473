"""MELD: lines of the series Friends.

The three tables alone train the text branch. Recordings come in where people have extracted them from the films.
Episodes are the sessions: dialogues of one are in several parts.
"""

from collections.abc import Iterator
from pathlib import Path

from pathosnet.corpora.importing import (
    AUDIO_SUFFIXES,
    CorpusImporter,
    ImportedUtterance,
    ImportOptions,
    Notes,
    find_recording,
    read_corpus_table,
)
from pathosnet.errors import InputError

PARTS = {"train": "train", "dev": "validation", "test": "test"}
CLIPS = {
    "train": ("train_splits", "train"),
    "dev": ("dev_splits_complete", "dev"),
    "test": ("output_repeated_splits_test", "test"),
}
"""Folders of the extracted clips, as the archives call those of the films, or like the part."""
COLUMNS = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID", "Season", "Episode")


def _read(folder: Path, options: ImportOptions, notes: Notes) -> Iterator[ImportedUtterance]:
    tables = {part: folder / f"{part}_sent_emo.csv" for part in PARTS}
    there = [part for part, table in tables.items() if table.is_file()]
    if not there:
        return
    clips = {part: found for part in there if (found := _clips(Path(options.clips or folder), part, len(there) == 1))}
    if options.clips and not clips:
        raise InputError(
            f"{options.clips}: holds no clips; expected folders of WAV files such as train_splits/dia0_utt0.wav"
        )
    for part, table in tables.items():
        if part not in there:
            notes.say(f"{table.name} is not there")
            continue
        for row in read_corpus_table(table, COLUMNS):
            audio = None
            if clips:
                name = f"dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}"
                audio = find_recording(clips[part] / name) if part in clips else None
                if audio is None:
                    notes.count("without a clip, left out", f"{part} {name}")
                    continue
            yield ImportedUtterance(
                audio,
                row["Utterance"],
                row["Emotion"],
                speaker=row["Speaker"],
                session=f"s{row['Season'].zfill(2)}e{row['Episode'].zfill(2)}",
                language="en",
                split=PARTS[part],
            )


def _clips(folder: Path, part: str, alone: bool) -> Path | None:
    """Returns the folder of a part's clips, if it holds any; the films themselves are none.

    Parts call different clips by the same names, so that a folder without parts is one's only where it is ``alone``.
    """
    for candidate in (*(folder / name for name in CLIPS[part]), *([folder] if alone else [])):
        if any(path.suffix.lower() in AUDIO_SUFFIXES for path in candidate.glob("dia*_utt*.*")):
            return candidate
    return None


IMPORTER = CorpusImporter(
    name="meld",
    title="MELD",
    languages=("en",),
    emotions=("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"),
    source="GitHub, declare-lab/MELD",
    licence="GPL-3.0",
    layout="train_sent_emo.csv, dev_sent_emo.csv and test_sent_emo.csv and, if there are recordings, clips such as "
    "train_splits/dia0_utt0.wav",
    read=_read,
    options=("clips",),
)
