"""Mel spectrograms in decibels that say nothing of gain and little of microphones: relative to the loudest parts.

Corpora differ in the noise between words, down to digital silence, more than in speech. Therefore what lies before the
first and after the last loud frame is cut off, and a floor lies under the loudest cell of the spectrogram.
"""

import functools
import math

import numpy as np
import torch
from torch import Tensor

from pathosnet.audio.level import normalize_level

SAMPLE_RATE = 16_000
NUM_BANDS = 80
MIN_HERTZ = 50.0
MAX_HERTZ = 7600.0
FFT_SAMPLES = 1024
WINDOW_SAMPLES = 800  # 50 ms
HOP_SAMPLES = 320  # 20 ms
MIN_SAMPLES = 1200  # shorter recordings are padded with zeros
SMALLEST_POWER = 1e-9
LOUD_DECIBELS = 25.0  # below the loud level: frames that are still speech
EDGE_FRAMES = 5  # kept before the first and after the last of them
FLOOR_DECIBELS = 26.0  # below the loudest cell
ACTIVE_DECIBELS = 15.0  # below the loud level: frames over which bands are averaged
LOUD_SHARE = 0.9  # the loud level is the one that a tenth of the frames exceeds
NEPERS_PER_DECIBEL = math.log(10) / 10


def relative_mel(waveform: Tensor) -> Tensor:
    """Computes the two channels that ``MelCNN`` reads.

    Args:
        waveform: ``(samples,)`` at 16 kHz, at least one; with any gain the result is the same.

    Returns:
        ``(2, 80, frames)``, a frame every 20 ms: the level in tens of decibels and more, relative to loud frames, which
        keeps the spectrum's slope; and the same relative to each band's mean, which keeps what changes over time.
    """
    decibels = cut_edges(mel_decibels(normalize_level(waveform, "peak")))
    return relative(decibels, FLOOR_DECIBELS)


def mel_decibels(waveform: Tensor) -> Tensor:
    """Computes the power in 80 mel bands, ``(samples,)`` → ``(80, frames)`` in decibels."""
    missing = max(0, MIN_SAMPLES - len(waveform))
    padded = torch.nn.functional.pad(waveform, (0, missing))
    window = torch.hann_window(WINDOW_SAMPLES, device="cpu").to(padded)
    spectrum = torch.stft(padded, FFT_SAMPLES, HOP_SAMPLES, WINDOW_SAMPLES, window=window, return_complex=True)
    power = spectrum.real.square() + spectrum.imag.square()
    return 10 * torch.log10(mel_bands().to(padded) @ power + SMALLEST_POWER)


def cut_edges(decibels: Tensor) -> Tensor:
    """Cuts off what lies before the first and after the last loud frame, ``(80, frames)`` → ``(80, fewer)``."""
    energy = _sum_of_powers(decibels, dim=0)
    loud = (energy > energy.quantile(LOUD_SHARE) - LOUD_DECIBELS).nonzero()[:, 0]
    return decibels[:, max(0, int(loud[0]) - EDGE_FRAMES) : int(loud[-1]) + EDGE_FRAMES + 1]


def relative(decibels: Tensor, floor: float | Tensor = FLOOR_DECIBELS) -> Tensor:
    """Puts the floor under spectrograms and makes them relative.

    Args:
        decibels: ``(..., 80, frames)``.
        floor: decibels below each one's loudest cell; a number, or ``(..., 1, 1)``.

    Returns:
        ``(..., 2, 80, frames)``, see ``relative_mel``.
    """
    lowest = decibels.amax((-2, -1), keepdim=True) - floor
    decibels = torch.logaddexp(decibels * NEPERS_PER_DECIBEL, lowest * NEPERS_PER_DECIBEL) / NEPERS_PER_DECIBEL
    energy = _sum_of_powers(decibels, dim=-2)
    loud = energy.quantile(LOUD_SHARE, dim=-1, keepdim=True)
    active = (energy > loud - ACTIVE_DECIBELS).to(decibels).unsqueeze(-2)
    means = (decibels * active).sum(-1, keepdim=True) / active.sum(-1, keepdim=True).clamp_min(1)
    level = (decibels - (loud.unsqueeze(-2) - ACTIVE_DECIBELS)) / 15
    return torch.stack([level.clamp(-3, 2), ((decibels - means) / 10).clamp(-3, 3)], dim=-3)


@functools.lru_cache(maxsize=1)
def mel_bands() -> Tensor:
    """Returns the weights of 80 triangular mel bands (HTK's scale), ``(80 bands, 513 bins)``; each sums to 1."""
    lowest, highest = (2595 * math.log10(1 + hertz / 700) for hertz in (MIN_HERTZ, MAX_HERTZ))
    edges = np.linspace(lowest, highest, NUM_BANDS + 2)
    hertz = 700 * (10 ** (edges / 2595) - 1)
    bins = np.linspace(0.0, SAMPLE_RATE / 2, FFT_SAMPLES // 2 + 1)[None]  # (1, bins)
    lower, center, upper = hertz[:-2, None], hertz[1:-1, None], hertz[2:, None]
    weights = np.maximum(0.0, np.minimum((bins - lower) / (center - lower), (upper - bins) / (upper - center)))
    return torch.from_numpy((weights / weights.sum(axis=1, keepdims=True)).astype(np.float32))


def _sum_of_powers(decibels: Tensor, dim: int) -> Tensor:
    return torch.logsumexp(decibels * NEPERS_PER_DECIBEL, dim=dim) / NEPERS_PER_DECIBEL
