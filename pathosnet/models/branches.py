"""From a sequence to a vector: the paper's branch for words and for acoustic features, and simpler ones."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from pathosnet.models.blocks import BATCH_NORM_MOMENTUM, ResidualBlock, Stem, pack, packed_mean
from pathosnet.models.inputs import with_zero_row
from pathosnet.models.layer_mix import LayerMix
from pathosnet.models.pooling import POOLINGS, MeanPooling

TEXT_WIDTH = 128
AUDIO_WIDTH = 256
SMALLEST_DEVIATION = 1e-5
AT_ONCE = 256  # sequences that are measured together


class Standardize(nn.Module):
    """Frames in standard deviations from the mean of the training part; as they are until ``fit`` has measured it.

    Args:
        num_features: length of a frame.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(num_features))
        self.register_buffer("deviation", torch.ones(num_features))

    @torch.no_grad()
    def fit(self, sequences: Sequence[Tensor]) -> None:
        """Measures mean and deviation of every feature over all frames; a feature that never varies keeps its scale.

        Args:
            sequences: of the training part, each ``(time, features)``.
        """
        count = sum(len(sequence) for sequence in sequences)
        if count == 0:
            return
        mean = self._sum_of(sequences, lambda frames: frames) / count
        deviation = (self._sum_of(sequences, lambda frames: (frames - mean).square()) / count).sqrt()
        self.mean.copy_(mean.float())
        self.deviation.copy_(torch.where(deviation > SMALLEST_DEVIATION, deviation, 1.0).float())

    def _sum_of(self, sequences: Sequence[Tensor], change: Callable[[Tensor], Tensor]) -> Tensor:
        """Sums changed frames in double precision, on the CPU: not every device has that."""
        total = torch.zeros(len(self.mean), dtype=torch.float64)
        for start in range(0, len(sequences), AT_ONCE):
            total += change(torch.cat(list(sequences[start : start + AT_ONCE])).cpu().double()).sum(dim=0)
        return total

    def forward(self, frames: Tensor) -> Tensor:
        """Standardizes ``(…, features)``."""
        return (frames - self.mean) / self.deviation


