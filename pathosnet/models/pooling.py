"""One vector of a sequence: pooling over the real frames of ``(batch, features, time)``."""

import torch
from torch import Tensor, nn

from pathosnet.models.blocks import masked_mean, zero_padding

SMALLEST_VARIANCE = 1e-6


class Pooling(nn.Module):
    """Base class of the poolings.

    Args:
        num_features: length of a frame.
    """

    factor = 1
    """Length of the vector, in frames' lengths."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.out_features = self.factor * num_features


class MeanPooling(Pooling):
    """The mean over time (the paper's)."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """``(batch, features, time)`` and its mask ``(batch, time)`` → ``(batch, out_features)``."""
        return masked_mean(x, mask)


class StatisticsPooling(Pooling):
    """The mean over time, then the standard deviation."""

    factor = 2

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """``(batch, features, time)`` and its mask ``(batch, time)`` → ``(batch, out_features)``."""
        mean = masked_mean(x, mask)
        variance = masked_mean(zero_padding(x, mask).sub(mean.unsqueeze(2)).square(), mask)
        return torch.cat([mean, variance.clamp(min=SMALLEST_VARIANCE).sqrt()], dim=1)


class AttentionPooling(Pooling):
    """A mean over time whose weights are learned; it begins as the plain mean."""

    def __init__(self, num_features: int) -> None:
        super().__init__(num_features)
        self.score = nn.Linear(num_features, 1)
        nn.init.zeros_(self.score.weight)
        nn.init.zeros_(self.score.bias)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """``(batch, features, time)`` and its mask ``(batch, time)`` → ``(batch, out_features)``."""
        x = zero_padding(x, mask)
        scores = self.score(x.transpose(1, 2)).squeeze(2)  # (batch, features, time) -> (batch, time)
        weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(dim=1)
        return torch.einsum("bft,bt->bf", x, weights)


POOLINGS: dict[str, type[Pooling]] = {
    "mean": MeanPooling,
    "statistics": StatisticsPooling,
    "attention": AttentionPooling,
}
