"""Layers of an encoder, side by side in a frame, of which a branch reads a mix that it learns."""

import pytest
import torch

from pathosnet.models import BranchOptions, EmotionNetwork, Ensemble, LayerMix, network_from_config

KINDS = ("branches", "mlp", "linear")


def made(kind: str = "linear", standardize: bool = True, pooling: str = "mean") -> EmotionNetwork:
    options = BranchOptions(audio_width=8, text_width=6, network=kind, standardize=standardize, pooling=pooling)
    torch.manual_seed(0)
    return EmotionNetwork({"whisper": 15, "text": 4}, 3, options=options, layers={"whisper": 3}).eval()


def test_mix_begins_as_the_mean_of_the_layers():
    frames = torch.randn(2, 7, 15)
    mix = LayerMix(3)
    torch.testing.assert_close(mix(frames), frames.unflatten(2, (3, 5)).mean(dim=2))
    assert mix.weights.tolist() == pytest.approx([1 / 3] * 3)


def test_mix_weighs_layers_by_a_softmax():
    mix = LayerMix(2)
    mix.scores.data = torch.tensor([0.0, 0.1 * torch.log(torch.tensor(3.0))])
    assert mix.weights.tolist() == pytest.approx([0.25, 0.75])
    assert mix(torch.tensor([4.0, 8.0, 0.0, 4.0])).tolist() == pytest.approx([1.0, 5.0])


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pooling", ["mean", "statistics", "attention"])
def test_network_of_layers_is_the_plain_one_on_their_standardized_mix(kind, pooling):
    layered = made(kind, pooling=pooling)
    layered.standardize({"whisper": [3 + 2 * torch.randn(9, 15) for _ in range(4)], "text": [torch.randn(9, 4)]})
    torch.nn.init.normal_(layered.branches["whisper"].mix.scores, std=0.1)
    plain = EmotionNetwork({"whisper": 5, "text": 4}, 3, options=layered.options).eval()
    state = {k: v for k, v in layered.state_dict().items() if ".mix." not in k and "whisper.standardize" not in k}
    plain.load_state_dict(state, strict=False)
    frames, text = 3 + 2 * torch.randn(2, 16, 15), torch.randn(2, 5, 4)
    mixed = layered.branches["whisper"].scaled(frames)
    assert mixed.shape == (2, 16, 5)
    torch.testing.assert_close(layered(whisper=frames, text=text), plain(whisper=mixed, text=text))


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_trained_with_the_branch(kind):
    network = made(kind).train()
    network(whisper=torch.randn(4, 8, 15), text=torch.randn(4, 2, 4)).square().sum().backward()
    assert network.branches["whisper"].mix.scores.grad.abs().sum() > 0


@torch.no_grad()
def test_training_on_packed_utterances_reads_the_same_mix():
    network = made("branches", standardize=False)
    branch = network.branches["whisper"]
    torch.nn.init.normal_(branch.mix.scores, std=0.1)
    frames, mask = torch.randn(3, 11, 15), torch.arange(11) < torch.tensor([[11], [4], [1]])
    expected = branch(frames, mask)
    branch.train()
    for module in branch.modules():
        if module is not branch:
            module.eval()
    torch.testing.assert_close(branch(frames, mask), expected)


def test_weights_are_told_and_saved():
    network = made()
    network.branches["whisper"].mix.scores.data = torch.tensor([0.0, 0.1, 0.2])
    again = network_from_config(network.config())
    again.load_state_dict(network.state_dict())
    assert again.layer_weights["whisper"] == pytest.approx(torch.tensor([0.0, 1.0, 2.0]).softmax(0).tolist())
    assert Ensemble({"a": network}, 3).layer_weights == network.layer_weights
    assert EmotionNetwork({"whisper": 15}, 3).layer_weights == {}


def test_networks_without_a_mix_are_described_as_before():
    assert "layers" not in EmotionNetwork({"whisper": 15}, 3).config()


@pytest.mark.parametrize("count", [0, 4, -3])
def test_frames_have_to_be_so_many_layers(count):
    with pytest.raises(ValueError, match=f"whisper: expected frames of {count} layers, got a length of 15"):
        EmotionNetwork({"whisper": 15}, 3, layers={"whisper": count})
