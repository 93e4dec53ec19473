import math
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from making import random_thin_resnet34, random_vggish, read_rows, tiny_config
from pytorch_lightning.loggers import CSVLogger
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor, nn

import pathosnet.training.stages as stages
from pathosnet.corpora import Split
from pathosnet.errors import InputError
from pathosnet.experiments.settings import stage_settings, stage_trainer
from pathosnet.features.acoustic.extractors import AcousticExtractor, GhostVLADExtractor, VGGishExtractor
from pathosnet.models import BranchOptions, EmotionNetwork, Ensemble, pad_batch
from pathosnet.targets import ClassTarget
from pathosnet.training import (
    EmotionModule,
    EnsembleModule,
    FeatureTable,
    NetworkModule,
    Positions,
    callbacks,
    train_stages,
)
from pathosnet.training.optimization import Optimization

RATE = 16_000


class FakeBackbone(nn.Module):
    """A backbone of two layers: (windows, 6) → (windows, 5)."""

    feature_dim = 5

    def __init__(self) -> None:
        super().__init__()
        self.below = nn.Linear(6, 4)
        self.unlocked_layer = nn.Linear(4, 5)
        self.above = nn.Linear(5, 5)

    def frozen_part(self, windows: Tensor) -> Tensor:
        return torch.relu(self.below(windows))

    def trainable_part(self, hidden: Tensor) -> Tensor:
        return self.above(torch.relu(self.unlocked_layer(hidden)))

    def forward(self, windows: Tensor) -> Tensor:
        return self.trainable_part(self.frozen_part(windows))


class FakeExtractor(AcousticExtractor):
    """Cuts a "waveform" into windows of six samples."""

    name = "fake"

    def __init__(self) -> None:
        super().__init__(5, FakeBackbone())  # type: ignore[arg-type]

    def front_end(self, waveform: Tensor) -> Tensor:
        return waveform.reshape(-1, 6)

    def config(self) -> dict:
        return {}


