"""Warnings for what is no speech: noise, tones, clicks; none for speech."""

import csv
import random

import numpy as np
import pytest
import torch

from pathosnet import PathosNet
from pathosnet.audio.degradation import telephone
from pathosnet.audio.reading import SAMPLE_RATE, load_audio
from pathosnet.audio.voice import STEADY, VOICELESS, check_speech
from pathosnet.corpora.demo_corpus import demo_manifest

COUNT = 3 * SAMPLE_RATE
TIMES = torch.arange(COUNT) / SAMPLE_RATE


def tone(*hertz: float) -> torch.Tensor:
    return sum(torch.sin(2 * torch.pi * one * TIMES) for one in hertz) / len(hertz)


def noise(slope: float = 0.0) -> torch.Tensor:
    spectrum = torch.fft.rfft(torch.randn(COUNT))
    return torch.fft.irfft(spectrum * torch.arange(len(spectrum)).clamp(min=60) ** (-slope / 2), COUNT)


def every(samples: int) -> torch.Tensor:
    found = torch.zeros(COUNT)
    found[::samples] = 0.5
    return found


@pytest.mark.parametrize(
    "make",
    [
        lambda: noise(),
        lambda: noise(1),
        lambda: noise(2),
        lambda: tone(50),
        lambda: tone(440),
        lambda: tone(1000),
        lambda: tone(262, 330, 392),
        lambda: (TIMES * 120) % 1 - 0.5,
    ],
    ids=["white", "pink", "brown", "hum", "a'", "1 kHz", "chord", "buzz"],
)
def test_steady_sounds_are_no_speech(make):
    assert check_speech(make()) == (STEADY,)


@pytest.mark.parametrize("gain", [1e-3, 1.0, 100.0])
def test_sounds_without_pitch_have_no_voice(gain):
    fluctuating = noise() * (1 + torch.sin(2 * torch.pi * 4 * TIMES))
    assert check_speech(gain * fluctuating) == (VOICELESS,)


def test_short_sounds_are_not_judged():
    assert check_speech(noise()[: SAMPLE_RATE // 2 - 1]) == ()


@pytest.mark.parametrize("corpus", ["emovo", "ravdess", "nemo"])
def test_speech_is_speech(shared_data, corpus):
    with open(shared_data / corpus / "manifest.csv", encoding="utf-8", newline="") as file:
        rows = random.Random(0).sample(list(csv.DictReader(file)), 30)
    for row in rows:
        waveform = load_audio(shared_data / corpus / row["audio"])
        waveform = waveform / waveform.abs().max()
        assert check_speech(waveform) == (), row["audio"]
        assert check_speech(telephone(waveform)) == (), row["audio"]


def test_demo_speech_is_speech():
    recordings = sorted(demo_manifest().parent.rglob("*.ogg"))[::8]
    assert recordings
    for path in recordings:
        assert check_speech(load_audio(path)) == (), path


def test_prediction_says_so():
    model = PathosNet.from_pretrained("small")
    assert model.predict(np.asarray(noise()) * 0.1, sample_rate=SAMPLE_RATE).warnings == (STEADY,)
    assert model.predict(np.zeros(COUNT), sample_rate=SAMPLE_RATE).warnings[0] == "silent"
