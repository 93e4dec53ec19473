"""Reading tensors by name from Keras, PyTorch and safetensors files, and putting them into a module strictly."""

import io
import re
import zipfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from pathosnet.backbones import WeightsSource
from pathosnet.errors import InputError
from pathosnet.files import hash_file, to_path

KERAS_SUFFIXES = (".h5", ".hdf5", ".keras")
PYTORCH_SUFFIXES = (".pth", ".pt", ".bin")

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "weights")
"""Keys under which checkpoints hold a state dict."""
PREFIXES = ("module.", "_orig_mod.")
"""Prefixes that DataParallel and torch.compile put before every name."""
KERAS3_MEMBER = "model.weights.h5"
MAX_EXPANSION = 50  # of an archive

# Keras' name of a variable → PyTorch's name of it
_VARIABLES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
_COUNTERS = ("num_batches", "num_batches_tracked")  # in PyTorch's batch norms, not in Keras'


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Reads a file's tensors in PyTorch's layout.

    Args:
        path: Keras' weights (``.h5``, of Keras 3 ``.keras`` and ``.weights.h5`` as well), a pickled state dict
            (``.pth``, ``.pt``: read with ``weights_only=True``, which runs no code; perhaps within a checkpoint, or
            with ``module.`` before its names), or safetensors.

    Returns:
        ``layer.weight`` → tensor; of Keras files with the layer's name as it is (it may hold slashes).

    Raises:
        InputError: the file is missing, damaged, of another format, or holds no tensors.
    """
    path = to_path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such weights file")
    try:
        if path.suffix in KERAS_SUFFIXES:
            tensors = _read_keras(path)
        elif path.suffix in PYTORCH_SUFFIXES:
            tensors = _unwrapped(torch.load(path, map_location="cpu", weights_only=True), path)
        elif path.suffix == ".safetensors":
            tensors = safetensors.torch.load_file(path)
        else:
            raise InputError(
                f"{path}: expected a weights file ending in .h5 (Keras), .pth (PyTorch) or .safetensors, "
                f"got {path.suffix or 'no ending'!r}"
            )
    except InputError:
        raise
    except Exception as error:  # HDF5, pickle, zip and safetensors each have their own errors for damaged files
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: cannot be read as weights ({reason}); get the file again") from error
    if not tensors:
        raise InputError(f"{path}: holds no weights")
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    check_finite(path, tensors)
    return tensors


def _unwrapped(state: Any, path: Path) -> dict[str, Tensor]:
    """Returns a state dict, also one that a checkpoint holds beside other things."""
    if _is_state(state):
        return dict(state)
    if not isinstance(state, Mapping):
        raise InputError(f"{path}: expected a state dict (name → tensor), got {type(state).__name__}")
    for key in WRAPPERS:
        if _is_state(state.get(key)):
            return dict(state[key])
    raise InputError(
        f"{path}: expected a state dict (name → tensor), alone or under one of the keys {', '.join(WRAPPERS)}, got a "
        f"dict with the keys {some_names([str(key) for key in state])}; save the state dict alone"
    )


def _is_state(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(one, Tensor) for one in value.values())


def _read_keras(path: Path) -> dict[str, Tensor]:
    if not zipfile.is_zipfile(path):
        return _read_hdf5(path, path)
    with zipfile.ZipFile(path) as archive:  # Keras 3, a whole model
        if KERAS3_MEMBER not in archive.namelist():
            raise InputError(f"{path}: holds no {KERAS3_MEMBER}; expected a model that Keras 3 saved")
        if archive.getinfo(KERAS3_MEMBER).file_size > MAX_EXPANSION * path.stat().st_size:
            raise InputError(f"{path}: unpacks to more than {MAX_EXPANSION} times its size; not a model of Keras")
        return _read_hdf5(io.BytesIO(archive.read(KERAS3_MEMBER)), path)


def _read_hdf5(source: Path | io.BytesIO, path: Path) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    with h5py.File(source, "r") as file:
        if "layers" in file:
            return _read_keras3(file, path)
        root = file.get("model_weights", file)  # a whole model, or its weights alone
        if "layer_names" not in root.attrs:
            raise InputError(f"{path}: is an HDF5 file, but not one of Keras weights (it lists no layers)")
        for layer in (_text(name) for name in root.attrs["layer_names"]):
            for variable_path in (_text(name) for name in root[layer].attrs["weight_names"]):
                variable = variable_path.rpartition("/")[2].partition(":")[0]
                tensors |= _tensor_of(layer, variable, _own_array(file, root[layer][variable_path], path))
    return tensors


def _read_keras3(file: h5py.File, path: Path) -> dict[str, Tensor]:
    """Reads what Keras 3 writes: ``layers/conv2d_1/vars/0``, with the layer's name as an attribute of ``vars``."""
    tensors: dict[str, Tensor] = {}
    for kind, group in file["layers"].items():
        variables = group.get("vars")
        if variables is None or not len(variables):
            continue
        if "name" not in variables.attrs:
            raise InputError(
                f"{path}: is a file of Keras 3 without the names of its layers; load it in Keras, save it in the older "
                "format, model.save('model.h5'), and take that"
            )
        values = [_own_array(file, variables[str(number)], path) for number in range(len(variables))]
        for variable, value in zip(_keras3_variables(kind, len(values)), values, strict=True):
            tensors |= _tensor_of(_text(variables.attrs["name"]), variable, value)
    return tensors


