"""The networks that listen: VGGish, Thin ResNet-34 with GhostVLAD pooling, and a small one of the library's own.

They are plain modules: they never download anything and never touch a file; `pathosnet.weights` fills them.
The first two have the same three parts (``Unlockable``), so that training can keep the frozen part's output and learn
the rest:

- ``frozen_part(inputs)``: everything below the layer that step 2 of the training unlocks,
- ``unlocked_layer``: that layer,
- ``trainable_part(hidden)``: the unlocked layer and what lies above it, up to the feature vector.

The top layers of a speech encoder are ``UnlockedLayers``, which look at whole recordings.
"""

from pathosnet.backbones.fused import fused
from pathosnet.backbones.mel_cnn import MelCNN
from pathosnet.backbones.source import WeightsSource
from pathosnet.backbones.thin_resnet34 import ThinResNet34
from pathosnet.backbones.unlockable import Unlockable, UnlockedLayers, compute_features
from pathosnet.backbones.vggish import VGGish, VGGishOutput

__all__ = [
    "MelCNN",
    "ThinResNet34",
    "Unlockable",
    "UnlockedLayers",
    "VGGish",
    "VGGishOutput",
    "WeightsSource",
    "compute_features",
    "fused",
]
