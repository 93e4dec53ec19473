"""Checks that explanations point to what was planted: a stretch of another tone, or a word.

python tools/check_explanations.py --clips 200
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from pathosnet import PathosNet, TrainConfig, train
from pathosnet.prediction.explanation import explain

RATE = 16_000
HERTZ = {"anger": 700.0, "neutral": 250.0}
"""Emotion → the middle pitch of its voices; each clip's is up to a tenth above or below."""
WORDS = {"anger": ("furious", "hateful"), "neutral": ("table", "window")}
FILLERS = ("and", "then", "the", "of", "a")
CARRIER_SECONDS, CUE_SECONDS = 3.0, 0.5
PASS = 0.95


def voice(emotion: str, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Makes a tone with five harmonics, a tremor and some noise, ``(samples,)``."""
    time = np.arange(round(seconds * RATE)) / RATE
    hertz = HERTZ[emotion] * rng.uniform(0.9, 1.1)
    tone = sum(np.sin(2 * np.pi * hertz * k * time + rng.uniform(0, 6)) / k for k in range(1, 6))
    tremor = 1.0 + 0.3 * np.sin(2 * np.pi * rng.uniform(3, 6) * time)
    return np.asarray(0.1 * tone * tremor + 0.005 * rng.normal(size=len(time)))


def sentence(emotion: str, rng: np.random.Generator) -> str:
    """Makes a sentence of fillers with a word of the emotion."""
    words = list(rng.choice(FILLERS, 4))
    words.insert(int(rng.integers(5)), str(rng.choice(WORDS[emotion])))
    return " ".join(words)


def train_on_cues(folder: Path, rng: np.random.Generator, per_class: int = 24) -> PathosNet:
    """Trains a small network on clips that are all of one emotion, and sentences with a word of it."""
    lines = ["audio,text,emotion"]
    for emotion in HERTZ:
        for number in range(per_class):
            name = f"{emotion}{number}.wav"
            soundfile.write(folder / name, voice(emotion, rng.uniform(1.0, 2.0), rng), RATE)
            lines.append(f"{name},{sentence(emotion, rng)},{emotion}")
    (folder / "corpus.csv").write_text("\n".join(lines) + "\n")
    config = TrainConfig(
        labels=tuple(HERTZ),
        acoustic=("logmel",),
        network="linear",
        standardize=True,
        modality_dropout=0.3,
        epochs=30,
        batch_size=8,
        accelerator="cpu",
        progress=False,
        logger="none",
        workers=0,
    )
    return train(folder / "corpus.csv", folder / "run", config).model


def planted(rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Makes a neutral clip with an angry stretch somewhere; returns its samples, and when that begins in seconds."""
    clip = voice("neutral", CARRIER_SECONDS, rng)
    cue = voice("anger", CUE_SECONDS, rng)
    start = int(rng.integers(0, len(clip) - len(cue)))
    clip[start : start + len(cue)] = cue
    return clip, start / RATE


def count_found(model: PathosNet, clips: int, rng: np.random.Generator) -> tuple[int, int]:
    """Counts clips whose strongest stretch, and sentences whose strongest word, is the planted one.

    A stretch is found if its middle lies in the cue.
    """
    stretches = words = 0
    for _ in range(clips):
        samples, start = planted(rng)
        found = explain(model, samples, label="anger", sample_rate=RATE).strongest_stretch
        stretches += found is not None and start <= (found.start + found.end) / 2 <= start + CUE_SECONDS
        word = explain(model, None, sentence("anger", rng), label="anger").strongest_word
        words += word is not None and word.word in WORDS["anger"]
    return stretches, words


def main() -> None:
    """Trains, explains, and fails if too few cues are found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=200)
    clips = parser.parse_args().clips
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        stretches, words = count_found(train_on_cues(Path(folder), rng), clips, rng)
    print(f"found {stretches} of {clips} stretches of sound, {words} of {clips} words")
    sys.exit(min(stretches, words) < PASS * clips)


if __name__ == "__main__":
    main()
