"""The level of a recording, which says more about the microphone and the distance to it than about the speaker."""

from typing import Literal, get_args

import torch
from torch import Tensor

Level = Literal["none", "peak", "rms"]
"""How to set the level: not at all, by the largest sample, or by the root mean square of what is loud."""
PEAK = 0.5
RMS = 0.1  # -20 dB relative to full scale, usual for speech: peaks then reach 0.3 to 0.7
FRAME_SAMPLES = 400  # 25 ms at 16 kHz
SILENT_PEAK = 4e-5  # -88 dB, just more than a step of 16 bits: nothing but the noise of a converter


def normalize_level(waveform: Tensor, method: Level = "rms") -> Tensor:
    """Sets the level of a recording, and takes a constant offset away: with any gain the result is the same.

    Only operations that torch and ONNX can export, without a branch that depends on the samples.

    Args:
        waveform: ``(samples,)``, at least one.
        method: ``peak`` scales the largest sample to 0.5. ``rms`` scales the root mean square to 0.1, each frame of
            25 ms weighted by its own power, so that pauses do not count and a click counts little. ``none`` changes
            nothing.

    Returns:
        ``(samples,)``. A recording whose samples stay within 0.00004 of their mean is silent, and returned as it is.

    Raises:
        ValueError: another method.

    >>> normalize_level(torch.tensor([0.01, -0.02, 0.01]), "peak")
    tensor([ 0.2500, -0.5000,  0.2500])
    """
    if check_level(method) == "none":
        return waveform
    mean, low, high = waveform.mean(), waveform.amin(0), waveform.amax(0)
    peak = torch.maximum(high - mean, mean - low)
    silent = peak < SILENT_PEAK
    unit = (waveform - torch.where(silent, 0, mean)).mul_(torch.where(silent, 1, 1 / peak))
    # Measured at one scale, so that no square over- or underflows.
    gain = torch.full_like(peak, PEAK) if method == "peak" else RMS / loud_rms(unit)
    return unit.mul_(torch.where(silent, 1, gain))


def check_level(method: str) -> Level:
    """Returns a method's name if there is such a method.

    Raises:
        ValueError: there is none.
    """
    for known in get_args(Level):
        if method == known:
            return known
    raise ValueError(f"level: expected {', '.join(get_args(Level))}, got {method!r}")


def loud_rms(waveform: Tensor) -> Tensor:
    """Measures the root mean square of what is loud: the mean power of frames, weighted by their power.

    Args:
        waveform: ``(samples,)``.

    Returns:
        A scalar; 0 for digital silence.
    """
    whole = waveform.shape[0] // FRAME_SAMPLES * FRAME_SAMPLES
    frames, rest = waveform[:whole].reshape(-1, FRAME_SAMPLES), waveform[whole:].reshape(1, -1)
    power = torch.cat([torch.linalg.vector_norm(part, dim=1) for part in (frames, rest)]).square() / FRAME_SAMPLES
    tiny = torch.finfo(power.dtype).tiny
    return (power.square().sum() / power.sum().clamp(min=tiny)).sqrt()
