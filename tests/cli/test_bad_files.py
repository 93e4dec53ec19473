"""What a file that cannot be used comes to: one line that names it (and the row), exit code 2."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from commands import QUICK, error_of
from making import (
    contents,
    random_thin_resnet34,
    random_vggish,
    read_rows,
    save_weights,
    write_manifest,
    write_tone,
    write_vectors,
)


def write_samples(path: Path, samples: np.ndarray) -> None:
    soundfile.write(path, samples, 16_000, subtype="FLOAT")


BAD_RECORDINGS = {
    "missing": lambda path: path.unlink(),
    "folder": lambda path: (path.unlink(), path.mkdir()),
    "empty file": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("These are words, not sounds.\n" * 50),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:20]),
    "noise": lambda path: path.write_bytes(bytes(range(256)) * 40),
    "NaN": lambda path: write_samples(path, np.full(8000, np.nan, np.float32)),
    "infinite": lambda path: write_samples(path, np.full(8000, np.inf, np.float32)),
    "0 samples": lambda path: write_samples(path, np.zeros(0, np.float32)),
    "100 samples": lambda path: write_samples(path, np.zeros(100, np.float32)),
}


@pytest.mark.parametrize("kind", BAD_RECORDINGS)
def test_bad_recording_in_a_corpus_names_file_and_row(kind, run, copied, tmp_path, capsys):
    clip = copied.parent / "sadness_3.wav"
    row = next(i for i, r in enumerate(read_rows(copied), start=2) if r["audio"] == clip.name)
    BAD_RECORDINGS[kind](clip)
    (tmp_path / "out").mkdir()
    message = error_of(capsys, "train", copied, "--out", tmp_path / "out" / "run", *QUICK)
    assert f"{copied}, row {row}: " in message
    assert str(clip) in message
    assert contents(tmp_path / "out") == set()
    message = error_of(capsys, "evaluate", run, copied, "--json")
    assert f"{copied}, row {row}: " in message
    assert str(clip) in message


@pytest.mark.parametrize("kind", BAD_RECORDINGS)
def test_bad_recording_to_predict_is_named(kind, run, tmp_path, capsys):
    clip = write_tone(tmp_path / "clip.wav")
    BAD_RECORDINGS[kind](clip)
    code = 2 if kind == "folder" else 1  # an empty folder holds nothing to predict
    assert error_of(capsys, "predict", run, clip, code=code).startswith(f"error: {clip}: ")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="everything is readable to root")
def test_recording_without_permission_is_named(run, tmp_path, capsys):
    clip = write_tone(tmp_path / "clip.wav")
    clip.chmod(0)
    assert error_of(capsys, "predict", run, clip, code=1).startswith(f"error: {clip}: ")


BAD_MANIFESTS = {
    "empty": ("", "is empty"),
    "header only": ("audio,emotion\n", "holds no utterances"),
    "no audio column": ("file,emotion\nanger_0.wav,anger\n", "has no column 'audio'"),
    "no emotion column": ("audio,label\nanger_0.wav,anger\n", "has no column 'emotion'"),
    "unknown label": ("audio,emotion\nanger_0.wav,anger\nanger_1.wav,wistful\n", "row 3: expected an emotion"),
    "no label": ("audio,emotion\nanger_0.wav,anger\nanger_1.wav,\n", "row 3: has no emotion"),
    "cells": ("audio,emotion\nanger_0.wav,anger,x\n", "row 2: expected 2 cells, got 3"),
    "one emotion": ("audio,emotion\nanger_0.wav,anger\n", "expected at least two emotions"),
    "one example": (
        "audio,emotion\nsadness_0.wav,sadness\n" + "".join(f"anger_{i}.wav,anger\n" for i in range(8)),
        "row 2: the emotion 'sadness' has 1 example",
    ),
}


@pytest.mark.parametrize("kind", BAD_MANIFESTS)
def test_bad_manifest_is_named(kind, copied, tmp_path, capsys):
    content, complaint = BAD_MANIFESTS[kind]
    copied.write_text(content)
    (tmp_path / "out").mkdir()
    message = error_of(capsys, "train", copied, "--out", tmp_path / "out" / "run", *QUICK)
    assert message.startswith(f"error: {copied}")
    assert complaint in message
    assert contents(tmp_path / "out") == set()


def test_missing_manifest_is_named(tmp_path, run, capsys):
    missing = tmp_path / "missing.csv"
    assert f"error: {missing}: " in error_of(capsys, "train", missing, "--out", tmp_path / "run", *QUICK)
    assert f"error: {missing}: " in error_of(capsys, "evaluate", run, missing)


def write_pickle_that_runs_code(path: Path) -> None:
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(path.parent / "executed"),)

    torch.save({"features.0.weight": Evil()}, path)


BAD_WEIGHTS = {
    "missing": ("vggish.pth", lambda path: None),
    "text as h5": ("vggish.h5", lambda path: path.write_text("no weights")),
    "text as pth": ("vggish.pth", lambda path: path.write_text("no weights")),
    "empty": ("vggish.safetensors", lambda path: path.write_bytes(b"")),
    "cut off": (
        "vggish.safetensors",
        lambda path: save_weights(path, random_vggish()).write_bytes(path.read_bytes()[:100_000]),
    ),
    "another network": ("vggish.safetensors", lambda path: save_weights(path, random_thin_resnet34())),
    "another format": ("vggish.npz", lambda path: np.savez(path, a=np.zeros(3))),
    "a pickle that runs code": ("vggish.pth", write_pickle_that_runs_code),
}


@pytest.mark.parametrize("kind", BAD_WEIGHTS)
def test_bad_weights_file_is_named(kind, corpus, tmp_path, capsys):
    name, write = BAD_WEIGHTS[kind]
    write(tmp_path / name)
    options = ["--acoustic=vggish", "--vggish-output=pool", "--vggish", tmp_path / name]
    message = error_of(capsys, "train", corpus, "--out", tmp_path / "runs" / "run", *QUICK, *options)
    assert f"error: {tmp_path / name}: " in message
    assert not (tmp_path / "executed").exists()
    assert not (tmp_path / "runs").exists() or contents(tmp_path / "runs") == set()


def test_weights_without_the_dense_layers_list_what_is_missing(corpus, tmp_path, capsys):
    weights = save_weights(tmp_path / "pool.safetensors", random_vggish("pool"))
    options = ["--acoustic=vggish", "--vggish", weights]
    message = error_of(capsys, "train", corpus, "--out", tmp_path / "run", *QUICK, *options)
    assert f"error: {weights}: " in message
    assert "missing: dense.fc1_1.weight" in message


BAD_VECTORS = {
    "missing": lambda path: None,
    "empty": lambda path: path.write_text(""),
    "another dimension": lambda path: write_vectors(path, ["a", "b"], dim=50),
    "prose": lambda path: path.write_text("These are no vectors.\nNone at all.\n"),
    "a cut line": lambda path: write_vectors(path, ["a"]).write_text(path.read_text() + "b 0.1 0.2\n"),
    "not a number": lambda path: write_vectors(path, ["a"]).write_text(path.read_text() + "b" + " nan" * 300 + "\n"),
}


@pytest.mark.parametrize("kind", BAD_VECTORS)
def test_bad_word_vectors_are_named(kind, corpus, tmp_path, capsys):
    path = tmp_path / "words.vec"
    BAD_VECTORS[kind](path)
    for value in (path, f"en={path}"):
        message = error_of(capsys, "train", corpus, "--out", tmp_path / "run", *QUICK, "--text", value)
        assert f"error: {path}: " in message
    assert not (tmp_path / "run").exists()


def test_dimension_of_word_vectors_is_said(corpus, tmp_path, capsys):
    path = write_vectors(tmp_path / "words.vec", ["a", "b"], dim=50)
    message = error_of(capsys, "train", corpus, "--out", tmp_path / "run", *QUICK, "--text", path)
    assert "dimension 50, expected 300" in message


def test_language_without_word_vectors_names_the_row(copied, tmp_path, capsys):
    rows = [{**row, "language": "pl" if i == 9 else "en"} for i, row in enumerate(read_rows(copied))]
    write_manifest(copied, rows)
    vectors = write_vectors(tmp_path / "en.vec", ["a", "b"])
    message = error_of(capsys, "train", copied, "--out", tmp_path / "run", *QUICK, "--text", f"en={vectors}")
    assert f"{copied}, row 11: " in message
    assert "'pl'" in message


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "cut off"])
def test_damaged_model_is_named(name, damage, run, corpus, tmp_path, capsys):
    shutil.copytree(run, tmp_path / "run")
    path = tmp_path / "run" / name
    path.write_bytes(path.read_bytes()[:50]) if damage == "cut off" else path.unlink()
    for arguments in (
        ["predict", tmp_path / "run", corpus.parent / "anger_0.wav"],
        ["evaluate", tmp_path / "run", corpus],
    ):
        assert str(tmp_path / "run") in error_of(capsys, *arguments)
