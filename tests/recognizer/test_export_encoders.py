"""Models on speech encoders as graphs, from a waveform to probabilities."""

import json

import numpy as np
import onnxruntime
import pytest
import torch
from making import tone
from speech_encoders import whisper_folder

from pathosnet import PathosNet
from pathosnet.features.acoustic.extractors.speech_encoder import make_encoder_extractor
from pathosnet.models import BranchOptions, EmotionNetwork
from pathosnet.recognizer.export import TOLERANCE, check, export
from pathosnet.recognizer.graphs import exported


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return whisper_folder(tmp_path_factory.mktemp("encoder") / "whisper")


def extractor_of(encoder, layers, rate, level="peak"):
    return make_encoder_extractor(f"hf:{encoder}", layers=layers, rate=rate, level=level)


@pytest.mark.parametrize(
    ("layers", "rate", "level"),
    [("1,2", 0.0, "peak"), ("2", 50.0, "none"), ("0-1", 10.0, "rms"), ("learned", 3.0, "peak"), ("1", 0.01, "peak")],
)
def test_the_module_computes_the_same_features(encoder, layers, rate, level):
    extractor = extractor_of(encoder, layers, rate, level=level)
    graph = exported(extractor).eval()
    generator = torch.Generator().manual_seed(0)
    for samples in (graph.min_samples, graph.min_samples + 1, 7_777, 30_000):
        waveform = torch.randn(samples, generator=generator) / 10
        with torch.no_grad():
            torch.testing.assert_close(graph(waveform), extractor(waveform), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["Wav2Vec2", "Hubert", "WavLM"])
def test_encoders_of_transformers_are_graphs_too(kind, tmp_path):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24}
    narrow = {"conv_dim": (8,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2}
    network = getattr(transformers, f"{kind}Model")(getattr(transformers, f"{kind}Config")(**sizes, **narrow))
    network.eval().save_pretrained(tmp_path / "encoder")
    extractor = extractor_of(tmp_path / "encoder", "1,2", 10.0)
    model = PathosNet(EmotionNetwork({"encoder": 32}, 4), {"encoder": extractor}, None)
    export(model, tmp_path / "model.onnx")
    assert max(check(model, tmp_path / "model.onnx").values()) < TOLERANCE


def test_the_whole_model_answers_the_same_without_this_library(encoder, tmp_path):
    torch.manual_seed(0)
    extractor = extractor_of(encoder, "1,2", 10.0)
    options = BranchOptions(audio_width=4, network="mlp", pooling="mean", standardize=True)
    network = EmotionNetwork({"whisper": extractor.feature_dim}, 4, options=options)
    model = PathosNet(network, {"whisper": extractor}, None, calibration_temperature=1.3)
    export(model, tmp_path / "model.onnx")
    assert max(check(model, tmp_path / "model.onnx").values()) < TOLERANCE
    about = json.loads((tmp_path / "model.onnx.json").read_text())
    part = about["acoustic"]["whisper"]
    listen = onnxruntime.InferenceSession(tmp_path / part["file"])
    answer = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    assert (part["min_samples"], part["max_samples"]) == (extractor.encoder.min_samples, extractor.encoder.max_samples)
    for samples in (part["min_samples"], 16_000, part["max_samples"]):
        waveform = tone(samples / 16_000, 220.0)[:samples].astype(np.float32)
        waveform += np.random.default_rng(samples).normal(0, 0.02, samples).astype(np.float32)
        features = listen.run(None, {"waveform": waveform})[0][None]
        found = answer.run(None, {"whisper": features, "whisper_length": np.array([features.shape[1]])})[0][0]
        expected = list(model.predict(waveform, sample_rate=16_000).probabilities.values())
        assert found.tolist() == pytest.approx(expected, abs=TOLERANCE)
