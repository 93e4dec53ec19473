"""What a stage does beside the training: keeps its best weights, can be continued, shows its progress."""

import hashlib
import math
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor
from tqdm import tqdm

METRICS = {
    "loss": ("val_loss", "min"),
    "accuracy": ("val_accuracy", "max"),
    "uar": ("val_uar", "max"),
    "ccc": ("val_ccc", "max"),
}
"""Early-stopping metric → its name in the logs, and which way is better."""
HISTORY = ("train_loss", *(name for name, _ in METRICS.values()))
"""Metrics that are kept of every epoch, as far as a module logs them."""


class BestWeights(Callback):
    """Keeps every epoch's metrics, and the weights of the best epoch in memory.

    Args:
        metric: a key of METRICS.
    """

    def __init__(self, metric: str) -> None:
        self.metric, mode = METRICS[metric]
        self.sign = 1 if mode == "min" else -1
        self.history: list[dict[str, float]] = []
        self.best_epoch: int | None = None
        """Counted from 0, the first of equals; None as long as the loss was never finite."""
        self.weights: dict[str, Tensor] = {}

    def restore(self, module: pl.LightningModule) -> None:
        """Gives a module the best epoch's weights."""
        state = module.state_dict()
        state.update(self.weights)
        module.load_state_dict(state)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        logged = trainer.callback_metrics
        self.history.append({name: float(logged[name]) for name in HISTORY if name in logged})
        now = self.history[-1]
        if not math.isfinite(now["val_loss"]):
            return
        if self.best_epoch is not None:
            best = self.history[self.best_epoch]
            if self.sign * now[self.metric] >= self.sign * best[self.metric]:
                return
        self.best_epoch = len(self.history) - 1
        frozen = {name for name, parameter in pl_module.named_parameters() if not parameter.requires_grad}
        self.weights = {
            name: value.detach().cpu().clone() for name, value in pl_module.state_dict().items() if name not in frozen
        }

    def state_dict(self) -> dict[str, Any]:
        return {"history": self.history, "best_epoch": self.best_epoch, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history, self.best_epoch = list(state_dict["history"]), state_dict["best_epoch"]
        self.weights = dict(state_dict["weights"])


class EpochSeed(Callback):
    """Makes what is random in an epoch depend on seed, stage and epoch alone, not on what ran before.

    An epoch that is run again after an interruption is then the epoch that it would have been.

    Args:
        seed: of the run.
        stage: name of the stage.
    """

    def __init__(self, seed: int, stage: str) -> None:
        self.seed = seed
        self.stage = stage

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx > 0:  # not when the epoch starts: the loader draws a number either before or after that
            return
        what = f"{self.seed}/{self.stage}/{trainer.current_epoch}/{trainer.global_rank}"
        torch.manual_seed(int.from_bytes(hashlib.sha256(what.encode()).digest()[:7], "big"))


class Checkpoint(Callback):
    """Writes the whole state of the training between two epochs, into one file that is always complete.

    Args:
        path: of the file.
        seconds: at least so long from one time to the next.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        self.path = path
        self.seconds = seconds
        self.written = time.monotonic()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        due = trainer.current_epoch > 0 and time.monotonic() - self.written >= self.seconds
        if trainer.strategy.broadcast(due):
            aside = self.path.with_name(f"{self.path.name}.partial")
            trainer.save_checkpoint(aside)
            if trainer.is_global_zero:
                os.replace(aside, self.path)
            self.written = time.monotonic()

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        # Lightning counts the epoch that is about to begin as made ready, and would go on in its middle.
        for counts in checkpoint["loops"]["fit_loop"]["epoch_progress"].values():
            counts["ready"] = counts["completed"]


class StageProgress(Callback):
    """One bar a stage, over its epochs; where no terminal shows it, a line when the stage has ended."""

    def __init__(self, stage: str) -> None:
        self.stage = stage

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.bar = tqdm(
            total=trainer.max_epochs,
            initial=trainer.current_epoch,
            desc=self.stage,
            unit="epoch",
            leave=False,
            disable=None if trainer.is_global_zero else True,
        )
        self.last = ""

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        metrics = trainer.callback_metrics
        shown = ("val_loss", "val_uar", "val_ccc")
        self.last = ", ".join(f"{name} {float(metrics[name]):.3f}" for name in shown if name in metrics)
        self.bar.set_postfix_str(self.last, refresh=False)
        self.bar.update()

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.bar.close()
        if trainer.is_global_zero:
            print(f"{self.stage}: {trainer.current_epoch} epochs, last {self.last}", file=sys.stderr)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        if hasattr(self, "bar"):
            self.bar.close()
