import pytest
import yaml

from pathosnet.errors import InputError
from pathosnet.experiments.config import SPLITS, TrainConfig
from pathosnet.experiments.presets import preset_names, preset_path

PAPER = ("baseline", "pathosnet", "pathosnet-multilingual", "authors-v2")


def test_presets_are_the_papers_models_the_authors_two_that_need_nothing_and_a_speech_encoder():
    assert preset_names() == sorted((*PAPER, "offline", "dimensions", "speech"))


@pytest.mark.parametrize("name", preset_names())
def test_preset_is_a_configuration(name):
    config = TrainConfig(**yaml.safe_load(preset_path(name).read_text(encoding="utf-8")))
    assert config.split in SPLITS


@pytest.mark.parametrize("name", PAPER)
def test_numbers_of_the_paper(name):
    config = TrainConfig(**yaml.safe_load(preset_path(name).read_text(encoding="utf-8")))
    assert (config.text_width, config.audio_width, config.num_blocks) == (128, 256, 2)
    assert (config.learning_rate, config.learning_rate_decay, config.min_learning_rate) == (1e-3, 0.1, 1e-5)
    assert (config.epochs, config.num_folds, config.validation_fraction, config.fine_tune) == (45, 5, 0.2, True)
    assert config.acoustic == (("vggish",) if name == "baseline" else ("vggish", "ghostvlad"))


@pytest.mark.parametrize("name", PAPER)
def test_every_value_cites_its_source(name):
    lines = preset_path(name).read_text(encoding="utf-8").splitlines()
    values = [line for line in lines if line and not line.startswith(("#", " "))]
    assert len(values) > 20
    for line in values:
        assert any(word in line for word in ("section", "silent", "code", "not overlapping")), line


def test_preset_speech_is_a_linear_network_on_a_frozen_encoder():
    config = TrainConfig(**yaml.safe_load(preset_path("speech").read_text(encoding="utf-8")))
    assert (config.acoustic, config.text, config.network) == (("whisper-base",), (), "linear")
    assert config.standardize
    assert config.refit
    assert config.unlock == 0
    assert config.normalize == "none"
    assert config.level == "auto"


def test_unknown_preset_names_the_known():
    with pytest.raises(InputError, match=r"preset: expected authors-v2, baseline, .*, got 'best'; .*--config"):
        preset_path("best")


def test_preset_speech_penalizes_weights_as_logistic_regression_does():
    config = TrainConfig(**yaml.safe_load(preset_path("speech").read_text(encoding="utf-8")))
    assert config.optimizer == "Adam"  # AdamW's weight_decay is no penalty on the loss
    assert config.optimizer_options == {"weight_decay": 1.0}
    assert config.dropout == 0.0
