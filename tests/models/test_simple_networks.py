"""Standardized inputs, poolings, and networks without convolutions."""

import pytest
import torch
from test_networks import LENGTHS, batched, utterances
from torch import Tensor

from pathosnet.models import BranchOptions, EmotionNetwork, Inputs, Standardize, network_from_config
from pathosnet.models.pooling import AttentionPooling, MeanPooling, StatisticsPooling

KINDS = ("branches", "mlp", "linear")
POOLINGS = ("mean", "statistics", "attention")
DIMS = {"logmel": 5, "text": 4}


def made(kind: str, pooling: str = "mean", standardize: bool = True) -> EmotionNetwork:
    """A network that has seen some data, in evaluation mode."""
    options = BranchOptions(text_width=6, audio_width=8, network=kind, pooling=pooling, standardize=standardize)
    network = EmotionNetwork(DIMS, 3, options=options)
    network.standardize({name: [3 + 2 * torch.randn(7, dim) for _ in range(9)] for name, dim in DIMS.items()})
    for name, parameter in network.named_parameters():
        if "score" in name or name == "classifier.weight":  # attention begins as the mean, a linear network at nothing
            torch.nn.init.normal_(parameter)
    return network.eval()


# Standardized inputs


def test_frames_are_standardized_by_mean_and_deviation_of_all_frames():
    sequences = [torch.randn(n, 3) * torch.tensor([1.0, 1000.0, 1e-3]) + 7 for n in (4, 0, 9, 1)]
    layer = Standardize(3)
    layer.fit(sequences)
    frames = torch.cat(sequences)
    torch.testing.assert_close(layer.mean, frames.mean(0))
    torch.testing.assert_close(layer.deviation, frames.std(0, unbiased=False))
    standardized = layer(frames.unsqueeze(0))[0]
    torch.testing.assert_close(standardized.mean(0), torch.zeros(3), atol=1e-3, rtol=0)
    torch.testing.assert_close(standardized.std(0, unbiased=False), torch.ones(3), atol=1e-3, rtol=0)


def test_feature_that_never_varies_keeps_its_scale():
    layer = Standardize(2)
    layer.fit([torch.tensor([[1.0, 5.0], [3.0, 5.0]])])
    assert layer(torch.tensor([[[1.0, 5.5]]])).tolist() == [[[-1.0, 0.5]]]


def test_frames_are_as_they_are_before_anything_is_measured():
    frames = torch.randn(2, 3, 4)
    assert torch.equal(Standardize(4)(frames), frames)
    layer = Standardize(4)
    layer.fit([torch.zeros(0, 4)])
    assert torch.equal(layer(frames), frames)


def test_network_without_standardization_has_the_tensors_of_models_saved_before_it():
    old = {"branches": DIMS, "num_classes": 3, "temperature": 1.0, "options": {"text_width": 6, "audio_width": 8}}
    network = network_from_config(old)
    assert not [name for name in network.state_dict() if "standardize" in name]
    assert network.options == BranchOptions(text_width=6, audio_width=8)


@torch.no_grad()
def test_standardized_network_is_the_plain_one_on_standardized_frames():
    with_scale, plain = made("branches"), made("branches", standardize=False)
    plain.load_state_dict({k: v for k, v in with_scale.state_dict().items() if "standardize" not in k})
    frames = {name: 3 + 2 * torch.randn(2, 7, dim) for name, dim in DIMS.items()}
    changed = {name: with_scale.branches[name].standardize(x) for name, x in frames.items()}
    torch.testing.assert_close(with_scale(**frames), plain(**changed))


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_missing_sequence_is_the_mean_frame_where_frames_are_standardized(kind):
    network = made(kind)
    frames = torch.randn(2, 6, DIMS["logmel"])
    mean = network.branches["text"].standardize.mean.expand(2, 1, -1)
    torch.testing.assert_close(network(logmel=frames), network(logmel=frames, text=mean))


# Poolings


def pool_alone(pooling: torch.nn.Module, frames: Tensor) -> Tensor:
    return pooling(frames.T.unsqueeze(0), torch.ones(1, len(frames), dtype=torch.bool))[0]


