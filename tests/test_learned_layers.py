"""Layers of a speech encoder with learned weights, from training to the report and the saved model."""

import json

import pytest
import torch
from making import make_corpus, tiny_config, tone
from speech_encoders import whisper_folder

from pathosnet import PathosNet
from pathosnet.experiments.cross_validate import cross_validate
from pathosnet.experiments.train import train


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    folder = whisper_folder(tmp_path_factory.mktemp("encoder") / "tiny-whisper")
    return {"acoustic": f"hf:{folder}", "encoder_layers": "learned", "feature_store": "none", "learning_rate": 0.01}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.mark.parametrize("further", [{"text": "none"}, {"network": "linear", "acoustic": "logmel"}])
def test_weights_of_layers_are_trained_told_and_saved(options, corpus, tmp_path, capsys, further):
    further = {**further, "acoustic": ",".join(filter(None, (further.get("acoustic"), options["acoustic"])))}
    run = train(corpus, tmp_path / "run", tiny_config(**{**options, **further}))
    weights = run.model.network.layer_weights["tiny-whisper"]
    assert len(weights) == 4
    assert sum(weights) == pytest.approx(1)
    assert max(abs(weight - 0.25) for weight in weights) > 1e-3
    described = json.loads((run.folder / "run.json").read_text())
    assert described["layer_weights"] == {"tiny-whisper": pytest.approx(weights)}
    said = ", ".join(f"{layer}: {weight:.2f}" for layer, weight in enumerate(weights))
    assert f"weights of its layers {said}" in (run.folder / "README.md").read_text()
    again = PathosNet.from_pretrained(run.folder)
    assert again.network.layer_weights == run.model.network.layer_weights
    assert again.predict(tone(), "a", sample_rate=16_000) == run.model.predict(tone(), "a", sample_rate=16_000)


def test_report_shows_the_weights_of_all_folds(options, corpus, tmp_path):
    config = tiny_config(**options, text="none", num_folds=2, network="linear", epochs=1)
    cross_validate(corpus, tmp_path / "run", config)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Layers of the encoder" in page
    assert "tiny-whisper" in page.partition("Layers of the encoder")[2].partition("Learning curves")[0]


def test_models_of_before_whose_layers_lie_side_by_side_stay_as_they_are(options, corpus, tmp_path):
    config = tiny_config(**options, text="none", network="linear", epochs=1)
    run = train(corpus, tmp_path / "run", config)
    described = json.loads((run.folder / "config.json").read_text())
    assert described["network"].pop("layers") == {"tiny-whisper": 4}
    torch.manual_seed(0)
    from safetensors.torch import load_file, save_file

    state = load_file(run.folder / "model.safetensors")
    state = {name: value for name, value in state.items() if ".mix." not in name}
    state["network.classifier.weight"] = torch.randn(4, 64)
    save_file(state, run.folder / "model.safetensors")
    (run.folder / "config.json").write_text(json.dumps(described))
    old = PathosNet.from_pretrained(run.folder)
    assert old.network.layer_weights == {}
    assert len(old.predict(tone(), sample_rate=16_000).probabilities) == 4
