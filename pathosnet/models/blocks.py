"""The building blocks of a branch (paper, figure 1b; details from the authors' code).

Everything here takes ``(batch, features, time)`` and a mask ``(batch, time)``, True where a frame is real, and gives
zeros elsewhere. What a sequence becomes does not depend on how far its batch is padded.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

BATCH_NORM_EPSILON = 1e-3
BATCH_NORM_MOMENTUM = 0.01  # Keras' 0.99 in PyTorch's sense
KERNEL_SIZE = 3


class MaskedBatchNorm(nn.Module):
    """Batch normalization over real frames only.

    The running statistics begin as the plain average of the first batches and become an exponential one after
    ``1 / momentum`` batches, so that they are of use from the first epoch on.

    Args:
        num_features: length of a frame.
        epsilon: added to the variance.
        momentum: share of a new batch in the running statistics.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches: Tensor

    def __init__(
        self, num_features: int, epsilon: float = BATCH_NORM_EPSILON, momentum: float = BATCH_NORM_MOMENTUM
    ) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.momentum = momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Normalizes ``(batch, features, time)``, whose padding is zero."""
        mean, variance = self._batch_statistics(x, mask) if self.training else (self.running_mean, self.running_var)
        scale = self.weight * torch.rsqrt(variance + self.epsilon)
        shift = self.bias - mean * scale
        return zero_padding(torch.addcmul(shift[:, None].to(x.dtype), x, scale[:, None].to(x.dtype)), mask)

    def _batch_statistics(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        x = x.to(torch.promote_types(x.dtype, torch.float32))  # half precision is too coarse for sums
        count = mask.sum()
        mean = x.sum(dim=(0, 2)) / count  # padding is zero already
        variance = zero_padding(x - mean[:, None], mask).square().sum(dim=(0, 2)) / count
        with torch.no_grad():
            share = torch.clamp(1.0 / (self.num_batches + 1), min=self.momentum).to(self.running_mean.dtype)
            unbiased = variance * (count / (count - 1).clamp(min=1))
            self.running_mean.lerp_(mean.to(share.dtype), share)
            self.running_var.lerp_(unbiased.to(share.dtype), share)
            self.num_batches += 1
        return mean, variance


class SpatialDropout(nn.Module):
    """Drops features over a whole utterance.

    Args:
        probability: of a feature to be dropped.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor, owners: Tensor | None = None) -> Tensor:
        """Drops features of ``(batch, features, time)``.

        Args:
            x: one utterance a row, or packed.
            owners: of a packed batch, see Packed.
        """
        if not self.training or self.probability == 0.0:
            return x
        num_utterances = len(x) if owners is None else int(owners[-1]) + 1
        kept = torch.empty(num_utterances, x.shape[1], 1, dtype=x.dtype, device=x.device)
        kept.bernoulli_(1.0 - self.probability).div_(1.0 - self.probability)
        return x * (kept if owners is None else kept[owners, :, 0].T)


class Packed(NamedTuple):
    """A batch whose utterances lie one behind the other in a single row, with gaps: no time is spent on padding.

    Gaps are wide enough that no convolution sees two utterances, and utterances begin where no pooling joins them with
    their neighbours: blocks make the same of them as of padded ones.
    """

    x: Tensor
    """``(1, features, time)``, zero between the utterances."""
    mask: Tensor
    """True where a frame is real, ``(1, time)``."""
    owners: Tensor
    """The number of each frame's utterance, gaps belonging to the one before, ``(time,)``."""


