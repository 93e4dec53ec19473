"""Resampling, noise and the telephone beside torchaudio's; for these tests alone it has to import."""

from typing import Any

import numpy as np
import pytest
import torch

from pathosnet.audio.degradation import TELEPHONE_BAND, TELEPHONE_RATE, add_white_noise, telephone
from pathosnet.audio.resampling import resample

KAISER_BEST = {
    "lowpass_filter_width": 64,
    "rolloff": 0.9475937167399596,
    "resampling_method": "sinc_interp_kaiser",
    "beta": 14.769656459379492,
}


@pytest.fixture(scope="module")
def functional() -> Any:
    try:
        import torchaudio.functional
    except Exception as error:  # beside a torch of another build it raises ImportError, OSError or RuntimeError
        pytest.skip(f"torchaudio cannot be imported ({error})")
    return torchaudio.functional


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 44_100, 48_000])
def test_resampling_is_torchaudios_up_to_1e_4(functional, rng, rate):
    """Up to 85 % of the band that both rates have: above, the two filters end differently."""
    num_samples = 3 * rate // 2 * 2
    spectrum = np.fft.rfft(rng.normal(size=num_samples))
    spectrum[np.fft.rfftfreq(num_samples, 1 / rate) > 0.85 * min(rate, 16_000) / 2] = 0
    waveform = np.fft.irfft(spectrum) * np.hanning(num_samples)  # an abrupt end would have no band
    waveform = torch.from_numpy((0.5 * waveform / np.abs(waveform).max()).astype(np.float32))
    ours, theirs = resample(waveform, rate, 16_000), functional.resample(waveform, rate, 16_000, **KAISER_BEST)
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() < 1e-4  # the peak is 0.5


@pytest.mark.parametrize("snr_db", [-5.0, 10.0, 40.0])
def test_noise_is_torchaudios(functional, rng, snr_db):
    waveform = torch.from_numpy(rng.normal(size=16_000).astype(np.float32))
    noise = torch.from_numpy(np.random.default_rng(3).standard_normal(16_000, dtype=np.float32))
    expected = functional.add_noise(waveform, noise, torch.tensor(snr_db))
    torch.testing.assert_close(add_white_noise(waveform, snr_db, np.random.default_rng(3)), expected)


def test_telephone_is_torchaudios(functional, rng):
    """But for codes of mu-law that a rounding error puts on the other side of a step."""
    waveform = torch.from_numpy((0.1 * rng.normal(size=16_000)).astype(np.float32))
    narrow = resample(waveform, 16_000, TELEPHONE_RATE)
    for q in (0.54119610, 1.30656296):  # of the two biquads that make a Butterworth filter of order 4
        narrow = functional.highpass_biquad(narrow, TELEPHONE_RATE, TELEPHONE_BAND[0], q)
        narrow = functional.lowpass_biquad(narrow, TELEPHONE_RATE, TELEPHONE_BAND[1], q)
    decoded = functional.mu_law_decoding(functional.mu_law_encoding(narrow.clamp(-1, 1), 256), 256)
    expected = resample(decoded, TELEPHONE_RATE, 16_000)
    difference = telephone(waveform) - expected
    assert float(difference.norm() / expected.norm()) < 2e-3
    assert float((difference.abs() > 1e-4).float().mean()) < 0.02
