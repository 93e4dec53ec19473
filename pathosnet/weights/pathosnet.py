"""The PATHOSnet authors' own networks, as their Keras files have them."""

from pathlib import Path

from pathosnet.errors import InputError
from pathosnet.models import BranchOptions, EmotionNetwork, Ensemble
from pathosnet.models.blocks import BATCH_NORM_MOMENTUM, MaskedBatchNorm
from pathosnet.models.ensemble import TEMPERATURE
from pathosnet.weights.files import fill_module, numbered_layers, read_tensors

CONVOLUTIONS = ("stem.conv", "blocks.0.conv1", "blocks.0.conv2", "blocks.1.conv1", "blocks.1.conv2")
BATCH_NORMS = (
    "stem.conv_bn",
    "stem.pool_bn",
    "blocks.0.shortcut_bn",
    "blocks.0.main_bn",
    "blocks.1.shortcut_bn",
    "blocks.1.main_bn",
)
"""A branch's layers in the order in which they were made, which is that of their numbers."""

BRANCH_OF_WIDTHS = {(128, 256): "vggish", (512, 256): "ghostvlad", (300, 128): "text"}
"""Input and output features of a branch's first convolution → what it reads."""

MULTIMODAL = ("vggish", "text", "ghostvlad", "text")
VOICE = ("vggish", "ghostvlad")


def load_pathosnet(path: str | Path) -> Ensemble:
    """Reads a network that the authors released, multimodal or voice.

    Args:
        path: the Keras ``.h5`` file.

    Returns:
        The ensemble, in evaluation mode. Its ``forward`` takes ``vggish=(batch, time, 128)``,
        ``ghostvlad=(batch, time, 512)`` and, if multimodal, ``text=(batch, tokens, 300)``, with ``lengths`` or
        ``masks`` by the same names, and returns logits ``(batch, 4)`` for happiness, anger, sadness, neutral.

    Raises:
        InputError: the file is damaged, or a tensor is missing, surplus or of another shape.
    """
    tensors = read_tensors(path)
    convolutions = numbered_layers(tensors, "conv1d")
    batch_norms = numbered_layers(tensors, "batch_normalization")
    classifiers = numbered_layers(tensors, "dense")
    stems = convolutions[:: len(CONVOLUTIONS)]
    kernels = [tensors.get(f"{stem}.weight") for stem in stems]
    shapes = [(kernel.shape[1], kernel.shape[0]) for kernel in kernels if kernel is not None and kernel.ndim == 3]
    branches = tuple(BRANCH_OF_WIDTHS.get(shape, f"{shape[0]}→{shape[1]}") for shape in shapes)
    if (
        branches not in (MULTIMODAL, VOICE)
        or len(convolutions) != len(branches) * len(CONVOLUTIONS)
        or len(batch_norms) != len(branches) * len(BATCH_NORMS)
        or len(classifiers) != 1
    ):
        raise InputError(
            f"{path}: expected the authors' branches {', '.join(MULTIMODAL)} or {', '.join(VOICE)} of 5 conv1d and "
            f"6 batch_normalization layers each and one dense layer, got {len(convolutions)} conv1d (branches "
            f"{', '.join(branches) or 'none'}), {len(batch_norms)} batch_normalization, {len(classifiers)} dense"
        )

    layers = {classifiers[0]: "classifier"}
    for i, prefix in enumerate(_branch_names(branches)):
        convolution_numbers = slice(i * len(CONVOLUTIONS), (i + 1) * len(CONVOLUTIONS))
        batch_norm_numbers = slice(i * len(BATCH_NORMS), (i + 1) * len(BATCH_NORMS))
        layers |= _pair(convolutions[convolution_numbers], prefix, CONVOLUTIONS)
        layers |= _pair(batch_norms[batch_norm_numbers], prefix, BATCH_NORMS)
    num_classes = len(tensors.get(f"{classifiers[0]}.bias", ()))

    text = {"text": 300} if branches == MULTIMODAL else {}
    options = BranchOptions()
    networks = {
        "vggish": EmotionNetwork({"vggish": 128, **text}, num_classes, options=options),
        "ghostvlad": EmotionNetwork({"ghostvlad": 512, **text}, num_classes, options=options),
    }
    model = Ensemble(networks, num_classes, TEMPERATURE)
    fill_module(model, tensors, layers, path)
    for module in model.modules():
        if isinstance(module, MaskedBatchNorm):  # the statistics are those of a long training
            module.num_batches.fill_(round(1 / BATCH_NORM_MOMENTUM))
    return model.eval()


def _branch_names(branches: tuple[str, ...]) -> list[str]:
    """Says where each of the file's branches goes: a text branch belongs to the network of the branch before it."""
    names, network = [], ""
    for branch in branches:
        network = network if branch == "text" else branch
        names.append(f"networks.{network}.branches.{branch}")
    return names


def _pair(layers: list[str], prefix: str, parts: tuple[str, ...]) -> dict[str, str]:
    return {layer: f"{prefix}.{part}" for layer, part in zip(layers, parts, strict=True)}