def _own_array(file: h5py.File, found: Any, path: Path) -> np.ndarray:
    """Reads an array that is in the file itself, and no larger than the file can hold.

    HDF5 follows links into other files, and what is stored elsewhere, without a word; and a few kilobytes can say that
    they are terabytes.
    """
    if not isinstance(found, h5py.Dataset):
        raise InputError(f"{path}: expected an array as {found.name}, got a group")
    if found.file.id != file.id or found.external or found.is_virtual:
        raise InputError(f"{path}: {found.name} refers to another file, which is not opened; get the file again")
    if found.nbytes > MAX_EXPANSION * max(file.id.get_filesize(), 1 << 20):
        raise InputError(f"{path}: unpacks to more than {MAX_EXPANSION} times its size; get the file again")
    return np.asarray(found)


def _keras3_variables(kind: str, count: int) -> list[str]:
    """Names a layer's variables, which Keras 3 only numbers; ``kind`` is its class, such as ``conv2d_1``."""
    if kind.startswith("batch_normalization"):
        return ["gamma", "beta", "moving_mean", "moving_variance"][:count]
    if kind.startswith(("conv", "dense")):
        return ["kernel", "bias"][:count]
    return ["centers"] if count == 1 else [str(number) for number in range(count)]


def _tensor_of(layer: str, variable: str, value: np.ndarray) -> dict[str, Tensor]:
    if variable == "kernel":  # (…, in, out) -> (out, in, …)
        value = value.transpose(value.ndim - 1, value.ndim - 2, *range(value.ndim - 2))
    return {f"{layer}.{_VARIABLES.get(variable, variable)}": torch.from_numpy(np.ascontiguousarray(value))}


def _text(value: str | bytes) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def fill_module(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    layers: Mapping[str, str],
    *,
    path: str | Path,
    unused_layers: Collection[str] = (),
) -> None:
    """Copies a file's tensors into a module. Every tensor must be there, with its shape, and no other.

    Args:
        module: to be filled.
        tensors: ``file's layer.variable`` → tensor.
        layers: file's layer → module's layer; ``{"": ""}``-like entries map a variable without a layer.
        path: of the file, for errors.
        unused_layers: the file's layers that may be there and are not needed.

    Raises:
        InputError: listing what is missing, surplus or misshapen, by the file's names.
    """
    state = module.state_dict()
    file_layer = {target: source for source, target in layers.items()}
    expected = {}  # file's name → module's name
    for name in state:
        layer, _, variable = name.rpartition(".")
        if variable not in _COUNTERS:
            expected[f"{file_layer[layer]}.{variable}"] = name
    missing = [name for name in expected if name not in tensors]
    surplus = [name for name in tensors if name not in expected and name.rpartition(".")[0] not in unused_layers]
    surplus = [name for name in surplus if name.rpartition(".")[2] not in _COUNTERS]
    misshapen = [
        f"{name} (expected {tuple(state[target].shape)}, got {tuple(tensors[name].shape)})"
        for name, target in expected.items()
        if name in tensors and tensors[name].shape != state[target].shape
    ]
    problems = [
        f"{kind}: {', '.join(names)}"
        for kind, names in (("missing", missing), ("surplus", surplus), ("of another shape", misshapen))
        if names
    ]
    if problems:
        raise InputError(f"{path}: does not fit {type(module).__name__} — {'; '.join(problems)}")
    module.load_state_dict({target: tensors[name].float() for name, target in expected.items()}, strict=False)


def source_of(path: str | Path) -> WeightsSource:
    """Describes a file as the source of weights."""
    path = to_path(path)
    return WeightsSource(path.name, hash_file(path), path.resolve())


def numbered_layers(tensors: Mapping[str, Tensor], kind: str) -> list[str]:
    """Lists the layers that Keras named automatically, such as ``conv1d``, ``conv1d_1``, …, in order of creation."""
    pattern = re.compile(rf"{kind}(?:_(\d+))?")
    found = {layer: match for layer in layer_names(tensors) if (match := pattern.fullmatch(layer))}
    return sorted(found, key=lambda layer: int(found[layer].group(1) or 0))


def check_finite(path: str | Path, tensors: Mapping[str, Tensor]) -> None:
    """Refuses weights that no training means.

    Raises:
        InputError: a tensor holds NaN or infinity; names the file and the first such tensor.
    """
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise InputError(f"{path}: the tensor {name} holds NaN or infinite values; the file is damaged")


def some_names(names: Sequence[str], at_most: int = 8) -> str:
    """Lists the first of a file's layers, for a message that says what kind of file it seems to be."""
    return ", ".join(names[:at_most]) + (" …" if len(names) > at_most else "")


def layer_names(tensors: Mapping[str, Tensor]) -> list[str]:
    """Lists the layers of a file, in its order."""
    return list(dict.fromkeys(name.rpartition(".")[0] for name in tensors))
