"""What a Lightning Trainer of one's own does with the modules: checkpoints, testing, predicting, saved models."""

import random
from dataclasses import replace

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from making import random_vggish, tiny_config

from pathosnet import PathosNet
from pathosnet.errors import InputError
from pathosnet.evaluation import measure
from pathosnet.experiments.settings import stage_trainer
from pathosnet.features import HashedWords, TextEmbedder
from pathosnet.features.table import FeatureTable
from pathosnet.models import BranchOptions, EmotionNetwork
from pathosnet.targets import ClassTarget, DimensionTarget
from pathosnet.training import (
    AudioModule,
    ClassifierModule,
    EmotionDataModule,
    EnsembleModule,
    NetworkModule,
    Optimization,
    Positions,
    TextModule,
)

NARROW = BranchOptions(text_width=4, audio_width=4, num_blocks=1, dropout=0.0, standardize=True)
EMOTIONS = ClassTarget(("joy", "anger", "fear"))
DIMS = {"logmel": 6, "vggish": 5, "text": 3}
SETTINGS = Optimization(class_weights=[1.0, 2.0, 0.5], augmentation=("masks",), optimizer_options={"momentum": 0.5})

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec:FutureWarning"),  # Lightning's own
    pytest.mark.filterwarnings("ignore:Found .* in eval mode at the start of training"),  # what is frozen
]


def some_table(*names: str, count: int = 12, values: bool = False) -> FeatureTable:
    sequences = {name: [torch.randn(1 + i % 5, DIMS[name]) for i in range(count)] for name in names}
    return FeatureTable(sequences, torch.randn(count, 2) if values else torch.arange(count) % 3)


def network(*names: str) -> EmotionNetwork:
    return EmotionNetwork({name: DIMS[name] for name in names}, 3, options=NARROW)


MODULES = {
    "text": (lambda: TextModule(3, EMOTIONS, SETTINGS, branch=NARROW), ("text",)),
    "audio": (lambda: AudioModule("logmel", 6, EMOTIONS, optimization=SETTINGS, branch=NARROW), ("logmel",)),
    "network": (lambda: NetworkModule(network("logmel", "text"), EMOTIONS, SETTINGS), ("logmel", "text")),
    "classifier": (lambda: ClassifierModule(network("logmel", "text"), EMOTIONS, SETTINGS), ("logmel", "text")),
    "ensemble": (
        lambda: EnsembleModule(
            {name: network(name, "text") for name in ("logmel", "vggish")}, EMOTIONS, SETTINGS, temperature=7.0
        ),
        ("logmel", "vggish", "text"),
    ),
}


def trainer(**options) -> pl.Trainer:
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return pl.Trainer(accelerator="cpu", enable_model_summary=False, **{**quiet, **options})


@pytest.mark.parametrize("kind", MODULES)
def test_checkpoint_alone_makes_the_module_again(kind, tmp_path):
    make, names = MODULES[kind]
    module, table = make(), some_table(*names)
    fitted = trainer(max_epochs=1)
    fitted.fit(module, datamodule=EmotionDataModule(table, table, batch_size=5))
    fitted.save_checkpoint(tmp_path / "module.ckpt")
    torch.load(tmp_path / "module.ckpt", weights_only=True)  # plain values alone
    again = type(module).load_from_checkpoint(tmp_path / "module.ckpt")
    assert again.target == EMOTIONS
    assert again.optimization == replace(SETTINGS, augmentation=["masks"])
    for name, value in module.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    assert {n: p.requires_grad for n, p in again.named_parameters()} == {
        n: p.requires_grad for n, p in module.named_parameters()
    }


def test_unlocked_backbones_are_given_again(tmp_path):
    net = EmotionNetwork({"vggish": 512}, 2, options=NARROW)
    module = NetworkModule(net, 2, unlocked={"vggish": random_vggish()})
    fitted = trainer(max_epochs=1)
    table = FeatureTable({"vggish": [torch.randn(1, 512, 12, 8) for _ in range(4)]}, torch.arange(4) % 2)
    fitted.fit(module, datamodule=EmotionDataModule(table, table))
    fitted.save_checkpoint(tmp_path / "module.ckpt")
    again = NetworkModule.load_from_checkpoint(tmp_path / "module.ckpt", unlocked={"vggish": random_vggish()})
    for name, value in module.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name


@pytest.mark.parametrize("kind", MODULES)
def test_testing_measures_the_test_part(kind):
    make, names = MODULES[kind]
    module, table = make(), some_table(*names)
    (found,) = trainer().test(module, datamodule=EmotionDataModule(test=table, batch_size=5), verbose=False)
    probabilities = torch.cat(trainer().predict(module, datamodule=EmotionDataModule(predict=table, batch_size=5)))
    expected = measure(table.targets.numpy(), probabilities.numpy(), EMOTIONS.labels)
    assert found["test_uar"] == pytest.approx(expected.uar, abs=1e-6)
    assert found["test_accuracy"] == pytest.approx(expected.accuracy, abs=1e-6)


def test_dimensions_are_tested_by_concordance():
    module = NetworkModule(EmotionNetwork({"text": 3}, 2, options=NARROW), DimensionTarget(("valence", "activation")))
    data = EmotionDataModule(test=some_table("text", values=True))
    (found,) = trainer().test(module, datamodule=data, verbose=False)
    assert found["test_loss"] == pytest.approx(1 - found["test_ccc"], abs=1e-6)
    assert torch.cat(trainer().predict(module, datamodule=data)).shape == (12, 2)


