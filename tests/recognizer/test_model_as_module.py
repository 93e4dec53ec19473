"""A model is a module like any other."""

import copy
import pickle

import numpy as np
import pytest
import safetensors.torch
import torch
from making import random_model, random_thin_resnet34, random_vggish, tone

from pathosnet import InputError, PathosNet
from pathosnet.features.acoustic.extractors import GhostVLADExtractor, VGGishExtractor
from pathosnet.models import BranchOptions, EmotionNetwork


@pytest.fixture
def model() -> PathosNet:
    return random_model()


def says(model: PathosNet) -> np.ndarray:
    answers = [model.predict(tone(0.5, 200.0), "ciao", sample_rate=16_000), model.predict(text="good morning")]
    return np.array([list(answer.probabilities.values()) for answer in answers])


def test_its_state_is_what_the_file_holds(model, tmp_path):
    assert isinstance(model, torch.nn.Module)
    assert not model.training
    model.save_pretrained(tmp_path / "model")
    assert model.state_dict().keys() == safetensors.torch.load_file(tmp_path / "model" / "model.safetensors").keys()
    other = random_model()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    other.load_state_dict(model.state_dict())
    assert np.array_equal(says(other), says(model))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_answer_the_same_and_have_weights_of_their_own(model, copied):
    before = says(model)
    other = copied(model)
    assert np.array_equal(says(other), before)
    with torch.no_grad():
        other.network.classifier.weight.zero_()
    assert np.array_equal(says(model), before)


def test_copies_of_a_model_with_backbones_answer_the_same():
    acoustic = {"vggish": VGGishExtractor(random_vggish()), "ghostvlad": GhostVLADExtractor(random_thin_resnet34())}
    network = EmotionNetwork(dict.fromkeys(acoustic, 512), 4, options=BranchOptions(audio_width=4, num_blocks=1))
    model = PathosNet(network, acoustic, None)
    expected = model.predict(tone(1.2), sample_rate=16_000)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other.predict(tone(1.2), sample_rate=16_000).probabilities == pytest.approx(expected.probabilities)


@pytest.mark.parametrize("convert", ["bfloat16", "half", "double"])
def test_converted_models_answer_nearly_the_same(model, convert):
    before = says(model)
    assert getattr(model, convert)() is model
    assert np.abs(says(model) - before).max() < 0.05


@pytest.mark.parametrize("convert", ["bfloat16", "half"])
def test_converted_backbones_answer_nearly_the_same(convert):
    extractor = GhostVLADExtractor(random_thin_resnet34())
    network = EmotionNetwork({"ghostvlad": 512}, 4, options=BranchOptions(audio_width=4, num_blocks=1))
    model = PathosNet(network, {"ghostvlad": extractor}, None)
    before = model.predict(tone(0.6), sample_rate=16_000).probabilities
    after = getattr(model, convert)().predict(tone(0.6), sample_rate=16_000).probabilities
    assert after == pytest.approx(before, abs=0.05)
    assert extractor.backbone.conv1.weight.dtype == getattr(torch, convert if convert == "bfloat16" else "float16")


def test_its_description_is_short(model, tmp_path):
    assert repr(model).startswith(
        "PathosNet(tells apart happiness, anger, sadness, neutral; reads logmel (256), text (300)"
    )
    model.save_pretrained(tmp_path / "mine")
    assert repr(PathosNet.from_pretrained(tmp_path / "mine")).endswith(f"; from {tmp_path / 'mine'})")
    assert f"{sum(parameter.numel() for parameter in model.parameters()):,} parameters" in repr(model)


def test_it_does_not_answer_in_training_mode(model):
    with pytest.raises(InputError, match=r"training mode.*model\.eval\(\)"):
        model.train().predict(text="ciao")
    assert model.eval().predict(text="ciao").label


def test_it_can_be_called_with_gradients(model):
    logits = model([model.features(torch.from_numpy(tone(0.5)), "ciao")])
    assert logits.requires_grad
    assert logits.shape == (1, 4)


@pytest.mark.filterwarnings("ignore")  # of PyTorch's about itself
def test_a_compiled_network_answers_the_same(model, tmp_path):
    before = says(model)
    model.network = torch.compile(model.network, backend="aot_eager")
    assert np.abs(says(model) - before).max() < 1e-5
    model.save_pretrained(tmp_path / "model")
    assert np.abs(says(PathosNet.from_pretrained(tmp_path / "model")) - before).max() < 1e-5
