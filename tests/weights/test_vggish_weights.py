"""VGGish from files of every naming style against a reference in Keras' layout."""

import itertools
from pathlib import Path

import keras_reference
import numpy as np
import pytest
import safetensors.torch
import torch
from comparison import assert_same
from keras_files import (
    BEASTEERS_NAMES,
    VGGISH_CONVOLUTIONS,
    VGGISH_DENSE,
    Layers,
    authors_names,
    empty_vggish_layers,
    rename,
    vggish_layers,
    write_keras,
)

from pathosnet.backbones import VGGish
from pathosnet.errors import InputError
from pathosnet.weights import load_vggish

WHOLE_PREFIX = {name: f"vggish_{released}" for name, released in BEASTEERS_NAMES.items()}
PART_PREFIX = {
    name: "/".join(f"vggish_{part}" for part in released.split("/")) for name, released in BEASTEERS_NAMES.items()
}
SCOPED = {name: f"vggish/{released}" for name, released in BEASTEERS_NAMES.items()}
TORCHVGGISH_NAMES = {
    **dict(zip(VGGISH_CONVOLUTIONS, (f"features.{i}" for i in (0, 3, 6, 8, 11, 13)), strict=True)),
    **dict(zip(VGGISH_DENSE, (f"embeddings.{i}" for i in (0, 2, 4)), strict=True)),
}
OWN_NAMES = {**{name: name for name in VGGISH_CONVOLUTIONS}, **{name: f"dense.{name}" for name in VGGISH_DENSE}}
STYLES = {
    "beasteers": BEASTEERS_NAMES,
    "vggish_ before the name": WHOLE_PREFIX,
    "vggish_ before each part": PART_PREFIX,
    "vggish/ before the name": SCOPED,
    "authors": authors_names(),
    "authors, numbered from elsewhere": authors_names(first_convolution=7, first_dense=9),
    "torchvggish": TORCHVGGISH_NAMES,
    "own": OWN_NAMES,
}


@pytest.fixture(scope="module")
def layers() -> Layers:
    return vggish_layers(np.random.default_rng(1))


@pytest.fixture(scope="module")
def examples() -> np.ndarray:
    return np.random.default_rng(2).standard_normal((2, 96, 64)).astype(np.float32)


@pytest.fixture(scope="module")
def reference(layers: Layers, examples: np.ndarray) -> dict[str, np.ndarray]:
    return keras_reference.vggish(layers, examples)


def pytorch_state(layers: Layers, names: dict[str, str]) -> dict[str, torch.Tensor]:
    state = {}
    for layer, variables in layers.items():
        kernel = torch.from_numpy(variables["kernel"])
        state[f"{names[layer]}.weight"] = (kernel.T if kernel.ndim == 2 else kernel.permute(3, 2, 0, 1)).contiguous()
        state[f"{names[layer]}.bias"] = torch.from_numpy(variables["bias"])
    return state


def write(folder: Path, style: str, layers: Layers) -> Path:
    if style == "torchvggish":
        torch.save(pytorch_state(layers, STYLES[style]), folder / "vggish.pth")
        return folder / "vggish.pth"
    if style == "own":
        safetensors.torch.save_file(pytorch_state(layers, STYLES[style]), folder / "vggish.safetensors")
        return folder / "vggish.safetensors"
    return write_keras(folder / "vggish.h5", rename(layers, STYLES[style]))


def write_empty_pth(path: Path, changes: dict[str, torch.Tensor | None]) -> Path:
    """A file of zeros in torchvggish's shapes, with some tensors put in another's place or left out."""
    layers = rename(empty_vggish_layers(), TORCHVGGISH_NAMES)
    state: dict[str, torch.Tensor | None] = {}
    for layer, variables in layers.items():
        shape = variables["kernel"].shape
        state[f"{layer}.weight"] = torch.zeros(1).expand(shape[-1], shape[-2], *shape[:-2])
        state[f"{layer}.bias"] = torch.zeros(shape[-1])
    torch.save({name: value for name, value in (state | changes).items() if value is not None}, path)
    return path


