import numpy as np
import pytest
import safetensors.torch
import torch
from keras_files import (
    BEASTEERS_NAMES,
    pathosnet_layers,
    rename,
    thin_resnet_layers,
    vggish_layers,
    write_keras,
)
from making import random_thin_resnet34, random_vggish, save_weights, write_vectors

from pathosnet.errors import InputError
from pathosnet.weights import load_thin_resnet34, load_vggish
from pathosnet.weights.inspection import convert, describe_file


def test_files_are_recognised(tmp_path, rng):
    vggish = save_weights(tmp_path / "a.safetensors", random_vggish())
    resnet = write_keras(tmp_path / "b.h5", thin_resnet_layers(rng))
    authors = write_keras(tmp_path / "c.h5", pathosnet_layers(rng))
    vectors = write_vectors(tmp_path / "d.vec", ["ciao", "mondo"])
    assert str(describe_file(vggish)) == "VGGish without dense layers, 12 tensors, 4,499,712 parameters"
    assert describe_file(resnet).kind == "Thin ResNet-34 + GhostVLAD"
    assert describe_file(authors).kind == "PATHOSnet, as its authors released it"
    assert str(describe_file(vectors)) == "word vectors, dimension 300, 3 lines"


def test_language_identifier_is_recognised(shared_data):
    pytest.importorskip("fasttext", reason="needs the extra 'fasttext'")
    assert str(describe_file(shared_data / "vectors" / "lid.176.ftz")) == "fastText classifier, 176 labels"


def test_other_files_are_refused(tmp_path):
    safetensors.torch.save_file({"x.weight": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(InputError, match=r"x\.safetensors: holds no network that is known here, only x$"):
        describe_file(tmp_path / "x.safetensors")
    with pytest.raises(InputError, match=r"absent\.h5: no such file"):
        describe_file(tmp_path / "absent.h5")
    (tmp_path / "x.exe").write_bytes(b"x")
    with pytest.raises(InputError, match="expected a weights file ending in"):
        describe_file(tmp_path / "x.exe")


def test_converted_vggish_is_the_same(tmp_path, rng):
    source = write_keras(tmp_path / "vggish.h5", rename(vggish_layers(rng), BEASTEERS_NAMES))
    assert convert(source, "vggish", tmp_path / "vggish.safetensors").kind == "VGGish"
    assert_same(load_vggish(source, "softmax"), load_vggish(tmp_path / "vggish.safetensors", "softmax"))


def test_vggish_without_dense_layers_is_converted(tmp_path):
    save_weights(tmp_path / "vggish.pth", random_vggish())
    convert(tmp_path / "vggish.pth", "vggish", tmp_path / "out.safetensors")
    assert_same(load_vggish(tmp_path / "vggish.pth", "pool"), load_vggish(tmp_path / "out.safetensors", "pool"))


def test_converted_thin_resnet_is_the_same(tmp_path, rng):
    source = write_keras(tmp_path / "weights.h5", thin_resnet_layers(rng))
    convert(source, "ghostvlad", tmp_path / "out.safetensors")
    assert_same(load_thin_resnet34(source), load_thin_resnet34(tmp_path / "out.safetensors"))
    assert (tmp_path / "out.safetensors").stat().st_mode & 0o777 == 0o644


def test_conversions_that_cannot_be_done(tmp_path):
    source = save_weights(tmp_path / "in.safetensors", random_thin_resnet34())
    with pytest.raises(InputError, match="does not fit VGGish"):
        convert(source, "vggish", tmp_path / "out.safetensors")
    with pytest.raises(InputError, match=r"out\.h5: expected a name that ends in \.safetensors"):
        convert(source, "ghostvlad", tmp_path / "out.h5")
    (tmp_path / "mine.safetensors").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        convert(source, "ghostvlad", tmp_path / "mine.safetensors")
    assert (tmp_path / "mine.safetensors").read_text() == "mine"
    assert not (tmp_path / "out.safetensors").exists()


def assert_same(ours: torch.nn.Module, theirs: torch.nn.Module) -> None:
    first, second = ours.state_dict(), theirs.state_dict()
    assert first.keys() == second.keys()
    assert all(np.array_equal(value, second[name]) for name, value in first.items())
