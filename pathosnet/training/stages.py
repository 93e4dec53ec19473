"""The paper's stages: branches over a frozen backbone, one layer unlocked, the ensemble's classifier."""

import importlib
import logging
import math
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger, Logger
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from torch import Tensor
from tqdm import tqdm

from pathosnet.config import NONE, TrainConfig
from pathosnet.corpora import Split
from pathosnet.errors import InputError
from pathosnet.extractors import AcousticExtractor
from pathosnet.models import TEXT, BranchOptions, Classified, EmotionNetwork
from pathosnet.training.data import EmotionDataModule, FeatureTable
from pathosnet.training.modules import EmotionModule, EnsembleModule, NetworkModule, Optimisation

METRICS = {"loss": ("val_loss", "min"), "accuracy": ("val_accuracy", "max"), "uar": ("val_uar", "max")}


@dataclass(frozen=True)
class StageResult:
    """What one stage did."""

    name: str
    epochs: int
    best_epoch: int
    best: dict[str, float]
    """Validation metrics of the best epoch, whose weights were kept."""
    last_learning_rate: float


@dataclass
class TrainedNetwork:
    """A trained network, or ensemble of networks, and how its stages went."""

    model: Classified
    stages: list[StageResult] = field(default_factory=list)


HiddenFeatures = Callable[[AcousticExtractor], Sequence[Tensor]]
"""Computes what an extractor's unlocked layer reads, for every utterance."""


def train_stages(
    table: FeatureTable,
    split: Split,
    num_classes: int,
    extractors: Mapping[str, AcousticExtractor],
    config: TrainConfig,
    logs: Path,
    hidden_features: HiddenFeatures,
    logger: Logger | None = None,
) -> TrainedNetwork:
    """Trains one network for each acoustic feature, and their ensemble if there are several.

    1. With the backbone frozen, branches and classifier are trained.
    2. If the backbone is pre-trained, its unlocked layer (VGGish: conv4_2, Thin ResNet-34: x_fc) is trained along; the
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

    Returns:
        The network or ensemble with the best weights of its last stage, on the CPU, in evaluation mode.
    """
    trainer = StageTrainer(config, logs, logger)
    text_dims = {TEXT: _frame_dim(table, TEXT)} if TEXT in table.sequences else {}
    branch = BranchOptions(
        config.text_width, config.audio_width, config.num_blocks, config.dropout, config.batch_norm_momentum
    )
    optimisation = Optimisation(
        config.learning_rate,
        config.learning_rate_decay,
        config.min_learning_rate,
        _class_weights(table.targets[list(split.train)], num_classes) if config.class_weights == "balanced" else None,
        config.label_smoothing,
        config.modality_dropout,
        config.augmentation == "masks",
    )
    networks: dict[str, EmotionNetwork] = {}
    for name in list(extractors) or [TEXT]:
        pl.seed_everything(config.seed, verbose=False)
        acoustic_dims = {name: extractors[name].feature_dim} if name in extractors else {}
        network = EmotionNetwork({**acoustic_dims, **text_dims}, num_classes, options=branch)
        inputs = table.only(*network.input_dims)
        first = trainer.fit(f"{name}-1-branches", NetworkModule(network, optimisation), inputs, split)
        backbone = extractors[name].backbone if name in extractors else None
        if backbone is not None and config.fine_tune:
            hidden = inputs.with_sequences(**{name: hidden_features(extractors[name])})
            continued = replace(optimisation, learning_rate=first.last_learning_rate)
            module = NetworkModule(network, continued, unlocked={name: backbone})
            trainer.fit(f"{name}-2-unlocked", module, hidden, split)
            tuned = [_tuned_features(extractors[name], sequence) for sequence in hidden.sequences[name]]
            table = table.with_sequences(**{name: tuned})
        networks[name] = network
    if len(networks) == 1:
        return TrainedNetwork(next(iter(networks.values())).cpu().eval(), trainer.results)
    pl.seed_everything(config.seed, verbose=False)
    ensemble = EnsembleModule(networks, num_classes, config.temperature, optimisation)
    trainer.fit("ensemble-3-classifier", ensemble, table, split)
    return TrainedNetwork(ensemble.model.cpu().eval(), trainer.results)


