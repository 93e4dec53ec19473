"""Fitting one module after another with Lightning."""

import json
import logging
import os
import signal
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
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
from torch import Tensor

from pathosnet.errors import InputError
from pathosnet.features.table import FeatureTable
from pathosnet.files import read_json
from pathosnet.training.callbacks import METRICS, BestWeights, Checkpoint, EpochSeed, Interruption, StageProgress
from pathosnet.training.data import EmotionDataModule, Parts
from pathosnet.training.modules import EmotionModule
from pathosnet.training.optimization import DECAY, find_class
from pathosnet.training.state import preserved_state

CHECKPOINT_SECONDS = 20.0
"""At least so long from one checkpoint within a stage to the next."""
NONE = "none"


@dataclass(frozen=True)
class Fitting:
    """How long a stage trains, and on what batches."""

    epochs: int = 45
    """At most."""
    patience: int = 20
    """Epochs without improvement after which a stage ends."""
    metric: str = "loss"
    """Figure of the validation part that decides what is an improvement: ``loss``, or one of the target's."""
    batch_size: int = 32
    balanced: bool = False
    """Draw every class equally often, instead of every utterance once."""
    seed: int = 0


@dataclass(frozen=True)
class Hardware:
    """Options of Lightning's trainer."""

    accelerator: str = "auto"
    devices: str = "auto"
    num_nodes: int = 1
    strategy: str = "auto"
    precision: str = "32-true"


@dataclass(frozen=True)
class Logging:
    """Where the figures of every epoch go."""

    folder: Path = Path("logs")
    logger: str | Logger = NONE
    """``csv``, ``none``, the import path of any Lightning logger, or a logger."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the logger."""
    progress: bool = False
    """Show a progress bar."""


