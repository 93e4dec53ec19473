"""Recordings that people met, where the folder that holds them is beside the checkout.

The other tests of this folder make such recordings themselves.
"""

import numpy as np
import pytest
import soundfile

from pathosnet.audio.reading import load_audio, read_recording
from pathosnet.errors import InputError


def test_coprime_rate(cases):
    waveform = load_audio(cases / "coprime-rate/tone440_11111.wav").numpy()
    assert len(waveform) == 16_000
    basis = np.exp(2j * np.pi * 440 * np.arange(16_000) / 16_000)
    samples, edge = waveform[800:-800], slice(800, -800)
    waves = np.stack([basis.real[edge], basis.imag[edge]], axis=1)
    fitted = waves @ np.linalg.lstsq(waves, samples, rcond=None)[0]
    assert np.abs(samples - fitted).max() < 1e-3


def test_flac_of_unknown_length(cases):
    waveform = load_audio(cases / "flac-unknown-length/pipe.flac")
    assert waveform.shape == (52_853,)
    assert np.array_equal(waveform, load_audio(cases / "nfd-label/a.wav"))  # the same recording


def test_enormous_samples(cases):
    with pytest.raises(InputError, match=r"huge\.wav: holds samples as large as 1e\+38, expected \[-1, 1\]"):
        load_audio(cases / "huge-float/huge.wav")


def test_damaged_ogg(cases):
    path = cases / "ogg-damaged/bitflip.ogg"
    with soundfile.SoundFile(path) as file:
        one_pass = file.read(60_000, dtype="float32")
    assert len(one_pass) == 36_597
    assert np.array_equal(load_audio(path), one_pass)


def test_samples_without_a_header(cases):
    with pytest.raises(InputError, match=r"clip\.raw: has no header"):
        load_audio(cases / "raw-typeerror/clip.raw")


def test_wav_that_was_not_closed(cases):
    path = cases / "wav-data-size-0/recorder_not_closed.wav"
    recording = read_recording(path)
    samples = np.frombuffer(path.read_bytes()[44:], "<i2") / np.float32(32_768)
    assert len(samples) == 4000
    assert np.array_equal(recording.waveform, samples)
