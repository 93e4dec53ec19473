import json
import subprocess
import sys

import pytest
from making import WORDS

import pathosnet
import pathosnet.recognizer
from pathosnet.features import HashedWords, TextEmbedder
from pathosnet.features.acoustic.extractors import LogMelExtractor
from pathosnet.models import EmotionNetwork

HEAVY = ("torch", "pytorch_lightning", "lightning", "torchmetrics", "matplotlib", "sklearn", "h5py", "click")


def modules_after(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after running some code."""
    report = "; import sys, json; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", code + report], capture_output=True, text=True, check=True, timeout=120
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_package_loads_nothing_heavy():
    assert modules_after("import pathosnet; pathosnet.__version__") & set(HEAVY) == set()


def test_importing_corpora_needs_no_torch():
    loaded = modules_after("import pathosnet.corpora.importing, pathosnet.corpora.known, pathosnet.corpora.statistics")
    assert loaded & {*HEAVY, "audformat", "pandas"} == set()


def test_predicting_loads_no_lightning(tmp_path):
    network = EmotionNetwork({"logmel": 256, "text": 300}, 4)
    text = TextEmbedder({"*": HashedWords(300)})
    pathosnet.PathosNet(network, {"logmel": LogMelExtractor()}, text).save_pretrained(tmp_path / "model")
    loaded = modules_after(
        "from pathosnet import PathosNet, Prediction; import numpy\n"
        f"model = PathosNet.from_pretrained({str(tmp_path / 'model')!r})\n"
        f"assert isinstance(model.predict(numpy.ones(8000) / 2, {WORDS['anger']!r}, sample_rate=16000), Prediction)\n"
        "pass"
    )
    assert "torch" in loaded
    assert loaded & {"pytorch_lightning", "lightning", "lightning_fabric", "torchmetrics", "matplotlib"} == set()


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="No pathosnet attribute PathosNets"):
        pathosnet.PathosNets  # noqa: B018


def test_public_names_are_there():
    expected = {
        "PathosNet",
        "Prediction",
        "TrainConfig",
        "train",
        "finetune",
        "evaluate",
        "cross_validate",
        "InputError",
    }
    assert set(dir(pathosnet)) >= expected
    for package in (pathosnet, pathosnet.recognizer, pathosnet.features):
        for name in dir(package):
            assert getattr(package, name) is not None
