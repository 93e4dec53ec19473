"""MSP-Podcast: spontaneous speech from podcasts, with the raters' votes, valence, activation and dominance."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from pathosnet.corpora.importing import (
    CorpusImporter,
    ImportedUtterance,
    ImportOptions,
    Notes,
    find_recording,
    normal_emotion,
    read_corpus_table,
)
from pathosnet.corpora.known.names import UNSEEN
from pathosnet.files import read_json

EMOTIONS = {
    "A": "anger",
    "S": "sadness",
    "H": "happiness",
    "U": "surprise",
    "F": "fear",
    "D": "disgust",
    "C": "contempt",
    "N": "neutral",
}
PARTS = {"Train": "train", "Development": "validation", "Test1": "test", "Test2": "test", "Test3": "test"}
LABELS, RATERS = "labels_consensus.csv", "labels_detailed.json"
COLUMNS = ("FileName", "EmoClass", "EmoAct", "EmoVal", "EmoDom", "SpkrID", "Split_Set")


def _read(folder: Path, options: ImportOptions, notes: Notes) -> Iterator[ImportedUtterance]:
    labels = next((path for path in (folder / "Labels" / LABELS, folder / LABELS) if path.is_file()), None)
    if labels is None:
        return
    votes = _votes(labels.with_name(RATERS), notes)
    for row in read_corpus_table(labels, COLUMNS):
        name = Path(row["FileName"]).stem
        audio = find_recording(folder / "Audios" / name) or find_recording(folder / "Audio" / name)
        if row["EmoClass"] not in EMOTIONS:
            notes.count("without an emotion that most raters agree on, left out", row["FileName"])
        elif audio is None:
            notes.count(f"in {LABELS}, but not in Audios", row["FileName"])
        else:
            yield ImportedUtterance(
                audio,
                _text(folder / "Transcripts" / f"{name}.txt"),
                EMOTIONS[row["EmoClass"]],
                speaker="" if row["SpkrID"] == "Unknown" else row["SpkrID"],
                session=name.rpartition("_")[0],
                language="en",
                split=PARTS.get(row["Split_Set"], ""),
                valence=row["EmoVal"],
                activation=row["EmoAct"],
                dominance=row["EmoDom"],
                votes=votes.get(name, {}),
            )


def _text(path: Path) -> str:
    return " ".join(path.read_text(encoding="utf-8", errors="replace").split()) if path.is_file() else ""


def _votes(path: Path, notes: Notes) -> Mapping[str, Mapping[str, str]]:
    """Counts each recording's raters by the emotion that they chose."""
    if not path.is_file():
        notes.say(f"no votes: {RATERS} is not beside {LABELS}")
        return {}
    found = {}
    for name, raters in read_json(path).items():
        chosen = Counter(normal_emotion(str(rater.get("EmoClass_Major", ""))) for rater in raters.values())
        found[Path(name).stem] = {emotion: str(chosen[emotion]) for emotion in EMOTIONS.values()}
    return found


IMPORTER = CorpusImporter(
    name="msppodcast",
    title="MSP-Podcast",
    languages=("en",),
    emotions=tuple(EMOTIONS.values()),
    source="The University of Texas at Dallas, after an agreement",
    layout=f"Labels/{LABELS}, Labels/{RATERS}, and Audios with recordings such as MSP-PODCAST_0001_0008.wav" + UNSEEN,
    read=_read,
)
