"""Keras weight files with random weights, in the formats that are in circulation."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

Layers = dict[str, dict[str, np.ndarray]]
"""Layer → variable (``kernel``, ``bias``, ``gamma``, …) → values, channels last."""

VGGISH_CONVOLUTIONS = {
    "conv1": (1, 64),
    "conv2": (64, 128),
    "conv3_1": (128, 256),
    "conv3_2": (256, 256),
    "conv4_1": (256, 512),
    "conv4_2": (512, 512),
}
VGGISH_DENSE = {"fc1_1": (6 * 4 * 512, 4096), "fc1_2": (4096, 4096), "fc2": (4096, 128)}
LIVE_UNITS = 48  # of a large dense layer: the others' weights are zeros, which take neither time nor disk

BEASTEERS_NAMES = {
    **{name: name for name in ("conv1", "conv2", "fc2")},
    **{name: f"{name[:5]}/{name}" for name in ("conv3_1", "conv3_2", "conv4_1", "conv4_2")},
    **{name: f"fc1/{name}" for name in ("fc1_1", "fc1_2")},
}


def authors_names(first_convolution: int = 1, first_dense: int = 1) -> dict[str, str]:
    """VGGish's layers as Keras numbers them; the numbers go on from whatever else was made in the same program."""
    names = {name: f"conv2d_{first_convolution + i}" for i, name in enumerate(list(VGGISH_CONVOLUTIONS)[:-1])}
    return {
        **names,
        "conv4_2": "vgg_to_train",
        **{name: f"dense_{first_dense + i}" for i, name in enumerate(VGGISH_DENSE)},
    }


# Thin ResNet-34's stages by the width within a block, of its input, and of its output; and the number of blocks.
THIN_RESNET_STAGES = {2: (48, 64, 96, 2), 3: (96, 96, 128, 3), 4: (128, 128, 256, 3), 5: (256, 256, 512, 3)}

BRANCHES = {"vggish": (128, 256), "ghostvlad": (512, 256), "text": (300, 128)}
MULTIMODAL = ("vggish", "text", "ghostvlad", "text")
VOICE = ("vggish", "ghostvlad")


def rename(layers: Layers, names: Mapping[str, str]) -> Layers:
    return {names[layer]: variables for layer, variables in layers.items()}


def vggish_layers(rng: np.random.Generator, dense: bool = True) -> Layers:
    """Random weights, by our names."""
    layers = {}
    for name, (inputs, outputs) in VGGISH_CONVOLUTIONS.items():
        layers[name] = {"kernel": _kernel(rng, (3, 3, inputs, outputs)), "bias": _bias(rng, outputs)}
    for name, (inputs, outputs) in VGGISH_DENSE.items() if dense else ():
        kernel = np.zeros((inputs, outputs), np.float32)
        live = outputs if outputs <= 128 else LIVE_UNITS
        kernel[:, :live] = _kernel(rng, (inputs, live))
        layers[name] = {"kernel": kernel, "bias": _bias(rng, outputs)}
    return layers


def empty_vggish_layers(dense: bool = True) -> Layers:
    """Zeros in the right shapes, which take no memory."""
    shapes = {name: (3, 3, *sizes) for name, sizes in VGGISH_CONVOLUTIONS.items()}
    if dense:
        shapes |= VGGISH_DENSE
    zero = np.zeros((), np.float32)
    return {
        name: {"kernel": np.broadcast_to(zero, shape), "bias": np.broadcast_to(zero, shape[-1:])}
        for name, shape in shapes.items()
    }


