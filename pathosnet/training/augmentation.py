"""Changes to training batches, and to recordings, that make a model rely on less."""

from collections.abc import Collection

import numpy as np
import torch
from torch import Tensor

from pathosnet.audio import SAMPLE_RATE, resample
from pathosnet.degradation import add_white_noise
from pathosnet.models import TEXT, Inputs

SPEEDS = (0.9, 0.95, 1.05, 1.1)
NOISE_DB = (5.0, 30.0)
GAIN_DB = (-6.0, 6.0)
RECORDING_CHANGES = ("speed", "noise", "gain")


def drop_modality(inputs: Inputs, probability: float) -> Inputs:
    """Takes either the text or the voice away from some utterances, as if it had been missing.

    Args:
        inputs: with text and at least one acoustic feature.
        probability: of an utterance to lose one of the two, each as often.
    """
    chance = torch.rand(len(next(iter(inputs.masks.values()))))
    without_text = chance < probability / 2
    without_voice = (chance >= probability / 2) & (chance < probability)
    masks = {
        name: mask & ~(without_text if name == TEXT else without_voice).to(mask.device).unsqueeze(1)
        for name, mask in inputs.masks.items()
    }
    return Inputs(inputs.features, masks)


def mask_features(
    frames: Tensor, mask: Tensor, max_time_share: float = 0.2, max_bands: int = 12, num_masks: int = 2
) -> Tensor:
    """Hides random stretches of time and random neighbouring bands behind the utterance's mean (SpecAugment).

    Park et al., 2019.

    Args:
        frames: ``(batch, time, bands)``.
        mask: True where a frame is real, ``(batch, time)``.
        max_time_share: longest stretch of time, as a share of the utterance.
        max_bands: most bands that one mask hides; 0 where neighbours have nothing in common.
        num_masks: masks over time, and as many over bands.
    """
    batch, time, bands = frames.shape
    lengths = mask.sum(dim=1).cpu()
    hidden = torch.zeros(batch, time, bands, dtype=torch.bool)
    for _ in range(num_masks):
        in_time = _random_stretches(lengths, (lengths * max_time_share).long(), time)
        in_bands = _random_stretches(torch.full((batch,), bands), torch.full((batch,), max_bands), bands)
        hidden |= in_time.unsqueeze(2) | in_bands.unsqueeze(1)
    mean = (frames * mask.unsqueeze(2)).sum(dim=(1, 2)) / (mask.sum(dim=1) * bands).clamp(min=1)
    return torch.where(hidden.to(frames.device), mean[:, None, None].to(frames.dtype), frames)


def hide_words(vectors: Tensor, probability: float = 0.15) -> Tensor:
    """Puts zeros, which also stand for unknown words, in the place of random words.

    Args:
        vectors: ``(batch, tokens, dim)``.
        probability: of a word to be hidden.
    """
    kept = torch.rand(vectors.shape[:2]) >= probability
    return vectors * kept.unsqueeze(2).to(vectors.device, vectors.dtype)


def change_recording(waveform: Tensor, kinds: Collection[str], generator: np.random.Generator) -> Tensor:
    """Makes another recording of one.

    Args:
        waveform: ``(samples,)`` at 16 kHz.
        kinds: any of ``speed`` (another speed of the tape: tempo and pitch; Ko et al., 2015), ``noise`` (white, at a
            random ratio) and ``gain``; others are left aside.
        generator: of what is random.
    """
    if "speed" in kinds:
        waveform = resample(waveform, round(SAMPLE_RATE * generator.choice(SPEEDS)), SAMPLE_RATE)
    if "noise" in kinds:
        waveform = add_white_noise(waveform, generator.uniform(*NOISE_DB), generator)
    if "gain" in kinds:
        waveform = waveform * 10 ** (generator.uniform(*GAIN_DB) / 20)
    return waveform


def _random_stretches(lengths: Tensor, longest: Tensor, size: int) -> Tensor:
    """Chooses one stretch a row, at most so long and within its length: ``(batch, size)`` bool."""
    widths = (torch.rand(len(lengths)) * (longest + 1)).long()
    starts = (torch.rand(len(lengths)) * (lengths - widths + 1)).long()
    positions = torch.arange(size)
    return (positions >= starts.unsqueeze(1)) & (positions < (starts + widths).unsqueeze(1))
