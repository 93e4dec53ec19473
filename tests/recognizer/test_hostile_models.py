"""What a stranger's model, run configuration or weights file may try, and what comes of it."""

import json
import os
import pickle
import struct
import time
from pathlib import Path

import pytest
import safetensors.torch
import torch
from making import make_corpus, write_vectors

from pathosnet import PathosNet, cli
from pathosnet.errors import InputError
from pathosnet.features import TextEmbedder, WordVectors
from pathosnet.features.acoustic.extractors import LogMelExtractor
from pathosnet.models import BranchOptions, EmotionNetwork
from pathosnet.weights import load_vggish

NARROW = BranchOptions(text_width=4, audio_width=4, num_blocks=1)


@pytest.fixture
def folder(tmp_path) -> Path:
    """A model with an audio branch and word vectors."""
    text = TextEmbedder({"it": WordVectors.load(write_vectors(tmp_path / "it.vec", ["ciao", "mondo"], 8))})
    network = EmotionNetwork({"logmel": 64, "text": 8}, 4, options=NARROW)
    PathosNet(network, {"logmel": LogMelExtractor(1)}, text).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def refusal(folder: Path) -> str:
    """The one line that ends the attempt; and it ends soon."""
    started = time.monotonic()
    with pytest.raises(InputError) as caught:
        PathosNet.from_pretrained(folder)
    assert time.monotonic() - started < 5
    assert "\n" not in str(caught.value).strip()
    assert len(str(caught.value)) < 1500
    return str(caught.value)


def change(folder: Path, *where: str, to: object) -> None:
    """Sets a value somewhere in config.json."""
    path = folder / "config.json"
    config = part = json.loads(path.read_text())
    for key in where[:-1]:
        part = part[key]
    part[where[-1]] = to
    path.write_text(json.dumps(config))


# Code


@pytest.mark.parametrize("write", [pickle.dump, torch.save], ids=["pickle", "torch"])
@pytest.mark.parametrize("name", ["model.safetensors", "text/0.safetensors", "config.json"])
def test_pickle_under_another_name_is_not_run(name, write, folder, tmp_path):
    with (folder / name).open("wb") as file:
        write({"network": Bomb(tmp_path / "mark")}, file)
    refusal(folder)
    assert not (tmp_path / "mark").exists()


def test_pickle_among_weights_is_not_run(tmp_path):
    with (tmp_path / "vggish.pth").open("wb") as file:
        torch.save({"features.0.weight": Bomb(tmp_path / "mark")}, file)
    with pytest.raises(InputError, match="cannot be read as weights"):
        load_vggish(tmp_path / "vggish.pth")
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.mkdir [{}]", "!!python/object/new:os.mkdir [{}]"])
def test_tags_in_yaml_are_not_run(tag, tmp_path, capsys):
    corpus = make_corpus(tmp_path / "corpus", per_class=1)
    (tmp_path / "evil.yaml").write_text(f"epochs: {tag.format(tmp_path / 'mark')}\n")
    with pytest.raises(SystemExit) as caught:
        cli.main(["train", str(corpus), "--out", str(tmp_path / "run"), "--config", str(tmp_path / "evil.yaml")])
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert not (tmp_path / "mark").exists()


# Other files


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..", "../config.json", "a/../../..", ".", ""])
def test_names_do_not_lead_out_of_the_folder(name, folder, monkeypatch):
    opened = []
    original = Path.open
    monkeypatch.setattr(Path, "open", lambda path, *args, **kw: opened.append(path) or original(path, *args, **kw))
    change(folder, "text", "tables", "it", "name", to=name)
    refusal(folder)
    change(folder, "text", "tables", "it", "name", to="0")
    change(folder, "text", "identifier", to=name or "..")
    refusal(folder)
    assert opened
    assert all(path.resolve().is_relative_to(folder) for path in opened)


@pytest.mark.parametrize("path", ["//server/share/it.bin", "\\\\server\\share\\it.bin"])
def test_other_machines_are_not_asked_for_files(path, folder):
    table = {"kind": "fasttext", "name": "0", "path": path, "fingerprint": "0", "mapped": False}
    change(folder, "text", "tables", "it", to=table)
    assert "on another machine" in refusal(folder)


def test_file_of_ones_own_is_not_taken_for_a_model(folder, tmp_path):
    """Referring to a person's files reveals nothing and reads nothing into the model."""
    (tmp_path / "secret.txt").write_text("secret")
    table = {"kind": "fasttext", "name": "0", "path": str(tmp_path / "secret.txt"), "fingerprint": "0", "mapped": False}
    change(folder, "text", "tables", "it", to=table)
    message = refusal(folder)
    assert "another file" in message
    assert '"secret"' not in message


