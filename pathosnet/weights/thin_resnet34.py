"""Thin ResNet-34 + GhostVLAD's weights: the Keras file as it was released.

Where to get it: WeidiXie/VGG-Speaker-Recognition and taylorlu/ghostvlad-speaker on GitHub (``weights.h5``).
"""

from pathlib import Path

from pathosnet.backbones import ThinResNet34
from pathosnet.backbones.thin_resnet34 import STAGES
from pathosnet.weights.files import fill_module, layer_names, read_tensors, source_of

SPEAKER_CLASSIFIER = "prediction"  # on top of some releases; not part of the features


def keras_layers() -> dict[str, str]:
    """Returns Keras' layer → ours."""
    layers = {"conv1_1/3x3_s1": "conv1", "conv1_1/3x3_s1/bn": "conv1_bn"}
    index = 0
    for stage, (_, _, _, num_blocks, _) in enumerate(STAGES, start=2):
        for letter in "abc"[:num_blocks]:
            parts = {"1x1_reduce": "reduce", "3x3": "conv", "1x1_increase": "increase"}
            if letter == "a":
                parts["1x1_proj"] = "proj"
            for theirs, ours in parts.items():
                layers[f"conv{stage}_{letter}_{theirs}"] = f"blocks.{index}.{ours}"
                layers[f"conv{stage}_{letter}_{theirs}/bn"] = f"blocks.{index}.{ours}_bn"
            index += 1
    return layers | {name: name for name in ("x_fc", "gvlad_center_assignment", "gvlad_pool", "fc6")}


def load_thin_resnet34(path: str | Path, normalize: bool = False) -> ThinResNet34:
    """Reads Thin ResNet-34 + GhostVLAD.

    Args:
        path: the released Keras ``.h5``, or a safetensors file of this library's names.
        normalize: scale the vectors to length 1, as the original does for speaker verification.

    Returns:
        ``(batch, 257, frames)`` → ``(batch, 512)``; in evaluation mode.

    Raises:
        InputError: the file is damaged, or a tensor is missing, surplus or of another shape.
    """
    tensors = read_tensors(path)
    model = ThinResNet34(normalize)
    layers = keras_layers()
    if "conv1_bn" in layer_names(tensors):
        layers = {ours: ours for ours in layers.values()}
    fill_module(model, tensors, layers, path=path, unused_layers={SPEAKER_CLASSIFIER})
    model.source = source_of(path)
    return model.eval()
