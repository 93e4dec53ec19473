"""VGGish's weights: torchvggish's release, Keras files by layer name, the PATHOSnet authors' file.

Where to get them: torchvggish's release v0.1 on GitHub (harritaylor/torchvggish, ``vggish-10086976.pth``), Keras files
from beasteers/VGGish.
"""

from pathlib import Path

from torch import Tensor

from pathosnet.backbones import VGGish, VGGishOutput
from pathosnet.errors import InputError
from pathosnet.weights.files import fill_module, layer_names, numbered_layers, read_tensors, some_names, source_of

CONVOLUTIONS = ("conv1", "conv2", "conv3_1", "conv3_2", "conv4_1", "conv4_2")
DENSE = ("fc1_1", "fc1_2", "fc2")

KERAS_LAYERS = {
    "conv1": "conv1",
    "conv2": "conv2",
    "conv3/conv3_1": "conv3_1",
    "conv3/conv3_2": "conv3_2",
    "conv4/conv4_1": "conv4_1",
    "conv4/conv4_2": "conv4_2",
    "fc1/fc1_1": "fc1_1",
    "fc1/fc1_2": "fc1_2",
    "fc2": "fc2",
}
"""beasteers/VGGish → ours."""

TORCHVGGISH_LAYERS = {
    **{f"features.{i}": layer for i, layer in zip((0, 3, 6, 8, 11, 13), CONVOLUTIONS, strict=True)},
    **{f"embeddings.{i}": layer for i, layer in zip((0, 2, 4), DENSE, strict=True)},
}
"""torchvggish → ours."""

PREFIXES = ("vggish/", "vggish_")  # of some Keras releases
POSTPROCESSOR = ("pproc",)  # torchvggish's PCA, which PATHOSnet does not use


def load_vggish(path: str | Path, output: VGGishOutput = "relu") -> VGGish:
    """Reads VGGish from any of its known files.

    Args:
        path: torchvggish's ``.pth``, a Keras ``.h5`` with the layer names of beasteers/VGGish (with or without the
            dense layers, and with the prefix ``vggish_``), the PATHOSnet authors' ``.h5`` (automatic names), or a
            safetensors file of this library's names.
        output: what the network ends with; ``"pool"`` needs no dense layers.

    Returns:
        ``(examples, 96, 64)`` → ``(examples, 128)``, or 512 for ``"pool"``; in evaluation mode.

    Raises:
        InputError: the file is damaged, or a tensor is missing, surplus or of another shape.
    """
    tensors = read_tensors(path)
    layers = _layers_of(tensors, path)
    model = VGGish(output)
    unused = {*POSTPROCESSOR}
    if output == "pool":
        unused |= {source for source, target in layers.items() if target in DENSE}
        layers = {source: target for source, target in layers.items() if target in CONVOLUTIONS}
    fill_module(
        model,
        tensors,
        {source: target if target in CONVOLUTIONS else f"dense.{target}" for source, target in layers.items()},
        path=path,
        unused_layers=unused,
    )
    model.source = source_of(path)
    return model.eval()


def _layers_of(tensors: dict[str, Tensor], path: str | Path) -> dict[str, str]:
    """Recognizes whose names the file uses: file's layer → conv1 … fc2."""
    names = layer_names(tensors)
    if "vgg_to_train" in names:
        automatic = numbered_layers(tensors, "conv2d")
        dense = numbered_layers(tensors, "dense")
        if len(automatic) != len(CONVOLUTIONS) - 1 or len(dense) not in (0, len(DENSE)):
            raise InputError(
                f"{path}: expected 5 layers conv2d_N, vgg_to_train and 3 layers dense_N (the authors' VGGish), "
                f"got {some_names(names)}"
            )
        found = {**dict(zip(automatic, CONVOLUTIONS, strict=False)), "vgg_to_train": "conv4_2"}
        return {**found, **dict(zip(dense or DENSE, DENSE, strict=True))}
    if "features.0" in names:
        return TORCHVGGISH_LAYERS
    if "conv3_1" in names:
        before = "" if "fc2" in names else "dense."  # names of Keras 3, in which no slash may be, or our own
        return {**{layer: layer for layer in CONVOLUTIONS}, **{f"{before}{layer}": layer for layer in DENSE}}
    for prefix in ("", *PREFIXES):
        if f"{prefix}conv1" in names:
            return _keras_layers(names, prefix)
    raise InputError(
        f"{path}: expected VGGish's layers (conv1 …, features.0 … or conv2d_1 … vgg_to_train), got {some_names(names)}"
    )


def _keras_layers(names: list[str], prefix: str) -> dict[str, str]:
    """Adds the prefix, to the whole name or to each of its parts, as the file has it."""
    found = {}
    for layer, target in KERAS_LAYERS.items():
        variants = (f"{prefix}{layer}", "/".join(f"{prefix}{part}" for part in layer.split("/")))
        found[next((name for name in variants if name in names), variants[0])] = target
    return found
