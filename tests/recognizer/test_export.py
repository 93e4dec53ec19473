"""Exported graphs answer as the model does."""

import json
import sys

import numpy as np
import onnxruntime
import pytest
import torch
from making import contents, random_thin_resnet34, random_vggish, tone

from pathosnet import PathosNet, cli
from pathosnet.errors import InputError
from pathosnet.features import HashedWords, TextEmbedder
from pathosnet.features.acoustic.extractors import (
    AcousticExtractor,
    GhostVLADExtractor,
    LogMelExtractor,
    VGGishExtractor,
)
from pathosnet.models import BranchOptions, EmotionNetwork, Ensemble
from pathosnet.recognizer.export import check, export
from pathosnet.recognizer.graphs import ExportedExtractor

TEMPERATURE = 1.7
LABELS = ("happiness", "anger", "sadness", "neutral")


def make_model() -> PathosNet:
    """An ensemble of log-mel frames and hashed words."""
    torch.manual_seed(3)
    options = BranchOptions(text_width=4, audio_width=4, num_blocks=1)
    networks = {
        "voice": EmotionNetwork({"logmel": 256}, 4, options=options),
        "words": EmotionNetwork({"text": 8}, 4, options=options),
    }
    network = Ensemble(networks, 4, temperature=1.0)
    text = TextEmbedder({"*": HashedWords(8)})
    return PathosNet(network, {"logmel": LogMelExtractor()}, text, labels=LABELS, calibration_temperature=TEMPERATURE)


@pytest.fixture(scope="module")
def model() -> PathosNet:
    return make_model()


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    """The model, and what the command makes of it as ONNX."""
    folder = tmp_path_factory.mktemp("exported")
    model.save_pretrained(folder / "saved")
    cli.main(["export", str(folder / "saved"), "--out", str(folder / "model.onnx")])
    return folder


@pytest.fixture(scope="module")
def session(folder):
    return onnxruntime.InferenceSession(folder / "model.onnx")


def run(session, **sequences: np.ndarray) -> np.ndarray:
    lengths = {f"{name}_length": np.full(len(value), value.shape[1]) for name, value in sequences.items()}
    return session.run(None, sequences | lengths)[0]


def test_onnx_agrees_with_the_model(model, folder):
    worst = check(model, folder / "model.onnx")
    assert worst.keys() == {"model.onnx", "model.logmel.onnx"}
    assert max(worst.values()) < 1e-5


def test_waveform_and_words_give_what_predict_gives(model, folder, session):
    about = json.loads((folder / "model.onnx.json").read_text())
    waveform = tone(0.7)
    listener = onnxruntime.InferenceSession(folder / about["acoustic"]["logmel"]["file"])
    logmel = listener.run(None, {"waveform": waveform})[0]
    text = HashedWords(8).embed(["go", "away", "now"]).numpy()
    found = run(session, logmel=logmel[None], text=text[None])
    expected = model.predict(waveform, "go away now", sample_rate=about["sample_rate"])
    np.testing.assert_allclose(found[0], list(expected.probabilities.values()), atol=1e-5)
    assert about["labels"] == list(expected.probabilities)


def test_what_is_missing_has_length_zero(model, session):
    waveform = tone(0.5)
    logmel = LogMelExtractor()(torch.from_numpy(waveform)).numpy()
    found = run(session, logmel=logmel[None], text=np.zeros((1, 0, 8), np.float32))
    expected = model.predict(waveform, sample_rate=16_000)
    np.testing.assert_allclose(found[0], list(expected.probabilities.values()), atol=1e-5)


def test_probabilities_are_calibrated(model, session, rng):
    logmel, text = rng.normal(size=(2, 9, 256)).astype(np.float32), rng.normal(size=(2, 3, 8)).astype(np.float32)
    with torch.no_grad():
        logits = model.network(logmel=torch.from_numpy(logmel), text=torch.from_numpy(text))
    expected = torch.softmax(logits / TEMPERATURE, dim=1).numpy()
    np.testing.assert_allclose(run(session, logmel=logmel, text=text), expected, atol=1e-5)
    assert np.abs(expected - torch.softmax(logits, dim=1).numpy()).max() > 0.01


def test_description_tells_the_inputs(folder):
    about = json.loads((folder / "model.onnx.json").read_text())
    assert about["network"] == {
        "file": "model.onnx",
        "inputs": {
            "logmel": ["batch", "logmel_time", 256],
            "text": ["batch", "text_time", 8],
            "logmel_length": ["batch"],
            "text_length": ["batch"],
        },
        "outputs": {"probabilities": ["batch", 4]},
    }
    assert about["acoustic"]["logmel"]["min_samples"] == 400 + 3 * 160
    assert about["acoustic"]["logmel"]["silence_removal"] is None
    assert about["calibration_temperature"] == TEMPERATURE


