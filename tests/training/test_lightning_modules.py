import logging

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from making import random_thin_resnet34, random_vggish

from pathosnet.evaluation import measure
from pathosnet.models import BranchOptions, EmotionNetwork, Inputs, pad_batch
from pathosnet.training import (
    AudioModule,
    EmotionDataModule,
    EmotionModule,
    EnsembleModule,
    FeatureTable,
    NetworkModule,
    TextModule,
)
from pathosnet.training.data import Batch, FeatureDataset, collate
from pathosnet.training.modules import JOINED
from pathosnet.training.optimization import Optimization

NARROW = BranchOptions(text_width=4, audio_width=4, num_blocks=1, dropout=0.0)
DIMS = {"logmel": 6, "vggish": 5, "text": 3}

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec:FutureWarning"),  # Lightning's own, under torch 2.11
]


@pytest.fixture(autouse=True)
def _quiet_lightning(caplog):
    caplog.set_level(logging.ERROR, "pytorch_lightning")


def random_table(num_utterances: int, *names: str, num_classes: int = 4, seed: int = 0) -> FeatureTable:
    """Sequences of 1 to 9 frames."""
    generator = torch.Generator().manual_seed(seed)
    lengths = [1 + i % 9 for i in range(num_utterances)]
    sequences = {name: [torch.randn(n, DIMS[name], generator=generator) for n in lengths] for name in names}
    return FeatureTable(sequences, torch.arange(num_utterances) % num_classes)


def network(*names: str, num_classes: int = 4, options: BranchOptions = NARROW) -> EmotionNetwork:
    return EmotionNetwork({name: DIMS[name] for name in names}, num_classes, options=options)


def whole(table: FeatureTable) -> Inputs:
    return pad_batch(table.sequences)


def trainer(**options) -> pl.Trainer:
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return pl.Trainer(accelerator="cpu", enable_model_summary=False, **{**quiet, **options})


def validate(module: EmotionModule, table: FeatureTable, batch_size: int) -> dict[str, float]:
    data = EmotionDataModule(table, table, batch_size=batch_size)
    return trainer().validate(module, datamodule=data, verbose=False)[0]


MODULES = {
    "text": lambda: (TextModule(DIMS["text"], 4, branch=NARROW), ("text",)),
    "audio": lambda: (AudioModule("logmel", DIMS["logmel"], 4, branch=NARROW), ("logmel",)),
    "network": lambda: (NetworkModule(network("logmel", "text")), ("logmel", "text")),
    "ensemble": lambda: (
        EnsembleModule({name: network(name, "text") for name in ("logmel", "vggish")}, 4),
        ("logmel", "vggish", "text"),
    ),
}


