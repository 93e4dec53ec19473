"""The paper's stages: branches over a frozen backbone, one layer unlocked, the ensemble's classifier."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from pathosnet.backbones import UnlockedLayers
from pathosnet.features.acoustic.encoders.low_rank import low_rank
from pathosnet.features.acoustic.extractors import AcousticExtractor
from pathosnet.features.profile import adapt_table
from pathosnet.features.table import FeatureTable
from pathosnet.models import TEXT, BranchOptions, Classified, EmotionNetwork
from pathosnet.models.ensemble import TEMPERATURE
from pathosnet.targets import Target
from pathosnet.training.data import FeatureDataset, Parts, Positions, collate
from pathosnet.training.modules import (
    JOINED,
    AudioModule,
    ClassifierModule,
    EmotionModule,
    EnsembleModule,
    NetworkModule,
    TextModule,
)
from pathosnet.training.optimization import Optimization, balanced_weights
from pathosnet.training.state import seeded
from pathosnet.training.trainer import StageResult, StageTrainer

BATCH = 64
REFIT = "-refit"
"""Ends the names of stages that train once more on the training and the validation part."""

HiddenFeatures = Callable[[AcousticExtractor], Sequence[Sequence[Tensor]]]
"""Computes what an extractor's unlocked layer reads, for every version of a table and every utterance."""


@dataclass(frozen=True)
class StageSettings:
    """Which networks are trained, and how."""

    branch: BranchOptions = field(default_factory=BranchOptions)
    optimization: Optimization = field(default_factory=Optimization)
    balanced_loss: bool = False
    """Whether a class counts inversely to its frequency."""
    temperature: float = TEMPERATURE
    """Divides the ensemble's features before they are classified."""
    fine_tune: bool = True
    """Whether the layers above a frozen backbone are unlocked in a second stage."""
    lora: int = 0
    """Rank of the changes that a speech encoder's layers learn in place of their weights; 0 for the weights."""
    refit: bool = False
    """Whether everything is trained once more, on the training and the validation part, for the epochs found."""

    def optimization_for(self, train: FeatureTable, target: Target) -> Optimization:
        """Returns the optimization, with the class weights that what the training part learns asks for."""
        if not self.balanced_loss:
            return self.optimization
        learned = train.class_numbers if train.shares is None else train.shares
        return replace(self.optimization, class_weights=balanced_weights(learned, len(target.classes)))


@dataclass
class TrainedNetwork:
    """A trained network, or ensemble of networks, and how its stages went."""

    model: Classified
    table: FeatureTable
    """The features as the extractors, perhaps tuned, make them now."""
    stages: list[StageResult]
    validated: Tensor | None = None
    """Outputs for the validation part, ``(utterances, labels)``, of the network that had not yet seen it; None if
    that is ``model``. What they say of a refitted model is an estimate: it has no part left that it never saw."""


def train_stages(
    table: FeatureTable,
    parts: Parts,
    target: Target,
    *,
    extractors: Mapping[str, AcousticExtractor],
    hidden_features: HiddenFeatures,
    trainer: StageTrainer,
    settings: StageSettings | None = None,
) -> TrainedNetwork:
    """Trains one network for each acoustic feature, and their ensemble if there are several.

    1. With the backbone frozen, branches and classifier are trained.
    2. If the backbone has layers to unlock (VGGish: conv4_2, Thin ResNet-34: x_fc, a speech encoder: as many of the
       top as it is told), they are trained along, or low-rank changes of an encoder's; the learning rate starts from
       that of the last epoch before. The extractor keeps the tuned layers.
    3. A new classifier is learned on the concatenated features of several networks.

    Args:
        table: features of all utterances.
        parts: which of them train and which validate.
        target: what is learned.
        extractors: acoustic feature → its extractor; none for text alone.
        hidden_features: for step 2.
        trainer: fits each stage; its seed is that of the initial weights.
        settings: which networks, and how they are trained.

    Returns:
        The network or ensemble with the best weights of its last stage, on the CPU, in evaluation mode.
    """
    settings = settings or StageSettings()
    if not settings.refit:
        return _Stages(
            table,
            parts,
            target,
            extractors=extractors,
            hidden_features=hidden_features,
            trainer=trainer,
            settings=settings,
        ).run()
    first = _Stages(
        table,
        parts,
        target,
        extractors=copy.deepcopy(extractors),
        hidden_features=hidden_features,
        trainer=trainer,
        settings=settings,
    ).run()
    everything = Positions(sorted((*parts.train, *parts.validation)), parts.validation)
    second = _Stages(
        table,
        everything,
        target,
        extractors=extractors,
        hidden_features=hidden_features,
        trainer=trainer,
        settings=settings,
        found=first.stages,
    ).run()
    second.validated = compute_outputs(first.model, first.table.subset(parts.validation))
    return second


