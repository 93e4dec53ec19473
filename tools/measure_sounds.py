"""Asks a model about sounds that are no speech, and about speech through a telephone, in noise and whispered.

    python tools/measure_sounds.py base emovo.csv ravdess.csv

Of each corpus 24 recordings are taken, spread over its speakers and emotions. Sounds and whispering are made here;
whispering puts noise in the place of the voice and leaves the spectral envelope as it is.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.signal
import torch
from channels import add_noise
from train_default import read_corpus

from pathosnet import PathosNet
from pathosnet.audio.degradation import telephone
from pathosnet.audio.reading import SAMPLE_RATE, read_recording
from pathosnet.corpora import Utterance

SECONDS = 3
RECORDINGS = 24  # of a corpus
FRAME = 512
ENVELOPE = 32  # cepstral coefficients of it


def sounds() -> dict[str, np.ndarray]:
    """Makes sounds without speech, ``(samples,)`` each."""
    generator = np.random.default_rng(0)
    time = np.arange(SECONDS * SAMPLE_RATE) / SAMPLE_RATE
    noise = generator.normal(0, 0.1, len(time))
    spectrum = np.fft.rfft(noise) / np.sqrt(np.arange(1, len(time) // 2 + 2))
    pink = np.fft.irfft(spectrum, len(time))

    def chords(roots: tuple[int, ...], intervals: tuple[int, ...]) -> np.ndarray:
        parts = np.array_split(time, len(roots))
        tones = [[440 * 2 ** ((root + step) / 12) for step in intervals] for root in roots]
        return 0.05 * np.concatenate(
            [
                sum(np.sin(2 * np.pi * hertz * k * part) / k for hertz in chord for k in (1, 2, 3))
                for chord, part in zip(tones, parts, strict=True)
            ]
        )

    return {
        "silence": np.zeros(len(time)),
        "white noise": noise,
        "pink noise": 0.3 * pink / np.abs(pink).max(),
        "a sine of 440 Hz": 0.3 * np.sin(2 * np.pi * 440 * time),
        "major chords": chords((-9, -4, -2, -9), (0, 4, 7)),
        "minor chords": chords((-12, -7, -5, -12), (0, 3, 7)),
        "clicks, four a second": np.where(np.arange(len(time)) % (SAMPLE_RATE // 4) == 0, 0.5, 0.0),
        "0.3 s of noise": noise[: int(0.3 * SAMPLE_RATE)],
    }


def whispered(x: np.ndarray) -> np.ndarray:
    """Puts noise in the place of the voice: the smoothed spectrum of each frame, with random phases."""
    _, _, spectrum = scipy.signal.stft(x, SAMPLE_RATE, nperseg=FRAME)
    cepstrum = np.fft.irfft(np.log(np.abs(spectrum) + 1e-6), axis=0)
    cepstrum[ENVELOPE : FRAME - ENVELOPE + 1] = 0
    envelope = np.exp(np.fft.rfft(cepstrum, axis=0).real)
    noise = np.random.default_rng(0).normal(0, 1, len(x))
    _, _, carrier = scipy.signal.stft(noise, SAMPLE_RATE, nperseg=FRAME)
    _, made = scipy.signal.istft(envelope * carrier[:, : envelope.shape[1]] / np.abs(carrier).mean(), SAMPLE_RATE)
    found: np.ndarray = made[: len(x)]
    return found


CONDITIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as it is": lambda x: x,
    "telephone": lambda x: telephone(torch.from_numpy(x)).numpy(),
    "white noise, 10 dB": lambda x: add_noise(x, np.random.default_rng(0), snr_db=10.0, slope=0),
    "whispered": whispered,
}


def choose(utterances: tuple[Utterance, ...], labels: tuple[str, ...]) -> list[Utterance]:
    """Takes recordings of one emotion after the other, of one speaker after the other."""
    speakers = sorted({one.speaker for one in utterances})
    chosen: list[Utterance] = []
    while len(chosen) < RECORDINGS:
        speaker = speakers[len(chosen) % len(speakers)]
        label = labels[(len(chosen) + len(chosen) // len(speakers)) % len(labels)]
        chosen.append(next(u for u in utterances if (u.speaker, u.emotion) == (speaker, label) and u not in chosen))
    return chosen


def main() -> None:
    """Runs the tool."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="base, small, or the folder of a model")
    parser.add_argument("manifests", nargs="*", type=Path, help="CSV files of corpora, with speakers")
    options = parser.parse_args()
    model = PathosNet.from_pretrained(options.model)
    print("| sound | answer | probabilities | warning |\n|---|---|---|---|")
    for name, samples in sounds().items():
        answer = model.predict(samples.astype(np.float32), sample_rate=SAMPLE_RATE)
        values = " ".join(f"{value:.2f}"[1:] if value < 1 else "1" for value in answer.probabilities.values())
        print(f"| {name} | {answer.label or 'no label'} | {values} | {'; '.join(answer.warnings)} |")
    for path in options.manifests:
        corpus = read_corpus([path], ["disgust", "fear", "surprise", "calm"], None)
        chosen = choose(corpus.utterances, model.labels)
        print(f"\n{path}: share of right answers, mean probability of the answer, labels\n")
        for name, change in CONDITIONS.items():
            waves = [change(read_recording(one.audio).waveform.numpy()).astype(np.float32) for one in chosen]
            answers = model.predict_batch(waves, sample_rate=SAMPLE_RATE)
            right = np.mean([a.label == one.emotion for a, one in zip(answers, chosen, strict=True)])
            sure = np.mean([max(a.probabilities.values()) for a in answers])
            said = ", ".join(f"{label} {sum(a.label == label for a in answers)}" for label in model.labels)
            print(f"| {name} | {right:.2f}, {sure:.2f} | {said} |")


if __name__ == "__main__":
    main()
