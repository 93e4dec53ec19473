"""Backbones that a model refers to instead of holding them: by file name and hash, found in folders that are known."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pathosnet.backbones import ThinResNet34, VGGish, WeightsSource
from pathosnet.errors import InputError
from pathosnet.files import hash_file
from pathosnet.weights.catalogue import find_by_file, weights_folder
from pathosnet.weights.thin_resnet34 import load_thin_resnet34
from pathosnet.weights.vggish import load_vggish


def changed_tensors(name: str, backbone: VGGish | ThinResNet34, folder: Path | None = None) -> dict[str, Tensor]:
    """Returns what of a backbone is not as in the file that it comes from: what was trained since.

    Args:
        name: of the feature, for errors.
        backbone: it knows its file.
        folder: to look for the file in, besides where it was and the cache.

    Raises:
        InputError: nobody knows its file, or it is not there any more.
    """
    if backbone.source is None:
        raise InputError(
            f"{name}: comes from no file that is known, so that nothing can refer to it; embed its weights"
        )
    original = _load_like(backbone, find_source(name, backbone.source, folder)).state_dict()
    now = {key: value.cpu() for key, value in backbone.state_dict().items()}
    return {key: value for key, value in now.items() if not torch.equal(value, original[key])}


def referred_tensors(
    name: str, backbone: VGGish | ThinResNet34, source: WeightsSource, *, folder: Path | None = None
) -> Mapping[str, Tensor]:
    """Reads the tensors of a backbone's file.

    Args:
        name: of the feature, for errors.
        backbone: one of the same shape.
        source: the file.
        folder: to look for it in, besides the cache.

    Raises:
        InputError: the file is not there, or is another one.
    """
    return _load_like(backbone, find_source(name, source, folder)).state_dict()


def find_source(name: str, source: WeightsSource, folder: Path | None = None) -> Path:
    """Finds a file by its name and hash: in a folder, where it was on this machine, or in the cache.

    Raises:
        InputError: it is in none of them; says which command gets it.
    """
    candidates = [folder / source.file] if folder else []
    candidates += [source.path] if source.path else []
    candidates.append(weights_folder() / source.file)
    others = []
    for path in candidates:
        if path.is_file():
            if hash_file(path) == source.sha256:
                return path
            others.append(f"; {path} is another file")
    known = find_by_file(source.file)
    how = f"get it with: pathosnet weights get {known.name}" if known else f"put it into {weights_folder()}"
    raise InputError(
        f"{name}: needs the weights {source.file} with the sha256 {source.sha256}, which are not here"
        f"{''.join(others)}; {how}, or pass weights=FOLDER"
    )


def source_from(config: Mapping[str, Any]) -> WeightsSource:
    """Reads what a model's configuration says about a file; a path in it counts for nothing."""
    return WeightsSource(Path(str(config["file"])).name, str(config["sha256"]))


def _load_like(backbone: VGGish | ThinResNet34, path: Path) -> VGGish | ThinResNet34:
    if isinstance(backbone, VGGish):
        return load_vggish(path, backbone.output)
    return load_thin_resnet34(path, backbone.normalize)
