"""The PATHOSnet authors' own networks, as their Keras files have them."""

from pathlib import Path

from pathosnet.emotions import PAPER_EMOTIONS
from pathosnet.errors import InputError
from pathosnet.models import EmotionNetwork, Ensemble
from pathosnet.models.blocks import BATCH_NORM_MOMENTUM, MaskedBatchNorm
from pathosnet.models.ensemble import TEMPERATURE
from pathosnet.weights.files import fill_module, layer_names, numbered_layers, read_tensors, some_names

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

ACOUSTIC_DIMS = {"vggish": 128, "ghostvlad": 512}
TEXT_DIM = 300

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
    if not convolutions:
        raise InputError(
            f"{path}: expected the authors' branches ({', '.join(MULTIMODAL)}, or {', '.join(VOICE)}) of layers "
            f"named conv1d_1, batch_normalization_1, …, got {some_names(layer_names(tensors))}"
        )
    branches = MULTIMODAL if len(convolutions) > (len(MULTIMODAL) + len(VOICE)) / 2 * len(CONVOLUTIONS) else VOICE
    convolutions = _consecutive(convolutions, "conv1d", len(branches) * len(CONVOLUTIONS))
    batch_norms = _consecutive(batch_norms, "batch_normalization", len(branches) * len(BATCH_NORMS))
    (classifier,) = _consecutive(numbered_layers(tensors, "dense"), "dense", 1)

    layers = {classifier: "classifier"}
    for i, prefix in enumerate(_branch_names(branches)):
        convolution_numbers = slice(i * len(CONVOLUTIONS), (i + 1) * len(CONVOLUTIONS))
        batch_norm_numbers = slice(i * len(BATCH_NORMS), (i + 1) * len(BATCH_NORMS))
        layers |= _pair(convolutions[convolution_numbers], prefix, CONVOLUTIONS)
        layers |= _pair(batch_norms[batch_norm_numbers], prefix, BATCH_NORMS)

    text = {"text": TEXT_DIM} if "text" in branches else {}
    num_classes = len(PAPER_EMOTIONS)
    networks = {name: EmotionNetwork({name: ACOUSTIC_DIMS[name], **text}, num_classes) for name in VOICE}
    model = Ensemble(networks, num_classes, TEMPERATURE)
    fill_module(model, tensors, layers, path=path)
    for module in model.modules():
        if isinstance(module, MaskedBatchNorm):  # the statistics are those of a long training
            module.num_batches.fill_(round(1 / BATCH_NORM_MOMENTUM))
    return model.eval()


def _consecutive(layers: list[str], kind: str, count: int) -> list[str]:
    """Names the layers that a whole file has, from its first number on; what is missing or surplus shows later."""
    if len(layers) == count:
        return layers
    number = int(layers[0].removeprefix(kind).removeprefix("_") or 0) if layers else 1
    return [f"{kind}_{i}" if i else kind for i in range(number, number + count)]


def _branch_names(branches: tuple[str, ...]) -> list[str]:
    """Says where each of the file's branches goes: a text branch belongs to the network of the branch before it."""
    names, network = [], ""
    for branch in branches:
        network = network if branch == "text" else branch
        names.append(f"networks.{network}.branches.{branch}")
    return names


def _pair(layers: list[str], prefix: str, parts: tuple[str, ...]) -> dict[str, str]:
    return {layer: f"{prefix}.{part}" for layer, part in zip(layers, parts, strict=True)}
