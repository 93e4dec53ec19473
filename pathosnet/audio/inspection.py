"""Inspection of readable recordings: silence, canceling channels, samples out of range, short clips."""

import math
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from pathosnet.audio.level import SILENT_PEAK
from pathosnet.errors import InputError

SILENT = "silent"
CANCEL = "channels cancel"
OUT_OF_RANGE = "samples outside [-1, 1]"
SHORT = "shorter than half a second"
USELESS = (SILENT, CANCEL)
"""Warnings after which nothing is left of the voice: no answer means anything, and nothing can be learned."""

FULL_SCALE = 2.0  # decoders of lossy formats overshoot 1 a little
LARGEST = 2.0**32  # beyond integers of 32 bits that were read as floats, samples are damaged
CANCELLED_POWER = 1e-3  # of the mean of the channels, relative to their own mean power: 30 dB
SHORT_SECONDS = 0.5


@dataclass
class Inspection:
    """Looks at a recording block by block, while it is read. What it finds does not depend on how it is cut.

    Args:
        name: of the recording, for errors.
    """

    name: str = "audio"
    seconds: float = 0.0
    low: float = math.inf
    high: float = -math.inf
    power: float = 0.0
    """Sum of squares of the mono waveform, where there are several channels."""
    channel_power: float = 0.0
    """Sum of squares of the channels, averaged over them."""

    def add(self, mono: np.ndarray, rate: int, channels: np.ndarray | None = None) -> None:
        """Looks at a block.

        Args:
            mono: ``(samples,)``.
            rate: in Hz.
            channels: ``(samples, channels)`` that it is the mean of.

        Raises:
            InputError: samples are NaN, infinite or too large for anything to be computed of them.
        """
        if not len(mono):
            return
        samples = mono if channels is None else channels
        low, high = float(samples.min()), float(samples.max())  # NaN if one sample is
        if not (math.isfinite(low) and math.isfinite(high)):
            raise InputError(f"{self.name}: holds NaN or infinite samples; repair or leave out the recording")
        if max(-low, high) > LARGEST:
            raise InputError(
                f"{self.name}: holds samples as large as {max(-low, high):.3g}, expected [-1, 1]; "
                "repair or leave out the recording"
            )
        self.seconds += len(mono) / rate
        self.low, self.high = min(self.low, low), max(self.high, high)
        if channels is not None and channels.shape[1] > 1:
            self.power += _sum_of_squares(mono)
            self.channel_power += _sum_of_squares(channels) / channels.shape[1]

    def warnings(self) -> tuple[str, ...]:
        """Returns what is odd, see ``inspect_waveform``."""
        found = {
            SILENT: self.high - self.low < 2 * SILENT_PEAK,
            CANCEL: self.power < CANCELLED_POWER * self.channel_power,
            OUT_OF_RANGE: max(-self.low, self.high) > FULL_SCALE,
            SHORT: self.seconds < SHORT_SECONDS,
        }
        return tuple(warning for warning, holds in found.items() if holds)


def inspect_waveform(
    waveform: Tensor, *, channels: Tensor | None = None, sample_rate: int = 16_000, name: str = "audio"
) -> tuple[str, ...]:
    """Says what is odd about a recording.

    Args:
        waveform: ``(samples,)``.
        channels: ``(samples, channels)`` that it is the mean of, if there are several.
        sample_rate: in Hz.
        name: of the recording, for errors.

    Returns:
        Any of ``silent`` (digital silence, a constant, or the noise of a converter), ``channels cancel`` (they are
        each other's opposites: their mean is 30 dB below them), ``samples outside [-1, 1]`` (beyond twice that range,
        such as integers that were read as floats), ``shorter than half a second``.

    Raises:
        InputError: samples are NaN, infinite or too large for anything to be computed of them.

    >>> import torch
    >>> inspect_waveform(torch.zeros(16_000))
    ('silent',)
    """
    inspection = Inspection(name)
    several = None if channels is None else channels.detach().cpu().numpy()
    inspection.add(waveform.detach().cpu().numpy(), sample_rate, several)
    return inspection.warnings()


def _sum_of_squares(samples: np.ndarray) -> float:
    flat = samples.reshape(-1)
    return float(flat @ flat)