@pytest.mark.filterwarnings("ignore:Found .* in eval mode at the start of training")  # an ensemble's networks
@pytest.mark.parametrize("kind", MODULES)
def test_modules_train_with_a_plain_trainer(kind):
    module, names = MODULES[kind]()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    table = random_table(12, *names)
    data = EmotionDataModule(table, table, table, batch_size=4)
    trainer(fast_dev_run=True).fit(module, datamodule=data)
    assert any(not torch.equal(value, before[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize("kind", MODULES)
def test_modules_predict_probabilities(kind):
    module, names = MODULES[kind]()
    data = EmotionDataModule(random_table(10, *names), random_table(10, *names), batch_size=4)
    probabilities = torch.cat(trainer().predict(module, data.val_dataloader()))
    assert probabilities.shape == (10, 4)
    assert torch.allclose(probabilities.sum(dim=1), torch.ones(10))


def test_defaults_learn_as_the_paper_does():
    module = NetworkModule(network("text"))
    made = module.configure_optimizers()
    optimizer, scheduler = made["optimizer"], made["lr_scheduler"]["scheduler"]
    assert isinstance(optimizer, torch.optim.RMSprop)
    assert optimizer.param_groups[0]["alpha"] == 0.9
    rates = []
    for epoch in range(60):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
        assert rates[epoch] == pytest.approx(max(1e-3 * np.exp(-0.1 * epoch), 1e-5), rel=1e-9)
    assert rates[0] == 1e-3
    assert rates[-1] == pytest.approx(1e-5, rel=1e-9)


# Validation


@pytest.mark.parametrize("batch_size", [1, 3, 4, 10, 32])
def test_validation_metrics_are_those_of_all_utterances(batch_size):
    module = NetworkModule(network("logmel", "text"))
    table = random_table(10, "logmel", "text")
    metrics = validate(module, table, batch_size)
    module.eval()
    with torch.no_grad():
        logits = module(whole(table))
    ours = measure(table.targets.tolist(), torch.softmax(logits, dim=1).numpy(), list("abcd"))
    expected = torch.nn.functional.cross_entropy(logits, table.targets)
    assert metrics["val_loss"] == pytest.approx(expected.item(), abs=1e-5)
    assert metrics["val_accuracy"] == pytest.approx(ours.accuracy, abs=1e-6)
    assert metrics["val_uar"] == pytest.approx(ours.uar, abs=1e-6)


def test_validation_uar_is_that_of_the_classes_that_occur():
    """As in the metrics of evaluation: a class without utterances has no recall, even if it is predicted."""
    module = NetworkModule(network("text", num_classes=3))
    with torch.no_grad():
        module.model.classifier.weight.zero_()
        module.model.classifier.bias.copy_(torch.tensor([0.0, 0.0, 5.0]))  # always the class that does not occur
        module.model.classifier.weight[0, 0] = 50.0
    table = random_table(12, "text", num_classes=2)
    logits = module.eval()(whole(table)).detach()
    ours = measure(table.targets.tolist(), torch.softmax(logits, dim=1).numpy(), list("abc"))
    assert {0, 2} <= set(logits.argmax(dim=1).tolist())
    assert ours.uar > 0
    assert validate(module, table, 4)["val_uar"] == pytest.approx(ours.uar, abs=1e-6)


def test_weighted_validation_loss_does_not_depend_on_the_batches():
    module = NetworkModule(network("text"), optimization=Optimization(class_weights=[0.1, 1.0, 2.0, 5.0]))
    table = random_table(10, "text")
    logits = module.eval()(whole(table)).detach()
    expected = torch.nn.functional.cross_entropy(logits, table.targets, torch.tensor([0.1, 1.0, 2.0, 5.0]))
    for batch_size in (1, 4, 10):
        assert validate(module, table, batch_size)["val_loss"] == pytest.approx(expected.item(), abs=1e-5)


# Loss


def loss_and_gradients(module: EmotionModule, inputs: Inputs, targets: torch.Tensor):
    module.log = lambda *_, **__: None
    torch.manual_seed(3)
    module.zero_grad()
    loss = module.training_step(Batch(inputs, targets), 0)
    loss.backward()
    return loss.item(), [p.grad.clone() for p in module.parameters() if p.grad is not None]


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("garbage", [1e6, float("inf"), float("nan")])
def test_training_does_not_depend_on_what_the_padding_holds(dropout, garbage):
    options = BranchOptions(text_width=4, audio_width=4, dropout=dropout)
    module = NetworkModule(
        network("logmel", "text", options=options), optimization=Optimization(modality_dropout=0.3)
    ).train()
    table = random_table(9, "logmel", "text")
    clean = whole(table)
    dirty = Inputs(
        {name: torch.where(clean.masks[name].unsqueeze(2), value, garbage) for name, value in clean.features.items()},
        clean.masks,
    )
    loss, gradients = loss_and_gradients(module, clean, table.targets)
    dirty_loss, dirty_gradients = loss_and_gradients(module, dirty, table.targets)
    assert dirty_loss == loss
    assert all(torch.equal(*pair) for pair in zip(dirty_gradients, gradients, strict=True))


def test_training_does_not_depend_on_how_far_a_batch_is_padded():
    options = BranchOptions(text_width=4, audio_width=4, dropout=0.5)
    module = NetworkModule(network("logmel", "text", options=options)).train()
    table = random_table(9, "logmel", "text")
    short = whole(table)
    long = Inputs(
        {name: torch.nn.functional.pad(value, (0, 0, 0, 7)) for name, value in short.features.items()},
        {name: torch.nn.functional.pad(mask, (0, 7)) for name, mask in short.masks.items()},
    )
    loss, gradients = loss_and_gradients(module, short, table.targets)
    long_loss, long_gradients = loss_and_gradients(module, long, table.targets)
    assert long_loss == pytest.approx(loss, abs=1e-6)
    for ours, theirs in zip(long_gradients, gradients, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


def test_class_weights_and_smoothing_enter_the_loss():
    weights = [0.5, 1.0, 2.0, 4.0]
    module = NetworkModule(
        network("text"), optimization=Optimization(class_weights=weights, label_smoothing=0.1)
    ).train()
    table = random_table(8, "text")
    loss, _ = loss_and_gradients(module, whole(table), table.targets)
    torch.manual_seed(3)
    logits = module(whole(table))
    expected = torch.nn.functional.cross_entropy(logits, table.targets, torch.tensor(weights), label_smoothing=0.1)
    assert loss == pytest.approx(expected.item(), abs=1e-6)


def test_modality_dropout_and_masks_act_in_training_only():
    optimization = Optimization(modality_dropout=0.9, augmentation=("masks",))
    module = NetworkModule(network("logmel", "text"), optimization=optimization)
    table = random_table(10, "logmel", "text")
    seen: list[Inputs] = []
    module.model.classify = lambda inputs: (seen.append(inputs), torch.zeros(10, 4, requires_grad=True))[1]
    loss_and_gradients(module.train(), whole(table), table.targets)
    assert not torch.equal(seen[-1].masks["text"], whole(table).masks["text"])
    assert not torch.equal(seen[-1].features["logmel"], whole(table).features["logmel"])
    validate(module, table, 10)
    for name in ("logmel", "text"):
        assert torch.equal(seen[-1].masks[name], whole(table).masks[name])
        assert torch.equal(seen[-1].features[name], whole(table).features[name])


# What is frozen


def test_ensemble_trains_its_classifier_alone():
    module = EnsembleModule({name: network(name, "text") for name in ("logmel", "vggish")}, 4)
    trained = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
    assert trained == ["model.classifier.weight", "model.classifier.bias"]
    module.train()
    assert module.model.classifier.training
    assert not any(part.training for part in module.model.networks.modules())


@pytest.mark.filterwarnings("ignore:Found .* in eval mode at the start of training")
def test_ensemble_leaves_its_networks_as_they_were_under_a_plain_trainer():
    networks = {name: network(name, "text") for name in ("logmel", "vggish")}
    module = EnsembleModule(networks, 4)
    assert not any(part.training for net in module.model.networks.values() for part in net.modules())
    before = {name: value.clone() for name, value in module.state_dict().items()}
    table = random_table(12, "logmel", "vggish", "text")
    trainer(max_epochs=2).fit(module, datamodule=EmotionDataModule(table, table, batch_size=4))
    after = module.state_dict()
    different = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert different == {"model.classifier.weight", "model.classifier.bias"}


def test_backbone_is_put_into_evaluation_mode_from_the_start():
    backbone = random_thin_resnet34().train()
    module = NetworkModule(EmotionNetwork({"ghostvlad": 512}, 4, options=NARROW), unlocked={"ghostvlad": backbone})
    assert not any(part.training for part in backbone.modules())
    assert all(part.training for part in module.model.modules())


def test_unlocked_backbone_trains_one_layer_and_stays_in_evaluation_mode():
    backbone = random_vggish()
    net = EmotionNetwork({"vggish": 512}, 4, options=NARROW)
    module = NetworkModule(net, unlocked={"vggish": backbone}).train()
    trained = {name for name, parameter in backbone.named_parameters() if parameter.requires_grad}
    assert trained == {"conv4_2.weight", "conv4_2.bias"}
    assert not any(part.training for part in backbone.modules())
    assert all(part.training for part in net.modules())
    optimizer = module.configure_optimizers()["optimizer"]
    assert len(optimizer.param_groups[0]["params"]) == len(list(net.parameters())) + 2


@torch.no_grad()
def test_unlocked_module_computes_what_backbone_and_network_do():
    backbone = random_vggish()
    net = EmotionNetwork({"vggish": 512, "text": 3}, 4, options=NARROW)
    module = NetworkModule(net, unlocked={"vggish": backbone}).eval()
    examples = [torch.randn(n, 96, 64) for n in (1, 2)]
    text = [torch.randn(n, 3) for n in (4, 2)]
    hidden = [backbone.frozen_part(value) for value in examples]
    ours = module(pad_batch({"vggish": hidden, "text": text}))
    expected = net.classify(pad_batch({"vggish": [backbone(value) for value in examples], "text": text}))
    assert torch.allclose(ours, expected, atol=1e-5)


@torch.no_grad()
def test_missing_voice_is_a_row_of_zeros_under_an_unlocked_backbone_too():
    """As it is in the first stage and when predicting: not what the backbone makes of zeros."""
    backbone = random_vggish()
    net = EmotionNetwork({"vggish": 512, "text": 3}, 4, options=NARROW)
    module = NetworkModule(net, unlocked={"vggish": backbone}).eval()
    hidden = backbone.frozen_part(torch.randn(2, 96, 64))
    text = [torch.randn(4, 3), torch.randn(2, 3)]
    ours = module(pad_batch({"vggish": [hidden, hidden[:0]], "text": text}))
    vectors = backbone.trainable_part(hidden)
    expected = net.classify(pad_batch({"vggish": [vectors, vectors[:0]], "text": text}))
    assert torch.allclose(ours, expected, atol=1e-5)


def test_ensemble_classifies_joined_features_as_it_does_inputs():
    networks = {name: EmotionNetwork({name: 5}, 3) for name in ("a", "b")}
    module = EnsembleModule(networks, 3).eval()
    sequences = {name: [torch.randn(n, 5) for n in (4, 0, 7)] for name in networks}
    batch = collate(list(FeatureDataset(FeatureTable(sequences, torch.tensor([0, 1, 2])))))
    joined = module.join_features(batch)
    assert joined.shape == (3, 1, 512)
    inputs = Inputs({JOINED: joined}, {JOINED: torch.ones(3, 1, dtype=torch.bool)})
    torch.testing.assert_close(module(inputs), module(batch.inputs))
