"""Models as earlier versions wrote them: they load, and answer what they answered then."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from pathosnet import PathosNet

SHAPES = {
    "branches.logmel.stem.conv.weight": (4, 64, 3),
    "branches.text.stem.conv.weight": (4, 8, 3),
    **{
        f"branches.{name}.blocks.0.{conv}.weight": (4, 4, 3)
        for name in ("logmel", "text")
        for conv in ("conv1", "conv2")
    },
    "classifier.weight": (3, 8),
    "classifier.bias": (3,),
}
BATCH_NORMS = ("stem.conv_bn", "stem.pool_bn", "blocks.0.main_bn", "blocks.0.shortcut_bn")
CONFIG = {
    "format": 1,
    "pathosnet_version": "0.1.0",
    "labels": ["happiness", "anger", "neutral"],
    "dimensional": False,
    "calibration_temperature": 1.25,
    "network": {
        "branches": {"logmel": 64, "text": 8},
        "num_classes": 3,
        "temperature": 1.0,
        "options": {"text_width": 4, "audio_width": 4, "num_blocks": 1, "dropout": 0.5, "batch_norm_momentum": 0.01},
    },
    "acoustic": {"logmel": {"stack": 1}},
    "weights": {},
    "text": {"tables": {"it": {"kind": "word_vectors", "name": "0", "oov": "prefix"}}, "identifier": None},
    "facts": {
        "corpora": [
            {
                "name": "emovo",
                "languages": ["it"],
                "counts": {"happiness": 2, "anger": 1, "neutral": 3},
                "utterances": 6,
                "source": "",
                "licence": "",
            }
        ],
        "split": {"strategy": "speaker", "guarantee": "no test speaker occurs in training", "train": 4, "test": 2},
        "leak": {"test_speakers": 1, "test_speakers_in_training": 0},
        "metrics": {"accuracy": 0.5, "utterances": 2},
        "vectors": ["wiki.multi.it.vec"],
        "seed": 0,
        "earlier": [],
    },
}


def waves(shape: tuple[int, ...], number: int) -> torch.Tensor:
    """Weights that are the same everywhere."""
    values = torch.sin(torch.arange(math.prod(shape), dtype=torch.float64) * (0.7 + 0.1 * number) + number)
    return (0.5 * values).float().reshape(shape)


def state() -> dict[str, torch.Tensor]:
    shapes = dict(SHAPES)
    for branch in ("logmel", "text"):
        for conv in ("stem.conv", "blocks.0.conv1", "blocks.0.conv2"):
            shapes[f"branches.{branch}.{conv}.bias"] = (4,)
        for norm in BATCH_NORMS:
            shapes |= {f"branches.{branch}.{norm}.{name}": (4,) for name in ("weight", "bias", "running_mean")}
    found = {f"network.{name}": waves(shape, i) for i, (name, shape) in enumerate(sorted(shapes.items()))}
    for branch in ("logmel", "text"):
        for norm in BATCH_NORMS:
            found[f"network.branches.{branch}.{norm}.running_var"] = torch.full((4,), 1.5)
            found[f"network.branches.{branch}.{norm}.num_batches"] = torch.tensor(100)
    found["network.classifier.weight"] *= 40.0  # so that answers differ
    return found


def write_old_model(folder: Path) -> Path:
    (folder / "text").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n", encoding="utf-8")
    safetensors.torch.save_file(state(), folder / "model.safetensors", metadata={"format": "pt"})
    safetensors.torch.save_file({"vectors": waves((3, 8), 1)}, folder / "text" / "0.safetensors")
    (folder / "text" / "0.words.txt").write_text("ciao\nmondo\nunknown", encoding="utf-8")
    return folder


@pytest.fixture
def old(tmp_path) -> PathosNet:
    return PathosNet.from_pretrained(write_old_model(tmp_path / "old"))


def sound() -> np.ndarray:
    time = np.arange(12_000) / 16_000
    return (0.3 * np.sin(2 * np.pi * 220 * time) * np.abs(np.sin(2 * np.pi * 3 * time))).astype(np.float32)


def test_an_old_model_answers_what_it_answered(old):
    """The figures are those of the version that wrote such models."""
    expected = [
        (sound(), "ciao mondo", [0.174570, 0.545420, 0.280009]),
        (sound(), None, [0.174741, 0.544806, 0.280453]),
        (None, "ciao a tutti", [0.056364, 0.830526, 0.113110]),
        (0.1 * sound(), "ciao mondo", [0.163911, 0.581744, 0.254345]),  # features of the level that recordings have
    ]
    for audio, text, probabilities in expected:
        found = old.predict(audio, text, sample_rate=16_000)
        assert list(found.probabilities.values()) == pytest.approx(probabilities, abs=1e-5)


def test_an_old_model_can_be_saved_again(old, tmp_path):
    old.save_pretrained(tmp_path / "new")
    new = PathosNet.from_pretrained(tmp_path / "new")
    asked = (sound(), "ciao mondo")
    assert new.predict(*asked, sample_rate=16_000) == old.predict(*asked, sample_rate=16_000)
    assert new.facts == old.facts
    assert "0 of 1 test speakers also occur in training" in (tmp_path / "new" / "README.md").read_text()
