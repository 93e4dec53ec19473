"""Changes to the recordings of a training part, which make a model rely less on how they were made."""

from collections.abc import Collection

import numpy as np
from torch import Tensor

from pathosnet.audio.degradation import add_white_noise
from pathosnet.audio.reading import SAMPLE_RATE
from pathosnet.audio.resampling import resample

SPEEDS = (0.9, 0.95, 1.05, 1.1)
NOISE_DB = (5.0, 30.0)
GAIN_DB = (-6.0, 6.0)
RECORDING_CHANGES = ("speed", "noise", "gain")


def change_recording(waveform: Tensor, kinds: Collection[str], generator: np.random.Generator) -> Tensor:
    """Makes another recording of one.

    Args:
        waveform: ``(samples,)`` at 16 kHz.
        kinds: any of ``speed`` (another speed of the tape: tempo and pitch; Ko et al., 2015), ``noise`` (white, at a
            random ratio) and ``gain``, of which features that do not depend on the level notice nothing; others are
            left aside.
        generator: of what is random.

    Returns:
        ``(samples,)`` at 16 kHz, of another length if its speed was changed.
    """
    if "speed" in kinds:
        waveform = resample(waveform, round(SAMPLE_RATE * generator.choice(SPEEDS)), SAMPLE_RATE)
    if "noise" in kinds:
        waveform = add_white_noise(waveform, generator.uniform(*NOISE_DB), generator)
    if "gain" in kinds:
        waveform = waveform * 10 ** (generator.uniform(*GAIN_DB) / 20)
    return waveform
