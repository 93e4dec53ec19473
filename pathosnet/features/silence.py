"""Where a recording is not silent.

Source: librosa.effects.split (librosa ≥ 0.10, whose centred frames are padded with zeros).
"""

import torch
from torch import Tensor

FRAME_SAMPLES = 2048
HOP_SAMPLES = 512
MIN_POWER = 1e-10  # the floor of librosa's decibels


def non_silent_intervals(waveform: Tensor, top_db: float = 20.0) -> Tensor:
    """Finds the stretches whose level is less than ``top_db`` below the loudest frame.

    Args:
        waveform: ``(samples,)``.
        top_db: threshold below the loudest frame's root mean square, in dB.

    Returns:
        ``(intervals, 2)`` int64: first sample and the one after the last.
    """
    power = _frame_power(waveform)
    reference = power.max().clamp(min=MIN_POWER)
    decibels = 10.0 * torch.log10(power.clamp(min=MIN_POWER)) - 10.0 * torch.log10(reference)
    loud = torch.nn.functional.pad((decibels > -top_db).int(), (1, 1))
    starts = torch.nonzero(loud.diff() == 1).squeeze(1)
    ends = torch.nonzero(loud.diff() == -1).squeeze(1)
    return (torch.stack([starts, ends], dim=1) * HOP_SAMPLES).clamp(max=len(waveform))


def remove_silence(waveform: Tensor, top_db: float = 20.0) -> Tensor:
    """Joins the stretches that are not silent.

    Args:
        waveform: ``(samples,)``.
        top_db: see [`non_silent_intervals`][pathosnet.features.silence.non_silent_intervals].

    Returns:
        ``(samples,)``, at most as long as the input.
    """
    intervals = non_silent_intervals(waveform, top_db).tolist()
    return torch.cat([waveform[start:end] for start, end in intervals]) if intervals else waveform[:0]


def _frame_power(waveform: Tensor) -> Tensor:
    """Returns the mean square of centred frames, ``(frames,)``, in float64."""
    padded = torch.nn.functional.pad(waveform.double(), (FRAME_SAMPLES // 2, FRAME_SAMPLES // 2))
    # Sums over hops instead of over frames: every frame is four hops.
    num_hops = len(padded) // HOP_SAMPLES
    hops = padded[: num_hops * HOP_SAMPLES].reshape(num_hops, HOP_SAMPLES).square().sum(dim=1)
    return hops.unfold(0, FRAME_SAMPLES // HOP_SAMPLES, 1).sum(dim=1) / FRAME_SAMPLES
