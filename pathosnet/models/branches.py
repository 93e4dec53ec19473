"""The two kinds of branch: one for words, one for acoustic features (paper, section 5)."""

from torch import Tensor, nn

from pathosnet.models.blocks import BATCH_NORM_MOMENTUM, ResidualBlock, Stem, masked_mean, pack, packed_mean

TEXT_WIDTH = 128
AUDIO_WIDTH = 256


class Branch(nn.Module):
    """A stem, residual blocks, and the mean over time.

    Args:
        in_features: length of an input frame.
        width: of the branch, and length of its output.
        num_blocks: residual blocks.
        dropout: spatial dropout in the stem and the blocks.
        batch_norm_momentum: share of a new batch in the running statistics.
    """

    def __init__(
        self,
        in_features: int,
        width: int,
        num_blocks: int = 2,
        dropout: float = 0.5,
        batch_norm_momentum: float = BATCH_NORM_MOMENTUM,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.width = width
        self.stem = Stem(in_features, width, dropout, batch_norm_momentum)
        self.blocks = nn.ModuleList(ResidualBlock(width, dropout, batch_norm_momentum) for _ in range(num_blocks))

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Makes one vector of a sequence.

        Args:
            frames: ``(batch, time, in_features)``.
            mask: True where a frame is real, ``(batch, time)``; at least one a row.

        Returns:
            ``(batch, width)``.
        """
        if self.training and frames.device.type == "cpu":  # a GPU would have to wait until the lengths are known
            return self._forward_packed(*pack(frames, mask, len(self.blocks) + 1))
        x, mask = self.stem(frames.transpose(1, 2), mask)  # (batch, time, features) -> (batch, features, time)
        for block in self.blocks:
            x, mask = block(x, mask)
        return masked_mean(x, mask)

    def _forward_packed(self, x: Tensor, mask: Tensor, owners: Tensor) -> Tensor:
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