class SequenceEncoder(nn.Module):
    """Makes one vector of a sequence; the base of all branches.

    Args:
        in_features: length of an input frame.
        out_features: length of the vector.
        standardize: whether frames are standardized first.
        num_layers: layers of an encoder side by side in a frame, of which a learned mix is read; 1 for no such thing.
    """

    num_pools = 0
    """How often time is halved."""

    def __init__(self, in_features: int, out_features: int, standardize: bool = False, *, num_layers: int = 1) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.standardize = Standardize(in_features) if standardize else None
        self.mix = LayerMix(num_layers) if num_layers > 1 else None

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Makes one vector of a sequence.

        An empty sequence becomes one row of zeros (the authors' code); where frames are standardized, that is the mean
        frame.

        Args:
            frames: ``(batch, time, in_features)``, padded with anything.
            mask: True where a frame is real, those first, ``(batch, time)``.

        Returns:
            ``(batch, out_features)``.
        """
        return self.encode(*with_zero_row(frames, mask, None if self.standardize is None else self.standardize.mean))

    def scaled(self, frames: Tensor) -> Tensor:
        """Standardizes frames ``(…, in_features)`` and mixes their layers, if the branch does that."""
        if self.standardize is not None:
            frames = self.standardize(frames)
        return frames if self.mix is None else self.mix(frames)

    def encode(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Makes one vector of a sequence that is not empty, and not yet standardized; see ``forward``."""
        raise NotImplementedError


class Branch(SequenceEncoder):
    """The paper's branch: a stem, residual blocks, and the mean over time.

    Args:
        in_features: length of an input frame.
        width: of the branch, and length of its frames.
        num_blocks: residual blocks.
        dropout: spatial dropout in the stem and the blocks.
        batch_norm_momentum: share of a new batch in the running statistics.
        pooling: over time: ``mean``, ``statistics`` or ``attention``.
        standardize: whether frames are standardized first.
        num_layers: see SequenceEncoder.
    """

    def __init__(
        self,
        in_features: int,
        width: int,
        num_blocks: int = 2,
        *,
        dropout: float = 0.5,
        batch_norm_momentum: float = BATCH_NORM_MOMENTUM,
        pooling: str = "mean",
        standardize: bool = False,
        num_layers: int = 1,
    ) -> None:
        pool = POOLINGS[pooling](width)
        super().__init__(in_features, pool.out_features, standardize, num_layers=num_layers)
        self.width = width
        self.stem = Stem(in_features // num_layers, width, dropout, batch_norm_momentum=batch_norm_momentum)
        self.blocks = nn.ModuleList(ResidualBlock(width, dropout, batch_norm_momentum) for _ in range(num_blocks))
        self.num_pools = 1 + num_blocks
        self.pool = pool

    def encode(self, frames: Tensor, mask: Tensor) -> Tensor:
        """See SequenceEncoder."""
        # A GPU would have to wait until the lengths are known, and only the mean is computed over packed utterances.
        if self.training and frames.device.type == "cpu" and isinstance(self.pool, MeanPooling):
            return self._encode_packed(*pack(frames, mask, self.num_pools, change=self.scaled))
        x = self.scaled(frames).transpose(1, 2)  # (batch, time, features) -> (batch, features, time)
        x, mask = self.stem(x, mask)
        for block in self.blocks:
            x, mask = block(x, mask)
        pooled: Tensor = self.pool(x, mask)
        return pooled

    def _encode_packed(self, x: Tensor, mask: Tensor, owners: Tensor) -> Tensor:
        x, mask = self.stem(x, mask, owners)
        for block in self.blocks:
            owners = owners[::2]
            x, mask = block(x, mask, owners)
        return packed_mean(x, mask, owners[::2])


class TextBranch(Branch):
    """Word vectors ``(batch, tokens, 300)`` → ``(batch, 128)``. See Branch for the arguments."""

    def __init__(self, in_features: int = 300, width: int = TEXT_WIDTH, **options: float) -> None:
        super().__init__(in_features, width, **options)  # type: ignore[arg-type]


class AudioBranch(Branch):
    """Acoustic features ``(batch, frames, 64 to 512)`` → ``(batch, 256)``. See Branch for the arguments."""

    def __init__(self, in_features: int, width: int = AUDIO_WIDTH, **options: float) -> None:
        super().__init__(in_features, width, **options)  # type: ignore[arg-type]


class PooledBranch(SequenceEncoder):
    """Frames pooled over time as they are, under one hidden layer or none: a linear model, or a small perceptron.

    Args:
        in_features: length of an input frame.
        width: of the hidden layer; None for none.
        dropout: of the hidden layer's outputs, or of the pooled features where there is none.
        pooling: over time: ``mean``, ``statistics`` or ``attention``.
        standardize: whether frames are standardized first.
        num_layers: see SequenceEncoder.
    """

    def __init__(
        self,
        in_features: int,
        width: int | None = None,
        dropout: float = 0.0,
        *,
        pooling: str = "mean",
        standardize: bool = False,
        num_layers: int = 1,
    ) -> None:
        pool = POOLINGS[pooling](in_features // num_layers)
        super().__init__(in_features, width or pool.out_features, standardize, num_layers=num_layers)
        self.pool = pool
        self.hidden: nn.Module = nn.Identity()
        if width is not None:
            layer = nn.Linear(pool.out_features, width)
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
            self.hidden = nn.Sequential(layer, nn.ReLU())
        self.dropout = nn.Dropout(dropout)

    def encode(self, frames: Tensor, mask: Tensor) -> Tensor:
        """See SequenceEncoder."""
        x = self.scaled(frames).masked_fill(~mask.unsqueeze(2), 0.0).transpose(1, 2)  # -> (batch, features, time)
        encoded: Tensor = self.dropout(self.hidden(self.pool(x, mask)))
        return encoded
