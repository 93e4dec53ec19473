"""nEMO: nine Polish actors; a table says what they say."""

from collections.abc import Iterator
from pathlib import Path

from pathosnet.corpora.importing import (
    CorpusImporter,
    ImportedUtterance,
    ImportOptions,
    Notes,
    audio_files,
    find_recording,
    read_corpus_table,
)

COLUMNS = ("file_id", "emotion", "raw_text", "speaker_id")


def _read(folder: Path, options: ImportOptions, notes: Notes) -> Iterator[ImportedUtterance]:
    if not (folder / "data.tsv").is_file():
        return
    rows = read_corpus_table(folder / "data.tsv", COLUMNS, delimiter="\t")
    listed = {Path(row["file_id"]).stem for row in rows}
    for sample in audio_files(folder / "samples"):
        if sample.stem not in listed:
            notes.count("not in data.tsv", sample.relative_to(folder))
    for row in rows:
        audio = find_recording(folder / "samples" / Path(row["file_id"]).stem)
        if audio is None:
            notes.count("in data.tsv, but not in samples", row["file_id"])
            continue
        yield ImportedUtterance(audio, row["raw_text"], row["emotion"], speaker=row["speaker_id"], language="pl")


IMPORTER = CorpusImporter(
    name="nemo",
    title="nEMO",
    languages=("pl",),
    emotions=("anger", "fear", "happiness", "neutral", "sadness", "surprise"),
    source="Hugging Face, amu-cai/nEMO",
    licence="CC BY-NC-SA 4.0",
    layout="data.tsv and the folder samples with its recordings, such as samples/SK4_anger_1.wav",
    read=_read,
)
