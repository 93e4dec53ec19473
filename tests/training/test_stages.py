import math
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from making import read_rows, tiny_config
from pytorch_lightning.loggers import CSVLogger
from setups import (
    changed,
    copy_of,
    fake_setup,
    log_scripted,
    text_setup,
)
from sklearn.utils.class_weight import compute_class_weight

import pathosnet.training.stages as stages
from pathosnet.errors import InputError
from pathosnet.experiments.settings import stage_settings, stage_trainer
from pathosnet.models import BranchOptions, EmotionNetwork, Ensemble
from pathosnet.targets import ClassTarget
from pathosnet.training import (
    EmotionModule,
    FeatureTable,
    NetworkModule,
    callbacks,
    train_stages,
)


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