class StageTrainer:
    """Fits one module after another with Lightning, restores each one's best weights, and keeps the results."""

    def __init__(self, config: TrainConfig, logs: Path, logger: Logger | None = None) -> None:
        self.config = config
        self.logs = logs
        self.logger = logger
        self.results: list[StageResult] = []

    def fit(self, name: str, module: EmotionModule, table: FeatureTable, split: Split) -> StageResult:
        """Fits a module, leaves it with its best weights on the CPU, and says how it went."""
        module.train()  # Lightning keeps the mode, and a stage leaves its network in evaluation mode
        config = self.config
        metric, mode = METRICS[config.early_stopping_metric]
        data = EmotionDataModule(
            table.subset(split.train), table.subset(split.validation), batch_size=config.batch_size
        )
        history = _History()
        with tempfile.TemporaryDirectory(prefix="pathosnet-") as folder, _quiet_lightning():
            checkpoint = ModelCheckpoint(folder, monitor=metric, mode=mode, save_weights_only=True)
            callbacks: list[Callback] = [
                EarlyStopping(metric, mode=mode, patience=config.patience),
                checkpoint,
                history,
            ]
            if config.progress:
                callbacks.append(_StageProgress(name))
            trainer = _make_trainer(
                accelerator=config.accelerator,
                devices=int(config.devices) if config.devices.isdecimal() else config.devices,
                num_nodes=config.num_nodes,
                strategy=config.strategy,
                precision=config.precision,
                max_epochs=config.epochs,
                callbacks=callbacks,
                logger=self._make_logger(name),
                deterministic="warn" if torch.cuda.is_available() else True,
                num_sanity_val_steps=0,
                log_every_n_steps=1,
                enable_model_summary=False,
                enable_progress_bar=False,  # Lightning's own counts batches
            )
            _fit(trainer, module, data)
            best_epoch = history.best(metric, mode)
            if best_epoch is None:
                raise InputError(
                    f"stage {name}: the loss was never a finite number; lower the learning rate (--learning-rate)"
                )
            best_path = trainer.strategy.broadcast(checkpoint.best_model_path)
            module.load_state_dict(torch.load(best_path, map_location="cpu", weights_only=True)["state_dict"])
            trainer.strategy.barrier()
        module.cpu().float().eval()
        num_epochs = len(history.epochs)
        last_rate = module.optimisation.rate_of(num_epochs - 1)
        result = StageResult(name, num_epochs, best_epoch, history.epochs[best_epoch], last_rate)
        self.results.append(result)
        return result

    def _make_logger(self, name: str) -> Logger | bool:
        if self.logger is not None:
            return self.logger
        options = dict(self.config.logger_options)
        if self.config.logger == NONE:
            return False
        if self.config.logger == "csv":
            return CSVLogger(self.logs, name=name, version="", **options)
        module_name, _, class_name = self.config.logger.rpartition(".")
        try:
            logger_class = getattr(importlib.import_module(module_name), class_name)
        except (ImportError, ValueError, AttributeError) as error:
            raise InputError(
                f"logger: expected csv, none or a Lightning logger's import path, got {self.config.logger!r} ({error})"
            ) from error
        if not (isinstance(logger_class, type) and issubclass(logger_class, Logger)):
            raise InputError(f"logger: {self.config.logger} is no Lightning logger")
        if "save_dir" not in options:
            options["save_dir"] = str(self.logs)
        try:
            return logger_class(**{"name": name, **options})
        except (ImportError, TypeError, ValueError) as error:
            raise InputError(f"logger: {self.config.logger} cannot be made ({error}); see --logger-options") from error