def test_model_made_of_a_module_predicts_what_the_module_does(tmp_path):
    text = TextEmbedder({"*": HashedWords()})
    module = TextModule(text.dim, EMOTIONS, branch=NARROW)
    PathosNet(module.model, {}, text, labels=module.target).save_pretrained(tmp_path / "model")
    model = PathosNet.from_pretrained(tmp_path / "model")
    sequences = [model.features(None, words)["text"] for words in ("so happy", "how dreadful this is")]
    data = EmotionDataModule(predict=FeatureTable({"text": sequences}, torch.zeros(2)))
    ours = torch.cat(trainer().predict(module, datamodule=data))
    theirs = [list(model.predict(text=words).probabilities.values()) for words in ("so happy", "how dreadful this is")]
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-6)


def test_ensemble_leaves_the_networks_that_it_is_given_alone():
    networks = {name: network(name, "text") for name in ("logmel", "vggish")}
    before = {name: {k: v.clone() for k, v in net.state_dict().items()} for name, net in networks.items()}
    module = EnsembleModule(networks, EMOTIONS)
    table = some_table("logmel", "vggish", "text")
    trainer(max_epochs=2).fit(module, datamodule=EmotionDataModule(table, table, batch_size=4))
    for name, net in networks.items():
        assert net.classifier is not None
        assert net.training
        assert all(parameter.requires_grad for parameter in net.parameters())
        assert all(torch.equal(value, net.state_dict()[key]) for key, value in before[name].items())


# Optimizers and schedulers


def learning_rates(epochs: int = 4, **options) -> tuple[torch.optim.Optimizer, list[float]]:
    """The optimizer, and the rate at the beginning of every epoch."""
    module = NetworkModule(network("text"), EMOTIONS, Optimization(**options))
    rates: list[float] = []
    module.on_train_epoch_start = lambda: rates.append(module.trainer.optimizers[0].param_groups[0]["lr"])
    fitted, table = trainer(max_epochs=epochs), some_table("text")
    fitted.fit(module, datamodule=EmotionDataModule(table, table, batch_size=4))
    return fitted.optimizers[0], rates


@pytest.mark.parametrize("name", ["AdamW", "torch.optim.AdamW"])
def test_any_optimizer_takes_its_options(name):
    options = {"weight_decay": 0.3}
    optimizer, rates = learning_rates(optimizer=name, optimizer_options=options, scheduler="none")
    assert type(optimizer) is torch.optim.AdamW
    assert optimizer.param_groups[0]["weight_decay"] == 0.3
    assert rates == [1e-3] * 4


@pytest.mark.parametrize(
    ("scheduler", "options", "expected"),
    [
        ("StepLR", {"step_size": 2, "gamma": 0.1}, [1e-3, 1e-3, 1e-4, 1e-4]),
        ("CosineAnnealingLR", {}, [1e-3 * (1 + np.cos(np.pi * e / 4)) / 2 for e in range(4)]),
    ],
)
def test_schedules_by_the_epoch(scheduler, options, expected):
    _, rates = learning_rates(scheduler=scheduler, scheduler_options=options)
    assert rates == pytest.approx(expected)


def test_one_cycle_moves_with_every_batch_up_to_the_learning_rate():
    optimizer, rates = learning_rates(scheduler="OneCycleLR", learning_rate=1e-2)
    assert optimizer.param_groups[0]["max_lr"] == 1e-2
    other = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    cycle = torch.optim.lr_scheduler.OneCycleLR(other, max_lr=1e-2, total_steps=12, cycle_momentum=False)
    expected = []
    for _ in range(12):
        expected.append(other.param_groups[0]["lr"])
        other.step()
        cycle.step()
    assert rates == pytest.approx(expected[::3])  # three batches an epoch


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "Adamw2"}, "optimizer: expected a class of torch.optim, .*got 'Adamw2'"),
        ({"optimizer": "torch.nn.Linear"}, "optimizer: expected .*got 'torch.nn.Linear'"),
        ({"optimizer_options": {"speed": 3}}, "optimizer: RMSprop cannot be made"),
        ({"scheduler": "Cosine"}, "scheduler: expected decay, none, a class of torch.optim.lr_scheduler.*got 'Cosine'"),
        ({"scheduler": "StepLR"}, "scheduler: StepLR cannot be made"),
    ],
)
def test_wrong_optimizers_are_errors_that_name_the_option(options, message):
    with pytest.raises(InputError, match=message):
        NetworkModule(network("text"), EMOTIONS, Optimization(**options)).configure_optimizers()


# The calling program's state


def test_training_leaves_the_program_as_it_was(tmp_path):
    table, module = some_table("text"), NetworkModule(network("text"), EMOTIONS)
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    expected = random.random(), np.random.rand(), torch.rand(1)
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    torch.set_float32_matmul_precision("high")
    try:
        parts = Positions(range(8), range(8, 12))
        stage_trainer(tiny_config(), tmp_path).fit("text", module, table, parts=parts)
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert (random.random(), np.random.rand(), torch.rand(1)) == expected
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e30])
def test_row_whose_features_cannot_be_computed_with_is_named(tmp_path, bad):
    table = some_table("text")
    table.sequences["text"][7][0, 1] = bad
    table = replace(table, names=tuple(f"corpus.csv, row {i + 2}" for i in range(12)))
    module = NetworkModule(network("text"), EMOTIONS)
    with pytest.raises(InputError, match=r"corpus.csv, row 9: expected finite text features"):
        stage_trainer(tiny_config(), tmp_path).fit("text", module, table, parts=Positions(range(8), range(8, 12)))