@torch.no_grad()
@pytest.mark.parametrize(
    ("style", "output"), list(zip(STYLES, itertools.cycle(("linear", "softmax", "relu", "pool", "relu")), strict=False))
)
def test_every_naming_style_and_ending_is_keras(
    tmp_path: Path, layers: Layers, examples: np.ndarray, reference: dict[str, np.ndarray], style: str, output: str
) -> None:
    path = write(tmp_path, style, layers)
    model = load_vggish(path) if output == "relu" else load_vggish(path, output=output)  # the default
    path.unlink()
    assert not model.training
    assert_same(model(torch.from_numpy(examples)), reference[output], f"{style}, {output}")
    assert (reference["relu"] == 0).any()


@torch.no_grad()
@pytest.mark.parametrize("style", STYLES)
def test_pool_reads_files_without_dense_layers(
    tmp_path: Path, layers: Layers, examples: np.ndarray, reference: dict[str, np.ndarray], style: str
) -> None:
    convolutions = {name: layers[name] for name in VGGISH_CONVOLUTIONS}
    ours = load_vggish(write(tmp_path, style, convolutions), output="pool")(torch.from_numpy(examples))
    assert_same(ours, reference["pool"], "pool")


@torch.no_grad()
@pytest.mark.parametrize("frames", [1, 17, 37])
def test_pool_rounds_odd_lengths_up_like_keras(tmp_path: Path, layers: Layers, frames: int) -> None:
    convolutions = {name: layers[name] for name in VGGISH_CONVOLUTIONS}
    examples = np.random.default_rng(3).standard_normal((1, frames, 64)).astype(np.float32)
    model = load_vggish(write(tmp_path, "beasteers", convolutions), output="pool")
    reference = keras_reference.vggish(convolutions, examples)
    hidden = model.frozen_part(torch.from_numpy(examples))
    assert_same(model.last_pool(hidden).permute(0, 2, 3, 1), reference["pool4"], "pool4")
    assert_same(model(torch.from_numpy(examples)), reference["pool"], "pool")


@torch.no_grad()
def test_a_whole_model_with_names_in_bytes_is_read_like_its_weights(
    tmp_path: Path, layers: Layers, examples: np.ndarray, reference: dict[str, np.ndarray]
) -> None:
    convolutions = rename({name: layers[name] for name in VGGISH_CONVOLUTIONS}, BEASTEERS_NAMES)
    path = write_keras(tmp_path / "model.h5", convolutions, whole_model=True, bytes_names=True)
    assert_same(load_vggish(path, output="pool")(torch.from_numpy(examples)), reference["pool"], "pool")


def test_the_order_of_the_files_layers_does_not_matter(tmp_path: Path, layers: Layers) -> None:
    convolutions = rename({name: layers[name] for name in VGGISH_CONVOLUTIONS}, authors_names(first_convolution=8))
    forwards = load_vggish(write_keras(tmp_path / "a.h5", convolutions), output="pool")
    # conv2d_8 … conv2d_12: in the order of the alphabet, conv2d_10 would come first
    backwards = load_vggish(write_keras(tmp_path / "b.h5", dict(reversed(convolutions.items()))), output="pool")
    for name, value in forwards.state_dict().items():
        assert torch.equal(value, backwards.state_dict()[name]), name


def test_dense_layers_that_are_asked_for_and_not_there_are_listed(tmp_path: Path) -> None:
    for style in ("beasteers", "authors"):
        path = write_keras(tmp_path / "notop.h5", rename(empty_vggish_layers(dense=False), _without_dense(style)))
        with pytest.raises(InputError, match=r"notop\.h5: .*missing: .*fc1_1\.weight.*fc1_1\.bias.*fc2\.bias"):
            load_vggish(path, output="softmax")


@pytest.mark.parametrize("missing", ["features.8.weight", "embeddings.4.bias", "features.0.bias"])
def test_a_missing_tensor_is_listed(tmp_path: Path, missing: str) -> None:
    path = write_empty_pth(tmp_path / "vggish.pth", {missing: None})
    with pytest.raises(InputError, match=rf"vggish\.pth: .*missing: {missing}$"):
        load_vggish(path)