class _History(Callback):
    """Keeps every epoch's validation metrics."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []

    def best(self, metric: str, mode: str) -> int | None:
        """Returns the first of the best epochs, counted from 0; None if the loss was never finite."""
        finite = [i for i, epoch in enumerate(self.epochs) if math.isfinite(epoch["val_loss"])]
        sign = 1 if mode == "min" else -1
        return min(finite, key=lambda i: sign * self.epochs[i][metric], default=None)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        metrics = ("val_loss", "val_accuracy", "val_uar")
        self.epochs.append({name: float(trainer.callback_metrics[name]) for name in metrics})


class _StageProgress(Callback):
    """One bar a stage, over its epochs; where no terminal shows it, a line when the stage has ended."""

    def __init__(self, stage: str) -> None:
        self.stage = stage

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.bar = tqdm(
            total=trainer.max_epochs,
            desc=self.stage,
            unit="epoch",
            leave=False,
            disable=None if trainer.is_global_zero else True,
        )
        self.last = ""

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        metrics = trainer.callback_metrics
        self.last = ", ".join(f"{name} {float(metrics[name]):.3f}" for name in ("val_loss", "val_uar"))
        self.bar.set_postfix_str(self.last, refresh=False)
        self.bar.update()

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.bar.close()
        if trainer.is_global_zero:
            print(f"{self.stage}: {trainer.current_epoch} epochs, last {self.last}", file=sys.stderr)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self.bar.close()


def _make_trainer(**options: Any) -> pl.Trainer:
    try:
        return pl.Trainer(**options)
    except (ValueError, TypeError, RuntimeError, MisconfigurationException) as error:
        given = ", ".join(f"{name} {options[name]}" for name in ("accelerator", "devices", "strategy", "precision"))
        raise InputError(f"Lightning's trainer refuses {given}: {str(error).splitlines()[0]}") from error


def _fit(trainer: pl.Trainer, module: EmotionModule, data: EmotionDataModule) -> None:
    """Fits; Ctrl-C stays a KeyboardInterrupt, of which Lightning makes an exit that ignores Ctrl-C ever after."""
    try:
        handler = signal.getsignal(signal.SIGINT)
        trainer.fit(module, datamodule=data)
    except SystemExit as stopped:
        if not trainer.interrupted:
            raise
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from stopped


class _quiet_lightning:
    """Keeps Lightning's notes about hardware and workers, which no option here answers, out of the way."""

    def __enter__(self) -> None:
        self._logger = logging.getLogger("pytorch_lightning")
        self._level = self._logger.level
        self._logger.setLevel(logging.WARNING)
        self._warnings = warnings.catch_warnings()
        self._warnings.__enter__()
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")  # what is frozen
        warnings.filterwarnings("ignore", message=".*treespec, LeafSpec.*")
        warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")

    def __exit__(self, *exception: object) -> None:
        self._warnings.__exit__(None, None, None)
        self._logger.setLevel(self._level)


@torch.no_grad()
def _tuned_features(extractor: AcousticExtractor, hidden: Tensor) -> Tensor:
    assert extractor.backbone is not None
    if len(hidden) == 0:
        return hidden.new_zeros(0, extractor.feature_dim)
    return torch.cat([extractor.backbone.trainable_part(piece) for piece in hidden.split(64)])


def _frame_dim(table: FeatureTable, name: str) -> int:
    return int(table.sequences[name][0].shape[1])


def _class_weights(targets: Tensor, num_classes: int) -> list[float]:
    """Weighs each class inversely to its frequency; an average utterance weighs 1, an absent class 0."""
    counts = torch.bincount(targets, minlength=num_classes).double()
    present = counts > 0
    weights = torch.where(present, len(targets) / (present.sum() * counts.clamp(min=1)), 0.0)
    return [float(weight) for weight in weights]
