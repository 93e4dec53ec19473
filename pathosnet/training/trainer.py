"""Fitting one module after another with Lightning."""

import importlib
import json
import logging
import os
import signal
import threading
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import safetensors.torch
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping
from pytorch_lightning.loggers import CSVLogger, Logger
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from pathosnet.config import NONE, TrainConfig
from pathosnet.corpora import Split
from pathosnet.errors import InputError
from pathosnet.files import read_json
from pathosnet.training.callbacks import METRICS, BestWeights, Checkpoint, EpochSeed, StageProgress
from pathosnet.training.data import EmotionDataModule, FeatureTable
from pathosnet.training.modules import EmotionModule

CHECKPOINT_SECONDS = 20.0
"""At least so long from one checkpoint within a stage to the next."""


@dataclass(frozen=True)
class StageResult:
    """What one stage did."""

    name: str
    epochs: int
    best_epoch: int
    best: dict[str, float]
    """Metrics of the best epoch, whose weights were kept."""
    last_learning_rate: float
    history: list[dict[str, float]] = field(default_factory=list)
    """Every epoch's metrics."""


class StageTrainer:
    """Fits one module after another with Lightning, restores each one's best weights, and keeps the results.

    Args:
        config: the options.
        logs: folder for the logger.
        logger: any Lightning logger instead of the configured one.
        checkpoints: a folder that keeps what is finished, so that a run that was killed goes on where it was and ends
            as if it had not been; None keeps nothing.
        callbacks: further callbacks of Lightning's trainer, for every stage.
    """

    def __init__(
        self,
        config: TrainConfig,
        logs: Path,
        logger: Logger | None = None,
        checkpoints: Path | None = None,
        callbacks: list[Callback] | None = None,
    ) -> None:
        self.config = config
        self.logs = logs
        self.logger = logger
        self.checkpoints = checkpoints
        self.callbacks = callbacks or []
        self.results: list[StageResult] = []

    def fit(self, name: str, module: EmotionModule, table: FeatureTable, split: Split) -> StageResult:
        """Fits a module, leaves it with its best weights on the CPU, and says how it went."""
        best = BestWeights(self.config.early_stopping_metric)
        result = self._load_finished(name, best)
        if result is None:
            best = self._fit(name, module, table, split, best)
            assert best.best_epoch is not None
            rate = module.optimisation.rate_of(len(best.history) - 1)
            result = StageResult(
                name, len(best.history), best.best_epoch, best.history[best.best_epoch], rate, best.history
            )
            self._save_finished(result, best)
        best.restore(module)
        module.cpu().float().eval()
        self.results.append(result)
        return result

    def _fit(
        self, name: str, module: EmotionModule, table: FeatureTable, split: Split, best: BestWeights
    ) -> BestWeights:
        module.train()  # Lightning keeps the mode, and a stage leaves its network in evaluation mode
        config = self.config
        checkpoint = None if self.checkpoints is None else self.checkpoints / f"{name}.ckpt"
        first_epoch = _epochs_done(checkpoint) if checkpoint is not None and checkpoint.is_file() else 0
        data = EmotionDataModule(
            table.subset(split.train),
            table.subset(split.validation),
            batch_size=config.batch_size,
            seed=config.seed,
            first_epoch=first_epoch,
            balanced=config.sampling == "balanced",
        )
        metric, mode = METRICS[config.early_stopping_metric]
        # In this order: the checkpoint holds what the others know of the epochs before.
        callbacks: list[Callback] = [
            best,
            EarlyStopping(metric, mode=mode, patience=config.patience),
            EpochSeed(config.seed, name),
            *self.callbacks,
        ]
        if checkpoint is not None:
            callbacks.append(Checkpoint(checkpoint, CHECKPOINT_SECONDS))
        if config.progress:
            callbacks.append(StageProgress(name))
        with _quiet_lightning():
            trainer = _make_trainer(
                accelerator=config.accelerator,
                devices=int(config.devices) if config.devices.isdecimal() else config.devices,
                num_nodes=config.num_nodes,
                strategy=config.strategy,
                precision=config.precision,
                max_epochs=config.epochs,
                callbacks=callbacks,
                logger=self._make_logger(f"{name}-from-epoch-{first_epoch}" if first_epoch else name),
                deterministic="warn" if torch.cuda.is_available() else True,
                num_sanity_val_steps=0,
                log_every_n_steps=1,
                enable_checkpointing=False,
                enable_model_summary=False,
                enable_progress_bar=False,  # Lightning's own counts batches
            )
            _fit(trainer, module, data, checkpoint if first_epoch else None)
            if best.best_epoch is None:
                raise InputError(
                    f"stage {name}: the loss was never a finite number; lower the learning rate (--learning-rate)"
                )
            best.weights = trainer.strategy.broadcast(best.weights)
            trainer.strategy.barrier()
        return best

    @rank_zero_only
    def _save_finished(self, result: StageResult, best: BestWeights) -> None:
        if self.checkpoints is None:
            return
        for suffix, write in (
            (".safetensors", lambda path: safetensors.torch.save_file(_contiguous(best.weights), path)),
            (".json", lambda path: path.write_text(json.dumps(asdict(result)), encoding="utf-8")),
        ):
            aside = self.checkpoints / f"{result.name}{suffix}.partial"
            write(aside)
            os.replace(aside, self.checkpoints / f"{result.name}{suffix}")
        (self.checkpoints / f"{result.name}.ckpt").unlink(missing_ok=True)

    def _load_finished(self, name: str, best: BestWeights) -> StageResult | None:
        if self.checkpoints is None or not (self.checkpoints / f"{name}.json").is_file():
            return None
        best.weights = safetensors.torch.load_file(self.checkpoints / f"{name}.safetensors")
        return StageResult(**read_json(self.checkpoints / f"{name}.json"))

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


def _epochs_done(checkpoint: Path) -> int:
    return int(torch.load(checkpoint, map_location="cpu", weights_only=True)["epoch"])


def _contiguous(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.contiguous() for name, value in weights.items()}


def _make_trainer(**options: Any) -> pl.Trainer:
    try:
        return pl.Trainer(**options)
    except (ValueError, TypeError, RuntimeError, MisconfigurationException) as error:
        given = ", ".join(f"{name} {options[name]}" for name in ("accelerator", "devices", "strategy", "precision"))
        raise InputError(f"Lightning's trainer refuses {given}: {str(error).splitlines()[0]}") from error


def _fit(trainer: pl.Trainer, module: EmotionModule, data: EmotionDataModule, checkpoint: Path | None) -> None:
    """Fits; Ctrl-C stays a KeyboardInterrupt, of which Lightning makes an exit that ignores Ctrl-C ever after."""
    try:
        handler = signal.getsignal(signal.SIGINT)
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
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

    def __exit__(self, *exception: object) -> None:
        self._warnings.__exit__(None, None, None)
        self._logger.setLevel(self._level)
