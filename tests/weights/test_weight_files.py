"""Reading tensors by name: formats, damaged files, and files that would run code."""

import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import safetensors.torch
import torch
from keras_files import write_keras

from pathosnet.errors import InputError
from pathosnet.weights import load_pathosnet, load_thin_resnet34, load_vggish
from pathosnet.weights.files import fill_module, numbered_layers, read_tensors

LOADERS = [load_vggish, load_thin_resnet34, load_pathosnet]


def test_keras_kernels_are_turned_into_pytorchs_layout(tmp_path: Path) -> None:
    kernel2d = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    kernel1d = np.arange(3 * 4 * 5, dtype=np.float32).reshape(3, 4, 5)
    dense = np.arange(6, dtype=np.float32).reshape(2, 3)
    path = write_keras(
        tmp_path / "a.h5", {name: {"kernel": k} for name, k in (("a/b", kernel2d), ("c", kernel1d), ("d", dense))}
    )
    tensors = read_tensors(path)
    assert list(tensors) == ["a/b.weight", "c.weight", "d.weight"]
    assert tensors["a/b.weight"].shape == (5, 4, 2, 3)
    assert tensors["a/b.weight"][4, 3, 1, 2] == kernel2d[1, 2, 3, 4]
    assert tensors["a/b.weight"][1, 0, 0, 2] == kernel2d[0, 2, 0, 1]
    assert tensors["c.weight"].shape == (5, 4, 3)
    assert tensors["c.weight"][4, 2, 1] == kernel1d[1, 2, 4]
    assert tensors["d.weight"].tolist() == [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]


def test_keras_variables_get_pytorchs_names(tmp_path: Path) -> None:
    names = ("gamma", "beta", "moving_mean", "moving_variance", "centers")
    values = {name: np.full(2, i, np.float32) for i, name in enumerate(names)}
    tensors = read_tensors(write_keras(tmp_path / "a.h5", {"bn": values}))
    assert {name: int(value[0]) for name, value in tensors.items()} == {
        "bn.weight": 0, "bn.bias": 1, "bn.running_mean": 2, "bn.running_var": 3, "bn.centers": 4,
    }  # fmt: skip


def test_the_same_tensors_come_from_every_format(tmp_path: Path) -> None:
    weight, bias = torch.arange(6.0).reshape(2, 3), torch.arange(2.0)
    state = {"a.weight": weight, "a.bias": bias}
    write_keras(tmp_path / "a.h5", {"a": {"kernel": weight.T.numpy(), "bias": bias.numpy()}})
    write_keras(tmp_path / "b.hdf5", {"a": {"kernel": weight.T.numpy(), "bias": bias.numpy()}}, whole_model=True)
    torch.save(state, tmp_path / "c.pth")
    torch.save(state, tmp_path / "d.pt")
    safetensors.torch.save_file(state, tmp_path / "e.safetensors")
    for path in sorted(tmp_path.iterdir()):
        tensors = read_tensors(path)
        assert tensors.keys() == state.keys(), path
        assert all(torch.equal(tensors[name], state[name]) for name in state), path


def test_numbered_layers_are_in_the_order_of_their_numbers() -> None:
    names = [
        "conv1d_10.weight",
        "conv1d_9.weight",
        "conv1d.weight",
        "conv1d_2.bias",
        "conv1d_2.weight",
        "my_conv1d_1.bias",
    ]
    tensors = {name: torch.zeros(1) for name in names}
    assert numbered_layers(tensors, "conv1d") == ["conv1d", "conv1d_2", "conv1d_9", "conv1d_10"]


def test_a_module_is_left_as_it_was_if_anything_is_wrong() -> None:
    module = torch.nn.Linear(2, 2)
    before = module.weight.clone()
    with pytest.raises(InputError, match=r"w\.pth: does not fit Sequential — missing: x\.bias"):
        fill_module(torch.nn.Sequential(module), {"x.weight": torch.zeros(2, 2)}, {"x": "0"}, path="w.pth")
    assert torch.equal(module.weight, before)


def test_half_precision_weights_become_single_precision() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(2, 1))
    fill_module(module, {"x.weight": torch.ones(1, 2).half(), "x.bias": torch.ones(1).half()}, {"x": "0"}, path="w.pth")
    assert module[0].weight.dtype == torch.float32


class Malicious:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin"])
@pytest.mark.parametrize("plain_pickle", [False, True])
def test_pickled_code_is_refused_and_does_not_run(tmp_path: Path, loader: Any, suffix: str, plain_pickle: bool) -> None:
    path, made = tmp_path / f"weights{suffix}", tmp_path / "made by the pickle"
    content = {"features.0.weight": Malicious(made)}
    if plain_pickle:
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path)
    with pytest.raises(InputError, match=rf"weights\{suffix}: cannot be read as weights") as caught:
        loader(path)
    assert "\n" not in str(caught.value)
    assert not made.exists()
    pickle.loads(pickle.dumps(Malicious(made)))
    assert made.exists(), "the pickle would have worked"


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("weights.h5", b"", "cannot be read as weights"),
        ("weights.h5", b"<html>404 Not Found</html>", "cannot be read as weights"),
        ("weights.pth", b"<html>404 Not Found</html>", "cannot be read as weights"),
        ("weights.safetensors", b"<html>404 Not Found</html>", "cannot be read as weights"),
        ("weights.txt", b"1 2 3", r"expected a weights file ending in \.h5 .*got '\.txt'"),
        ("weights", b"1 2 3", "got 'no ending'"),
    ],
)
def test_a_damaged_file_is_an_error_of_one_line_that_names_it(
    tmp_path: Path, loader: Any, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        loader(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("loader", LOADERS)
def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path, loader: Any) -> None:
    with pytest.raises(InputError, match=r"nowhere\.h5: no such weights file"):
        loader(tmp_path / "nowhere.h5")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".h5"])
