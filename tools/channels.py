"""Other channels for a recording: speeds, equalizers, rooms, telephones, pauses and noise, drawn at random."""

import numpy as np
import scipy.signal
import torch
from torch import Tensor

from pathosnet.audio.degradation import telephone
from pathosnet.audio.reading import SAMPLE_RATE
from pathosnet.audio.resampling import resample

BANDS_HZ = np.array([60.0, 150.0, 400.0, 1000.0, 2500.0, 5000.0, 8000.0])
LOWEST_HZ = 40.0  # below it, colored noise has no more power
FRAME = 320  # samples, in which the level of speech is measured
TINY = 1e-12


def degrade_recording(waveform: Tensor, generator: np.random.Generator) -> Tensor:
    """Sends a recording through a channel that is drawn at random; each of its parts is there with some probability.

    Args:
        waveform: ``(samples,)`` at 16 kHz.
        generator: of all that is random.

    Returns:
        ``(samples,)`` at 16 kHz, of another length.
    """
    draw = generator.uniform
    if draw() < 0.7:
        waveform = resample(waveform, round(SAMPLE_RATE * np.exp(draw(-0.15, 0.15))), SAMPLE_RATE)
    x = waveform.double().numpy()
    if draw() < 0.6:
        x = equalize(x, draw(-8.0, 8.0, len(BANDS_HZ)))
    if draw() < 0.4:
        x = reverberate(x, generator, seconds=draw(0.15, 0.7), wet=draw(0.2, 1.0))
    if draw() < 0.15:
        x = call(x)
    elif draw() < 0.15:
        x = scipy.signal.sosfilt(scipy.signal.butter(6, draw(2500, 7000), fs=SAMPLE_RATE, output="sos"), x)
    if draw() < 0.4:
        x = pause(x, generator, seconds=draw(0.0, 0.8, 2), floor=10 ** draw(-4.0, -2.5))
    if draw() < 0.6:
        x = add_noise(x, generator, snr_db=draw(8.0, 40.0), slope=int(generator.integers(3)))
    return torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))


def equalize(x: np.ndarray, gains_db: np.ndarray) -> np.ndarray:
    """Applies gains at BANDS_HZ, ``(bands,)``, and between them what lies between."""
    spectrum = np.fft.rfft(x)
    hertz = np.maximum(np.fft.rfftfreq(len(x), 1 / SAMPLE_RATE), 30.0)
    gain = np.interp(np.log(hertz), np.log(BANDS_HZ), gains_db)
    return np.fft.irfft(spectrum * 10 ** (gain / 20), len(x))


def reverberate(x: np.ndarray, generator: np.random.Generator, *, seconds: float, wet: float) -> np.ndarray:
    """Adds a room: noise that fades by 60 dB, behind the direct sound.

    Args:
        x: ``(samples,)``.
        generator: of the room.
        seconds: until it has faded.
        wet: root of the room's energy over the direct sound's.
    """
    count = int(SAMPLE_RATE * seconds)
    room = generator.standard_normal(count) * np.exp(-6.9 * np.arange(count) / count)
    room = scipy.signal.lfilter(*scipy.signal.butter(1, generator.uniform(2500, 7000), fs=SAMPLE_RATE), room)
    room[: int(SAMPLE_RATE * generator.uniform(0.002, 0.015))] = 0.0
    room *= wet / np.sqrt(np.square(room).sum() + TINY)
    room[0] = 1.0
    return scipy.signal.fftconvolve(x, room)[: len(x) + count // 3]


def call(x: np.ndarray) -> np.ndarray:
    """Sends ``(samples,)`` through a telephone at its full level."""
    peak = np.abs(x).max() + TINY
    return telephone(torch.from_numpy(x / peak)).double().numpy() * peak


def pause(x: np.ndarray, generator: np.random.Generator, *, seconds: np.ndarray, floor: float) -> np.ndarray:
    """Puts pauses before and after a recording, and a floor of white noise under all of it.

    Args:
        x: ``(samples,)``.
        generator: of the noise.
        seconds: of the two pauses.
        floor: amplitude of the noise over the recording's peak.
    """
    before, after = (np.zeros(int(SAMPLE_RATE * length)) for length in seconds)
    x = np.concatenate([before, x, after])
    return x + generator.standard_normal(len(x)) * floor * np.abs(x).max()


def add_noise(x: np.ndarray, generator: np.random.Generator, *, snr_db: float, slope: int) -> np.ndarray:
    """Adds white (slope 0), pink (1) or brown (2) noise.

    Args:
        x: ``(samples,)``.
        generator: of the noise.
        snr_db: power of the louder third of the recording over the noise's.
        slope: how fast the noise's power falls with frequency.
    """
    spectrum = np.fft.rfft(generator.standard_normal(len(x)))
    hertz = np.maximum(np.fft.rfftfreq(len(x), 1 / SAMPLE_RATE), LOWEST_HZ)
    noise = np.fft.irfft(spectrum * hertz ** (-slope / 2), len(x))
    power = np.sort(np.square(x[: max(1, len(x) // FRAME) * FRAME].reshape(-1, min(FRAME, len(x)))).mean(axis=1))
    loud = power[-max(1, len(power) // 3) :].mean()
    return x + noise * np.sqrt(loud / (noise.var() + TINY) * 10 ** (-snr_db / 10))