def test_statistics_are_mean_and_deviation():
    frames = torch.tensor([[1.0, 10.0], [3.0, 10.0]])
    assert pool_alone(StatisticsPooling(2), frames).tolist() == pytest.approx([2.0, 10.0, 1.0, 1e-3])


def test_attention_begins_as_the_mean_and_weighs_frames():
    frames = torch.tensor([[0.0, 1.0], [2.0, 5.0]])
    attention = AttentionPooling(2)
    torch.testing.assert_close(pool_alone(attention, frames), pool_alone(MeanPooling(2), frames))
    with torch.no_grad():
        attention.score.weight.copy_(torch.tensor([[100.0, 0.0]]))
    torch.testing.assert_close(pool_alone(attention, frames), torch.tensor([2.0, 5.0]))


# Networks


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("padding", [0.0, 1e6, float("nan")])
def test_answers_depend_neither_on_padding_nor_on_the_batch(kind, pooling, padding):
    network = made(kind, pooling)
    chosen = utterances(DIMS, [dict.fromkeys(DIMS, length) for length in LENGTHS])
    alone = torch.cat([network(**{n: x.unsqueeze(0) for n, x in utterance.items()}) for utterance in chosen])
    features, lengths = batched(chosen[::-1], padding, extra=5)
    torch.testing.assert_close(network(**features, lengths=lengths).flip(0), alone, rtol=1e-4, atol=1e-5)
    again = network(**features, lengths=lengths)
    assert torch.equal(network(**features, lengths=lengths), again)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pooling", POOLINGS)
def test_gradients_do_not_see_padding_and_are_finite(kind, pooling):
    network = made(kind, pooling).train()
    chosen = utterances(DIMS, [{"logmel": 1, "text": 3}, {"logmel": 6, "text": 0}])
    found = []
    for padding in (0.0, float("nan")):
        torch.manual_seed(1)
        network.zero_grad()
        features, lengths = batched(chosen, padding, extra=2)
        network(**features, lengths=lengths).square().sum().backward()
        found.append({name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        assert torch.isfinite(gradient).all(), name
        torch.testing.assert_close(found[1][name], gradient, msg=lambda m, n=name: f"{n}: {m}")


@torch.no_grad()
def test_linear_network_is_a_linear_map_of_the_standardized_mean():
    network = made("linear")
    frames = {name: torch.randn(1, 6, dim) for name, dim in DIMS.items()}
    means = [network.branches[name].standardize(x).mean(dim=1) for name, x in frames.items()]
    torch.testing.assert_close(network(**frames), network.classifier(torch.cat(means, dim=1)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pooling", POOLINGS)
def test_network_is_made_again_from_its_config(kind, pooling):
    network = made(kind, pooling)
    again = network_from_config(network.config()).eval()
    again.load_state_dict(network.state_dict())
    frames = {name: torch.randn(2, 5, dim) for name, dim in DIMS.items()}
    assert torch.equal(again(**frames), network(**frames))


def test_unknown_kinds_are_errors():
    with pytest.raises(ValueError, match="network: expected branches, mlp, linear, got 'cnn'"):
        BranchOptions(network="cnn")
    with pytest.raises(ValueError, match="pooling: expected mean, statistics, attention, got 'max'"):
        BranchOptions(pooling="max")


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_compiled_network_answers_as_it_does_uncompiled(kind):
    network = made(kind)
    compiled = torch.compile(network, backend="eager")
    for lengths in ((7, 3), (5, 2)):
        frames = {name: torch.randn(2, max(lengths), dim) for name, dim in DIMS.items()}
        given = {name: torch.tensor(lengths) for name in DIMS}
        torch.testing.assert_close(compiled(**frames, lengths=given), network(**frames, lengths=given))
    masks = {name: torch.ones(x.shape[:2], dtype=torch.bool) for name, x in frames.items()}
    torch.testing.assert_close(compiled(**frames, masks=masks), network.classify(Inputs(frames, masks)))


def test_a_linear_network_begins_at_zeros_as_logistic_regression_does():
    network = EmotionNetwork({"logmel": 5}, 3, options=BranchOptions(network="linear"))
    assert not network.classifier.weight.any()
    assert EmotionNetwork({"logmel": 5}, 3, options=BranchOptions(network="mlp")).classifier.weight.any()
