import numpy as np
import pytest
import torch

from pathosnet.audio.augmentation import GAIN_DB, NOISE_DB, SPEEDS, change_recording
from pathosnet.audio.degradation import measure_snr


def test_speed_changes_length_and_pitch():
    waveform = torch.sin(torch.arange(16_000) * 2 * torch.pi * 440 / 16_000)
    generator = np.random.default_rng(0)
    for _ in range(8):
        changed = change_recording(waveform, ("speed",), generator)
        speed = 16_000 / len(changed)
        assert min(abs(speed - one) for one in SPEEDS) < 1e-3
        peak = int(torch.fft.rfft(changed[:8000]).abs().argmax()) * 2
        assert peak == pytest.approx(440 * speed, abs=2)


def test_noise_and_gain_are_within_their_ranges():
    waveform = torch.randn(16_000)
    generator = np.random.default_rng(0)
    ratios = [measure_snr(waveform, change_recording(waveform, ("noise",), generator)) for _ in range(30)]
    assert NOISE_DB[0] - 0.1 < min(ratios) < 10 < 25 < max(ratios) < NOISE_DB[1] + 0.1
    gains = [20 * np.log10(float(change_recording(waveform, ("gain",), generator)[0] / waveform[0])) for _ in range(30)]
    assert GAIN_DB[0] - 1e-4 <= min(gains) < -3 < 3 < max(gains) <= GAIN_DB[1] + 1e-4


def test_what_is_no_change_of_a_recording_is_left_aside():
    waveform = torch.randn(100)
    assert change_recording(waveform, ("masks", "words"), np.random.default_rng(0)) is waveform
