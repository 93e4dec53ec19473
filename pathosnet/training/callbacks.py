"""Callbacks of a training stage: best weights, continuation after an interruption, progress."""

import hashlib
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor
from tqdm import tqdm

from pathosnet.targets import MultiTaskTarget

METRICS = {"loss": "min", **MultiTaskTarget.metrics}
"""Early-stopping metric → which way is better; logged with ``val_`` before it."""
HISTORY = ("train_loss", *(f"val_{name}" for name in METRICS))
"""Figures that are kept of every epoch, as far as a module logs them."""


class BestWeights(Callback):
    """Keeps every epoch's figures, and the weights of the best epoch in memory.

    Args:
        metric: a key of METRICS; None takes the last epoch for the best, where nothing is validated.
    """

    def __init__(self, metric: str | None) -> None:
        self.metric = "train_loss" if metric is None else f"val_{metric}"
        self.by_validation = metric is not None
        self.sign = 1 if metric is None or METRICS[metric] == "min" else -1
        self.history: list[dict[str, float]] = []
        self.best_epoch: int | None = None
        """Counted from 0, the first of equals; None as long as the loss was never finite."""
        self.weights: dict[str, Tensor] = {}
        self.learning_rate = 0.0
        """State at the beginning of the last epoch."""
        self.validated = False

    def restore(self, module: pl.LightningModule) -> None:
        """Gives a module the best epoch's weights."""
        state = module.state_dict()
        state.update(self.weights)
        module.load_state_dict(state)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.validated = False
        self.learning_rate = float(trainer.optimizers[0].param_groups[0]["lr"])

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.validated = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.by_validation and not self.validated:
            return  # an epoch that was cut short has figures of the one before
        logged = trainer.callback_metrics
        self.history.append({name: float(logged[name]) for name in HISTORY if name in logged})
        if not self._is_best(self.history[-1]):
            return
        self.best_epoch = len(self.history) - 1
        frozen = {name for name, parameter in pl_module.named_parameters() if not parameter.requires_grad}
        self.weights = {
            name: value.detach().cpu().clone() for name, value in pl_module.state_dict().items() if name not in frozen
        }

    def _is_best(self, now: dict[str, float]) -> bool:
        if not math.isfinite(now["val_loss" if self.by_validation else "train_loss"]):
            return False
        if self.best_epoch is None or not self.by_validation:
            return True
        return self.sign * now[self.metric] < self.sign * self.history[self.best_epoch][self.metric]

    def state_dict(self) -> dict[str, Any]:
        kept = ("history", "best_epoch", "weights", "learning_rate")
        return {name: getattr(self, name) for name in kept}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history, self.weights = list(state_dict["history"]), dict(state_dict["weights"])
        self.best_epoch, self.learning_rate = state_dict["best_epoch"], state_dict["learning_rate"]


class Interruption(Callback):
    """Ctrl-C ends a stage with its best weights so far; a second one, or one in the first epoch, ends the program.

    Args:
        stage: its name.
        best: of the same stage.
    """

    def __init__(self, stage: str, best: BestWeights) -> None:
        self.stage = stage
        self.best = best
        self.asked = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Takes Ctrl-C over; not in another thread than the main one, which never sees it."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, self._handle)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _handle(self, number: int, frame: Any) -> None:
        if self.asked or self.best.best_epoch is None:
            raise KeyboardInterrupt
        self.asked = True
        print(f"{self.stage}: stops now with its best epoch so far; Ctrl-C again ends the program", file=sys.stderr)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if self.asked:
            trainer.should_stop = True


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
    """Shows a stage: a bar over its epochs, or a line an epoch where there is no terminal; in the end what was kept.

    Args:
        stage: its name.
        best: of the same stage; it comes before this among the callbacks.
    """

    def __init__(self, stage: str, best: BestWeights) -> None:
        self.stage = stage
        self.best = best

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        off = None if trainer.is_global_zero else True  # None: where there is no terminal
        done = trainer.current_epoch
        self.bar = tqdm(total=trainer.max_epochs, initial=done, desc=self.stage, unit="epoch", leave=False, disable=off)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not self.best.history:
            return
        shown = _show(self.best.history[-1])
        self.bar.set_postfix_str(shown, refresh=False)
        self.bar.update()
        if self.bar.disable and trainer.is_global_zero:
            print(f"{self.stage}: epoch {len(self.best.history)} of {trainer.max_epochs}, {shown}", file=sys.stderr)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.bar.close()
        epochs, kept = len(self.best.history), self.best.best_epoch
        if trainer.is_global_zero and kept is not None:
            figures = _show(self.best.history[kept])
            print(f"{self.stage}: {epochs} epochs, kept epoch {kept + 1} ({figures})", file=sys.stderr)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        if hasattr(self, "bar"):
            self.bar.close()


def _show(figures: dict[str, float]) -> str:
    names = ("val_loss", "val_uar", "val_ccc") if "val_loss" in figures else ("train_loss",)
    shown = [name for name in names if name in figures]
    return ", ".join(f"{name} {figures[name]:.3f}" for name in shown)
