"""The two pre-trained networks that listen: VGGish and Thin ResNet-34 with GhostVLAD pooling.

They are plain modules: they never download anything and never touch a file; `pathosnet.weights` fills them.
Each has the same three parts (``Unlockable``), so that training can keep the frozen part's output and learn the rest:

- ``frozen_part(inputs)``: everything below the layer that step 2 of the training unlocks,
- ``unlocked_layer``: that layer,
- ``trainable_part(hidden)``: the unlocked layer and what lies above it, up to the feature vector.
"""

from pathosnet.backbones.source import WeightsSource
from pathosnet.backbones.thin_resnet34 import ThinResNet34
from pathosnet.backbones.unlockable import Unlockable
from pathosnet.backbones.vggish import VGGish, VGGishOutput

__all__ = ["ThinResNet34", "Unlockable", "VGGish", "VGGishOutput", "WeightsSource"]
