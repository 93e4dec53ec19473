"""Interface of a backbone whose top layer the second stage of training unlocks."""

from typing import Protocol, runtime_checkable

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
