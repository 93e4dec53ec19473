"""A check for speech by energy and periodicity: it finds noise, tones and other steady sounds, not music."""

import torch
from torch import Tensor

from pathosnet.audio.inspection import SHORT_SECONDS
from pathosnet.audio.reading import SAMPLE_RATE

STEADY = "a steady sound, perhaps no speech"
VOICELESS = "no voice found: noise, whispering, or no speech"

FRAME = 640  # samples, 40 ms: two periods of the lowest voices
HOP = 320
FFT = 1024  # enough lags without wrapping around, up to the longest that is looked at
SHORTEST_LAG, LONGEST_LAG = SAMPLE_RATE // 450, SAMPLE_RATE // 65  # of a voice's pitch
PREEMPHASIS = 0.97  # takes the slope out of the spectrum, without which low noise looks periodic
QUIETEST = 1e-3  # of the loudest frame's power: 30 dB
PERIODIC = 0.4
"""Autocorrelation above which a frame is voiced. Without noise, each of 1,900 clips of speech had such frames."""
AT_ONCE = 16
"""Frames that are looked at together; in speech one of the loudest is voiced, and the others need no look."""
STEADY_DECIBELS = 1.0
"""Standard deviation of the level below which nothing speaks. Speech has 4 to 8 dB; stationary noise has 0.3."""


def check_speech(waveform: Tensor) -> tuple[str, ...]:
    """Says why a recording may hold no speech.

    A frame of 40 ms is voiced where the autocorrelation of its samples has a peak of at least 0.4 at the period of a
    voice (65 to 450 Hz). Speech under loud noise (signal-to-noise ratios around 0 dB) is not found, either.

    Args:
        waveform: ``(samples,)`` at 16 kHz.

    Returns:
        ``STEADY`` where the level hardly changes, ``VOICELESS`` where no frame is voiced; nothing for speech, for
        music, and for what is shorter than half a second.

    >>> import torch
    >>> check_speech(torch.randn(16_000, generator=torch.Generator().manual_seed(0)))
    ('a steady sound, perhaps no speech',)
    """
    x = waveform[1:] - PREEMPHASIS * waveform[:-1]
    if len(x) < SHORT_SECONDS * SAMPLE_RATE - 1:
        return ()
    frames = x.float().unfold(0, FRAME, HOP)  # (frames, samples)
    power = frames.square().mean(dim=1)
    loud = power > QUIETEST * power.max()
    if loud.sum() > 1 and float((10 * power[loud].log10()).std()) < STEADY_DECIBELS:
        return (STEADY,)
    loudest_first = frames[loud][power[loud].argsort(descending=True)]
    voiced = any(_periodicity(some).gt(PERIODIC).any() for some in loudest_first.split(AT_ONCE))
    return () if voiced else (VOICELESS,)


def _periodicity(frames: Tensor) -> Tensor:
    """Returns the highest peak of each frame's autocorrelation at the period of a voice, ``(frames,)`` up to 1."""
    window = torch.hann_window(FRAME, device=frames.device)
    correlation = _autocorrelation(frames * window) / _autocorrelation(window)
    lags = correlation[:, SHORTEST_LAG:]
    middle = lags[:, 1:-1]
    peaks = (middle > lags[:, :-2]) & (middle >= lags[:, 2:])  # the slope from lag 0 is none
    return (middle * peaks).amax(dim=1)


def _autocorrelation(frames: Tensor) -> Tensor:
    """Returns the autocorrelation ``(…, lags)`` of ``(…, samples)``, 1 at lag 0."""
    spectrum = torch.fft.rfft(frames, FFT)
    found = torch.fft.irfft(spectrum.real.square() + spectrum.imag.square(), FFT)[..., : LONGEST_LAG + 1]
    return found / found[..., :1].clamp(min=torch.finfo(found.dtype).tiny)