@dataclass(frozen=True)
class StageResult:
    """Result of one stage."""

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
        fitting: how long, and on what batches.
        hardware: see Hardware.
        logs: see Logging.
        checkpoints: a folder that keeps what is finished, so that a run that was killed goes on where it was and ends
            as if it had not been; None keeps nothing.
        callbacks: further callbacks of Lightning's trainer, for every stage.
        stoppable: whether Ctrl-C ends a stage with its best weights so far; else it ends the program.
    """

    def __init__(
        self,
        fitting: Fitting | None = None,
        hardware: Hardware | None = None,
        logs: Logging | None = None,
        *,
        checkpoints: Path | None = None,
        callbacks: Sequence[Callback] = (),
        stoppable: bool = False,
    ) -> None:
        self.fitting = fitting or Fitting()
        self.hardware = hardware or Hardware()
        self.logs = logs or Logging()
        self.checkpoints = checkpoints
        self.callbacks = callbacks
        self.stoppable = stoppable
        self.results: list[StageResult] = []

    def fit(
        self, name: str, module: EmotionModule, table: FeatureTable, *, parts: Parts, epochs: int | None = None
    ) -> StageResult:
        """Fits a module, leaves it with its best weights on the CPU, and says how it went.

        Args:
            name: of the stage.
            module: to be trained.
            table: features of all utterances.
            parts: which of them train and which validate.
            epochs: train for so many and keep the last, without a look at the validation part; None to choose.

        Raises:
            InputError: a number in the features is not finite, or the loss never was.
        """
        best = BestWeights(self.fitting.metric if epochs is None else None)
        result = self._load_finished(name, best)
        if result is None:
            with preserved_state():
                best = self._fit(name, module, table, parts, best=best, epochs=epochs)
            assert best.best_epoch is not None
            last, optimization = len(best.history) - 1, module.optimization
            rate = optimization.rate_of(last) if optimization.scheduler == DECAY else best.learning_rate
            result = StageResult(
                name,
                last + 1,
                best.best_epoch,
                best=best.history[best.best_epoch],
                last_learning_rate=rate,
                history=best.history,
            )
            self._save_finished(result, best)
        best.restore(module)
        module.cpu().float().eval()
        self.results.append(result)
        return result

    def _fit(
        self,
        name: str,
        module: EmotionModule,
        table: FeatureTable,
        parts: Parts,
        *,
        best: BestWeights,
        epochs: int | None,
    ) -> BestWeights:
        module.train()  # Lightning keeps the mode, and a stage leaves its network in evaluation mode
        checkpoint = None if self.checkpoints is None else self.checkpoints / f"{name}.ckpt"
        first_epoch = _epochs_done(checkpoint) if checkpoint is not None and checkpoint.is_file() else 0
        data = EmotionDataModule(
            table.subset(parts.train),
            table.subset(parts.validation) if epochs is None else None,
            batch_size=self.fitting.batch_size,
            seed=self.fitting.seed,
            first_epoch=first_epoch,
            balanced=self.fitting.balanced,
            centers=_centers(module) if table.groups else None,
        )
        for part in data.tables.values():
            if part is not None:
                part.check(module.target.may_lack)
        interruption = Interruption(name, best)
        with _quiet_lightning():
            trainer = self._make_trainer(
                max_epochs=epochs or self.fitting.epochs,
                limit_val_batches=None if epochs is None else 0,
                callbacks=self._callbacks(name, best, interruption, checkpoint=checkpoint, stops_early=epochs is None),
                logger=self._make_logger(f"{name}-from-epoch-{first_epoch}" if first_epoch else name),
            )
            stoppable = self.stoppable and trainer.world_size == 1
            with interruption.listening() if stoppable else nullcontext():
                _fit(trainer, module, data, checkpoint if first_epoch else None)
            if best.best_epoch is None:
                raise InputError(
                    f"stage {name}: the loss was never a finite number; lower the learning rate (--learning-rate)"
                )
            best.weights = trainer.strategy.broadcast(best.weights)
            trainer.strategy.barrier()
        return best

    def _callbacks(
        self, name: str, best: BestWeights, interruption: Interruption, checkpoint: Path | None, *, stops_early: bool
    ) -> list[Callback]:
        """Returns a stage's callbacks in order: the checkpoint holds what the others know of the epochs before."""
        metric, patience = self.fitting.metric, self.fitting.patience
        return [
            best,
            *([EarlyStopping(f"val_{metric}", mode=METRICS[metric], patience=patience)] if stops_early else []),
            EpochSeed(self.fitting.seed, name),
            interruption,
            *self.callbacks,
            *([] if checkpoint is None else [Checkpoint(checkpoint, CHECKPOINT_SECONDS)]),
            *([StageProgress(name, best)] if self.logs.progress else []),
        ]

    def _make_trainer(self, **options: Any) -> pl.Trainer:
        hardware = asdict(self.hardware)
        devices = self.hardware.devices
        try:
            return pl.Trainer(
                **{**hardware, "devices": int(devices) if devices.isdecimal() else devices},
                **options,
                deterministic="warn" if torch.cuda.is_available() else True,
                num_sanity_val_steps=0,
                log_every_n_steps=1,
                enable_checkpointing=False,
                enable_model_summary=False,
                enable_progress_bar=False,  # Lightning's own counts batches
            )
        except (ValueError, TypeError, RuntimeError, MisconfigurationException) as error:
            given = ", ".join(f"{name} {value}" for name, value in hardware.items() if name != "num_nodes")
            raise InputError(f"Lightning's trainer refuses {given}: {str(error).splitlines()[0]}") from error

    @rank_zero_only
    def _save_finished(self, result: StageResult, best: BestWeights) -> None:
        if self.checkpoints is None:
            return
        weights = {name: value.contiguous() for name, value in best.weights.items()}
        for suffix, write in (
            (".safetensors", lambda path: safetensors.torch.save_file(weights, path)),
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
        kind, options = self.logs.logger, dict(self.logs.options)
        if isinstance(kind, Logger):
            return kind
        if kind == NONE:
            return False
        if kind == "csv":
            return CSVLogger(self.logs.folder, name=name, version="", **options)
        logger_class = find_class(kind, Logger, "logger", besides="csv, none")
        try:
            made: Logger = logger_class(**{"name": name, "save_dir": str(self.logs.folder), **options})
        except (ImportError, TypeError, ValueError) as error:
            raise InputError(f"logger: {kind} cannot be made ({error}); see --logger-options") from error
        return made


def _epochs_done(checkpoint: Path) -> int:
    return int(torch.load(checkpoint, map_location="cpu", weights_only=True)["epoch"])


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


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Keeps Lightning's notes about hardware and workers, which no option here answers, out of the way."""
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for message in (
                ".*does not have many workers.*",
                ".*in eval mode at the start of training.*",  # what is frozen
                ".*treespec, LeafSpec.*",
                ".*lr_scheduler.step.*before.*optimizer.step.*",  # half precision skips updates until its scale fits
            ):
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        logger.setLevel(level)


def _centers(module: EmotionModule) -> dict[str, Tensor]:
    """Returns what profiles are shrunk towards, of the inputs that a module reads as features."""
    return {name: center for name, center in module.model.centers.items() if name not in module.unlocked}
