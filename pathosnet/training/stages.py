"""The paper's stages: branches over a frozen backbone, one layer unlocked, the ensemble's classifier."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger
from torch import Tensor

from pathosnet.config import TrainConfig
from pathosnet.corpora import Split
from pathosnet.extractors import AcousticExtractor
from pathosnet.models import TEXT, BranchOptions, Classified, EmotionNetwork
from pathosnet.training.data import FeatureDataset, FeatureTable, collate
from pathosnet.training.fitting import StageResult, StageTrainer
from pathosnet.training.modules import JOINED, ClassifierModule, EnsembleModule, NetworkModule, Optimisation

BATCH = 64


@dataclass
class TrainedNetwork:
    """A trained network, or ensemble of networks, and how its stages went."""

    model: Classified
    table: FeatureTable
    """The features as the extractors, perhaps tuned, make them now."""
    stages: list[StageResult] = field(default_factory=list)


HiddenFeatures = Callable[[AcousticExtractor], Sequence[Sequence[Tensor]]]
"""Computes what an extractor's unlocked layer reads, for every version of a table and every utterance."""


def train_stages(
    table: FeatureTable,
    split: Split,
    num_classes: int,
    extractors: Mapping[str, AcousticExtractor],
    config: TrainConfig,
    logs: Path,
    hidden_features: HiddenFeatures,
    logger: Logger | None = None,
    checkpoints: Path | None = None,
    callbacks: list[Callback] | None = None,
) -> TrainedNetwork:
    """Trains one network for each acoustic feature, and their ensemble if there are several.

    1. With the backbone frozen, branches and classifier are trained.
    2. If the backbone has a layer to unlock (VGGish: conv4_2, Thin ResNet-34: x_fc), that is trained along; the
       learning rate starts from that of the last epoch before. The extractor keeps the tuned layer.
    3. Of several networks the classifiers are dropped and a new one is learnt on their concatenated features.

    Args:
        table: features of all utterances.
        split: which of them train and validate.
        num_classes: of the classifier.
        extractors: acoustic feature → its extractor; none for text alone.
        config: the options.
        logs: folder for the logger.
        hidden_features: for step 2.
        logger: any Lightning logger instead of the configured one.
        checkpoints: a folder that keeps what is finished, for a run that was killed to go on; see StageTrainer.
        callbacks: further callbacks of Lightning's trainer, for every stage.

    Returns:
        The network or ensemble with the best weights of its last stage, on the CPU, in evaluation mode.
    """
    trainer = StageTrainer(config, logs, logger, checkpoints, callbacks=callbacks)
    text_dims = {TEXT: _frame_dim(table, TEXT)} if TEXT in table.sequences else {}
    branch = BranchOptions(
        config.text_width, config.audio_width, config.num_blocks, config.dropout, config.batch_norm_momentum
    )
    optimisation = make_optimisation(config, table.targets[list(split.train)], num_classes)
    networks: dict[str, EmotionNetwork] = {}
    for name in list(extractors) or [TEXT]:
        pl.seed_everything(config.seed, verbose=False)
        acoustic_dims = {name: extractors[name].feature_dim} if name in extractors else {}
        network = EmotionNetwork({**acoustic_dims, **text_dims}, num_classes, options=branch)
        inputs = table.only(*network.input_dims)
        first = trainer.fit(f"{name}-1-branches", NetworkModule(network, optimisation), inputs, split)
        backbone = extractors[name].unlockable if name in extractors else None
        if backbone is not None and config.fine_tune:
            hidden = inputs.with_versions(name, hidden_features(extractors[name]))
            continued = replace(optimisation, learning_rate=first.last_learning_rate)
            module = NetworkModule(network, continued, unlocked={name: backbone})
            trainer.fit(f"{name}-2-unlocked", module, hidden, split)
            table = table.with_versions(name, tuned_features(extractors[name], name, hidden))
        networks[name] = network
    if len(networks) == 1:
        return TrainedNetwork(next(iter(networks.values())).cpu().eval(), table, trainer.results)
    pl.seed_everything(config.seed, verbose=False)
    ensemble = EnsembleModule(networks, num_classes, config.temperature, optimisation)
    seen = table if optimisation.changes_inputs else join_networks(table, ensemble)
    trainer.fit("ensemble-3-classifier", ensemble, seen, split)
    return TrainedNetwork(ensemble.model.cpu().eval(), table, trainer.results)


def make_optimisation(config: TrainConfig, targets: Tensor, num_classes: int) -> Optimisation:
    """Makes what the options say of the targets of the training part, see FeatureTable."""
    return Optimisation(
        config.learning_rate,
        config.learning_rate_decay,
        config.min_learning_rate,
        _class_weights(targets, num_classes) if config.class_weights == "balanced" else None,
        config.label_smoothing,
        config.modality_dropout,
        config.augmentation,
        dimensional=bool(config.targets),
    )


@torch.no_grad()
def tuned_features(extractor: AcousticExtractor, name: str, hidden: FeatureTable) -> list[list[Tensor]]:
    """Computes the features above an unlocked layer, for every version and utterance of a table.

    Args:
        extractor: whose layer it is.
        name: of the input that holds what the layer reads.
        hidden: the table.
    """
    backbone = extractor.unlockable
    assert backbone is not None

    def compute(sequence: Tensor) -> Tensor:
        if len(sequence) == 0:
            return sequence.new_zeros(0, extractor.feature_dim)
        return torch.cat([backbone.trainable_part(piece) for piece in sequence.split(BATCH)])

    return [[compute(sequence) for sequence in table.sequences[name]] for table in hidden.versions]


def join_networks(table: FeatureTable, module: ClassifierModule) -> FeatureTable:
    """Computes once what branches, which stay as they are, make of every utterance."""
    module.train()  # the branches stay in evaluation mode
    versions: list[list[Tensor]] = []
    for version in table.versions:
        dataset = FeatureDataset(version)
        rows: list[Tensor] = []
        for start in range(0, len(dataset), BATCH):
            batch = collate([dataset[i] for i in range(start, min(start + BATCH, len(dataset)))])
            rows += module.join_features(batch)
        versions.append(rows)
    return table.only().with_versions(JOINED, versions)


def _frame_dim(table: FeatureTable, name: str) -> int:
    return int(table.sequences[name][0].shape[1])


def _class_weights(targets: Tensor, num_classes: int) -> list[float]:
    """Weighs each class inversely to its frequency; an average utterance weighs 1, an absent class 0."""
    counts = torch.bincount(targets, minlength=num_classes).double()
    present = counts > 0
    weights = torch.where(present, len(targets) / (present.sum() * counts.clamp(min=1)), 0.0)
    return [float(weight) for weight in weights]