def thin_resnet_layers(rng: np.random.Generator) -> Layers:
    """Random weights, by the released names."""
    layers: Layers = {}

    def convolution(name: str, shape: tuple[int, ...]) -> None:
        layers[name] = {"kernel": _kernel(rng, shape)}
        layers[f"{name}/bn"] = _batch_norm(rng, shape[-1])

    convolution("conv1_1/3x3_s1", (7, 7, 1, 64))
    for stage, (inner, inputs, outputs, num_blocks) in THIN_RESNET_STAGES.items():
        for i in range(num_blocks):
            block = f"conv{stage}_{'abc'[i]}"
            convolution(f"{block}_1x1_reduce", (1, 1, inputs if i == 0 else outputs, inner))
            convolution(f"{block}_3x3", (3, 3, inner, inner))
            convolution(f"{block}_1x1_increase", (1, 1, inner, outputs))
            if i == 0:
                convolution(f"{block}_1x1_proj", (1, 1, inputs, outputs))
    layers["x_fc"] = {"kernel": _kernel(rng, (7, 1, 512, 512)), "bias": _bias(rng, 512)}
    layers["gvlad_center_assignment"] = {"kernel": _kernel(rng, (7, 1, 512, 10)), "bias": _bias(rng, 10)}
    layers["gvlad_pool"] = {"centers": 0.1 * rng.standard_normal((10, 512), np.float32)}
    layers["fc6"] = {"kernel": _kernel(rng, (4096, 512)), "bias": _bias(rng, 512)}
    return layers


def pathosnet_layers(
    rng: np.random.Generator,
    branches: Sequence[str] = MULTIMODAL,
    first_convolution: int = 1,
    first_batch_norm: int = 1,
    first_dense: int = 1,
) -> Layers:
    """Random weights of the authors' network, numbered in the order in which its layers are made."""
    layers: Layers = {}
    convolution, batch_norm = first_convolution, first_batch_norm
    for branch in branches:
        inputs, width = BRANCHES[branch]
        for i in range(5):
            shape = (3, inputs if i == 0 else width, width)
            layers[f"conv1d_{convolution}"] = {"kernel": _kernel(rng, shape), "bias": _bias(rng, width)}
            convolution += 1
        for _ in range(6):
            layers[f"batch_normalization_{batch_norm}"] = _batch_norm(rng, width)
            batch_norm += 1
    feature_dim = sum(BRANCHES[branch][1] for branch in branches)
    # The features are divided by 96 before they are classified: large weights make the classes differ nevertheless.
    layers[f"dense_{first_dense}"] = {"kernel": 50.0 * _kernel(rng, (feature_dim, 4)), "bias": _bias(rng, 4)}
    return layers


def write_keras(path: Path, layers: Layers, whole_model: bool = False, bytes_names: bool = False) -> Path:
    """Writes an HDF5 file of weights as Keras does.

    Args:
        path: to write to.
        layers: in the order of the file's list.
        whole_model: as ``model.save`` does, with the weights in the group ``model_weights``.
        bytes_names: lists of names as bytes, as Keras 2 writes them.
    """

    def listed(names: Sequence[str]) -> np.ndarray | list[str]:
        return np.array([name.encode() for name in names]) if bytes_names else list(names)

    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights") if whole_model else file
        root.attrs["layer_names"] = listed(["input_1", *layers])
        root.create_group("input_1").attrs["weight_names"] = []
        for layer, variables in layers.items():
            group = root.require_group(layer)
            group.attrs["weight_names"] = listed([f"{layer}/{variable}:0" for variable in variables])
            for variable, values in variables.items():
                _write(group, f"{layer}/{variable}:0", values)
    return path


def _write(group: h5py.Group, name: str, values: np.ndarray) -> None:
    if values.size < 1_000_000:
        group[name] = values
    else:  # chunks that are never written take no space and are read as zeros
        columns = values.reshape(-1, values.shape[-1])[:: max(1, values.size // 10_000_000)].any(axis=0).nonzero()[0]
        chunk = (*values.shape[:-1], LIVE_UNITS) if values.ndim == 2 else None
        dataset = group.create_dataset(name, values.shape, np.float32, chunks=chunk or True)
        if len(columns):
            dataset[..., : columns[-1] + 1] = values[..., : columns[-1] + 1]


def _kernel(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    fan_in = int(np.prod(shape[:-1]))
    return (rng.standard_normal(shape, np.float32) * np.sqrt(2.0 / fan_in)).astype(np.float32)


def _bias(rng: np.random.Generator, size: int) -> np.ndarray:
    return 0.1 * rng.standard_normal(size, np.float32)


def _batch_norm(rng: np.random.Generator, size: int) -> dict[str, np.ndarray]:
    return {
        "gamma": rng.uniform(0.5, 1.5, size).astype(np.float32),
        "beta": _bias(rng, size),
        "moving_mean": _bias(rng, size),
        "moving_variance": rng.uniform(0.5, 2.0, size).astype(np.float32),
    }
