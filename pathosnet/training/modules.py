"""LightningModules: the text branch alone, the audio branch alone, one network, the ensemble."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from pathosnet.backbones import Unlockable
from pathosnet.models import TEXT, BranchOptions, Classified, EmotionNetwork, Ensemble, Inputs, with_zero_rows
from pathosnet.models.ensemble import TEMPERATURE
from pathosnet.training.augmentation import drop_modality, hide_words, mask_features
from pathosnet.training.data import Batch
from pathosnet.training.objectives import Concordance, CrossEntropy

LOG_MEL = "logmel"
MASKED_BANDS = 12
JOINED = "joined"
"""Input of a classifier whose branches stay as they are: their features, computed once."""
RMSPROP_RHO = 0.9
RMSPROP_EPSILON = 1e-7  # Keras'


@dataclass(frozen=True)
class Optimisation:
    """How a module learns. The defaults are the paper's (section 6), whose printed sign of the decay is a misprint."""

    learning_rate: float = 1e-3
    decay: float = 0.1
    min_learning_rate: float = 1e-5
    class_weights: Sequence[float] | None = None
    label_smoothing: float = 0.0
    modality_dropout: float = 0.0
    augmentation: Collection[str] = ()
    dimensional: bool = False
    """Whether numbers are estimated, by concordance, instead of classes told apart."""

    @property
    def changes_inputs(self) -> bool:
        """Whether a batch is not the same in every epoch."""
        return self.modality_dropout > 0 or "masks" in self.augmentation or "words" in self.augmentation

    def rate_of(self, epoch: int) -> float:
        """Returns l(e) = max(l0 · exp(−decay · e), minimum).

        >>> [round(Optimisation().rate_of(e), 6) for e in (0, 10, 45)]
        [0.001, 0.000368, 1.1e-05]
        """
        return max(self.learning_rate * math.exp(-self.decay * epoch), self.min_learning_rate)


class EmotionModule(pl.LightningModule):
    """Trains a network with RMSprop.

    Classes are learnt by cross-entropy; it logs ``val_loss``, ``val_accuracy`` and ``val_uar``. Numbers are learnt by
    concordance; it logs ``val_loss`` and ``val_ccc``.

    Args:
        model: branches under a classifier.
        optimisation: learning rates, weights and augmentation.
    """

    def __init__(self, model: Classified, optimisation: Optimisation | None = None) -> None:
        super().__init__()
        self.model = model
        self.optimisation = optimisation or Optimisation()
        self.objective = _make_objective(self.optimisation, model.num_classes)

    def forward(self, inputs: Inputs) -> Tensor:
        """Returns logits ``(batch, classes)``, or numbers ``(batch, dimensions)``."""
        return self.model.classify(inputs)

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Returns the loss of a batch."""
        inputs = self._augmented(batch.inputs)
        if self.optimisation.modality_dropout > 0:
            inputs = drop_modality(inputs, self.optimisation.modality_dropout)
        loss: Tensor = self.objective(self(inputs), batch.targets)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch.targets), sync_dist=True)
        return loss

    def _augmented(self, inputs: Inputs) -> Inputs:
        features = dict(inputs.features)
        for name, frames in inputs.features.items():
            if name == TEXT:
                if "words" in self.optimisation.augmentation:
                    features[name] = hide_words(frames)
            elif "masks" in self.optimisation.augmentation and frames.ndim == 3:  # not what an unlocked layer reads
                bands = MASKED_BANDS if name == LOG_MEL else 0
                features[name] = mask_features(frames, inputs.masks[name], max_bands=bands)
        return Inputs(features, inputs.masks)

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Adds a batch to the validation metrics."""
        self.objective.update(self(batch.inputs), batch.targets)

    def on_validation_epoch_end(self) -> None:
        """Logs the validation metrics."""
        # They are the same in every process already.
        self.log_dict(self.objective.compute(), prog_bar=True, sync_dist=True)

    def predict_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Returns probabilities ``(batch, classes)``, or numbers ``(batch, dimensions)``."""
        return self.objective.outputs(self(batch.inputs))

    def configure_optimizers(self) -> Any:
        """Returns RMSprop with the paper's schedule."""
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        rate = self.optimisation.learning_rate
        optimizer = torch.optim.RMSprop(trained, lr=rate, alpha=RMSPROP_RHO, eps=RMSPROP_EPSILON)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda e: self.optimisation.rate_of(e) / rate)
        return [optimizer], [scheduler]


def _make_objective(optimisation: Optimisation, num_outputs: int) -> CrossEntropy | Concordance:
    if optimisation.dimensional:
        return Concordance()
    return CrossEntropy(num_outputs, optimisation.class_weights, optimisation.label_smoothing)


