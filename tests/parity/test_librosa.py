"""Silence intervals and spectrograms against librosa."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from comparison import assert_same

from pathosnet.audio.reading import load_audio
from pathosnet.features import non_silent_intervals
from pathosnet.features.acoustic.spectrogram import normalized_spectrogram

CORPORA = ("emovo", "ravdess", "nemo")
CLIPS_A_CORPUS = 15


@pytest.fixture(scope="module")
def librosa() -> Any:
    return pytest.importorskip("librosa")


def bursts(rng: np.random.Generator, num_samples: int) -> np.ndarray:
    """Noise whose level jumps between stretches of random length, down to digital silence."""
    edges = np.sort(rng.integers(0, num_samples + 1, size=rng.integers(0, 9)))
    levels = rng.choice([0.0, 1e-6, 1e-3, 0.02, 0.3, 1.0], size=len(edges) + 1)
    stretches = np.split(rng.uniform(-1, 1, num_samples), edges)
    return np.concatenate([level * part for level, part in zip(levels, stretches, strict=True)]).astype(np.float32)


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("top_db", [20.0, 45.0])
def test_intervals_of_bursts_are_librosas(librosa: Any, seed: int, top_db: float) -> None:
    rng = np.random.default_rng(seed)
    waveform = bursts(rng, int(rng.integers(1, 60_000)))
    theirs = librosa.effects.split(waveform, top_db=top_db)
    ours = non_silent_intervals(torch.from_numpy(waveform), top_db)
    np.testing.assert_array_equal(ours.numpy(), theirs)


@pytest.mark.parametrize("num_samples", [1, 2, 511, 512, 513, 1023, 1024, 2047, 2048, 2049, 2560, 16_000])
@pytest.mark.parametrize("kind", ["noise", "zeros", "click", "silence then noise"])
def test_intervals_of_short_and_odd_signals_are_librosas(
    librosa: Any, rng: np.random.Generator, num_samples: int, kind: str
) -> None:
    waveform = np.zeros(num_samples, np.float32)
    if kind == "noise":
        waveform[:] = rng.uniform(-1, 1, num_samples)
    elif kind == "click":
        waveform[num_samples // 2] = 1.0
    elif kind == "silence then noise":
        waveform[num_samples // 2 :] = rng.uniform(-1, 1, num_samples - num_samples // 2)
    theirs = librosa.effects.split(waveform, top_db=20)
    np.testing.assert_array_equal(non_silent_intervals(torch.from_numpy(waveform)).numpy(), theirs)


@pytest.mark.parametrize("corpus", CORPORA)
def test_intervals_of_real_speech_are_librosas(librosa: Any, shared_data: Path, corpus: str) -> None:
    with (shared_data / corpus / "manifest.csv").open(encoding="utf-8", newline="") as file:
        clips = [row["audio"] for row in csv.DictReader(file)]
    some_removed = False
    for clip in clips[:: len(clips) // CLIPS_A_CORPUS]:
        waveform = load_audio(shared_data / corpus / clip)
        theirs = librosa.effects.split(waveform.numpy(), top_db=20)
        np.testing.assert_array_equal(non_silent_intervals(waveform).numpy(), theirs, err_msg=clip)
        some_removed |= int((theirs[:, 1] - theirs[:, 0]).sum()) < len(waveform)
    assert some_removed, "clips without silence would prove nothing"


@pytest.mark.parametrize("num_samples", [1, 200, 512, 4000, 16_001])
@pytest.mark.parametrize("stft_hop", [160, 256])
def test_spectrogram_is_librosas_normalised_by_frame(
    librosa: Any, rng: np.random.Generator, num_samples: int, stft_hop: int
) -> None:
    waveform = rng.uniform(-1, 1, num_samples).astype(np.float32)
    if num_samples >= 512:
        stft = librosa.stft(waveform.astype(np.float64), n_fft=512, win_length=400, hop_length=stft_hop)
    else:  # the same, without librosa's warning that the signal is shorter than a window
        padded = np.pad(waveform.astype(np.float64), 256)
        stft = librosa.stft(padded, n_fft=512, win_length=400, hop_length=stft_hop, center=False)
    magnitudes = np.abs(stft)
    theirs = (magnitudes - magnitudes.mean(axis=0)) / (magnitudes.std(axis=0) + 1e-5)
    assert_same(normalized_spectrogram(torch.from_numpy(waveform), stft_hop), theirs, "spectrogram")