def test_exported_programs_of_backbones_agree_with_the_model(tmp_path, capsys):
    acoustic = {
        "vggish": VGGishExtractor(random_vggish("pool"), precision="bf16"),
        "ghostvlad": GhostVLADExtractor(random_thin_resnet34()),
    }
    network = EmotionNetwork(dict.fromkeys(acoustic, 512), 4, options=BranchOptions(audio_width=4, num_blocks=1))
    PathosNet(network, acoustic, None).save_pretrained(tmp_path / "saved")
    out = tmp_path / "out"
    cli.main(["export", str(tmp_path / "saved"), "--out", str(out / "m.pt2"), "--check", "--json"])
    done = json.loads(capsys.readouterr().out)
    assert done["files"] == [str(out / name) for name in ("m.pt2", "m.vggish.pt2", "m.ghostvlad.pt2", "m.pt2.json")]
    assert contents(out) == {"m.pt2", "m.vggish.pt2", "m.ghostvlad.pt2", "m.pt2.json"}
    assert done["worst"].keys() == {"m.pt2", "m.vggish.pt2", "m.ghostvlad.pt2"}
    assert max(done["worst"].values()) < 1e-5
    removal = json.loads((out / "m.pt2.json").read_text())["acoustic"]["ghostvlad"]["silence_removal"]
    assert removal == {"top_db": 20.0, "frame_samples": 2048, "hop_samples": 512}


def test_a_graph_of_another_model_is_found_out(folder, capsys, monkeypatch):
    monkeypatch.setattr("pathosnet.recognizer.export.export", lambda model, out, overwrite: [folder / "model.onnx"])
    other = make_model()
    other.calibration_temperature = 3.0
    other.save_pretrained(folder / "other")
    with pytest.raises(SystemExit):
        cli.main(["export", str(folder / "other"), "--out", str(folder / "model.onnx"), "--check"])
    assert "error: model.onnx: differs from the model by more than 0.0001" in capsys.readouterr().err


@pytest.mark.parametrize(
    "extractor",
    [
        LogMelExtractor(stack=1),
        VGGishExtractor(random_vggish("pool")),
        GhostVLADExtractor(random_thin_resnet34(), silence_removal=False),
        GhostVLADExtractor(random_thin_resnet34(), 3, 3, stft_hop=256, silence_removal=False),
    ],
    ids=["logmel", "vggish", "ghostvlad", "ghostvlad as in the paper"],
)
def test_extractors_as_graphs_compute_the_same(extractor):
    exported = ExportedExtractor(extractor).eval()
    for samples in (exported.min_samples, exported.min_samples + 1, 2 * exported.min_samples + 5000):
        waveform = torch.randn(samples) / 10
        expected = extractor(waveform)
        torch.testing.assert_close(exported(waveform).detach(), expected, atol=1e-4, rtol=1e-4)
    assert len(extractor(waveform[: exported.min_samples - 1])) == 0


def test_another_ending_is_refused(model, tmp_path):
    with pytest.raises(InputError, match=r"model\.tflite: expected a name that ends in \.onnx or \.pt2"):
        export(model, tmp_path / "model.tflite")


def test_files_are_not_replaced_unasked(model, folder):
    before = (folder / "model.onnx").read_bytes()
    with pytest.raises(InputError, match=r"model\.onnx\.json: exists already; .* --overwrite"):
        export(model, folder / "model.onnx")
    assert (folder / "model.onnx").read_bytes() == before
    assert not list(folder.glob(".*"))


def test_missing_packages_are_named(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(InputError, match=r"ONNX needs the package onnxscript; pip install 'pathosnet\[onnx\]'"):
        export(model, tmp_path / "model.onnx")


def test_what_is_no_graph_is_named(model, folder, tmp_path):
    for suffix, message in ((".onnx", "cannot be read as ONNX"), (".pt2", "cannot be read as an exported program")):
        (tmp_path / f"model{suffix}").write_text("nothing")
        (tmp_path / f"model{suffix}.json").write_text((folder / "model.onnx.json").read_text())
        with pytest.raises(InputError, match=message):
            check(model, tmp_path / f"model{suffix}")


def test_an_extractor_that_cannot_be_exported_says_so(tmp_path):
    class Loudness(AcousticExtractor):
        name = "loudness"

        def front_end(self, waveform):
            return waveform[:, None]

        def config(self):
            return {}

    model = PathosNet(EmotionNetwork({"loudness": 1}, 4), {"loudness": Loudness(1)}, None)
    with pytest.raises(
        InputError, match=r"loudness: cannot be exported, only logmel, vggish, ghostvlad and encoders of Whisper, wav"
    ):
        export(model, tmp_path / "model.pt2")
    assert not list(tmp_path.iterdir())
