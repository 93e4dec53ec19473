"""Best weights, early stopping, and training again for the epochs that were found."""

import math
from pathlib import Path

import pytest
import torch
from making import read_rows, tiny_config
from setups import (
    changed,
    copy_of,
    fake_setup,
    log_scripted,
    text_setup,
)
from torch import Tensor

from pathosnet.errors import InputError
from pathosnet.experiments.settings import stage_trainer
from pathosnet.models import BranchOptions, EmotionNetwork, pad_batch
from pathosnet.training import (
    FeatureTable,
    NetworkModule,
    Positions,
)
from pathosnet.training.optimization import Optimization

# Best weights and early stopping


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
