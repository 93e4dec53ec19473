"""Interfaces of backbones whose top layers the second stage of training unlocks."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn


@runtime_checkable
class Unlockable(Protocol):
    """A backbone with one layer that can be trained along, in two parts: what is below that layer, and the rest.

    For all windows, ``trainable_part(frozen_part(windows))`` is what the backbone itself returns.
    """

    @property
    def unlocked_layer(self) -> nn.Module:
        """The layer to train, the first of the trainable part."""

    def frozen_part(self, windows: Tensor) -> Tensor:
        """Computes what the unlocked layer reads, ``(windows, …)``."""

    def trainable_part(self, hidden: Tensor) -> Tensor:
        """Goes on from there to the features, ``(windows, features)``."""


@runtime_checkable
class UnlockedLayers(Protocol):
    """Top layers that look at a whole recording at once, such as a transformer's."""

    @property
    def unlocked_layer(self) -> nn.Module:
        """All that is trained."""

    @property
    def layers_from_top(self) -> Sequence[nn.Module]:
        """The layers, the highest first; each learns more slowly than the one above."""

    def trainable_sequences(self, hidden: Sequence[Tensor]) -> list[Tensor]:
        """Computes the features ``(time, features)`` of recordings from what the layers read, ``(vectors, …)``."""


def compute_features(backbone: Unlockable | UnlockedLayers, hidden: Sequence[Tensor]) -> list[Tensor]:
    """Goes on to the features of several recordings.

    Args:
        backbone: whose unlocked part it is.
        hidden: what that reads, ``(windows, …)`` of each recording; perhaps no windows.

    Returns:
        ``(time, features)`` of each.
    """
    if isinstance(backbone, UnlockedLayers):
        return backbone.trainable_sequences(hidden)
    return list(backbone.trainable_part(torch.cat(list(hidden))).split([len(one) for one in hidden]))
