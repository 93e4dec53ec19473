"""LightningModules: the text branch alone, the audio branch alone, one network, the ensemble."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from pathosnet.backbones import Unlockable, UnlockedLayers, compute_features
from pathosnet.features.acoustic.log_mel import NUM_BANDS
from pathosnet.models import (
    TEXT,
    BranchOptions,
    Classified,
    EmotionNetwork,
    Ensemble,
    Inputs,
    network_from_config,
    pad_batch,
)
from pathosnet.models.ensemble import TEMPERATURE
from pathosnet.targets import ClassTarget, Target, target_from_config
from pathosnet.training.augmentation import drop_modality, hide_words, mask_features
from pathosnet.training.data import Batch
from pathosnet.training.objectives import Objective
from pathosnet.training.optimization import Optimization, make_optimizer, make_scheduler

LOG_MEL = "logmel"
JOINED = "joined"
"""Input of a classifier whose branches stay as they are: their features, computed once."""
Config = Mapping[str, Any]
"""Result of a ``config()``, which a checkpoint holds in the place of an object."""


class EmotionModule(pl.LightningModule):
    """Trains a network; the base of the modules below.

    It logs ``train_loss``, ``val_loss`` and the target's figures: ``val_accuracy`` and ``val_uar`` of classes,
    ``val_ccc`` of dimensions, of both also the mean ``val_uar_ccc``; in testing the same with ``test_``.
    ``load_from_checkpoint`` makes the module again from a checkpoint alone, which holds nothing but tensors and plain
    values.

    Args:
        model: branches under a classifier.
        target: what the outputs stand for; their number, of classes that have no names.
        optimization: optimizer, learning rates, weights and augmentation.
        unlocked: acoustic feature → its backbone, for the paper's step 2: the inputs of that name are then what the
            backbone's unlocked layers read, ``(batch, time, channels, …)``, and those layers are trained along.
            ``load_from_checkpoint`` needs such backbones again, whatever weights they have.
        hyperparameters: further arguments of the module, as JSON values.
    """

    def __init__(
        self,
        model: Classified,
        target: Target | Config | int | None = None,
        optimization: Optimization | Config | None = None,
        *,
        unlocked: Mapping[str, Unlockable | UnlockedLayers] | None = None,
        hyperparameters: Config | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.target = _as_target(target, model.num_classes)
        if isinstance(optimization, Mapping):
            optimization = Optimization(**optimization)
        self.optimization = optimization or Optimization()
        self.objective = Objective(self.target, self.optimization.class_weights, self.optimization.label_smoothing)
        self.unlocked = nn.ModuleDict(unlocked or {})  # type: ignore[arg-type]  # modules as well
        self.unlocked.requires_grad_(False)
        self.unlocked.train(not self.unlocked)  # an empty container in evaluation mode makes Lightning warn
        for backbone in (unlocked or {}).values():
            backbone.unlocked_layer.requires_grad_(True)
        common = {"target": self.target.config(), "optimization": self.optimization.config()}
        self.save_hyperparameters({**common, **(hyperparameters or {})}, logger=False)

    def forward(self, inputs: Inputs) -> Tensor:
        """Returns the outputs of the classifier ``(batch, labels)``: logits, or estimates."""
        features, masks = dict(inputs.features), dict(inputs.masks)
        for name, backbone in self.unlocked.items():
            hidden = features[name][masks[name]].split(masks[name].sum(dim=1).tolist())
            made = pad_batch({name: compute_features(backbone, hidden)})  # type: ignore[arg-type]
            features[name], masks[name] = made.features[name], made.masks[name]
        return self.model.classify(Inputs(features, masks))

    def train(self, mode: bool = True) -> "EmotionModule":
        """Sets the network's mode; a backbone stays in evaluation mode."""
        super().train(mode)
        self.unlocked.train(mode and not self.unlocked)
        return self

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Returns the loss of a batch."""
        inputs = self._augmented(batch.inputs)
        if self.optimization.modality_dropout > 0:
            inputs = drop_modality(inputs, self.optimization.modality_dropout)
        loss: Tensor = self.objective(self(inputs), batch.learned)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch.targets), sync_dist=True)
        return loss

    def _augmented(self, inputs: Inputs) -> Inputs:
        features = dict(inputs.features)
        for name, frames in inputs.features.items():
            if name == TEXT:
                if "words" in self.optimization.augmentation:
                    features[name] = hide_words(frames)
            elif "masks" in self.optimization.augmentation and frames.ndim == 3:  # not what an unlocked layer reads
                bands = {"num_bands": NUM_BANDS} if name == LOG_MEL else {"max_bands": 0}
                features[name] = mask_features(frames, inputs.masks[name], **bands)
        return Inputs(features, inputs.masks)

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Adds a batch to the figures of the validation part."""
        self.objective.update(self(batch.inputs), batch.targets, batch.learned)

    def on_validation_epoch_end(self) -> None:
        """Logs the figures of the validation part."""
        self._log_figures("val")

    def test_step(self, batch: Batch, batch_index: int) -> None:
        """Adds a batch to the figures of the test part."""
        self.objective.update(self(batch.inputs), batch.targets, batch.learned)

    def on_test_epoch_end(self) -> None:
        """Logs the figures of the test part."""
        self._log_figures("test")

    def _log_figures(self, part: str) -> None:
        # They are the same in every process already.
        self.log_dict(self.objective.compute(part), prog_bar=True, sync_dist=True)

    def predict_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Returns probabilities or estimates, ``(batch, labels)``."""
        return self.target.decode(self(batch.inputs))

    def _trained(self) -> list[dict[str, Any]]:
        """Returns all that is trained, and of a speech encoder's layers the rate of each, lower ones learning less.

        A penalty on weights is not for those, which begin far from zero.
        """
        groups: list[dict[str, Any]] = [{"params": [p for p in self.parameters() if p.requires_grad]}]
        for backbone in self.unlocked.values():
            layers = backbone.layers_from_top if isinstance(backbone, UnlockedLayers) else ()
            for depth, layer in enumerate(layers):
                own = list(layer.parameters())
                rate = self.optimization.encoder_learning_rate * self.optimization.encoder_layer_decay**depth
                groups.append({"params": own, "lr": rate, "weight_decay": 0.0})
                groups[0]["params"] = [p for p in groups[0]["params"] if not any(p is one for one in own)]
        return groups

    def configure_optimizers(self) -> Any:
        """Returns the optimizer of all that is trained, and the scheduler of its rate if there is one."""
        optimizer = make_optimizer(self._trained(), self.optimization)
        epochs = (self.trainer.max_epochs if self._trainer is not None else None) or 1
        steps = int(self.trainer.estimated_stepping_batches) if self._trainer is not None else 1
        scheduler = make_scheduler(optimizer, self.optimization, epochs=epochs, steps=steps)
        return optimizer if scheduler is None else {"optimizer": optimizer, "lr_scheduler": scheduler}


def _as_target(target: Target | Config | int | None, num_outputs: int) -> Target:
    if isinstance(target, Mapping):
        target = target_from_config(target)
    if isinstance(target, Target):
        if len(target) != num_outputs:
            raise ValueError(f"expected a target of {num_outputs} labels, as the network has, got {target.labels}")
        return target
    return ClassTarget(tuple(f"class {i}" for i in range(num_outputs if target is None else target)))


class NetworkModule(EmotionModule):
    """One network: an audio branch and a text branch under one classifier (the paper's step 1); or an ensemble.

    Args:
        network: to be trained, all of it; or its ``config()``.
        target: see EmotionModule.
        optimization: see Optimization.
        unlocked: see EmotionModule.
    """

    def __init__(
        self,
        network: Classified | Config,
        target: Target | Config | int | None = None,
        optimization: Optimization | Config | None = None,
        *,
        unlocked: Mapping[str, Unlockable | UnlockedLayers] | None = None,
    ) -> None:
        network = network_from_config(network) if isinstance(network, Mapping) else network
        own = {"network": network.config()}
        super().__init__(network, target, optimization, unlocked=unlocked, hyperparameters=own)


class TextModule(EmotionModule):
    """The text branch alone, under a classifier.

    Args:
        text_dim: of the word vectors.
        target: what is to be learned, or the number of classes.
        optimization: see Optimization.
        branch: shape of the branch.
    """

    def __init__(
        self,
        text_dim: int,
        target: Target | Config | int,
        optimization: Optimization | Config | None = None,
        *,
        branch: BranchOptions | Config | None = None,
    ) -> None:
        network, own = _single_branch(TEXT, text_dim, target, branch=branch)
        super().__init__(network, target, optimization, hyperparameters={"text_dim": text_dim, **own})


class AudioModule(EmotionModule):
    """The audio branch alone, under a classifier.

    Args:
        name: of the acoustic feature.
        feature_dim: of its frames.
        target: what is to be learned, or the number of classes.
        optimization: see Optimization.
        branch: shape of the branch.
        unlocked: see EmotionModule.
        num_layers: of an encoder, side by side in a frame, of which the branch learns to read a mix; 1 for no such.
    """

    def __init__(
        self,
        name: str,
        feature_dim: int,
        target: Target | Config | int,
        *,
        optimization: Optimization | Config | None = None,
        branch: BranchOptions | Config | None = None,
        unlocked: Mapping[str, Unlockable | UnlockedLayers] | None = None,
        num_layers: int = 1,
    ) -> None:
        network, own = _single_branch(name, feature_dim, target, branch=branch, num_layers=num_layers)
        own |= {"name": name, "feature_dim": feature_dim, "num_layers": num_layers}
        super().__init__(network, target, optimization, unlocked=unlocked, hyperparameters=own)


def _single_branch(
    name: str, dim: int, target: Target | Config | int, branch: BranchOptions | Config | None, *, num_layers: int = 1
) -> tuple[EmotionNetwork, dict[str, Any]]:
    branch = BranchOptions(**branch) if isinstance(branch, Mapping) else branch or BranchOptions()
    layers = {name: num_layers} if num_layers > 1 else {}
    return EmotionNetwork({name: dim}, _num_outputs(target), options=branch, layers=layers), {"branch": asdict(branch)}


def _num_outputs(target: Target | Config | int) -> int:
    if isinstance(target, int):
        return target
    return len(target if isinstance(target, Target) else target_from_config(target))


class ClassifierModule(EmotionModule):
    """The classifier alone, on top of branches that stay as they are.

    Args:
        model: branches under a classifier; or its ``config()``.
        target: see EmotionModule.
        optimization: see Optimization.
        hyperparameters: see EmotionModule.
    """

    def __init__(
        self,
        model: Classified | Config,
        target: Target | Config | int | None = None,
        optimization: Optimization | Config | None = None,
        *,
        hyperparameters: Config | None = None,
    ) -> None:
        model = network_from_config(model) if isinstance(model, Mapping) else model
        own = {"model": model.config()} if hyperparameters is None else hyperparameters
        super().__init__(model, target, optimization, hyperparameters=own)
        model.requires_grad_(False)
        model.classifier.requires_grad_(True)
        self.train()  # what is below begins in evaluation mode

    def forward(self, inputs: Inputs) -> Tensor:
        """Returns the outputs of the classifier ``(batch, labels)``; also of what ``join_features`` computed."""
        if JOINED not in inputs.features:
            return self.model.classify(inputs)
        logits: Tensor = self.model.classifier(inputs.features[JOINED][:, 0] / self.model.temperature)
        return logits

    @torch.no_grad()
    def join_features(self, batch: Batch) -> Tensor:
        """Computes what the classifier reads, ``(batch, 1, feature_dim)``; pass it on by the name ``JOINED``."""
        return self.model.features(batch.inputs).unsqueeze(1)

    def train(self, mode: bool = True) -> "ClassifierModule":
        """Sets the classifier's mode; what is below stays in evaluation mode."""
        super().train(mode)
        self.model.eval()
        self.model.classifier.train(mode)
        return self


class EnsembleModule(ClassifierModule):
    """A new linear classifier on top of trained networks, which stay as they are (the paper's last step).

    Args:
        networks: name → trained network, or its ``config()``; they are copied.
        target: what is to be learned, or the number of classes.
        optimization: see Optimization.
        temperature: divides the concatenated features.
    """

    def __init__(
        self,
        networks: Mapping[str, EmotionNetwork | Config],
        target: Target | Config | int,
        optimization: Optimization | Config | None = None,
        *,
        temperature: float = TEMPERATURE,
    ) -> None:
        made = {
            name: EmotionNetwork.from_config(network) if isinstance(network, Mapping) else network
            for name, network in networks.items()
        }
        ensemble = Ensemble(made, _num_outputs(target), temperature)
        own = {"networks": {name: network.config() for name, network in made.items()}, "temperature": temperature}
        super().__init__(ensemble, target, optimization, hyperparameters=own)
