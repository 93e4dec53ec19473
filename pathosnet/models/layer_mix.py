"""Weighted mean of the layers of an encoder, trained with the branch that reads it."""

import torch
from torch import Tensor, nn

SHARPNESS = 10.0
"""Multiplies the scores: optimizers move all numbers alike, and so far that weights can differ after few steps."""


class LayerMix(nn.Module):
    """Mean of layers that lie side by side in a frame, weighted by a softmax; it begins as the plain mean.

    Args:
        num_layers: side by side.

    >>> LayerMix(2)(torch.tensor([[1.0, 2.0, 3.0, 4.0]])).tolist()
    [[2.0, 3.0]]
    """

    def __init__(self, num_layers: int) -> None:
        super().__init__()
        self.num_layers = num_layers
        self.scores = nn.Parameter(torch.zeros(num_layers))

    @property
    def weights(self) -> Tensor:
        """Weight of each layer, ``(layers,)``; their sum is 1."""
        return (SHARPNESS * self.scores).softmax(dim=0)

    def forward(self, frames: Tensor) -> Tensor:
        """``(…, layers · dim)`` → ``(…, dim)``."""
        return self.weights @ frames.unflatten(-1, (self.num_layers, -1))
