import copy
import pickle

import pytest
import torch
from making import random_thin_resnet34, random_vggish

from pathosnet.backbones import ThinResNet34, VGGish, fused
from pathosnet.features.acoustic.extractors import VGGishExtractor

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


def assert_as_layer_by_layer(model, x) -> None:
    """The fused copy gives what the backbone's own layers give."""
    exact = model(x)
    assert exact.requires_grad
    exact, hidden = exact.detach(), model.frozen_part(x).detach()
    for ours, theirs in ((fused(model)(x), exact), (fused(model).frozen_part(x), hidden)):
        assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-5 * float(theirs.abs().max()))


def test_the_fused_copy_gives_the_same(backbone, name):
    assert_as_layer_by_layer(backbone, torch.randn(INPUTS[name]))


def test_more_examples_than_the_caches_hold_are_the_same(backbone, name):
    x = torch.randn(37, *INPUTS[name][1:])
    together = fused(backbone)(x)
    assert torch.allclose(together[20:23], fused(backbone)(x[20:23]), rtol=1e-5, atol=1e-6)


def test_changed_weights_are_seen(backbone, name):
    x = torch.randn(INPUTS[name])
    before = fused(backbone)(x)
    with torch.no_grad():
        backbone.unlocked_layer.weight.mul_(1.5)  # as an optimiser does
    assert_as_layer_by_layer(backbone, x)
    assert not torch.allclose(fused(backbone)(x), before)
    other = random_vggish() if name == "vggish" else random_thin_resnet34()
    backbone.load_state_dict({key: 1.1 * value for key, value in other.state_dict().items()})
    assert_as_layer_by_layer(backbone, x)
    backbone.conv1.weight = torch.nn.Parameter(torch.randn_like(backbone.conv1.weight))
    assert_as_layer_by_layer(backbone, x)


def test_changed_statistics_are_seen():
    model, x = random_thin_resnet34(), torch.randn(2, 257, 30)
    before = fused(model)(x)
    model.blocks[0].reduce_bn.running_mean.add_(1.0)
    assert_as_layer_by_layer(model, x)
    assert not torch.allclose(fused(model)(x), before)


def test_copies_have_weights_of_their_own(backbone, name):
    x = torch.randn(INPUTS[name])
    before = fused(backbone)(x)
    for copied in (copy.deepcopy(backbone), pickle.loads(pickle.dumps(backbone))):
        assert copied.state_dict().keys() == backbone.state_dict().keys()
        assert torch.equal(fused(copied)(x), before)
        with torch.no_grad():
            copied.unlocked_layer.weight.zero_()
        assert not torch.equal(fused(copied)(x), before)
        assert torch.equal(fused(backbone)(x), before)


def test_weights_made_in_inference_mode_work(name):
    with torch.inference_mode():
        model = random_vggish() if name == "vggish" else random_thin_resnet34()
        x = torch.randn(INPUTS[name])
        expected = fused(random_vggish() if name == "vggish" else random_thin_resnet34())(x)
        assert torch.allclose(fused(model)(x), expected, atol=1e-6)
    assert torch.allclose(fused(model)(x), expected, atol=1e-6)


def test_bf16_copies_answer_in_float32(backbone, name):
    x = torch.randn(INPUTS[name])
    exact, reduced = fused(backbone)(x), fused(backbone, torch.bfloat16)(x)
    assert reduced.dtype == torch.float32
    assert fused(backbone, torch.bfloat16).frozen_part(x).dtype == torch.float32
    assert 1e-5 < float((reduced - exact).norm() / exact.norm()) < 0.05
    assert torch.equal(fused(backbone)(x), exact)
    assert torch.allclose(backbone(x).detach(), exact, atol=1e-4 * float(exact.abs().max()))


def test_precision_does_not_leak_through_a_shared_backbone():
    backbone, waveform = random_vggish(), torch.randn(16_000)
    exact, reduced = VGGishExtractor(backbone), VGGishExtractor(backbone, "bf16")
    before = exact(waveform)
    assert not torch.equal(reduced(waveform), before)
    assert torch.equal(exact(waveform), before)
    assert torch.equal(VGGishExtractor(random_vggish())(waveform), before)


def test_a_copy_is_made_once_and_shares_its_dense_layers():
    backbone = random_vggish("relu")
    assert fused(backbone) is fused(backbone)
    assert fused(backbone).network.dense[0].weight is backbone.dense[0].weight
    assert all(weight.requires_grad for weight in backbone.parameters())


def test_a_backbone_that_trains_is_run_layer_by_layer():
    extractor, waveform = VGGishExtractor(random_vggish()), torch.randn(16_000)
    expected = extractor(waveform)
    assert torch.allclose(extractor.train()(waveform), expected, atol=1e-4)
