"""The level of a recording makes no difference to new models, and old ones keep their behavior."""

import numpy as np
import pytest
import torch
import yaml
from making import make_corpus, random_thin_resnet34, random_vggish, save_weights, tiny_config, tone

from pathosnet.errors import InputError
from pathosnet.experiments.prepare import build_extractors
from pathosnet.experiments.presets import preset_path
from pathosnet.experiments.train import train
from pathosnet.features.acoustic.extractors import GhostVLADExtractor, VGGishExtractor
from pathosnet.recognizer.recognizer import PathosNet

GAINS = (0.1, 10.0)  # 20 dB down and up


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("weights")
    return {
        "vggish": str(save_weights(folder / "vggish.safetensors", random_vggish("relu"))),
        "ghostvlad": str(save_weights(folder / "ghostvlad.safetensors", random_thin_resnet34())),
    }


def quiet_tone() -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 0.002, 19_200).astype(np.float32)
    return tone(1.2, 440.0, amplitude=0.05) + noise


@pytest.mark.parametrize("name", ["vggish", "ghostvlad"])
def test_new_models_answer_alike_20_db_up_and_down(name, weights, tmp_path):
    corpus = make_corpus(tmp_path / "corpus", per_class=5, seconds=(1.0, 1.2))
    config = tiny_config(acoustic=(name,), text=("none",), fine_tune=False, feature_store="none", **weights)
    train(corpus, tmp_path / "run", config)
    model = PathosNet.from_pretrained(tmp_path / "run")
    assert model.extractors[name].level == "rms"
    waveform = quiet_tone()
    expected = model.predict(waveform, sample_rate=16_000).probabilities
    for gain in GAINS:
        found = model.predict(waveform * np.float32(gain), sample_rate=16_000).probabilities
        assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("make", "name"),
    [(lambda: VGGishExtractor(random_vggish()), "vggish"), (lambda: GhostVLADExtractor(random_thin_resnet34()), "g")],
)
def test_extractors_and_configurations_without_a_level_read_samples_as_they_are(make, name):
    extractor = make()
    assert extractor.config()["level"] == "none"
    old = {key: value for key, value in extractor.config().items() if key != "level"}
    again = type(extractor).from_config(old)
    assert again.level == "none"
    again.load_state_dict(extractor.state_dict())
    waveform = torch.from_numpy(quiet_tone())
    assert torch.equal(again.eval()(waveform), extractor.eval()(waveform))
    leveled = type(extractor).from_config({**old, "level": "rms"})
    leveled.load_state_dict(extractor.state_dict())
    assert not torch.equal(leveled.eval()(waveform), extractor(waveform))


def test_option_sets_the_level_of_every_feature(weights):
    names = ("logmel", "vggish", "ghostvlad")

    def levels(**options):
        config = tiny_config(acoustic=names, **weights, **options)
        return [extractor.level for extractor in build_extractors(config).values()]

    assert levels() == ["rms"] * 3
    assert levels(level="peak") == ["peak"] * 3
    assert levels(level="none") == ["none"] * 3
    assert levels(level="none", feature_options={"logmel": {"level": "peak"}}) == ["peak", "none", "none"]
    with pytest.raises(InputError, match="level: expected auto or none or peak or rms, got 'loud'"):
        tiny_config(level="loud")


@pytest.mark.parametrize("name", ["baseline", "pathosnet", "pathosnet-multilingual", "authors-v2"])
def test_presets_of_the_paper_and_the_authors_read_samples_as_they_are(name):
    assert yaml.safe_load(preset_path(name).read_text(encoding="utf-8"))["level"] == "none"
