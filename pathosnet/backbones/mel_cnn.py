"""A small residual network over log-mel spectrograms: what the package's model without a download listens with."""

from torch import Tensor, nn

NUM_BANDS = 80
NUM_CHANNELS = 2
NUM_STAGES = 4
BANDS_LEFT = NUM_BANDS // 2**NUM_STAGES  # the stem and three strides halve the 80 bands to 5


class ResidualBlock(nn.Module):
    """Two convolutions of 3 × 3 beside a path that changes nothing; ``(batch, channels, bands, time)`` stays so.

    Args:
        channels: in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_convolution(channels, channels, 3),
            nn.ReLU(),
            *_convolution(channels, channels, 3),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Adds what the convolutions find to the inputs."""
        return nn.functional.relu(inputs + self.layers(inputs))


class MelCNN(nn.Module):
    """Two-dimensional convolutions over a log-mel spectrogram, averaged over time.

    ===========  ===============================================  ==================  ========
    layer        what it does                                     channels            bands
    ===========  ===============================================  ==================  ========
    stem         5 × 5, every other band and frame                width               40
    stage 1      residual block                                   width               40
    stage 2      3 × 3, every other band and frame; block         2 · width           20
    stage 3      the same                                         4 · width           10
    stage 4      3 × 3, every other band; block                   8 · width           5
    collapse     5 × 1 over all bands that are left               feature_dim         1
    ===========  ===============================================  ==================  ========

    With frames of 20 ms the vectors that are averaged lie 160 ms apart. All convolutions are followed by batch
    normalization. There is no mask: recordings of different lengths are computed one by one.

    Args:
        width: channels of the first stage; 24 make 1.3 million parameters.
        feature_dim: length of the vector.
    """

    def __init__(self, width: int = 24, feature_dim: int = 256) -> None:
        super().__init__()
        self.width = width
        self.feature_dim = feature_dim
        self.stem = nn.Sequential(*_convolution(NUM_CHANNELS, width, 5, stride=2), nn.ReLU())
        stages: list[nn.Module] = [ResidualBlock(width)]
        for stage in range(1, NUM_STAGES):
            before, channels = width * 2 ** (stage - 1), width * 2**stage
            stride = 2 if stage < NUM_STAGES - 1 else (2, 1)
            reduce = nn.Sequential(*_convolution(before, channels, 3, stride=stride), nn.ReLU())
            stages.append(nn.Sequential(reduce, ResidualBlock(channels)))
        self.stages = nn.Sequential(*stages)
        last = width * 2 ** (NUM_STAGES - 1)
        self.collapse = nn.Sequential(
            nn.Conv2d(last, feature_dim, (BANDS_LEFT, 1), bias=False), nn.BatchNorm2d(feature_dim), nn.ReLU()
        )

    def vectors(self, spectrograms: Tensor) -> Tensor:
        """Computes the vectors before they are averaged.

        Args:
            spectrograms: ``(batch, 2, 80, frames)``, see ``pathosnet.features.acoustic.relative_mel``.

        Returns:
            ``(batch, feature_dim, frames / 8)``, rounded up at every halving.
        """
        return self.collapse(self.stages(self.stem(spectrograms))).squeeze(2)

    def forward(self, spectrograms: Tensor) -> Tensor:
        """Computes one vector for each spectrogram: ``(batch, 2, 80, frames)`` → ``(batch, feature_dim)``."""
        return self.vectors(spectrograms).mean(dim=2)


def _convolution(before: int, after: int, size: int, *, stride: int | tuple[int, int] = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(before, after, size, stride=stride, padding=size // 2, bias=False)
    return [convolution, nn.BatchNorm2d(after)]