def test_referred_weights_are_not_looked_for_outside_of_the_cache(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("PATHOSNET_CACHE", str(tmp_path / "cache"))
    change(folder, "acoustic", to={"vggish": {"output": "pool", "precision": "32"}})
    change(folder, "network", "branches", to={"vggish": 512, "text": 8})
    change(folder, "weights", to={"vggish": {"file": "../../etc/passwd", "sha256": "0", "embedded": False}})
    message = refusal(folder)
    assert "needs the weights passwd" in message
    assert "etc" not in message


# Sizes


HUGE = (10**9, 10**12, 10**30, -1, float("nan"), float("inf"), 1e300)


@pytest.mark.parametrize("value", HUGE, ids=str)
@pytest.mark.parametrize(
    "where",
    [
        ("network", "options", "num_blocks"),
        ("network", "options", "text_width"),
        ("network", "options", "audio_width"),
        ("network", "num_classes"),
        ("network", "branches", "logmel"),
        ("acoustic", "logmel", "stack"),
        ("text", "tables", "it", "dim"),
    ],
    ids="/".join,
)
def test_absurd_sizes_are_refused(where, value, folder):
    change(folder, "text", "tables", "it", to={"kind": "hashed", "dim": 8, "min_chars": 3, "max_chars": 5})
    change(folder, *where, to=value)
    assert f"{where[-1]}: expected a number from" in refusal(folder)


@pytest.mark.parametrize(("option", "value"), [("text_width", 1 << 20), ("audio_width", 1 << 20), ("num_blocks", 100)])
def test_large_sizes_are_refused_before_anything_is_made_of_them(option, value, folder):
    """A width of a million would be terabytes; the weights file is small, and that is found out first."""
    change(folder, "network", "options", option, to=value)
    assert "does not fit its config.json" in refusal(folder)


@pytest.mark.parametrize("name", ["stack", "window_frames", "hop_frames", "stft_hop"])
def test_steps_of_nothing_are_refused(name, folder):
    """They would never end."""
    change(folder, "acoustic", "logmel", name, to=0)
    assert f"{name}: expected a number from 1" in refusal(folder)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("network", "options", "text_width"), "4"),
        (("network", "options", "text_width"), 4.5),
        (("network", "branches"), []),
        (("network", "branches"), {"logmel": 64, "text": 8, "x.y": 4}),
        (("acoustic", "logmel", "stack"), "many"),
        (("acoustic",), []),
        (("labels",), [["a"], "b", "c", "d"]),
        (("text", "tables"), []),
        (("facts",), {"corpora": 7}),
        (("facts",), "x"),
        (("weights",), []),
        (("weights",), {"logmel": {}}),
    ],
    ids=str,
)
def test_values_of_another_kind_are_refused(where, value, folder):
    change(folder, *where, to=value)
    assert "config.json: describes no model" in refusal(folder)


def test_configuration_that_never_ends_is_refused(folder):
    (folder / "config.json").write_text("[" * 200_000)
    assert "is not valid JSON" in refusal(folder)
    with (folder / "config.json").open("wb") as file:
        file.truncate(1 << 34)  # a hole: 16 GiB that take no room
    assert "is larger than" in refusal(folder)


def header(value: object) -> bytes:
    text = json.dumps(value).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<Q", 1 << 62) + b"{}",
        struct.pack("<Q", (1 << 64) - 1) + b"{}",
        header({"x": {"dtype": "F32", "shape": [1 << 40, 1 << 20], "data_offsets": [0, 1 << 62]}}),
        header({"x": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 4]}}) + b"0000",
        header({"x": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}}),
        header({"x": {"dtype": "F32", "shape": [0, 1 << 62], "data_offsets": [0, 0]}}),
    ],
    ids=["header", "header of all ones", "tensor", "shape", "offset", "empty"],
)
@pytest.mark.parametrize("name", ["model.safetensors", "text/0.safetensors"])
def test_giant_tensors_are_refused(name, content, folder):
    (folder / name).write_bytes(content)
    refusal(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize(
    ("name", "tensor"), [("model.safetensors", "network.classifier.weight"), ("text/0.safetensors", "vectors")]
)
def test_weights_that_are_not_finite_are_refused(name, tensor, value, folder):
    state = safetensors.torch.load_file(folder / name)
    state[tensor][0, -1] = value
    safetensors.torch.save_file(state, folder / name)
    assert f"{folder / name}: the tensor {tensor} holds NaN or infinite values" in refusal(folder)
