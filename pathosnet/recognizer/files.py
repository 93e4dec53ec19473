"""Files of a model's folder: which are read, which tensors are accepted, which names are known."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from pathosnet.errors import InputError
from pathosnet.features.registry import Registry
from pathosnet.weights.files import check_finite, some_names

CONFIG_FILE = "config.json"


def own_file(folder: Path, name: str) -> Path:
    """Returns a file of a model's folder.

    Links are followed within the folder, and to the blobs of the hub's cache, whose snapshots consist of links.

    Raises:
        InputError: it is a link to another place.
    """
    path = folder / name
    root, real = folder.resolve(), path.resolve()
    allowed = [root]
    if root.parent.name == "snapshots":
        allowed.append(root.parent.parent / "blobs")
    if not any(real.is_relative_to(place) for place in allowed):
        raise InputError(f"{path}: is a link to {real}, outside of the model; it is not followed")
    return path


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Reads tensors by name.

    Raises:
        InputError: the file cannot be read, or a tensor holds NaN or infinity.
    """
    try:
        tensors = safetensors.torch.load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read ({error}); the model is incomplete or damaged") from error
    check_finite(path, tensors)
    return tensors


def write_safetensors(path: Path, state: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Writes tensors by name, contiguous and from the CPU, beside texts by name."""
    on_cpu = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    safetensors.torch.save_file(on_cpu, path, metadata={"format": "pt", **(metadata or {})})
    path.chmod(0o644)  # safetensors makes it readable by its owner alone


def check_state(path: Path, expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    """Compares names and shapes of tensors.

    Raises:
        InputError: listing what is missing, surplus or misshapen.
    """
    problems = [
        f"{kind}: {some_names(sorted(names))}"
        for kind, names in (
            ("missing", expected.keys() - state.keys()),
            ("surplus", state.keys() - expected.keys()),
            ("of another shape", {n for n in expected.keys() & state.keys() if expected[n].shape != state[n].shape}),
        )
        if names
    ]
    if problems:
        raise InputError(f"{path}: does not fit its {CONFIG_FILE} — {'; '.join(problems)}")


def check_known(path: Path, registry: Registry[Any], names: Iterable[str]) -> None:
    """Refuses what is not registered: a folder, which may be a stranger's, never makes this library import anything."""
    for name in names:
        if name not in registry and name not in registry.families:
            raise InputError(
                f"{path}: needs the {registry.kind} {name!r}, which is not registered; {registry.advice()}"
            )
