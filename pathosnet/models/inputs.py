"""The one batch that training and prediction share: feature sequences of unequal length, padded, with masks."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

TEXT = "text"
"""Name of the one input that is not acoustic."""
Lengths = Mapping[str, Tensor]
Masks = Mapping[str, Tensor]


class Inputs(NamedTuple):
    """A batch of feature sequences by name (``"text"``, ``"vggish"``, …), padded, with their masks."""

    features: Mapping[str, Tensor]
    """Name → ``(batch, time, features)``."""
    masks: Masks
    """Name → ``(batch, time)``, True where a frame is real; a row without any is a missing or empty sequence."""


def pad_batch(sequences: Mapping[str, Sequence[Tensor]]) -> Inputs:
    """Pads sequences to the longest of each name.

    Args:
        sequences: name → one ``(time, …)`` tensor an utterance; some may be empty.

    Returns:
        Features ``(batch, time, …)`` and masks ``(batch, time)``, on the device of the sequences.
    """
    features, masks = {}, {}
    for name, unpadded in sequences.items():
        lengths = torch.tensor([len(value) for value in unpadded])
        features[name] = pad_sequence(list(unpadded), batch_first=True)
        masks[name] = (torch.arange(int(lengths.max())) < lengths.unsqueeze(1)).to(features[name].device)
    return Inputs(features, masks)


def make_inputs(
    dims: Mapping[str, int],
    features: Mapping[str, Tensor | None],
    lengths: Lengths | None = None,
    *,
    masks: Masks | None = None,
) -> Inputs:
    """Completes a padded batch: masks from lengths, and empty sequences for what is absent.

    Args:
        dims: name → length of its frames, of every input that the network has.
        features: name → ``(batch, time, features)`` or None.
        lengths: name → ``(batch,)``.
        masks: name → ``(batch, time)``.

    Raises:
        ValueError: a name that the network does not have, another shape, or nothing at all.
    """
    given = {name: value for name, value in features.items() if value is not None}
    for name in {*given, *(lengths or {}), *(masks or {})} - dims.keys():
        raise ValueError(f"expected inputs out of {', '.join(dims)}, got {name!r}")
    if not given:
        raise ValueError(f"expected at least one of {', '.join(dims)}, got none")
    for name, value in given.items():
        if value.ndim != 3 or value.shape[2] != dims[name]:
            raise ValueError(f"{name}: expected shape (batch, time, {dims[name]}), got {tuple(value.shape)}")
    batch_sizes = {name: len(value) for name, value in given.items()}
    if len(set(batch_sizes.values())) > 1:
        raise ValueError(f"expected one batch size, got {batch_sizes}")
    reference = next(iter(given.values()))
    complete_features, complete_masks = {}, {}
    for name, dim in dims.items():
        frames = given.get(name, reference.new_zeros(len(reference), 0, dim))
        complete_features[name] = frames
        complete_masks[name] = _mask_of(name, frames, (lengths or {}).get(name), given=(masks or {}).get(name))
    return Inputs(complete_features, complete_masks)


def _mask_of(name: str, frames: Tensor, lengths: Tensor | None, given: Tensor | None) -> Tensor:
    """Returns which frames are real: as the mask says, else the lengths, else all."""
    if given is not None:
        mask = given.bool()
    elif lengths is not None:
        mask = torch.arange(frames.shape[1], device=frames.device) < lengths.unsqueeze(1)
    else:
        mask = torch.ones(frames.shape[:2], dtype=torch.bool, device=frames.device)
    if mask.shape != frames.shape[:2]:
        raise ValueError(f"{name}: expected a mask of shape {tuple(frames.shape[:2])}, got {tuple(mask.shape)}")
    if given is not None and not torch.compiler.is_compiling() and (mask[:, 1:] & ~mask[:, :-1]).any():
        raise ValueError(f"{name}: expected masks whose real frames come first, got padding before a real frame")
    return mask


def with_zero_rows(inputs: Inputs) -> Inputs:
    """Puts one row of zeros in the place of every empty sequence."""
    filled = {name: with_zero_row(frames, inputs.masks[name]) for name, frames in inputs.features.items()}
    return Inputs({name: frames for name, (frames, _) in filled.items()}, {name: m for name, (_, m) in filled.items()})


def with_zero_row(frames: Tensor, mask: Tensor, zero: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Puts one row of zeros in the place of every empty sequence of one input.

    Args:
        frames: ``(batch, time, features)``.
        mask: ``(batch, time)``.
        zero: the row to put there instead, ``(features,)``: what will become zeros when it is standardized.
    """
    if frames.shape[1] == 0:
        frames, mask = frames.new_zeros(len(frames), 1, frames.shape[2]), mask.new_zeros(len(mask), 1)
    empty = ~mask.any(dim=1, keepdim=True)
    first = torch.arange(mask.shape[1], device=mask.device) == 0
    if zero is None:
        filled = frames.masked_fill(empty.unsqueeze(2), 0.0)
    else:
        filled = torch.where(empty.unsqueeze(2), zero.to(frames.dtype), frames)
    return filled, mask | (empty & first)
