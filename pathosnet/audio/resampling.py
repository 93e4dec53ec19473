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
    resampler = Resampler(rate, sample_rate)
    for block in blocks:
        yield resampler.add(block)
    yield resampler.finish()


class Resampler:
    """Resamples a waveform that comes in blocks; ``resample_blocks`` for those whom the blocks are handed to.

    Args:
        rate: of the blocks, in Hz.
        sample_rate: of the result, in Hz.

    >>> resampler = Resampler(44_100, 16_000)
    >>> sum(len(resampler.add(np.zeros(441, np.float32))) for _ in range(100)) + len(resampler.finish())
    16000
    """

    def __init__(self, rate: int, sample_rate: int) -> None:
        self._rates = rate, sample_rate
        self._num_samples = self._made = 0
        self._stream = None
        if rate != sample_rate:
            self._stream = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32", quality=QUALITY)

    def add(self, block: np.ndarray) -> np.ndarray:
        """Takes the next block ``(samples,)`` float32; returns what is known of the result since the last one."""
        if self._stream is None:
            return block
        resampled: np.ndarray = self._stream.resample_chunk(block)
        self._num_samples += len(block)
        self._made += len(resampled)
        return resampled

    def finish(self) -> np.ndarray:
        """Returns the end of the result, which was waiting for samples that do not come."""
        if self._stream is None:
            return np.zeros(0, np.float32)
        rate, sample_rate = self._rates
        # The library rounds the length; silence behind the end makes sure that the last sample is there.
        silence = np.zeros(rate // sample_rate + 1, np.float32)
        total = -(-self._num_samples * sample_rate // rate)
        end: np.ndarray = self._stream.resample_chunk(silence, last=True)[: total - self._made]
        return end
