import copy
import pickle

import pytest
import torch
from making import random_thin_resnet34, random_vggish

from pathosnet.backbones import ThinResNet34, VGGish
from pathosnet.backbones.fast_layers import fold

INPUTS = {"vggish": (3, 96, 64), "ghostvlad": (3, 257, 30)}


@pytest.fixture(params=["vggish", "ghostvlad"])
def name(request) -> str:
    return request.param


@pytest.fixture
def backbone(name) -> VGGish | ThinResNet34:
    model = random_vggish() if name == "vggish" else random_thin_resnet34()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # statistics that matter
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.2, 0.2)
    return model


def quickly(model, x) -> torch.Tensor:
    with torch.no_grad():
        return model(x)


def assert_as_layer_by_layer(model, x) -> None:
    """The quick way gives what the layers' own forward gives, which runs where gradients are wanted."""
    exact = model(x)
    assert exact.requires_grad
    assert torch.allclose(quickly(model, x), exact.detach(), rtol=1e-5, atol=1e-5 * float(exact.detach().abs().max()))


@torch.no_grad()
def test_a_folded_convolution_is_the_convolution_and_its_batch_norm():
    norm = torch.nn.BatchNorm2d(2, eps=0.0).eval()
    norm.weight.copy_(torch.tensor([2.0, 3.0]))
    norm.bias.copy_(torch.tensor([10.0, 20.0]))
    norm.running_mean.copy_(torch.tensor([1.0, -1.0]))
    norm.running_var.copy_(torch.tensor([4.0, 9.0]))
    # (w·x − mean) · weight / deviation + bias: 2/2·(x − 1) + 10 and 3/3·(5x + 1) + 20
    weight, bias = fold(torch.tensor([1.0, 5.0]).reshape(2, 1, 1, 1), norm)
    assert weight.flatten().tolist() == [1.0, 5.0]
    assert bias.tolist() == [9.0, 21.0]


def test_without_gradients_it_is_the_same(backbone, name):
    assert_as_layer_by_layer(backbone, torch.randn(INPUTS[name]))


def test_more_examples_than_the_caches_hold_are_the_same(backbone, name):
    x = torch.randn(37, *INPUTS[name][1:])
    together = quickly(backbone, x)
    assert torch.allclose(together[20:23], quickly(backbone, x[20:23]), rtol=1e-5, atol=1e-6)


def test_changed_weights_are_seen(backbone, name):
    x = torch.randn(INPUTS[name])
    before = quickly(backbone, x)
    with torch.no_grad():
        backbone.unlocked_layer.weight.mul_(1.5)  # as an optimiser does
    assert_as_layer_by_layer(backbone, x)
    assert not torch.allclose(quickly(backbone, x), before)
    other = random_vggish() if name == "vggish" else random_thin_resnet34()
    backbone.load_state_dict({key: 1.1 * value for key, value in other.state_dict().items()})
    assert_as_layer_by_layer(backbone, x)
    backbone.conv1.weight = torch.nn.Parameter(torch.randn_like(backbone.conv1.weight))
    assert_as_layer_by_layer(backbone, x)


def test_changed_statistics_are_seen():
    model, x = random_thin_resnet34(), torch.randn(2, 257, 30)
    before = quickly(model, x)
    model.blocks[0].reduce_bn.running_mean.add_(1.0)
    assert_as_layer_by_layer(model, x)
    assert not torch.allclose(quickly(model, x), before)


def test_copies_have_weights_of_their_own(backbone, name):
    x = torch.randn(INPUTS[name])
    before = quickly(backbone, x)
    for copied in (copy.deepcopy(backbone), pickle.loads(pickle.dumps(backbone))):
        assert copied.state_dict().keys() == backbone.state_dict().keys()
        assert torch.equal(quickly(copied, x), before)
        with torch.no_grad():
            copied.unlocked_layer.weight.zero_()
        assert not torch.equal(quickly(copied, x), before)
        assert torch.equal(quickly(backbone, x), before)


def test_batch_statistics_are_of_the_whole_batch():
    model, x = random_thin_resnet34().train(), torch.randn(18, 257, 30)
    reference = copy.deepcopy(model)
    quickly(model, x)
    reference(x)
    for (key, ours), theirs in zip(model.state_dict().items(), reference.state_dict().values(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5), key


def test_weights_made_in_inference_mode_work(name):
    with torch.inference_mode():
        model = random_vggish() if name == "vggish" else random_thin_resnet34()
        x = torch.randn(INPUTS[name])
        expected = quickly(random_vggish() if name == "vggish" else random_thin_resnet34(), x)
        assert torch.allclose(model(x), expected, atol=1e-6)


def test_bf16_layers_answer_in_float32_and_learn_in_float32(backbone, name):
    x = torch.randn(INPUTS[name])
    exact = quickly(backbone, x)
    backbone.layers.dtype = torch.bfloat16
    reduced = quickly(backbone, x)
    assert reduced.dtype == torch.float32
    assert 1e-5 < float((reduced - exact).norm() / exact.norm()) < 0.05
    assert torch.allclose(backbone(x).detach(), exact, atol=1e-4 * float(exact.abs().max()))