@dataclass
class _Stages:
    """One pass through the stages, see ``train_stages``."""

    table: FeatureTable
    parts: Parts
    target: Target
    extractors: Mapping[str, AcousticExtractor]
    hidden_features: HiddenFeatures
    trainer: StageTrainer
    settings: StageSettings
    found: Sequence[StageResult] = ()
    """Stages that were trained before, of which only the number of epochs is taken; none to choose it."""

    def run(self) -> TrainedNetwork:
        train = list(self.parts.train)
        optimization = self.settings.optimization_for(self.table.subset(train), self.target)
        begun = len(self.trainer.results)
        networks = {name: self._train_network(name, optimization) for name in list(self.extractors) or [TEXT]}
        model: Classified = next(iter(networks.values()))
        if len(networks) > 1:
            with seeded(self.trainer.fitting.seed):
                ensemble = EnsembleModule(networks, self.target, optimization, temperature=self.settings.temperature)
            changing = optimization.changes_inputs or self.table.groups
            seen = self.table if changing else join_networks(self.table, ensemble)
            self._fit("ensemble-3-classifier", ensemble, seen)
            model = ensemble.model
        return TrainedNetwork(model.cpu().eval(), self.table, self.trainer.results[begun:])

    def _train_network(self, name: str, optimization: Optimization) -> EmotionNetwork:
        with seeded(self.trainer.fitting.seed):
            module = self._make_module(name, optimization)
            network = module.model
            assert isinstance(network, EmotionNetwork)
            inputs = self.table.only(*network.input_dims)
            network.standardize(inputs.subset(self.parts.train).sequences)
            first = self._fit(f"{name}-1-branches", module, inputs)
            backbone = self.extractors[name].unlockable if name in self.extractors else None
            if backbone is not None and self.settings.fine_tune:
                hidden = inputs.with_versions(name, self.hidden_features(self.extractors[name]))
                continued = replace(optimization, learning_rate=first.last_learning_rate)
                with low_rank(backbone, self.settings.lora):
                    module = NetworkModule(network, self.target, continued, unlocked={name: backbone})
                    self._fit(f"{name}-2-unlocked", module, hidden)
                self.table = self.table.with_versions(name, tuned_features(self.extractors[name], name, hidden))
        return network

    def _make_module(self, name: str, optimization: Optimization) -> EmotionModule:
        """Makes the module of one acoustic feature, of the text, or of both together."""
        branch, target = self.settings.branch, self.target
        texts = self.table.sequences.get(TEXT)
        text_dim = 0 if texts is None else int(texts[0].shape[1])
        if name not in self.extractors:
            return TextModule(text_dim, target, optimization, branch=branch)
        acoustic_dim, count = self.extractors[name].feature_dim, self.extractors[name].num_layers
        if texts is None:
            return AudioModule(name, acoustic_dim, target, optimization=optimization, branch=branch, num_layers=count)
        layers = {name: count} if count > 1 else {}
        network = EmotionNetwork({name: acoustic_dim, TEXT: text_dim}, len(target), options=branch, layers=layers)
        return NetworkModule(network, target, optimization)

    def _fit(self, stage: str, module: EmotionModule, table: FeatureTable) -> StageResult:
        """Fits a stage; where it was trained before, for as many epochs, and returns how it went then."""
        for found in self.found:
            if found.name == stage:
                self.trainer.fit(f"{stage}{REFIT}", module, table, parts=self.parts, epochs=found.best_epoch + 1)
                return found
        return self.trainer.fit(stage, module, table, parts=self.parts)


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
        if isinstance(backbone, UnlockedLayers):
            return backbone.trainable_sequences([sequence])[0]
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


@torch.no_grad()
def compute_outputs(network: Classified, table: FeatureTable) -> Tensor:
    """Returns a network's outputs for all utterances of a table, ``(utterances, labels)`` on the CPU."""
    dataset = FeatureDataset(adapt_table(table, network.centers))
    batches = []
    for start in range(0, len(dataset), BATCH):
        batch = collate([dataset[i] for i in range(start, min(start + BATCH, len(dataset)))])
        batches.append(network.classify(batch.inputs).float().cpu())
    return torch.cat(batches)
