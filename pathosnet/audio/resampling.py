"""Change of the sample rate, of whole recordings and of recordings that come in blocks."""

from collections.abc import Iterable, Iterator

import numpy as np
import soxr
import torch
from torch import Tensor

QUALITY = "HQ"  # errors below 20 bits; passes 91 % of the band


def resample(waveform: Tensor, rate: int, sample_rate: int) -> Tensor:
    """Resamples a waveform; time and memory are proportional to its length, whatever the two rates are.

    Args:
        waveform: ``(samples,)`` at ``rate`` Hz.
        rate: in Hz.
        sample_rate: of the result, in Hz.

    Returns:
        ``(ceil(samples · sample_rate / rate),)`` float32, on the same device.

    >>> resample(torch.zeros(441), 44_100, 16_000).shape
    torch.Size([160])
    """
    blocks = resample_blocks([waveform.float().cpu().numpy()], rate, sample_rate)
    return torch.from_numpy(np.concatenate(list(blocks))).to(waveform.device)


def resample_blocks(blocks: Iterable[np.ndarray], rate: int, sample_rate: int) -> Iterator[np.ndarray]:
    """Resamples a waveform that comes in blocks, without seams: however it is cut, the samples are the same.

    Args:
        blocks: each ``(samples,)`` float32 at ``rate`` Hz.
        rate: in Hz.
        sample_rate: of the result, in Hz.

    Yields:
        What ``resample`` returns for the whole, in pieces of other lengths than the blocks.
    """
    if rate == sample_rate:
        yield from blocks
        return
    stream = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32", quality=QUALITY)
    num_samples = made = 0
    for block in blocks:
        num_samples += len(block)
        resampled = stream.resample_chunk(block)
        made += len(resampled)
        yield resampled
    # The library rounds the length; silence behind the end makes sure that the last sample is there.
    silence = np.zeros(rate // sample_rate + 1, np.float32)
    total = -(-num_samples * sample_rate // rate)
    yield stream.resample_chunk(silence, last=True)[: total - made]
