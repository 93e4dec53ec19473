"""The authors' networks from their automatic names against a reference in Keras' layout."""

from pathlib import Path

import keras_reference
import numpy as np
import pytest
import torch
from comparison import assert_same_probabilities
from keras_files import BRANCHES, MULTIMODAL, VOICE, Layers, pathosnet_layers, write_keras

from pathosnet.errors import InputError
from pathosnet.weights import load_pathosnet

ORDERS = {"multimodal": MULTIMODAL, "voice": VOICE}


@pytest.fixture(scope="module")
def layers() -> Layers:
    return pathosnet_layers(np.random.default_rng(1))


def sequences(rng: np.random.Generator, times: dict[str, int], batch: int = 2) -> dict[str, np.ndarray]:
    return {
        name: rng.standard_normal((batch, time, BRANCHES[name][0])).astype(np.float32) for name, time in times.items()
    }


def by_depth(layers: Layers) -> Layers:
    """The order of a real file: all branches' first layers, then all second ones, and so on."""
    names = sorted(layers, key=lambda name: (name.startswith("dense"), name[::-1]))
    return {name: layers[name] for name in names}


@torch.no_grad()
@pytest.mark.parametrize("kind", ORDERS)
@pytest.mark.parametrize(
    ("starts", "times"),
    [
        ((1, 1, 1), {"vggish": 1, "ghostvlad": 1, "text": 1}),
        ((11, 31, 5), {"vggish": 2, "ghostvlad": 7, "text": 5}),
        ((96, 94, 10), {"vggish": 9, "ghostvlad": 16, "text": 3}),
    ],
)
def test_probabilities_are_keras(
    tmp_path: Path, rng: np.random.Generator, kind: str, starts: tuple[int, int, int], times: dict[str, int]
) -> None:
    order = ORDERS[kind]
    layers = pathosnet_layers(rng, order, *starts)
    inputs = sequences(rng, {name: times[name] for name in set(order)})
    reference = keras_reference.pathosnet(layers, [inputs[name] for name in order])
    assert reference.std() > 0.1, "four equal probabilities would prove nothing"
    model = load_pathosnet(write_keras(tmp_path / "model.h5", by_depth(layers)))
    assert not model.training
    ours = model(**{name: torch.from_numpy(value) for name, value in inputs.items()}).softmax(dim=1)
    assert_same_probabilities(ours, reference)


@torch.no_grad()
def test_the_two_text_branches_are_not_exchanged(tmp_path: Path, rng: np.random.Generator, layers: Layers) -> None:
    # Reference: the features of the text branch made second belong to the VGGish network.
    model = load_pathosnet(write_keras(tmp_path / "model.h5", layers))
    kernels = {
        "vggish": layers["conv1d_6"]["kernel"],  # made after the VGGish branch, conv1d_1 to conv1d_5
        "ghostvlad": layers["conv1d_16"]["kernel"],
    }
    for name, kernel in kernels.items():
        weight = model.networks[name].branches["text"].stem.conv.weight
        np.testing.assert_array_equal(weight.numpy(), kernel.transpose(2, 1, 0))


def test_a_whole_model_with_names_in_bytes_is_read_like_its_weights(tmp_path: Path, layers: Layers) -> None:
    whole = load_pathosnet(write_keras(tmp_path / "model.h5", layers, whole_model=True, bytes_names=True))
    weights = load_pathosnet(write_keras(tmp_path / "weights.h5", layers)).state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in whole.state_dict().items())


def test_the_first_layer_may_have_no_number(tmp_path: Path, layers: Layers) -> None:
    unnumbered = {"conv1d_1": "conv1d", "batch_normalization_1": "batch_normalization", "dense_1": "dense"}
    renamed = {unnumbered.get(name, name): variables for name, variables in layers.items()}
    state = load_pathosnet(write_keras(tmp_path / "a.h5", renamed)).state_dict()
    expected = load_pathosnet(write_keras(tmp_path / "b.h5", layers)).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in state.items())