class Setup:
    """Some utterances with features, the split, and a run over them."""

    def __init__(self, extractors: dict[str, AcousticExtractor], waveforms: list[Tensor], text: bool = True) -> None:
        generator = torch.Generator().manual_seed(0)
        count = len(waveforms)
        self.waveforms = waveforms
        self.extractors = extractors
        sequences = {name: [extractor(wave) for wave in waveforms] for name, extractor in extractors.items()}
        if text:
            sequences["text"] = [torch.randn(1 + i % 4, 300, generator=generator) for i in range(count)]
        self.table = FeatureTable(sequences, torch.arange(count) % 2)
        held_out = max(2, count // 4)
        self.split = Split(tuple(range(count - held_out)), tuple(range(count - held_out, count)), (), strategy="column")

    def run(self, folder: Path = Path("unused"), own_logger=None, **options):
        config = tiny_config(acoustic="logmel", **options)
        return self.run_with(stage_trainer(config, folder, own_logger), config)

    def run_with(self, trainer, config):
        return train_stages(
            self.table,
            self.split,
            ClassTarget(("a", "b")),
            extractors=self.extractors,
            hidden_features=lambda extractor: [[extractor.frozen_part(wave) for wave in self.waveforms]],
            trainer=trainer,
            settings=stage_settings(config),
        )

    def validation_loss(self, model) -> float:
        """Of a trained model, over features that its (tuned) extractors make afresh."""
        chosen = self.split.validation
        sequences = {name: [e(self.waveforms[i]) for i in chosen] for name, e in self.extractors.items()}
        if "text" in self.table.sequences:
            sequences["text"] = [self.table.sequences["text"][i] for i in chosen]
        with torch.no_grad():
            logits = model.classify(pad_batch(sequences))
        return nn.functional.cross_entropy(logits, self.table.targets[list(chosen)]).item()


def noise(count: int, samples: int, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(samples * (1 + i % 3), generator=generator) * 0.1 for i in range(count)]


def fake_setup(count: int = 24, names: tuple[str, ...] = ("fake",)) -> Setup:
    torch.manual_seed(0)
    return Setup({name: FakeExtractor().eval() for name in names}, noise(count, 12))


def text_setup(count: int = 24) -> Setup:
    return Setup({}, noise(count, 6))


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> list[list[float]]:
    """The learning rate of every optimiser step, a list for each stage."""
    seen: list[list[float]] = []
    optimizers: list[torch.optim.Optimizer] = []
    step = torch.optim.RMSprop.step

    def spy(self, *arguments, **options):
        if not any(self is known for known in optimizers):
            optimizers.append(self)
            seen.append([])
        seen[-1].append(self.param_groups[0]["lr"])
        return step(self, *arguments, **options)

    monkeypatch.setattr(torch.optim.RMSprop, "step", spy)
    return seen


def expected_rates(first: float, decay: float, minimum: float, epochs: int, steps: int) -> list[float]:
    return [max(first * math.exp(-decay * epoch), minimum) for epoch in range(epochs) for _ in range(steps)]


# Learning rates


def test_learning_rate_decays_by_the_epoch_down_to_its_minimum(rates):
    text_setup(24).run(epochs=6, batch_size=5, learning_rate_decay=1.5)
    assert len(rates) == 1
    assert rates[0] == pytest.approx(expected_rates(1e-3, 1.5, 1e-5, epochs=6, steps=4), rel=1e-9)
    assert rates[0][-1] == pytest.approx(1e-5)


def test_learning_rate_has_the_papers_decay(rates):
    text_setup(8).run(epochs=5, batch_size=8)
    assert rates[0] == pytest.approx([1e-3 * math.exp(-0.1 * epoch) for epoch in range(5)], rel=1e-9)


def test_second_stage_starts_from_the_last_rate_of_the_first(rates):
    result = fake_setup().run(epochs=4, batch_size=32, learning_rate=1e-2)
    last = 1e-2 * math.exp(-0.1 * 3)
    assert rates[0] == pytest.approx(expected_rates(1e-2, 0.1, 1e-5, 4, 1), rel=1e-9)
    assert rates[1] == pytest.approx(expected_rates(last, 0.1, 1e-5, 4, 1), rel=1e-9)
    assert result.stages[0].last_learning_rate == pytest.approx(last, rel=1e-9)
    assert rates[0][-1] == pytest.approx(rates[1][0], rel=1e-9)


def test_second_stage_starts_from_the_last_rate_even_if_the_first_was_stopped_early(rates, monkeypatch):
    losses = [1.0, 0.5, 2.0, 2.0, 2.0]
    monkeypatch.setattr(NetworkModule, "on_validation_epoch_end", lambda module: log_scripted(module, losses))
    result = fake_setup().run(epochs=9, patience=2, batch_size=32)
    assert [stage.epochs for stage in result.stages] == [4, 4]
    assert rates[1][0] == pytest.approx(1e-3 * math.exp(-0.1 * 3), rel=1e-9)


def test_ensemble_starts_from_the_first_rate(rates):
    fake_setup(names=("fake", "other")).run(epochs=2, batch_size=32)
    assert [stage[0] for stage in rates] == pytest.approx(
        [1e-3, 1e-3 * math.exp(-0.1), 1e-3, 1e-3 * math.exp(-0.1), 1e-3], rel=1e-9
    )


# The order of the stages


def test_stages_of_one_network_without_a_backbone():
    result = text_setup().run()
    assert [stage.name for stage in result.stages] == ["text-1-branches"]
    assert isinstance(result.model, EmotionNetwork)
    assert result.model.input_dims == {"text": 300}


def test_stages_of_one_network_with_a_backbone():
    assert [stage.name for stage in fake_setup().run().stages] == ["fake-1-branches", "fake-2-unlocked"]


def test_stages_of_an_ensemble():
    result = fake_setup(names=("fake", "other")).run(temperature=7.0)
    assert [stage.name for stage in result.stages] == [
        *("fake-1-branches", "fake-2-unlocked", "other-1-branches", "other-2-unlocked", "ensemble-3-classifier")
    ]
    assert isinstance(result.model, Ensemble)
    assert result.model.temperature == 7.0
    assert set(result.model.input_dims) == {"fake", "other", "text"}


def test_fine_tuning_can_be_left_out():
    setup = fake_setup()
    before = copy_of(setup.extractors["fake"])
    assert [stage.name for stage in setup.run(fine_tune=False).stages] == ["fake-1-branches"]
    assert changed(before, setup.extractors["fake"]) == set()


def test_trained_model_is_ready_to_predict():
    model = fake_setup(names=("fake", "other")).run().model
    assert not any(module.training for module in model.modules())
    assert all(value.device.type == "cpu" for value in model.state_dict().values())


def test_options_shape_the_branches():
    options = {"text_width": 3, "audio_width": 5, "num_blocks": 1, "dropout": 0.25, "batch_norm_momentum": 0.5}
    model = fake_setup().run(**options).model
    assert model.options == BranchOptions(**options, standardize=True)
    assert model.classifier.in_features == 8


# What each stage changes


def copy_of(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def changed(before: dict[str, Tensor], module: nn.Module) -> set[str]:
    """Names of the tensors that are not the same bit for bit."""
    after = module.state_dict()
    assert before.keys() == after.keys()
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


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


# Best weights and early stopping


def log_scripted(module: EmotionModule, losses: list[float]) -> None:
    """Logs the epoch's loss out of a list instead of the real one, and accuracies that go with it."""
    loss = losses[min(module.current_epoch, len(losses) - 1)]
    module.log("val_loss", loss)
    module.log("val_accuracy", 1 / (1 + loss))
    module.log("val_uar", 1 / (1 + loss))


class Scripted(NetworkModule):
    """Keeps its weights as they were at each validation, and logs losses out of a list."""

    def __init__(self, losses: list[float]) -> None:
        options = BranchOptions(text_width=4, num_blocks=1)
        network = EmotionNetwork({"text": 300}, 2, options=options)
        super().__init__(network, optimization=Optimization(learning_rate=1e-2))
        self.losses = losses
        self.kept: list[dict[str, Tensor]] = []

    def on_validation_epoch_end(self) -> None:
        log_scripted(self, self.losses)
        self.kept.append(copy_of(self))


@pytest.mark.parametrize("metric", ["loss", "accuracy", "uar"])
@pytest.mark.parametrize(
    ("losses", "epochs", "best"),
    [
        ([3, 2, 1, 2, 2, 2, 2, 2], 5, 2),  # stops after two epochs without improvement
        ([1, 2, 3, 4, 5, 6, 7, 8], 3, 0),
        ([8, 7, 6, 5, 4, 3, 2, 1], 8, 7),  # never stops early
        ([3, 2, 3, 1, 3, 3, 3, 3], 6, 3),
        ([2, 2, 2, 2, 2, 2, 2, 2], 3, 0),  # the same is no improvement
    ],
)
def test_training_stops_early_and_keeps_the_best_weights(tmp_path, metric, losses, epochs, best):
    setup = text_setup()
    module = Scripted(losses)
    trainer = stage_trainer(tiny_config(epochs=8, patience=2, early_stopping_metric=metric), tmp_path)
    result = trainer.fit("text", module, setup.table, parts=setup.split)
    assert (result.epochs, result.best_epoch) == (epochs, best)
    assert result.best["val_loss"] == losses[best]
    assert result.last_learning_rate == pytest.approx(1e-2 * math.exp(-0.1 * (epochs - 1)))
    assert len(module.kept) == epochs
    assert changed(module.kept[best], module) == set()
    for epoch in range(epochs):
        if epoch != best:
            assert "model.classifier.weight" in changed(module.kept[epoch], module)


@pytest.mark.parametrize("metric", ["loss", "accuracy", "uar"])
def test_returned_model_is_the_best_one_reported(metric):
    setup = text_setup(32)
    result = setup.run(epochs=6, learning_rate=3e-2, patience=3, batch_size=7, early_stopping_metric=metric)
    (stage,) = result.stages
    assert setup.validation_loss(result.model) == pytest.approx(stage.best["val_loss"], abs=1e-5)


def test_best_epoch_is_that_of_the_log(tmp_path):
    result = text_setup(32).run(tmp_path, epochs=6, learning_rate=3e-2, patience=6, logger="csv")
    rows = [row for row in read_rows(tmp_path / "text-1-branches" / "metrics.csv") if row["val_loss"]]
    losses = [float(row["val_loss"]) for row in rows]
    (stage,) = result.stages
    assert len(losses) == stage.epochs == 6
    assert losses.index(min(losses)) == stage.best_epoch
    assert min(losses) == pytest.approx(stage.best["val_loss"], abs=1e-6)


@pytest.mark.parametrize("metric", ["loss", "accuracy"])
def test_training_that_diverges_from_the_start_is_an_error(metric):
    with pytest.raises(InputError, match=r"text-1-branches.*lower the learning rate"):
        text_setup().run(learning_rate=1e30, epochs=3, early_stopping_metric=metric)


class DivergesLater(NetworkModule):
    """Always wrong in its first epoch, and full of NaN from then on, which counts as the first class: always right."""

    def on_validation_epoch_start(self) -> None:
        with torch.no_grad():
            self.model.classifier.weight.zero_()
            self.model.classifier.bias.copy_(torch.tensor([-1.0, 1.0]))
            if self.current_epoch > 0:
                self.model.classifier.bias.fill_(math.nan)


@pytest.mark.parametrize("metric", ["loss", "accuracy", "uar"])
def test_diverged_weights_are_never_the_best(tmp_path, metric):
    setup = text_setup()
    targets = setup.table.targets.clone()
    targets[list(setup.split.validation)] = 0
    module = DivergesLater(EmotionNetwork({"text": 300}, 2, options=BranchOptions(text_width=4)))
    trainer = stage_trainer(tiny_config(epochs=3, early_stopping_metric=metric), tmp_path)
    result = trainer.fit("text", module, FeatureTable(setup.table.sequences, targets), parts=setup.split)
    assert result.best_epoch == 0
    assert all(torch.isfinite(value).all() for value in module.model.state_dict().values())


# Training again on training and validation part together


def test_refit_trains_every_stage_again_for_the_epochs_that_were_found():
    setup, plain = fake_setup(names=("fake", "other")), fake_setup(names=("fake", "other"))
    result, first = setup.run(refit=True, epochs=3), plain.run(epochs=3)
    assert result.stages[0].name.endswith("-refit")
    assert [stage.name.removesuffix("-refit") for stage in result.stages] == [stage.name for stage in first.stages]
    assert [stage.epochs for stage in result.stages] == [stage.best_epoch + 1 for stage in first.stages]
    assert all("val_loss" not in stage.best for stage in result.stages)
    with torch.no_grad():
        inputs = pad_batch(first.table.subset(plain.split.validation).sequences)
        torch.testing.assert_close(result.validated, first.model.classify(inputs))


def test_refitted_model_has_learned_from_both_parts():
    setup = text_setup()
    result = setup.run(refit=True, epochs=4, learning_rate=1e-2)
    (stage,) = result.stages
    both = tuple(range(len(setup.table)))
    config = tiny_config(epochs=4, learning_rate=1e-2)
    alone = stage_trainer(config, Path("unused"))
    torch.manual_seed(config.seed)
    again = NetworkModule(EmotionNetwork({"text": 300}, 2, options=result.model.options))
    again.model.standardize(setup.table.sequences)
    again.optimization = Optimization(learning_rate=1e-2)
    alone.fit("text-1-branches-refit", again, setup.table, parts=Positions(both, ()), epochs=stage.epochs)
    assert changed(copy_of(again.model), result.model) == set()


# Seeds


@pytest.mark.parametrize("make", [text_setup, lambda: fake_setup(names=("fake", "other"))], ids=["text", "ensemble"])
def test_same_seed_gives_the_same_numbers(make):
    first_setup, second_setup, other_setup = make(), make(), make()
    first = first_setup.run(seed=3)
    torch.rand(7)  # whatever happened before does not matter
    second = second_setup.run(seed=3)
    other = other_setup.run(seed=4)
    assert changed(copy_of(first.model), second.model) == set()
    assert first.stages == second.stages
    assert "classifier.weight" in changed(copy_of(first.model), other.model)
    for name, extractor in first_setup.extractors.items():
        assert changed(copy_of(extractor), second_setup.extractors[name]) == set()


def test_network_does_not_depend_on_the_others_of_the_ensemble():
    alone = fake_setup(names=("fake",)).run(seed=5)
    together = fake_setup(names=("fake", "other")).run(seed=5)
    assert alone.stages == together.stages[:2]


# Options


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[EmotionModule]]:
    """The modules that were trained."""
    seen: list[EmotionModule] = []
    fit = stages.StageTrainer.fit

    def spy(self, name, module, table, parts, **options):
        seen.append(module)
        return fit(self, name, module, table, parts=parts, **options)

    monkeypatch.setattr(stages.StageTrainer, "fit", spy)
    return seen


def test_balanced_class_weights_are_scikit_learns(modules):
    setup = text_setup(20)
    setup.table = FeatureTable(setup.table.sequences, torch.tensor([0] * 9 + [1] * 4 + [0] * 3 + [1] * 4))
    setup.run(class_weights="balanced")
    train = setup.table.targets[list(setup.split.train)].numpy()
    expected = compute_class_weight("balanced", classes=np.unique(train), y=train)
    assert modules[0].objective.class_weights.tolist() == pytest.approx(expected.tolist())


def test_without_class_weights_all_count_alike(modules):
    text_setup().run()
    assert modules[0].objective.class_weights is None


def test_class_that_never_occurs_does_no_harm_to_balanced_weights(modules):
    setup = text_setup()
    config = tiny_config(class_weights="balanced")
    trained = train_stages(
        setup.table,
        setup.split,
        ClassTarget(("a", "b", "c")),
        extractors={},
        hidden_features=lambda _: [],
        trainer=stage_trainer(config, Path("unused")),
        settings=stage_settings(config),
    )
    assert modules[0].objective.class_weights[:2].tolist() == pytest.approx([1, 1])
    assert torch.isfinite(modules[0].objective.class_weights).all()
    assert math.isfinite(trained.stages[0].best["val_loss"])


def test_options_reach_every_module(modules):
    options = {"label_smoothing": 0.1, "modality_dropout": 0.25, "augmentation": "masks", "learning_rate_decay": 0.3}
    fake_setup(names=("fake", "other")).run(**options)
    assert len(modules) == 5
    for module in modules:
        assert module.optimization.label_smoothing == module.objective.label_smoothing == 0.1
        assert module.optimization.modality_dropout == 0.25
        assert module.optimization.augmentation == ("masks",)
        assert module.optimization.decay == 0.3


class Stopped(Exception):
    """Raised in place of a training."""


def test_hardware_options_go_straight_to_lightning(monkeypatch):
    seen = {}

    def fake_trainer(**options):
        seen.update(options)
        raise Stopped

    monkeypatch.setattr(pl, "Trainer", fake_trainer)
    options = {"accelerator": "gpu", "devices": "2", "num_nodes": 3, "strategy": "ddp", "precision": "bf16-mixed"}
    with pytest.raises(Stopped):
        text_setup().run(**options, epochs=17)
    assert {name: seen[name] for name in options} == {**options, "devices": 2}
    assert seen["max_epochs"] == 17


@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true"])
def test_other_precisions_train_on_the_cpu(precision):
    setup = fake_setup(names=("fake", "other"))
    result = setup.run(precision=precision, epochs=2)
    for value in result.model.state_dict().values():
        assert torch.isfinite(value).all()
        assert value.dtype in (torch.float32, torch.int64)  # the model that comes out is the usual one
    assert setup.validation_loss(result.model) == pytest.approx(result.stages[-1].best["val_loss"], abs=2e-2)


def test_csv_log_has_every_epoch(tmp_path):
    fake_setup().run(tmp_path, epochs=3, logger="csv")
    for stage in ("fake-1-branches", "fake-2-unlocked"):
        rows = read_rows(tmp_path / stage / "metrics.csv")
        assert [row["epoch"] for row in rows if row["val_loss"]] == ["0", "1", "2"]
        assert [row["epoch"] for row in rows if row["train_loss"]] == ["0", "1", "2"]
        assert {"val_loss", "val_accuracy", "val_uar", "train_loss"} <= rows[0].keys()


def test_no_logger_writes_nothing(tmp_path):
    text_setup().run(tmp_path, logger="none")
    assert list(tmp_path.iterdir()) == []


def test_any_lightning_logger_can_be_named(tmp_path):
    text_setup().run(
        tmp_path, logger="pytorch_lightning.loggers.CSVLogger", logger_options={"version": "v7", "prefix": "mine"}
    )
    (row, *_) = read_rows(tmp_path / "text-1-branches" / "v7" / "metrics.csv")
    assert "mine-val_loss" in row


def test_own_logger_goes_before_the_named_one(tmp_path):
    logger = CSVLogger(tmp_path / "own", name="x", version="y")
    text_setup().run(tmp_path / "unused", own_logger=logger)
    assert (tmp_path / "own" / "x" / "y" / "metrics.csv").is_file()
    assert not (tmp_path / "unused").exists()


@pytest.mark.parametrize(
    "name", ["tensorboards", "no.such.module.Logger", "pytorch_lightning.loggers.Nothing", "torch.nn.Linear"]
)
def test_unknown_logger_is_an_error_that_names_it(tmp_path, name):
    with pytest.raises(InputError, match=f"logger: .*{name}"):
        text_setup().run(tmp_path, logger=name)


def test_progress_says_how_each_stage_ended(capsys):
    text_setup().run(progress=True)
    captured = capsys.readouterr()
    assert "text-1-branches: 2 epochs" in captured.err
    assert captured.out == ""


def test_training_leaves_no_checkpoints_behind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text_setup().run(tmp_path / "logs", logger="none")
    assert list(tmp_path.rglob("*")) == []


def test_interrupted_training_is_an_interruption(monkeypatch):
    """Lightning itself would end the process with exit code 1."""

    def interrupt(self, batch, batch_index):
        raise KeyboardInterrupt

    monkeypatch.setattr(EmotionModule, "training_step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        text_setup().run()


def press_ctrl_c(monkeypatch, *presses: tuple[int, int]) -> None:
    """Sends SIGINT in the training steps of some epochs and batches."""
    step = EmotionModule.training_step

    def pressing(self, batch, batch_index):
        if (self.current_epoch, batch_index) in presses:
            signal.raise_signal(signal.SIGINT)
        return step(self, batch, batch_index)

    monkeypatch.setattr(EmotionModule, "training_step", pressing)


def test_ctrl_c_keeps_the_best_weights_so_far(monkeypatch, capsys):
    setup, config = text_setup(), tiny_config(epochs=9, patience=9, batch_size=5, learning_rate=1e-2)
    press_ctrl_c(monkeypatch, (2, 1))
    trainer = stage_trainer(config, Path("unused"), stoppable=True)
    result = setup.run_with(trainer, config)
    (stage,) = result.stages
    assert stage.epochs in (2, 3)
    assert setup.validation_loss(result.model) == pytest.approx(stage.best["val_loss"], abs=1e-5)
    assert stage.best["val_loss"] == min(epoch["val_loss"] for epoch in stage.history)
    assert "Ctrl-C again ends the program" in capsys.readouterr().err


@pytest.mark.parametrize("presses", [[(0, 1)], [(2, 1), (2, 1)]], ids=["first epoch", "twice"])
def test_ctrl_c_ends_the_program_where_nothing_is_to_be_kept_and_the_second_time(monkeypatch, presses):
    config = tiny_config(epochs=9, patience=9, batch_size=5)
    press_ctrl_c(monkeypatch, *presses)
    if len(presses) == 2:
        monkeypatch.setattr(callbacks.Interruption, "on_train_batch_end", lambda *_: None)
        press_ctrl_c(monkeypatch, (2, 2))
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        text_setup().run_with(stage_trainer(config, Path("unused"), stoppable=True), config)
    assert signal.getsignal(signal.SIGINT) is handler


def test_interruption_leaves_ctrl_c_working(monkeypatch):
    def interrupt(self, batch, batch_index):
        raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(EmotionModule, "training_step", interrupt)
    try:
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            text_setup().run()
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, handler)