class NetworkModule(EmotionModule):
    """One network: an audio branch and a text branch under one classifier (the paper's step 1); or an ensemble.

    Args:
        network: to be trained, all of it.
        optimisation: see Optimisation.
        unlocked: acoustic feature → its backbone, for step 2: the inputs of that name are then what the backbone's
            unlocked layer reads, ``(batch, time, channels, …)``, and that layer is trained along.
    """

    def __init__(
        self,
        network: Classified,
        optimisation: Optimisation | None = None,
        unlocked: Mapping[str, Unlockable] | None = None,
    ) -> None:
        super().__init__(network, optimisation)
        self.unlocked = nn.ModuleDict(unlocked or {})  # type: ignore[arg-type]  # modules as well
        self.unlocked.eval().requires_grad_(False)
        for backbone in (unlocked or {}).values():
            backbone.unlocked_layer.requires_grad_(True)

    def forward(self, inputs: Inputs) -> Tensor:
        """Returns logits, ``(batch, classes)``."""
        features = dict(inputs.features)
        for name, backbone in self.unlocked.items():
            mask = inputs.masks[name]
            vectors = backbone.trainable_part(features[name][mask])  # type: ignore[operator]
            padded = vectors.new_zeros(*mask.shape, vectors.shape[1])
            padded[mask] = vectors
            features[name] = padded
        return self.model.classify(Inputs(features, inputs.masks))

    def train(self, mode: bool = True) -> "NetworkModule":
        """Sets the network's mode; a backbone stays in evaluation mode."""
        super().train(mode)
        self.unlocked.eval()
        return self


class TextModule(NetworkModule):
    """The text branch alone.

    Args:
        text_dim: of the word vectors.
        num_classes: of the classifier.
        branch: shape of the branch.
        optimisation: see Optimisation.
    """

    def __init__(
        self,
        text_dim: int,
        num_classes: int,
        branch: BranchOptions | None = None,
        optimisation: Optimisation | None = None,
    ) -> None:
        super().__init__(EmotionNetwork({TEXT: text_dim}, num_classes, options=branch), optimisation)


class AudioModule(NetworkModule):
    """The audio branch alone.

    Args:
        name: of the acoustic feature.
        feature_dim: of its frames.
        num_classes: of the classifier.
        branch: shape of the branch.
        optimisation: see Optimisation.
        unlocked: see NetworkModule.
    """

    def __init__(
        self,
        name: str,
        feature_dim: int,
        num_classes: int,
        branch: BranchOptions | None = None,
        optimisation: Optimisation | None = None,
        unlocked: Mapping[str, Unlockable] | None = None,
    ) -> None:
        super().__init__(EmotionNetwork({name: feature_dim}, num_classes, options=branch), optimisation, unlocked)


class ClassifierModule(EmotionModule):
    """The classifier alone, on top of branches that stay as they are.

    Args:
        model: branches under a classifier.
        optimisation: see Optimisation.
    """

    def __init__(self, model: Classified, optimisation: Optimisation | None = None) -> None:
        super().__init__(model, optimisation)
        model.requires_grad_(False)
        model.classifier.requires_grad_(True)
        self.train()  # what is below begins in evaluation mode

    def forward(self, inputs: Inputs) -> Tensor:
        """Returns logits, ``(batch, classes)``; also of what ``join_features`` computed."""
        if JOINED not in inputs.features:
            return self.model.classify(inputs)
        logits: Tensor = self.model.classifier(inputs.features[JOINED][:, 0] / self.model.temperature)
        return logits

    @torch.no_grad()
    def join_features(self, batch: Batch) -> Tensor:
        """Computes what the classifier reads, ``(batch, 1, feature_dim)``; pass it on by the name ``JOINED``."""
        return self.model.features(with_zero_rows(batch.inputs)).unsqueeze(1)

    def train(self, mode: bool = True) -> "ClassifierModule":
        """Sets the classifier's mode; what is below stays in evaluation mode."""
        super().train(mode)
        self.model.eval()
        self.model.classifier.train(mode)
        return self


class EnsembleModule(ClassifierModule):
    """A new linear classifier on top of trained networks, which stay as they are (the paper's last step).

    Args:
        networks: name → trained network; their own classifiers are dropped.
        num_classes: of the new classifier.
        temperature: divides the concatenated features.
        optimisation: see Optimisation.
    """

    def __init__(
        self,
        networks: Mapping[str, EmotionNetwork],
        num_classes: int,
        temperature: float = TEMPERATURE,
        optimisation: Optimisation | None = None,
    ) -> None:
        super().__init__(Ensemble(networks, num_classes, temperature), optimisation)
