"""Thin ResNet-34 + GhostVLAD from its released names against a reference in Keras' layout."""

from pathlib import Path

import keras_reference
import numpy as np
import pytest
import safetensors.torch
import torch
from comparison import assert_same
from keras_files import Layers, thin_resnet_layers, write_keras

from pathosnet.backbones import ThinResNet34
from pathosnet.errors import InputError
from pathosnet.weights import load_thin_resnet34


@pytest.fixture(scope="module")
def layers() -> Layers:
    return thin_resnet_layers(np.random.default_rng(1))


@pytest.fixture(scope="module")
def path(layers: Layers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_keras(tmp_path_factory.mktemp("ghostvlad") / "weights.h5", layers)


@pytest.fixture(scope="module")
def model(path: Path) -> ThinResNet34:
    return load_thin_resnet34(path)


@torch.no_grad()
@pytest.mark.parametrize(("batch", "frames"), [(3, 3), (2, 16), (1, 33)])
def test_every_stage_is_keras(model: ThinResNet34, layers: Layers, batch: int, frames: int) -> None:
    spectrograms = np.random.default_rng(2).standard_normal((batch, 257, frames)).astype(np.float32)
    reference = keras_reference.thin_resnet34(layers, spectrograms)
    assert not model.training
    hidden = model.frozen_part(torch.from_numpy(spectrograms))
    features = torch.relu(model.x_fc(hidden))
    pooled = model.gvlad_pool(features.squeeze(2), model.gvlad_center_assignment(hidden).squeeze(2))
    assert_same(hidden.permute(0, 2, 3, 1), reference["mpool2"], "mpool2")
    assert_same(features.permute(0, 2, 3, 1), reference["x_fc"], "x_fc")
    assert_same(pooled, reference["gvlad_pool"], "gvlad_pool")
    assert_same(model(torch.from_numpy(spectrograms)), reference["fc6"], "fc6")


@torch.no_grad()
def test_vectors_have_length_1_only_if_asked_for(path: Path, model: ThinResNet34) -> None:
    spectrograms = torch.randn(2, 257, 16)
    plain, normalized = model(spectrograms), load_thin_resnet34(path, normalize=True)(spectrograms)
    lengths = plain.norm(dim=1, keepdim=True)
    assert ((lengths - 1).abs() > 0.1).all()
    assert_same(normalized, plain / lengths, "embedding")


def test_a_whole_model_with_its_speaker_classifier_is_read_like_the_features_alone(
    tmp_path: Path, model: ThinResNet34, layers: Layers
) -> None:
    whole = {**layers, "prediction": {"kernel": np.ones((512, 20), np.float32)}}
    loaded = load_thin_resnet34(write_keras(tmp_path / "model.h5", whole, whole_model=True, bytes_names=True))
    alone = model.state_dict()
    assert all(torch.equal(value, alone[name]) for name, value in loaded.state_dict().items())


def test_own_names_in_safetensors_are_read(tmp_path: Path, model: ThinResNet34) -> None:
    state = model.state_dict()
    safetensors.torch.save_file(state, tmp_path / "thin.safetensors")
    again = load_thin_resnet34(tmp_path / "thin.safetensors").state_dict()
    assert all(torch.equal(value, again[name]) for name, value in state.items())


@pytest.mark.parametrize(
    ("layer", "variable", "listed"),
    [
        ("conv1_1/3x3_s1", "kernel", "conv1_1/3x3_s1.weight"),
        ("conv3_a_1x1_proj/bn", "moving_variance", "conv3_a_1x1_proj/bn.running_var"),
        ("conv5_c_1x1_increase/bn", "beta", "conv5_c_1x1_increase/bn.bias"),
        ("gvlad_pool", "centers", "gvlad_pool.centers"),
        ("fc6", "bias", "fc6.bias"),
    ],
)
def test_a_missing_variable_is_listed(tmp_path: Path, layers: Layers, layer: str, variable: str, listed: str) -> None:
    variables = {name: value for name, value in layers[layer].items() if name != variable}
    with pytest.raises(InputError, match=rf"weights\.h5: .*missing: {listed}$"):
        load_thin_resnet34(write_keras(tmp_path / "weights.h5", {**layers, layer: variables}))


def test_a_surplus_layer_is_listed(tmp_path: Path, layers: Layers) -> None:
    surplus = {**layers, "conv6": {"kernel": np.zeros((1, 1, 2, 2), np.float32)}}
    with pytest.raises(InputError, match=r"surplus: conv6\.weight$"):
        load_thin_resnet34(write_keras(tmp_path / "weights.h5", surplus))


def test_a_surplus_variable_is_listed(tmp_path: Path, layers: Layers) -> None:
    biased = {**layers["conv2_a_3x3"], "bias": np.zeros(48, np.float32)}
    with pytest.raises(InputError, match=r"surplus: conv2_a_3x3\.bias$"):
        load_thin_resnet34(write_keras(tmp_path / "weights.h5", {**layers, "conv2_a_3x3": biased}))


def test_a_misshapen_variable_is_listed_with_both_shapes(tmp_path: Path, layers: Layers) -> None:
    without_ghosts = {**layers, "gvlad_pool": {"centers": np.zeros((8, 512), np.float32)}}
    with pytest.raises(
        InputError, match=r"of another shape: gvlad_pool\.centers \(expected \(10, 512\), got \(8, 512\)\)$"
    ):
        load_thin_resnet34(write_keras(tmp_path / "weights.h5", without_ghosts))
