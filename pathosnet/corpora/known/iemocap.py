"""IEMOCAP: ten American actors in five sessions of dialogues, scripted and improvised.

The speaker is the letter of a name's last part: ``Ses01F_impro01_M000`` is said by the man of session 1; the letter
after the session names the dialogue. ``script`` is the dialogue's scenario without session, because scripted sentences
come again in every session.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pathosnet.corpora.importing import (
    CorpusImporter,
    ImportedUtterance,
    ImportOptions,
    Notes,
    audio_files,
    find_recording,
)
from pathosnet.emotions import PAPER_EMOTIONS
from pathosnet.errors import InputError

EMOTIONS = {
    "ang": "anger",
    "sad": "sadness",
    "neu": "neutral",
    "fru": "frustration",
    "sur": "surprise",
    "fea": "fear",
    "dis": "disgust",
    "oth": "other",
    "xxx": "undecided",  # the raters do not agree
}
HAPPINESS = {"exc": ("exc",), "hap": ("hap",), "both": ("exc", "hap")}
"""Choice → codes that count as happiness. The paper's 1041 utterances are those of ``exc``."""
CHECKED = ("ang", "exc", "hap", "neu", "sad")
COUNTS = {
    "Ses01": (229, 143, 135, 384, 194),
    "Ses02": (137, 210, 117, 362, 197),
    "Ses03": (240, 151, 135, 320, 305),
    "Ses04": (327, 238, 65, 258, 143),
    "Ses05": (170, 299, 143, 384, 245),
}
"""Session → utterances of each checked code in the complete corpus."""

NAME = r"(?P<session>Ses0[1-5])[FM]_(?P<scenario>(?:impro|script)\d\d(?:_\d)?)[a-z]?_(?P<letter>[FM])\d{3}"
LABEL = re.compile(rf"\[[\d.]+ - [\d.]+\]\s+(?P<name>{NAME})\s+(?P<code>\w+)\s+\[(?P<ratings>[^\]]*)\]\s*")
LINE = re.compile(rf"(?P<name>{NAME}) \[[\d.]+-[\d.]+\]:(?P<text>.*)")
TAG = re.compile(r"\[[^\]]*\]")  # [LAUGHTER]


def _read(folder: Path, options: ImportOptions, notes: Notes) -> Iterator[ImportedUtterance]:
    choice = options.happiness or "exc"
    if choice not in HAPPINESS:
        raise InputError(f"--happiness: expected {', '.join(HAPPINESS)}, got {choice!r}")
    emotions = {**EMOTIONS, "exc": "excitement", **dict.fromkeys(HAPPINESS[choice], "happiness")}
    for session in _sessions(folder, notes):
        counts: Counter[str] = Counter()
        transcripts = _transcripts(session)
        known = set()
        for label in _labels(session, notes):
            name, code = label["name"], label["code"]
            known.add(name)
            audio = find_recording(session / "sentences" / "wav" / name.rpartition("_")[0] / name)
            if audio is None:
                notes.count("labelled, but not in sentences/wav", name)
                continue
            counts[code] += 1
            if code not in emotions:
                why = "are happiness only with --happiness both or hap" if code == "hap" else "are of no known emotion"
                notes.count(f"with the label {code!r} {why}, left out", name)
                continue
            if name not in transcripts:
                notes.count("without a transcript", name)
            ratings = [rating.strip() for rating in label["ratings"].split(",")]
            valence, activation, dominance = ratings if len(ratings) == 3 else ("", "", "")
            yield ImportedUtterance(
                audio,
                transcripts.get(name, ""),
                emotions[code],
                speaker=label["session"] + label["letter"],
                session=label["session"],
                script=label["scenario"],
                language="en",
                valence=valence,
                activation=activation,
                dominance=dominance,
            )
        for audio in audio_files(session / "sentences" / "wav"):
            if audio.stem not in known:
                notes.count("not labelled in dialog/EmoEvaluation", audio.relative_to(folder))
        _check_counts(session, counts, notes)


def _sessions(folder: Path, notes: Notes) -> list[Path]:
    for root in (folder, folder / "IEMOCAP_full_release"):
        sessions = [root / f"Session{number}" for number in range(1, 6)]
        if any(session.is_dir() for session in sessions):
            missing = [session.name for session in sessions if not session.is_dir()]
            if missing:
                notes.say(f"{', '.join(missing)} not there: this is a part of IEMOCAP")
            return [session for session in sessions if session.is_dir()]
    return []


def _labels(session: Path, notes: Notes) -> Iterator[re.Match[str]]:
    """Yields the head lines of the evaluations; the raters' lines follow each."""
    for path in sorted((session / "dialog" / "EmoEvaluation").glob("Ses*.txt")):  # its subfolders hold each rater's
        for line in _lines(path):
            if match := LABEL.fullmatch(line):
                yield match
            elif line.startswith("["):
                notes.count(f"lines of {session.name}/dialog/EmoEvaluation that cannot be read", line.strip())


def _transcripts(session: Path) -> dict[str, str]:
    """Returns name → text. Turns that were not cut out (``…_FXX0``) fit no name."""
    matches = (
        LINE.fullmatch(line.strip())
        for path in sorted((session / "dialog" / "transcriptions").glob("Ses*.txt"))
        for line in _lines(path)
    )
    return {match["name"]: " ".join(TAG.sub(" ", match["text"]).split()) for match in matches if match}


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines()


def _check_counts(session: Path, counts: Counter[str], notes: Notes) -> None:
    expected = zip(CHECKED, COUNTS[f"Ses0{session.name[-1]}"], strict=True)
    differing = [f"{code} {counts[code]} instead of {number}" for code, number in expected if counts[code] != number]
    if differing:
        notes.say(f"{session.name} differs from the complete corpus: {', '.join(differing)}")


IMPORTER = CorpusImporter(
    name="iemocap",
    title="IEMOCAP",
    languages=("en",),
    emotions=("happiness", "excitement", *EMOTIONS.values()),
    source="USC SAIL, sail.usc.edu/iemocap, on request",
    layout="Session1 … Session5 with labels such as Session1/dialog/EmoEvaluation/Ses01F_impro01.txt and recordings "
    "such as Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav",
    read=_read,
    default_emotions=PAPER_EMOTIONS,
    options=("happiness",),
)
