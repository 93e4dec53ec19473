"""Changes to training batches that make a model rely on less."""

import torch
from torch import Tensor

from pathosnet.models import TEXT, Inputs


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
    frames: Tensor,
    mask: Tensor,
    max_time_share: float = 0.2,
    *,
    max_bands: int = 12,
    num_masks: int = 2,
    num_bands: int | None = None,
) -> Tensor:
    """Hides random stretches of time and random neighboring bands behind the utterance's mean (SpecAugment).

    Park et al., 2019.

    Args:
        frames: ``(batch, time, features)``. The features are bands, or the bands of several frames side by side.
        mask: True where a frame is real, ``(batch, time)``.
        max_time_share: longest stretch of time, as a share of the utterance.
        max_bands: most bands that one mask hides; 0 where neighbors have nothing in common.
        num_masks: masks over time, and as many over bands.
        num_bands: bands of one frame; a band is hidden in all frames that stand side by side. All features if None.
    """
    batch, time, features = frames.shape
    bands = num_bands or features
    lengths = mask.sum(dim=1).cpu()
    hidden = torch.zeros(batch, time, features, dtype=torch.bool)
    for _ in range(num_masks):
        in_time = _random_stretches(lengths, (lengths * max_time_share).long(), time)
        in_bands = _random_stretches(torch.full((batch,), bands), torch.full((batch,), max_bands), bands)
        hidden |= in_time.unsqueeze(2) | in_bands[:, torch.arange(features) % bands].unsqueeze(1)
    mean = (frames * mask.unsqueeze(2)).sum(dim=(1, 2)) / (mask.sum(dim=1) * features).clamp(min=1)
    return torch.where(hidden.to(frames.device), mean[:, None, None].to(frames.dtype), frames)


def hide_words(vectors: Tensor, probability: float = 0.15) -> Tensor:
    """Puts zeros, which also stand for unknown words, in the place of random words.

    Args:
        vectors: ``(batch, tokens, dim)``.
        probability: of a word to be hidden.
    """
    kept = torch.rand(vectors.shape[:2]) >= probability
    return vectors * kept.unsqueeze(2).to(vectors.device, vectors.dtype)


def _random_stretches(lengths: Tensor, longest: Tensor, size: int) -> Tensor:
    """Chooses one stretch a row, at most so long and within its length: ``(batch, size)`` bool."""
    widths = (torch.rand(len(lengths)) * (longest + 1)).long()
    starts = (torch.rand(len(lengths)) * (lengths - widths + 1)).long()
    positions = torch.arange(size)
    return (positions >= starts.unsqueeze(1)) & (positions < (starts + widths).unsqueeze(1))
