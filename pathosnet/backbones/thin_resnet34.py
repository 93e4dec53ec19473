"""Thin ResNet-34 with GhostVLAD pooling (Xie et al., 2019): a speaker-recognition network for spectrograms.

Source: WeidiXie/VGG-Speaker-Recognition and taylorlu/ghostvlad-speaker.
"""

import torch
from torch import Tensor, nn

from pathosnet.backbones.source import WeightsSource

NUM_CLUSTERS = 8
NUM_GHOSTS = 2
NUM_BINS = 257
FEATURE_DIM = 512
BATCH_NORM_EPSILON = 1e-3

# reduced width, width within, width out, number of blocks, stride of the first block
STAGES = ((48, 48, 96, 2, 1), (96, 96, 128, 3, 2), (128, 128, 256, 3, 2), (256, 256, 512, 3, 2))


class ThinResNet34(nn.Module):
    """Thin ResNet-34 + GhostVLAD: one 512-d vector for a spectrogram of any length.

    Args:
        normalize: scale the vector to length 1, as speaker verification does. PATHOSnet's authors do not.
    """

    source: WeightsSource | None = None
    """The file that filled it."""

    feature_dim = FEATURE_DIM

    def __init__(self, normalize: bool = False) -> None:
        super().__init__()
        self.normalize = normalize
        self.conv1 = nn.Conv2d(1, 64, kernel_size=7, padding=3, bias=False)
        self.conv1_bn = _batch_norm(64)
        self.pool1 = nn.MaxPool2d(2)
        blocks: list[nn.Module] = []
        in_channels = 64
        for reduced, inner, out_channels, num_blocks, stride in STAGES:
            for i in range(num_blocks):
                blocks.append(
                    Bottleneck(
                        in_channels,
                        reduced,
                        inner,
                        out_channels=out_channels,
                        stride=stride if i == 0 else 1,
                        project=i == 0,
                    )
                )
                in_channels = out_channels
        self.blocks = nn.ModuleList(blocks)
        self.pool2 = nn.MaxPool2d((3, 1), stride=(2, 1))
        self.x_fc = nn.Conv2d(in_channels, FEATURE_DIM, kernel_size=(7, 1))
        self.gvlad_center_assignment = nn.Conv2d(in_channels, NUM_CLUSTERS + NUM_GHOSTS, kernel_size=(7, 1))
        self.gvlad_pool = GhostVLAD(NUM_CLUSTERS, NUM_GHOSTS, FEATURE_DIM)
        self.fc6 = nn.Linear(NUM_CLUSTERS * FEATURE_DIM, FEATURE_DIM)

    @property
    def unlocked_layer(self) -> nn.Module:
        """The last convolution of the features that are pooled, ``x_fc``: the counterpart of VGGish's conv4_2."""
        return self.x_fc

    def forward(self, spectrograms: Tensor) -> Tensor:
        """Computes a feature vector a spectrogram.

        Args:
            spectrograms: normalized magnitudes, ``(batch, 257 bins, frames)``, at least 2 frames.

        Returns:
            ``(batch, 512)``: non-negative, or of length 1 with ``normalize``.
        """
        return self.trainable_part(self.frozen_part(spectrograms))

    def frozen_part(self, spectrograms: Tensor) -> Tensor:
        """Computes what x_fc reads: ``(batch, 257, frames)`` → ``(batch, 512, 7, frames / 16)``."""
        x = self.pool1(self.conv1_bn(self.conv1(spectrograms.unsqueeze(1))).relu_())
        for block in self.blocks:
            x = block(x)
        hidden: Tensor = self.pool2(x)
        return hidden

    def trainable_part(self, hidden: Tensor) -> Tensor:
        """Goes on from what x_fc reads to the feature vectors, ``(batch, 512)``."""
        features, scores = self.x_fc(hidden).relu_(), self.gvlad_center_assignment(hidden)
        pooled = self.gvlad_pool(features.squeeze(2), scores.squeeze(2))  # both (batch, channels, frames / 16)
        vector = torch.relu(self.fc6(pooled))
        return l2_normalize(vector) if self.normalize else vector


class Bottleneck(nn.Module):
    """1×1 (which carries the stride) → 3×3 → 1×1, added to the input, projected where the shape changes."""

    def __init__(
        self, in_channels: int, reduced: int, inner: int, out_channels: int, stride: int, project: bool
    ) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(in_channels, reduced, kernel_size=1, stride=stride, bias=False)
        self.reduce_bn = _batch_norm(reduced)
        self.conv = nn.Conv2d(reduced, inner, kernel_size=3, padding=1, bias=False)
        self.conv_bn = _batch_norm(inner)
        self.increase = nn.Conv2d(inner, out_channels, kernel_size=1, bias=False)
        self.increase_bn = _batch_norm(out_channels)
        self.proj: nn.Conv2d | None = None
        self.proj_bn: nn.BatchNorm2d | None = None
        if project:
            self.proj = nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False)
            self.proj_bn = _batch_norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, in_channels, bins, frames)`` → ``(batch, out_channels, bins / stride, frames / stride)``."""
        main = self.reduce_bn(self.reduce(x)).relu_()
        main = self.conv_bn(self.conv(main)).relu_()
        main = self.increase_bn(self.increase(main))
        shortcut = x if self.proj is None or self.proj_bn is None else self.proj_bn(self.proj(x))
        return main.add_(shortcut).relu_()


class GhostVLAD(nn.Module):
    """Sums residuals to cluster centers, weighted by soft assignment; what falls to the ghost clusters is dropped.

    Args:
        num_clusters: clusters that are kept.
        num_ghosts: clusters that only draw noise away.
        feature_dim: of the features.
    """

    def __init__(self, num_clusters: int, num_ghosts: int, feature_dim: int) -> None:
        super().__init__()
        self.num_clusters = num_clusters
        self.centers = nn.Parameter(torch.empty(num_clusters + num_ghosts, feature_dim))
        nn.init.orthogonal_(self.centers)

    def forward(self, features: Tensor, scores: Tensor) -> Tensor:
        """Pools over time.

        Args:
            features: ``(batch, features, time)``.
            scores: of each cluster, ghosts last, ``(batch, clusters + ghosts, time)``.

        Returns:
            ``(batch, clusters · features)``, each cluster's part of length 1.
        """
        features, scores = (x.to(self.centers.dtype) for x in (features, scores))  # sums whose differences count
        assignment = torch.softmax(scores, dim=1)[:, : self.num_clusters]
        # Σ_t a(t)·(x(t) − c) = Σ_t a(t)·x(t) − c·Σ_t a(t)
        weighted = torch.bmm(assignment, features.transpose(1, 2))  # (batch, clusters, features)
        residuals = weighted - assignment.sum(dim=2, keepdim=True) * self.centers[: self.num_clusters]
        return l2_normalize(residuals).flatten(1)


def l2_normalize(x: Tensor) -> Tensor:
    """Scales the last axis to length 1, with Keras' guard against zeros."""
    return x * torch.rsqrt(x.square().sum(dim=-1, keepdim=True).clamp(min=1e-12))


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=BATCH_NORM_EPSILON, momentum=0.01)
