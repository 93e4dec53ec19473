"""Where a recording is not silent.

Source: librosa.effects.split (librosa ≥ 0.10, whose centered frames are padded with zeros).
"""

from collections.abc import Iterable

import torch
from torch import Tensor

FRAME_SAMPLES = 2048
HOP_SAMPLES = 512
SAMPLES_AT_ONCE = 2048 * HOP_SAMPLES  # bounds the memory of a long recording
MIN_POWER = 1e-10  # the floor of librosa's decibels


def non_silent_intervals(waveform: Tensor, top_db: float = 20.0) -> Tensor:
    """Finds the stretches whose level is less than ``top_db`` below the loudest frame.

    Args:
        waveform: ``(samples,)``.
        top_db: threshold below the loudest frame's root mean square, in dB.

    Returns:
        ``(intervals, 2)`` int64: first sample and the one after the last.
    """
    return loud_intervals(*frame_power([waveform]), top_db)


def loud_intervals(power: Tensor, num_samples: int, top_db: float = 20.0) -> Tensor:
    """Finds the stretches whose power is less than ``top_db`` below the largest.

    Args:
        power: of centered frames, ``(frames,)``.
        num_samples: of the waveform.
        top_db: threshold, in dB.

    Returns:
        ``(intervals, 2)`` int64: first sample and the one after the last.
    """
    reference = power.max().clamp(min=MIN_POWER)
    decibels = 10.0 * torch.log10(power.clamp(min=MIN_POWER)) - 10.0 * torch.log10(reference)
    loud = torch.nn.functional.pad((decibels > -top_db).int(), (1, 1))
    starts = torch.nonzero(loud.diff() == 1).squeeze(1)
    ends = torch.nonzero(loud.diff() == -1).squeeze(1)
    return (torch.stack([starts, ends], dim=1) * HOP_SAMPLES).clamp(max=num_samples)


def remove_silence(waveform: Tensor, top_db: float = 20.0) -> Tensor:
    """Joins the stretches that are not silent.

    Args:
        waveform: ``(samples,)``.
        top_db: see [`non_silent_intervals`][pathosnet.features.acoustic.silence.non_silent_intervals].

    Returns:
        ``(samples,)``, at most as long as the input.
    """
    intervals = non_silent_intervals(waveform, top_db).tolist()
    return torch.cat([waveform[start:end] for start, end in intervals]) if intervals else waveform[:0]


def frame_power(blocks: Iterable[Tensor]) -> tuple[Tensor, int]:
    """Measures a waveform that comes in blocks of any length.

    Args:
        blocks: each ``(samples,)``.

    Returns:
        The mean square of centered frames, ``(frames,)``, in float64 on the CPU, whatever the device of the blocks (not
        all have float64); the number of samples.
    """
    # Sums over hops instead of over frames: every frame is four hops, the first two of which lie before the waveform.
    hops: Tensor | None = None
    rest: list[Tensor] = []  # less than a hop
    num_samples = 0
    for block in blocks:
        num_samples += len(block)
        samples = torch.cat([*rest, block])
        whole = len(samples) - len(samples) % HOP_SAMPLES
        sums = [_sums_of_squares(piece) for piece in samples[:whole].split(SAMPLES_AT_ONCE)]
        # Joined at once: many small tensors that stay would keep the memory between them from being used again.
        hops = torch.cat(sums if hops is None else [hops, *sums])
        rest = [samples[whole:].clone()]
    assert hops is not None
    hops = torch.cat([hops, *map(_sums_of_squares, rest)])
    num_frames = 1 + num_samples // HOP_SAMPLES
    padded = torch.nn.functional.pad(hops, (2, num_frames + 1 - len(hops)))
    return padded.unfold(0, FRAME_SAMPLES // HOP_SAMPLES, 1).sum(dim=1) / FRAME_SAMPLES, num_samples


def _sums_of_squares(waveform: Tensor) -> Tensor:
    padded = torch.nn.functional.pad(waveform.cpu().double(), (0, -len(waveform) % HOP_SAMPLES))
    return padded.reshape(-1, HOP_SAMPLES).square_().sum(dim=1)
