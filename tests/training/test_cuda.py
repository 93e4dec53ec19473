import numpy as np
import pytest
import torch
from making import make_corpus, random_thin_resnet34, random_vggish, read_rows, save_weights, tiny_config, tone

from pathosnet import PathosNet
from pathosnet.corpora import read_manifest
from pathosnet.emotions import PAPER_EMOTIONS
from pathosnet.experiments.train import train
from pathosnet.features.acoustic.extractors import GhostVLADExtractor, VGGishExtractor
from pathosnet.features.extract import extract_all

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
WAVES = [tone(seconds, hertz) for seconds, hertz in ((0.5, 300.0), (1.3, 800.0), (0.9, 150.0), (2.2, 440.0))]
TEXTS = ["all is lost", "", "go away now please", "the door"]


@pytest.fixture
def _full_float32(monkeypatch):
    """Without TF32, so that the two devices compute the same."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)


def probabilities(model: PathosNet) -> np.ndarray:
    predictions = model.predict_batch(WAVES, TEXTS, sample_rate=16_000)
    return np.array([list(prediction.probabilities.values()) for prediction in predictions])


@pytest.mark.usefixtures("_full_float32")
@pytest.mark.parametrize("precision", ["32-true", "16-mixed", "bf16-mixed"])
def test_training_on_a_gpu_gives_a_model_that_predicts_the_same_on_both_devices(tmp_path, precision):
    corpus = make_corpus(tmp_path / "corpus", per_class=8, seconds=(0.5, 1.3))
    config = tiny_config(
        acoustic="logmel,vggish,ghostvlad",
        vggish=str(save_weights(tmp_path / "vggish.safetensors", random_vggish())),
        vggish_output="pool",
        ghostvlad=str(save_weights(tmp_path / "resnet.safetensors", random_thin_resnet34())),
        accelerator="gpu",
        devices="1",
        precision=precision,
    )
    run = train(corpus, tmp_path / "run", config)
    model = PathosNet.from_pretrained(run.folder)
    state = [*model.network.state_dict().values(), *model.acoustic.state_dict().values()]
    assert all(torch.isfinite(value).all() for value in state)
    assert all(value.dtype in (torch.float32, torch.int64) for value in state)
    assert read_rows(run.folder / "predictions.csv")

    on_cpu = probabilities(model)
    assert model.to("cuda").device.type == "cuda"
    on_gpu = probabilities(model)
    assert np.abs(on_gpu - on_cpu).max() <= 1e-4
    alone = [model.predict(wave, text, sample_rate=16_000) for wave, text in zip(WAVES, TEXTS, strict=True)]
    assert np.abs(np.array([list(p.probabilities.values()) for p in alone]) - on_gpu).max() <= 1e-5


@pytest.mark.usefixtures("_full_float32")
@pytest.mark.parametrize("part", ["features", "frozen"])
def test_features_from_a_gpu_are_those_of_the_cpu(tmp_path, part):
    corpus = read_manifest(make_corpus(tmp_path, per_class=2, seconds=(0.9, 2.0)), PAPER_EMOTIONS)
    extractors = {"vggish": VGGishExtractor(random_vggish()), "ghostvlad": GhostVLADExtractor(random_thin_resnet34())}
    here, there = (
        extract_all(corpus.utterances, extractors, part, progress=False, device=torch.device(name))
        for name in ("cpu", "cuda")
    )
    assert all(value.device.type == "cpu" for e in extractors.values() for value in e.state_dict().values())
    for name in extractors:
        for ours, theirs in zip(here[name], there[name], strict=True):
            assert theirs.device.type == "cpu"
            assert ours.shape == theirs.shape
            if len(ours):
                assert float((ours - theirs).norm() / ours.norm()) <= 1e-4
