"""What each stage changes: the network, the last layer of a backbone, the classifier of an ensemble."""

import pytest
import torch
from making import random_thin_resnet34, random_vggish
from setups import RATE, FakeExtractor, Setup, changed, copy_of, fake_setup, noise

import pathosnet.training.stages as stages
from pathosnet.features.acoustic.extractors import GhostVLADExtractor, VGGishExtractor
from pathosnet.training import (
    EnsembleModule,
    NetworkModule,
)


@pytest.fixture
def changes(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """Stage → what of its module's state it changed."""
    seen: dict[str, set[str]] = {}
    fit = stages.StageTrainer.fit

    def spy(self, name, module, table, parts, **options):
        before = copy_of(module)
        result = fit(self, name, module, table, parts=parts, **options)
        seen[name] = changed(before, module)
        return result

    monkeypatch.setattr(stages.StageTrainer, "fit", spy)
    return seen


def backbone_changes(changes: dict[str, set[str]], stage: str, name: str) -> set[str]:
    prefix = f"unlocked.{name}."
    return {tensor.removeprefix(prefix) for tensor in changes[stage] if tensor.startswith(prefix)}


@pytest.mark.parametrize(
    ("make", "layer", "seconds"),
    [
        (lambda: VGGishExtractor(random_vggish()), "conv4_2", 1.0),
        (lambda: GhostVLADExtractor(random_thin_resnet34(), silence_removal=False), "x_fc", 0.35),
    ],
    ids=["vggish", "ghostvlad"],
)
def test_second_stage_changes_the_network_and_one_layer_of_the_backbone(changes, make, layer, seconds):
    extractor = make()
    waveforms = [torch.randn(round(seconds * RATE)) * 0.1 for _ in range(6)]
    setup = Setup({extractor.name: extractor}, waveforms)
    before = copy_of(extractor)
    result = setup.run(epochs=1, learning_rate=1e-2)
    assert changed(before, extractor) == {f"backbone.{layer}.weight", f"backbone.{layer}.bias"}
    stage = f"{extractor.name}-2-unlocked"
    assert backbone_changes(changes, stage, extractor.name) == {f"{layer}.weight", f"{layer}.bias"}
    network_parameters = {f"model.{name}" for name, _ in result.model.named_parameters()}
    assert len(network_parameters & changes[stage]) > len(network_parameters) // 2
    assert "model.classifier.weight" in changes[stage]
    assert {f"model.branches.{name}.stem.conv.weight" for name in (extractor.name, "text")} <= changes[stage]
    assert setup.validation_loss(result.model) == pytest.approx(result.stages[-1].best["val_loss"], rel=1e-5, abs=1e-5)


def test_first_stage_leaves_the_backbone_alone(monkeypatch):
    setup = fake_setup()
    before = copy_of(setup.extractors["fake"])
    seen = []
    fit = stages.StageTrainer.fit

    def spy(self, name, *arguments, **options):
        result = fit(self, name, *arguments, **options)
        seen.append((name, changed(before, setup.extractors["fake"])))
        return result

    monkeypatch.setattr(stages.StageTrainer, "fit", spy)
    setup.run()
    unlocked = {"backbone.unlocked_layer.weight", "backbone.unlocked_layer.bias"}
    assert seen == [("fake-1-branches", set()), ("fake-2-unlocked", unlocked)]


def test_networks_are_in_training_mode_in_both_their_stages(monkeypatch):
    """With dropout and the batches' own statistics; what is frozen is in evaluation mode."""
    modes = []
    step = NetworkModule.training_step

    def spy(self, batch, batch_index):
        network = {part.training for part in self.model.modules()}
        backbone = {part.training for part in self.unlocked.modules()}
        modes.append((self.trainer.current_epoch, network, backbone))
        return step(self, batch, batch_index)

    monkeypatch.setattr(NetworkModule, "training_step", spy)
    fake_setup().run(epochs=2, batch_size=32)
    assert [epoch for epoch, _, _ in modes] == [0, 1, 0, 1]
    assert all(network == {True} for _, network, _ in modes)
    assert all(backbone == {False} for _, _, backbone in modes[2:])


def test_networks_of_an_ensemble_are_in_evaluation_mode(monkeypatch):
    modes = []
    step = EnsembleModule.training_step

    def spy(self, batch, batch_index):
        modes.append({part.training for network in self.model.networks.values() for part in network.modules()})
        return step(self, batch, batch_index)

    monkeypatch.setattr(EnsembleModule, "training_step", spy)
    fake_setup(names=("fake", "other")).run(epochs=2, batch_size=32)
    assert modes[-2:] == [{False}, {False}]


def test_third_stage_changes_the_new_classifier_alone(changes):
    fake_setup(names=("fake", "other")).run()
    assert changes["ensemble-3-classifier"] == {"model.classifier.weight", "model.classifier.bias"}


def test_ensemble_is_learnt_on_tuned_features():
    setup = fake_setup(names=("fake", "other"))
    result = setup.run(epochs=3, learning_rate=1e-2, temperature=2.0)
    assert setup.validation_loss(result.model) == pytest.approx(result.stages[-1].best["val_loss"], abs=1e-5)


def test_clip_without_any_window_is_trained_on_as_it_is_predicted():
    """The second stage's losses are those that the tuned extractor and the network give, short clips included."""
    torch.manual_seed(0)
    waveforms = noise(24, 12)
    waveforms[3] = waveforms[22] = torch.zeros(0)
    setup = Setup({"fake": FakeExtractor().eval()}, waveforms)
    result = setup.run(epochs=1)
    assert setup.validation_loss(result.model) == pytest.approx(result.stages[-1].best["val_loss"], abs=1e-5)
