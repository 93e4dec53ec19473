"""Recordings that are unlike those of the training part are warned of."""

import json

import numpy as np
import pytest
import torch
from making import make_corpus

from pathosnet import InputError, PathosNet, TrainConfig, train
from pathosnet.features.acoustic.extractors import LogMelExtractor
from pathosnet.models import BranchOptions, EmotionNetwork, Ensemble
from pathosnet.recognizer.reach import MARGIN, UNLIKE, measure_distances, measure_reach


@pytest.fixture
def network():
    """Standardizes by means of 1, 2, 3 and deviations of 2."""
    made = EmotionNetwork({"x": 3}, 4, options=BranchOptions(network="linear", standardize=True))
    made.branches["x"].standardize.mean.copy_(torch.tensor([1.0, 2.0, 3.0]))
    made.branches["x"].standardize.deviation.fill_(2.0)
    return made


def test_the_distance_is_that_of_the_mean_over_time_in_standard_deviations(network):
    near = torch.tensor([[0.0, 2.0, 3.0], [2.0, 2.0, 3.0]])
    far = torch.tensor([[7.0, -4.0, 9.0]])  # three deviations in each of three features
    torch.testing.assert_close(measure_distances(network, "x", [near, far]), torch.tensor([0.0, 3.0]))


def test_the_reach_is_a_margin_beyond_the_farthest_of_the_training_part(network):
    sequences = [torch.tensor([[1.0 + 2.0 * i, 2.0, 3.0]]) for i in range(3)] + [torch.zeros(0, 3)]
    (farthest,) = measure_reach(network, {"x": sequences}).values()
    distances = np.arange(3) / np.sqrt(3)
    assert farthest == pytest.approx(MARGIN * np.quantile(distances, 0.999), rel=1e-5)
    assert measure_reach(network, {"x": [torch.zeros(0, 3)]}) == {}


def test_an_ensemble_has_the_standardizers_of_its_networks(network):
    ensemble = Ensemble({"voice": network}, 4)
    torch.testing.assert_close(ensemble.centers["x"], network.centers["x"])
    assert ensemble.standardizers.keys() == {"x"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reach")
    options = {"text": "none", "network": "linear", "epochs": 1, "accelerator": "cpu", "logger": "none"}
    return train(make_corpus(folder / "corpus", per_class=5), folder / "run", TrainConfig(**options, progress=False))


def test_trained_models_warn_of_what_is_far_also_when_they_were_saved(run):
    model = PathosNet.from_pretrained(run.folder)
    assert model.reach == run.model.reach
    assert model.reach["logmel"] > 0
    known = run.folder.parent / "corpus" / "anger_0.wav"
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000)
    for one in (run.model, model):
        assert UNLIKE not in one.predict(known).warnings
        assert UNLIKE in one.predict(noise, sample_rate=16_000).warnings
        batch = one.predict_batch([known, (16_000, noise)])
        assert [UNLIKE in answer.warnings for answer in batch] == [False, True]


def test_what_was_not_heard_is_not_far(run):
    assert run.model.predict(np.zeros(16_000), sample_rate=16_000).warnings == ("silent", "nothing to answer from")


def test_models_without_a_reach_warn_of_nothing(tmp_path):
    network = EmotionNetwork({"logmel": 256}, 4, options=BranchOptions(network="linear", standardize=True))
    model = PathosNet(network, {"logmel": LogMelExtractor()}, None)
    model.save_pretrained(tmp_path / "model")
    assert "reach" not in json.loads((tmp_path / "model" / "config.json").read_text())
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000)
    assert UNLIKE not in PathosNet.from_pretrained(tmp_path / "model").predict(noise, sample_rate=16_000).warnings


@pytest.mark.parametrize(
    "reach", [{"logmel": 0}, {"logmel": -1.0}, {"logmel": "far"}, {"logmel": None}, {"other": 1.0}, [1.0], 5]
)
def test_a_damaged_reach_is_one_line_that_names_the_file(run, tmp_path, reach):
    run.model.save_pretrained(tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "reach": reach}))
    with pytest.raises(InputError, match=r"config\.json: describes no model"):
        PathosNet.from_pretrained(tmp_path / "model")