def pack(
    frames: Tensor, mask: Tensor, num_pools: int, *, change: Callable[[Tensor], Tensor] = lambda frames: frames
) -> Packed:
    """Packs a padded batch.

    Args:
        frames: ``(batch, time, features)``.
        mask: True where a frame is real, those first, ``(batch, time)``; at least one a row.
        num_pools: how often time will be halved, each time after convolutions.
        change: of the real frames, ``(frames, features)``, before they are packed; perhaps to others' length.
    """
    lengths = mask.sum(dim=1)
    last = 2 ** (num_pools - 1)  # frames that are one at the last convolutions, where a gap is still needed
    slots = ((lengths + last - 1) // last + 2) // 2 * (2 * last)
    owners = torch.repeat_interleave(torch.arange(len(frames), device=frames.device), slots)
    starts = slots.cumsum(0) - slots
    places = (starts.unsqueeze(1) + torch.arange(mask.shape[1], device=frames.device))[mask]
    changed = change(frames[mask])
    packed = changed.new_zeros(len(owners), changed.shape[1]).index_copy(0, places, changed)
    packed_mask = torch.zeros(len(owners), dtype=torch.bool, device=frames.device).index_fill(0, places, True)
    return Packed(packed.T.unsqueeze(0), packed_mask.unsqueeze(0), owners)


class Stem(nn.Module):
    """Convolution → batch norm → spatial dropout → ReLU → max pooling → batch norm.

    Args:
        in_features: length of an input frame.
        width: length of an output frame.
        dropout: share of features that are dropped over a whole utterance.
        batch_norm_momentum: see MaskedBatchNorm.
    """

    def __init__(
        self, in_features: int, width: int, dropout: float, batch_norm_momentum: float = BATCH_NORM_MOMENTUM
    ) -> None:
        super().__init__()
        self.conv = _convolution(in_features, width)
        self.conv_bn = MaskedBatchNorm(width, momentum=batch_norm_momentum)
        self.dropout = SpatialDropout(dropout)
        self.pool_bn = MaskedBatchNorm(width, momentum=batch_norm_momentum)

    def forward(self, x: Tensor, mask: Tensor, owners: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """``(batch, in_features, time)``, padded with anything → ``(batch, width, time / 2)`` and its mask."""
        x = self.conv(x.masked_fill(~mask.unsqueeze(1), 0.0))
        x = self.conv_bn(zero_padding(x, mask), mask)
        x, mask = max_pool(torch.relu(self.dropout(x, owners)), mask)
        return self.pool_bn(x, mask), mask


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut; both are pooled and normalized, added, and passed through a ReLU.

    Args:
        width: length of a frame.
        dropout: share of features that are dropped over a whole utterance.
        batch_norm_momentum: see MaskedBatchNorm.
    """

    def __init__(self, width: int, dropout: float, batch_norm_momentum: float = BATCH_NORM_MOMENTUM) -> None:
        super().__init__()
        self.conv1 = _convolution(width, width)
        self.conv2 = _convolution(width, width)
        self.dropout = SpatialDropout(dropout)
        self.main_bn = MaskedBatchNorm(width, momentum=batch_norm_momentum)
        self.shortcut_bn = MaskedBatchNorm(width, momentum=batch_norm_momentum)

    def forward(self, x: Tensor, mask: Tensor, owners: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """``(batch, width, time)`` → ``(batch, width, time / 2)`` and its mask."""
        main = zero_padding(self.dropout(self.conv1(x), owners), mask)
        main, pooled_mask = max_pool(self.dropout(self.conv2(main), owners), mask)
        shortcut, _ = max_pool(x, mask)
        return torch.relu(self.main_bn(main, pooled_mask) + self.shortcut_bn(shortcut, pooled_mask)), pooled_mask


def max_pool(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Pools over pairs of frames; of an odd number the last stands alone.

    Args:
        x: ``(batch, features, time)``.
        mask: ``(batch, time)``.

    Returns:
        ``(batch, features, ceil(time / 2))`` and its mask.
    """
    lowest = torch.where(mask.unsqueeze(1), x, torch.finfo(x.dtype).min)
    pooled = nn.functional.max_pool1d(lowest, kernel_size=2, ceil_mode=True)
    pooled_mask = mask[:, ::2]
    return zero_padding(pooled, pooled_mask), pooled_mask


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Averages over the real frames: ``(batch, features, time)`` → ``(batch, features)``."""
    return zero_padding(x, mask).sum(dim=2) / mask.sum(dim=1, keepdim=True).to(x.dtype)


def packed_mean(x: Tensor, mask: Tensor, owners: Tensor) -> Tensor:
    """Averages over the real frames of each utterance: ``(1, features, time)`` → ``(batch, features)``."""
    batch = int(owners[-1]) + 1
    sums = x.new_zeros(batch, x.shape[1]).index_add(0, owners, zero_padding(x, mask)[0].T)
    return sums / torch.bincount(owners[mask[0]], minlength=batch).unsqueeze(1).to(x.dtype)


def zero_padding(x: Tensor, mask: Tensor) -> Tensor:
    """Sets what is no real frame to zero; faster than masked_fill, for finite values."""
    return x * mask.unsqueeze(1).to(x.dtype)


def _convolution(in_features: int, out_features: int) -> nn.Conv1d:
    convolution = nn.Conv1d(in_features, out_features, KERNEL_SIZE, padding=KERNEL_SIZE // 2)
    nn.init.xavier_uniform_(convolution.weight)  # Keras' default
    assert convolution.bias is not None
    nn.init.zeros_(convolution.bias)
    return convolution
