"""The three networks once more, in NumPy and float64, from Keras' arrays as they lie in the file.

Slow and plain, written from the description of the networks and not from the library: arrays are channels last, and
layers are addressed by the released names.
"""

from collections.abc import Sequence

import numpy as np
from keras_files import THIN_RESNET_STAGES, Layers

EPSILON = 1e-3


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0.0)


def softmax(x: np.ndarray) -> np.ndarray:
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def l2_normalize(x: np.ndarray) -> np.ndarray:
    return x / np.sqrt(np.maximum((x**2).sum(axis=-1, keepdims=True), 1e-12))


def batch_norm(x: np.ndarray, layer: dict[str, np.ndarray]) -> np.ndarray:
    variables = {name: values.astype(np.float64) for name, values in layer.items()}
    normalized = (x - variables["moving_mean"]) / np.sqrt(variables["moving_variance"] + EPSILON)
    return normalized * variables["gamma"] + variables["beta"]


def conv2d(x: np.ndarray, layer: dict[str, np.ndarray], stride: int = 1, same: bool = True) -> np.ndarray:
    """``(batch, height, width, in)`` → ``(batch, height, width, out)``; the kernel is (height, width, in, out)."""
    kernel = layer["kernel"].astype(np.float64)
    rows, columns = kernel.shape[:2]
    if same:
        x = np.pad(x, ((0, 0), (rows // 2, rows // 2), (columns // 2, columns // 2), (0, 0)))
    height, width = x.shape[1] - rows + 1, x.shape[2] - columns + 1
    total = sum(
        x[:, i : i + height : stride, j : j + width : stride] @ kernel[i, j]
        for i in range(rows)
        for j in range(columns)
    )
    return total + layer["bias"].astype(np.float64) if "bias" in layer else total


def conv1d_same(x: np.ndarray, layer: dict[str, np.ndarray]) -> np.ndarray:
    """``(batch, time, in)`` → ``(batch, time, out)``; the kernel is (3, in, out)."""
    kernel = layer["kernel"].astype(np.float64)
    padded = np.pad(x, ((0, 0), (1, 1), (0, 0)))
    time = x.shape[1]
    return sum(padded[:, i : i + time] @ kernel[i] for i in range(3)) + layer["bias"].astype(np.float64)


def max_pool_same(x: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    """Pairs along each axis; an odd one at the end stands alone."""
    for axis in axes:
        x = np.moveaxis(x, axis, 0)
        x = np.stack([x[i : i + 2].max(axis=0) for i in range(0, len(x), 2)])
        x = np.moveaxis(x, 0, axis)
    return x


def vggish(layers: Layers, examples: np.ndarray) -> dict[str, np.ndarray]:
    """``(examples, frames, bands)`` → every stage, and every ending."""
    x = examples[..., None].astype(np.float64)
    for names in (("conv1",), ("conv2",), ("conv3_1", "conv3_2"), ("conv4_1", "conv4_2")):
        for name in names:
            x = relu(conv2d(x, layers[name]))
        x = max_pool_same(x, axes=(1, 2))
    outputs = {"pool4": x, "pool": x.mean(axis=(1, 2))}
    if "fc2" in layers:
        x = x.reshape(len(x), -1)  # rows, then columns, then channels
        for name in ("fc1_1", "fc1_2", "fc2"):
            kernel, bias = layers[name]["kernel"], layers[name]["bias"].astype(np.float64)
            live = np.flatnonzero(kernel.any(axis=0))
            pre_activation = np.tile(bias, (len(x), 1))
            pre_activation[:, live] += x @ kernel[:, live].astype(np.float64)
            x = relu(pre_activation)
        outputs |= {"linear": pre_activation, "relu": x, "softmax": softmax(pre_activation)}
    return outputs


def thin_resnet34(layers: Layers, spectrograms: np.ndarray) -> dict[str, np.ndarray]:
    """``(batch, bins, frames)`` → every stage."""

    def convolution(x: np.ndarray, name: str, stride: int = 1) -> np.ndarray:
        return batch_norm(conv2d(x, layers[name], stride), layers[f"{name}/bn"])

    x = relu(convolution(spectrograms[..., None].astype(np.float64), "conv1_1/3x3_s1"))
    rows, columns = x.shape[1] // 2, x.shape[2] // 2
    x = x[:, : 2 * rows, : 2 * columns].reshape(len(x), rows, 2, columns, 2, -1).max(axis=(2, 4))
    for stage, (_, _, _, num_blocks) in THIN_RESNET_STAGES.items():
        for i in range(num_blocks):
            block, stride = f"conv{stage}_{'abc'[i]}", 2 if stage > 2 and i == 0 else 1
            main = relu(convolution(x, f"{block}_1x1_reduce", stride))
            main = relu(convolution(main, f"{block}_3x3"))
            main = convolution(main, f"{block}_1x1_increase")
            x = relu(main + (convolution(x, f"{block}_1x1_proj", stride) if i == 0 else x))
    x = np.stack([x[:, i : i + 3].max(axis=1) for i in range(0, x.shape[1] - 2, 2)], axis=1)
    outputs = {"mpool2": x}

    features = relu(conv2d(x, layers["x_fc"], same=False))
    assignment = softmax(conv2d(x, layers["gvlad_center_assignment"], same=False))
    centers = layers["gvlad_pool"]["centers"].astype(np.float64)
    # (batch, rows, columns, clusters, features)
    residuals = assignment[..., None] * (features[..., None, :] - centers)
    clusters = residuals.sum(axis=(1, 2))[:, :8]
    outputs |= {"x_fc": features, "gvlad_pool": l2_normalize(clusters).reshape(len(x), -1)}
    fc6 = relu(outputs["gvlad_pool"] @ layers["fc6"]["kernel"].astype(np.float64) + layers["fc6"]["bias"])
    return outputs | {"fc6": fc6, "embedding": l2_normalize(fc6)}


def pathosnet(layers: Layers, inputs: Sequence[np.ndarray]) -> np.ndarray:
    """One sequence ``(batch, time, features)`` a branch, in the order of the branches → probabilities."""
    (classifier,) = _numbered(layers, "dense")
    features = np.concatenate(pathosnet_branches(layers, inputs), axis=1)
    return softmax(features / 96.0 @ classifier["kernel"].astype(np.float64) + classifier["bias"])


def pathosnet_branches(layers: Layers, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """One sequence ``(batch, time, features)`` a branch → each branch's features ``(batch, width)``."""
    convolutions, batch_norms = _numbered(layers, "conv1d"), _numbered(layers, "batch_normalization")
    features = []
    for i, x in enumerate(inputs):
        conv = convolutions[5 * i : 5 * i + 5]
        bn = batch_norms[6 * i : 6 * i + 6]
        x = relu(batch_norm(conv1d_same(x.astype(np.float64), conv[0]), bn[0]))
        x = batch_norm(max_pool_same(x, axes=(1,)), bn[1])
        for block in (0, 1):
            # Made in this order: the shortcut's pooling and batch norm, then those of the two convolutions.
            shortcut = batch_norm(max_pool_same(x, axes=(1,)), bn[2 + 2 * block])
            main = conv1d_same(conv1d_same(x, conv[1 + 2 * block]), conv[2 + 2 * block])
            x = relu(batch_norm(max_pool_same(main, axes=(1,)), bn[3 + 2 * block]) + shortcut)
        features.append(x.mean(axis=1))
    return features


def _numbered(layers: Layers, kind: str) -> list[dict[str, np.ndarray]]:
    names = [name for name in layers if name.rpartition("_")[0] == kind]
    return [layers[name] for name in sorted(names, key=lambda name: int(name.rpartition("_")[2]))]