def test_a_file_that_was_cut_off_is_an_error(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    if suffix == ".h5":
        write_keras(path, {"a": {"kernel": np.ones((300, 300), np.float32)}})
    elif suffix == ".pth":
        torch.save({"a.weight": torch.ones(300, 300)}, path)
    else:
        safetensors.torch.save_file({"a.weight": torch.ones(300, 300)}, path)
    assert read_tensors(path)["a.weight"].shape == (300, 300)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="cannot be read as weights"):
        read_tensors(path)


def test_an_hdf5_file_that_is_not_keras_is_an_error(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"] = np.zeros(3)
    with pytest.raises(InputError, match=r"data\.h5: is an HDF5 file, but not one of Keras weights"):
        read_tensors(tmp_path / "data.h5")


def test_a_file_without_weights_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no weights"):
        read_tensors(write_keras(tmp_path / "empty.h5", {}))


@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict"])
def test_a_state_dict_within_a_checkpoint_is_read(tmp_path: Path, key: str) -> None:
    torch.save({key: {"a": torch.ones(1)}, "epoch": 3}, tmp_path / "checkpoint.pth")
    assert read_tensors(tmp_path / "checkpoint.pth") == {"a": torch.ones(1)}


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_what_wrappers_put_before_names_is_taken_away(tmp_path: Path, prefix: str) -> None:
    torch.save({f"{prefix}a": torch.ones(1), f"{prefix}b.module.c": torch.ones(1)}, tmp_path / "a.pth")
    assert list(read_tensors(tmp_path / "a.pth")) == ["a", "b.module.c"]


def test_a_checkpoint_of_something_else_is_an_error_that_names_its_keys(tmp_path: Path) -> None:
    torch.save({"generator": {"a": torch.zeros(1)}, "epoch": 3}, tmp_path / "checkpoint.pth")
    with pytest.raises(InputError, match=r"checkpoint\.pth: expected a state dict .*the keys generator, epoch; save"):
        read_tensors(tmp_path / "checkpoint.pth")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".h5"])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, suffix: str) -> None:
    values = torch.tensor([[1.0, float("nan")]])
    path = tmp_path / f"a{suffix}"
    if suffix == ".h5":
        write_keras(path, {"a": {"kernel": values.numpy()}})
    else:
        (torch.save if suffix == ".pth" else safetensors.torch.save_file)({"a.weight": values}, path)
    with pytest.raises(InputError, match=r"the tensor a\.weight holds NaN or infinite values"):
        read_tensors(path)


def write_keras3(path: Path, layers: dict[str, tuple[str, list[np.ndarray]]], named: bool = True) -> Path:
    """Writes what Keras 3.15 writes; ``layers``: group → the layer's name and its variables."""
    target = io.BytesIO() if path.suffix == ".keras" else path
    with h5py.File(target, "w") as file:
        for group, (name, values) in {"input_layer": ("input", []), **layers}.items():
            variables = file.create_group(f"layers/{group}/vars")
            if named:
                variables.attrs["name"] = name
            for number, value in enumerate(values):
                variables[str(number)] = value
    if isinstance(target, io.BytesIO):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", "{}")
            archive.writestr("model.weights.h5", target.getvalue())
    return path


@pytest.mark.parametrize("name", ["a.keras", "a.weights.h5"])
def test_files_of_keras_3_are_read(tmp_path: Path, name: str) -> None:
    kernel = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    norm = [np.full(5, i, np.float32) for i in range(4)]
    layers = {
        "conv2d": ("conv1", [kernel, np.zeros(5, np.float32)]),
        "batch_normalization": ("bn", norm),
        "vlad_pooling": ("gvlad_pool", [np.ones((10, 5), np.float32)]),
    }
    tensors = read_tensors(write_keras3(tmp_path / name, layers))
    assert set(tensors) == {
        *("conv1.weight", "conv1.bias", "gvlad_pool.centers"),
        *("bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"),
    }
    assert tensors["conv1.weight"][4, 3, 1, 2] == kernel[1, 2, 3, 4]
    assert float(tensors["bn.running_var"][0]) == 3.0


def test_vggish_of_keras_3_is_read(tmp_path: Path) -> None:
    shapes = {"conv1": (1, 64), "conv2": (64, 128), "conv3_1": (128, 256), "conv3_2": (256, 256)}
    shapes |= {"conv4_1": (256, 512), "conv4_2": (512, 512)}
    layers = {
        f"conv2d_{i}": (layer, [np.full((3, 3, *shape), i, np.float32), np.full(shape[1], i, np.float32)])
        for i, (layer, shape) in enumerate(shapes.items())
    }
    model = load_vggish(write_keras3(tmp_path / "vggish.weights.h5", layers), output="pool")
    assert model.conv3_1.weight[0, 0, 0, 0].item() == 2.0


def test_keras_3_without_names_says_how_to_convert(tmp_path: Path) -> None:
    path = write_keras3(tmp_path / "a.weights.h5", {"conv2d": ("x", [np.ones((1, 1, 1, 1))])}, named=False)
    with pytest.raises(InputError, match=r"a file of Keras 3 without the names .*model\.save\('model\.h5'\)"):
        read_tensors(path)


def test_an_archive_of_something_else_is_no_model(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        archive.writestr("notes.txt", "notes")
    with pytest.raises(InputError, match=r"holds no model\.weights\.h5"):
        read_tensors(tmp_path / "a.keras")