@pytest.mark.parametrize(
    "surplus", ["features.15.weight", "embeddings.6.bias", "embeddings.4.scale", "classifier.bias"]
)
def test_a_surplus_tensor_is_listed(tmp_path: Path, surplus: str) -> None:
    path = write_empty_pth(tmp_path / "vggish.pth", {surplus: torch.zeros(3)})
    with pytest.raises(InputError, match=rf"vggish\.pth: .*surplus: {surplus}$"):
        load_vggish(path)


def test_a_misshapen_tensor_is_listed_with_both_shapes(tmp_path: Path) -> None:
    path = write_empty_pth(tmp_path / "vggish.pth", {"embeddings.4.weight": torch.zeros(64, 4096)})
    with pytest.raises(
        InputError, match=r"of another shape: embeddings\.4\.weight \(expected \(128, 4096\), got \(64, 4096\)\)$"
    ):
        load_vggish(path)


def test_all_that_is_wrong_is_listed_at_once(tmp_path: Path) -> None:
    path = write_empty_pth(
        tmp_path / "vggish.pth",
        {
            "features.0.weight": None,
            "features.3.bias": None,
            "more.weight": torch.zeros(1),
            "features.6.bias": torch.zeros(2),
        },
    )
    with pytest.raises(
        InputError,
        match=r"missing: features\.0\.weight, features\.3\.bias; surplus: more\.weight; "
        r"of another shape: features\.6\.bias \(expected \(256,\), got \(2,\)\)",
    ):
        load_vggish(path)


@pytest.mark.parametrize("layer", ["conv1", "conv3/conv3_2", "conv4/conv4_1"])
@pytest.mark.parametrize("variable", ["kernel", "bias"])
def test_a_missing_variable_of_a_keras_file_is_listed(tmp_path: Path, layer: str, variable: str) -> None:
    layers = rename(empty_vggish_layers(dense=False), _without_dense("beasteers"))
    del layers[layer][variable]
    name = f"{layer}.{'weight' if variable == 'kernel' else variable}"
    with pytest.raises(InputError, match=rf"missing: {name}$"):
        load_vggish(write_keras(tmp_path / "vggish.h5", layers), output="pool")


@pytest.mark.parametrize("layer", ["conv2d_1", "conv2d_3", "vgg_to_train", "dense_2"])
def test_a_whole_layer_missing_from_the_authors_file_is_an_error(tmp_path: Path, layer: str) -> None:
    layers = rename(empty_vggish_layers(), authors_names())
    del layers[layer]
    with pytest.raises(InputError, match=r"vggish\.h5: expected .*, got .*conv2d_5"):
        load_vggish(write_keras(tmp_path / "vggish.h5", layers))


def test_pool_does_not_excuse_layers_that_are_no_vggish(tmp_path: Path) -> None:
    layers = rename(empty_vggish_layers(dense=False), _without_dense("beasteers"))
    layers["logits"] = {"kernel": np.zeros((512, 3), np.float32)}
    with pytest.raises(InputError, match=r"surplus: logits\.weight"):
        load_vggish(write_keras(tmp_path / "vggish.h5", layers), output="pool")


def test_a_file_of_another_network_names_what_was_expected_and_what_came(tmp_path: Path) -> None:
    path = write_keras(tmp_path / "other.h5", {"lstm_1": {"kernel": np.zeros((3, 3), np.float32)}})
    with pytest.raises(InputError, match=r"other\.h5: expected VGGish's layers .* got lstm_1"):
        load_vggish(path)


def test_an_unknown_ending_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="expected one of relu, softmax, linear, pool, got 'tanh'"):
        VGGish("tanh")  # type: ignore[arg-type]


def _without_dense(style: str) -> dict[str, str]:
    return {name: STYLES[style][name] for name in VGGISH_CONVOLUTIONS}
