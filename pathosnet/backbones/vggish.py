"""VGGish (Hershey et al., 2017): a VGG for log-mel examples of 0.96 s.

Source: tensorflow/models, research/audioset/vggish; layer names after beasteers/VGGish.
"""

from collections import OrderedDict
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from pathosnet.backbones.source import WeightsSource

VGGishOutput = Literal["relu", "softmax", "linear", "pool"]
"""Ending of the network: an activation over the 128 embedding units, or the mean over the last feature map.

``relu``: the release of 2017 and torchvggish; ``linear``: later TensorFlow releases; ``softmax``: PATHOSnet's authors;
``pool``: 512-d, without the dense layers, for examples of any length.
"""

NUM_CHANNELS = 512
DENSE_UNITS = 4096
EMBEDDING_DIM = 128
EXAMPLE_SHAPE = (96, 64)  # frames, bands


class VGGish(nn.Module):
    """VGGish with its four endings.

    Args:
        output: see [`VGGishOutput`][pathosnet.backbones.vggish.VGGishOutput].
    """

    source: WeightsSource | None = None
    """The file that filled it."""

    def __init__(self, output: VGGishOutput = "relu") -> None:
        super().__init__()
        if output not in get_args(VGGishOutput):
            raise ValueError(f"output: expected one of {', '.join(get_args(VGGishOutput))}, got {output!r}")
        self.output = output
        self.conv1 = _convolution(1, 64)
        self.conv2 = _convolution(64, 128)
        self.conv3_1 = _convolution(128, 256)
        self.conv3_2 = _convolution(256, 256)
        self.conv4_1 = _convolution(256, NUM_CHANNELS)
        self.conv4_2 = _convolution(NUM_CHANNELS, NUM_CHANNELS)
        # "same" pooling: an odd size is rounded up
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        self.dense: nn.Sequential | None = None
        if output != "pool":
            flat = NUM_CHANNELS * (EXAMPLE_SHAPE[0] // 16) * (EXAMPLE_SHAPE[1] // 16)
            self.dense = nn.Sequential(
                OrderedDict(
                    fc1_1=nn.Linear(flat, DENSE_UNITS),
                    relu1_1=nn.ReLU(),
                    fc1_2=nn.Linear(DENSE_UNITS, DENSE_UNITS),
                    relu1_2=nn.ReLU(),
                    fc2=nn.Linear(DENSE_UNITS, EMBEDDING_DIM),
                )
            )

    @property
    def feature_dim(self) -> int:
        """Length of a feature vector: 512 for ``pool``, else 128."""
        return NUM_CHANNELS if self.dense is None else EMBEDDING_DIM

    @property
    def unlocked_layer(self) -> nn.Module:
        """The last convolution, which the authors' code names ``vgg_to_train``."""
        return self.conv4_2

    def forward(self, examples: Tensor) -> Tensor:
        """Computes a feature vector an example.

        Args:
            examples: log-mel, ``(examples, 96 frames, 64 bands)``; any number of frames for ``pool``.

        Returns:
            ``(examples, 128)``, or ``(examples, 512)`` for ``pool``.
        """
        return self.trainable_part(self.frozen_part(examples))

    def frozen_part(self, examples: Tensor) -> Tensor:
        """Computes what conv4_2 reads: ``(examples, frames, bands)`` → ``(examples, 512, frames / 8, bands / 8)``."""
        x = self.pool(self.conv1(examples.unsqueeze(1)).relu_())
        x = self.pool(self.conv2(x).relu_())
        x = self.conv3_1(x).relu_()
        x = self.pool(self.conv3_2(x).relu_())
        hidden: Tensor = self.conv4_1(x).relu_()
        return hidden

    def trainable_part(self, hidden: Tensor) -> Tensor:
        """Goes on from what conv4_2 reads to the feature vectors, ``(examples, 128 or 512)``."""
        feature_map = self.last_pool(hidden)
        if self.dense is None:
            return feature_map.mean(dim=(2, 3), dtype=torch.promote_types(feature_map.dtype, torch.float32))
        # (examples, channels, frames, bands) -> channels last, as the weights were trained
        embedding: Tensor = self.dense(feature_map.permute(0, 2, 3, 1).flatten(1))
        if self.output == "relu":
            return torch.relu(embedding)
        if self.output == "softmax":
            return torch.softmax(embedding, dim=1)
        return embedding

    def last_pool(self, hidden: Tensor) -> Tensor:
        """Returns the last feature map, ``(examples, 512, frames / 16, bands / 16)``, from what conv4_2 reads."""
        feature_map: Tensor = self.pool(self.conv4_2(hidden).relu_())
        return feature_map


def _convolution(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)