VARIABLES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
SOME_VARIABLES = [
    ("conv1d_1", "kernel"),  # of a stem: it tells what the branch reads
    ("conv1d_1", "bias"),
    ("conv1d_6", "kernel"),
    ("conv1d_8", "kernel"),
    ("batch_normalization_14", "moving_mean"),
    ("batch_normalization_24", "moving_variance"),
    ("batch_normalization_1", "gamma"),
    ("dense_1", "kernel"),
    ("dense_1", "bias"),
]


@pytest.mark.parametrize(("layer", "variable"), SOME_VARIABLES)
def test_a_missing_variable_is_listed(tmp_path: Path, layers: Layers, layer: str, variable: str) -> None:
    variables = {name: value for name, value in layers[layer].items() if name != variable}
    with pytest.raises(InputError, match=rf"model\.h5: .*\b{layer}\.{VARIABLES[variable]}\b"):
        load_pathosnet(write_keras(tmp_path / "model.h5", {**layers, layer: variables}))


@pytest.mark.parametrize(("layer", "variable"), SOME_VARIABLES)
def test_a_misshapen_variable_is_listed(tmp_path: Path, layers: Layers, layer: str, variable: str) -> None:
    cut = {**layers[layer], variable: layers[layer][variable][..., :-1]}
    with pytest.raises(InputError, match=rf"model\.h5: .*\b{layer}\.{VARIABLES[variable]}\b"):
        load_pathosnet(write_keras(tmp_path / "model.h5", {**layers, layer: cut}))


@pytest.mark.parametrize("layer", ["conv1d_3", "conv1d_11", "batch_normalization_8"])
def test_a_missing_layer_is_listed(tmp_path: Path, layers: Layers, layer: str) -> None:
    # The numbers of what is there tell which one is not.
    without = {name: variables for name, variables in layers.items() if name != layer}
    with pytest.raises(InputError, match=rf"model\.h5: .*\b{layer}\b"):
        load_pathosnet(write_keras(tmp_path / "model.h5", without))


@pytest.mark.parametrize("layer", ["conv1d_21", "batch_normalization_25", "dense_2", "lstm_1"])
def test_a_surplus_layer_is_listed(tmp_path: Path, layers: Layers, layer: str) -> None:
    surplus = {**layers, layer: {"kernel": np.zeros((2, 2), np.float32)}}
    with pytest.raises(InputError, match=rf"model\.h5: .*\b{layer}\b"):
        load_pathosnet(write_keras(tmp_path / "model.h5", surplus))


def test_a_surplus_variable_is_listed(tmp_path: Path, layers: Layers) -> None:
    surplus = {**layers["conv1d_2"], "scale": np.zeros(3, np.float32)}
    with pytest.raises(InputError, match=r"surplus: conv1d_2\.scale$"):
        load_pathosnet(write_keras(tmp_path / "model.h5", {**layers, "conv1d_2": surplus}))


def test_branches_in_another_order_are_an_error(tmp_path: Path, rng: np.random.Generator) -> None:
    layers = pathosnet_layers(rng, ("ghostvlad", "vggish"))
    with pytest.raises(
        InputError,
        match=r"of another shape: conv1d_1\.weight \(expected \(256, 128, 3\), got \(256, 512, 3\)\), conv1d_6",
    ):
        load_pathosnet(write_keras(tmp_path / "model.h5", layers))


def test_another_networks_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = write_keras(tmp_path / "other.h5", {"lstm_1": {"kernel": np.zeros((3, 3), np.float32)}})
    with pytest.raises(InputError, match=r"other\.h5: expected the authors' branches"):
        load_pathosnet(path)


def test_the_loaded_statistics_count_as_long_trained(tmp_path: Path, layers: Layers) -> None:
    """One batch of fine-tuning moves them by a hundredth of the way, as in Keras, not all the way."""
    model = load_pathosnet(write_keras(tmp_path / "model.h5", layers))
    batch_norm = model.networks["vggish"].branches["vggish"].stem.conv_bn
    before = batch_norm.running_mean.clone()
    frames = torch.randn(3, 256, 10)
    batch_norm.train()(frames, torch.ones(3, 10, dtype=torch.bool))
    mean = frames.mean(dim=(0, 2))
    torch.testing.assert_close(batch_norm.running_mean, 0.99 * before + 0.01 * mean)
