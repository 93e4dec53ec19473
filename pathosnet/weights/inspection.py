"""Identification of files of weights or vectors by reading them with the right loader, and their conversion."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import safetensors.torch
from torch import nn

from pathosnet.backbones import ThinResNet34, VGGish
from pathosnet.errors import InputError
from pathosnet.features import WordVectors
from pathosnet.features.text.fasttext_files import load_fasttext_model
from pathosnet.features.text.vector_files import open_vectors
from pathosnet.files import file_written_aside, to_path
from pathosnet.weights.files import KERAS_SUFFIXES, layer_names, read_tensors, some_names
from pathosnet.weights.pathosnet import load_pathosnet
from pathosnet.weights.thin_resnet34 import load_thin_resnet34
from pathosnet.weights.vggish import load_vggish

Kind = Literal["vggish", "ghostvlad"]
SAMPLE_WORDS = 1000


@dataclass(frozen=True)
class FileDescription:
    """Kind of a file that can be read here, and the size of its contents."""

    kind: str
    details: str

    def __str__(self) -> str:
        return f"{self.kind}, {self.details}"


def describe_file(path: str | Path) -> FileDescription:
    """Reads a file with the loader that fits.

    Args:
        path: weights (``.h5``, ``.pth``, ``.safetensors``), word vectors (``.vec``, ``.txt``, perhaps with ``.gz``: all
            lines are counted, the first 1000 are parsed), or a fastText model (``.bin``, ``.ftz``).

    Raises:
        InputError: no loader can read it.
    """
    path = to_path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.name.removesuffix(".gz").endswith((".vec", ".txt")):
        vectors = WordVectors.load(path, SAMPLE_WORDS)
        with open_vectors(path) as file:
            lines = sum(1 for line in file if line.strip())
        return FileDescription("word vectors", f"dimension {vectors.dim}, {lines:,} lines")
    if path.suffix in (".bin", ".ftz"):
        model = load_fasttext_model(path)
        if model.f.isQuant() or any(label.startswith("__label__") for label in model.get_labels()[:1]):
            return FileDescription("fastText classifier", f"{len(model.get_labels()):,} labels")
        return FileDescription(
            "fastText word vectors", f"dimension {model.get_dimension()}, {len(model.get_words()):,} words"
        )
    tensors = read_tensors(path)
    loaders: list[Callable[[], nn.Module]] = [
        lambda: load_backbone(path, "vggish"),
        lambda: load_backbone(path, "ghostvlad"),
    ]
    if path.suffix in KERAS_SUFFIXES:
        loaders.append(lambda: load_pathosnet(path))
    for load in loaders:
        try:
            module = load()
        except InputError:
            continue
        count = sum(parameter.numel() for parameter in module.parameters())
        return FileDescription(_name_of(module), f"{len(tensors)} tensors, {count:,} parameters")
    raise InputError(f"{path}: holds no network that is known here, only {some_names(layer_names(tensors))}")


def load_backbone(path: str | Path, kind: Kind) -> VGGish | ThinResNet34:
    """Reads a backbone; VGGish without dense layers if the file has none.

    Raises:
        InputError: the file does not hold it.
    """
    if kind == "ghostvlad":
        return load_thin_resnet34(path)
    has_dense = any(
        name.startswith(("fc", "dense", "embeddings", "vggish_fc", "vggish/fc")) for name in read_tensors(path)
    )
    return load_vggish(path, "relu" if has_dense else "pool")


def convert(source: str | Path, kind: Kind, target: str | Path, *, overwrite: bool = False) -> FileDescription:
    """Writes a backbone's weights as safetensors, under this library's names.

    Args:
        source: a file that ``load_vggish`` or ``load_thin_resnet34`` reads.
        kind: which of the two it is.
        target: a ``.safetensors`` to make.
        overwrite: replace it if it is there.

    Raises:
        InputError: the source cannot be read, or the target not be written.
    """
    if Path(target).suffix != ".safetensors":
        raise InputError(f"{target}: expected a name that ends in .safetensors")
    module = load_backbone(source, kind)
    with file_written_aside(target, overwrite) as aside:
        safetensors.torch.save_file(
            {n: v.contiguous() for n, v in module.state_dict().items()}, aside, {"format": "pt"}
        )
        aside.chmod(0o644)  # safetensors makes it readable by its owner alone
    return describe_file(target)


def _name_of(module: nn.Module) -> str:
    if isinstance(module, VGGish):
        return "VGGish" if module.dense is not None else "VGGish without dense layers"
    return "Thin ResNet-34 + GhostVLAD" if isinstance(module, ThinResNet34) else "PATHOSnet, as its authors released it"
