"""How weights are changed: the optimizer, its learning rate over the epochs, and what enters the loss."""

import importlib
import inspect
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from pathosnet.errors import InputError

RMSPROP = "RMSprop"
RMSPROP_OPTIONS = {"alpha": 0.9, "eps": 1e-7}  # the paper's rho, Keras' epsilon
DECAY = "decay"
NO_SCHEDULER = "none"


@dataclass(frozen=True)
class Optimization:
    """How a module is trained. The defaults are the paper's (section 6), whose printed sign of the decay is a misprint.

    >>> Optimization(optimizer="AdamW", optimizer_options={"weight_decay": 0.01}, scheduler="CosineAnnealingLR").decay
    0.1
    """

    learning_rate: float = 1e-3
    decay: float = 0.1
    """Used by the scheduler ``decay``: epoch e has the rate max(learning_rate · exp(−decay · e), min_learning_rate)."""
    min_learning_rate: float = 1e-5
    optimizer: str = RMSPROP
    """A class of ``torch.optim`` by name, or any optimizer by its import path."""
    optimizer_options: Mapping[str, Any] = field(default_factory=dict)
    scheduler: str = DECAY
    """``decay``, ``none``, a class of ``torch.optim.lr_scheduler`` by name, or any scheduler by its import path."""
    scheduler_options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the scheduler; what it needs of the run's length is filled in."""
    encoder_learning_rate: float = 1e-4
    """Learning rate of the highest unlocked layer of a speech encoder."""
    encoder_layer_decay: float = 0.5
    """An unlocked layer has so much of the rate of the layer above."""
    class_weights: Sequence[float] | None = None
    label_smoothing: float = 0.0
    modality_dropout: float = 0.0
    augmentation: Collection[str] = ()

    @property
    def changes_inputs(self) -> bool:
        """Whether a batch is not the same in every epoch."""
        return self.modality_dropout > 0 or "masks" in self.augmentation or "words" in self.augmentation

    def rate_of(self, epoch: int) -> float:
        """Returns l(e) = max(l0 · exp(−decay · e), minimum).

        >>> [round(Optimization().rate_of(e), 6) for e in (0, 10, 45)]
        [0.001, 0.000368, 1.1e-05]
        """
        return max(self.learning_rate * math.exp(-self.decay * epoch), self.min_learning_rate)

    def config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as JSON values."""
        weights = None if self.class_weights is None else [float(weight) for weight in self.class_weights]
        return {**asdict(self), "class_weights": weights, "augmentation": [str(name) for name in self.augmentation]}


def make_optimizer(parameters: Iterable[Tensor] | Iterable[dict[str, Any]], optimization: Optimization) -> Optimizer:
    """Makes the optimizer that the options name, of parameters or of groups of them with options of their own.

    Raises:
        InputError: there is no such optimizer, or it does not take the options.
    """
    options = {**(RMSPROP_OPTIONS if optimization.optimizer == RMSPROP else {}), **optimization.optimizer_options}
    kind = find_class(optimization.optimizer, Optimizer, "optimizer", home="torch.optim")
    try:
        return kind(list(parameters), **{"lr": optimization.learning_rate, **options})
    except (TypeError, ValueError) as error:
        raise InputError(f"optimizer: {optimization.optimizer} cannot be made with {options} ({error})") from error


def make_scheduler(
    optimizer: Optimizer, optimization: Optimization, *, epochs: int, steps: int
) -> dict[str, Any] | None:
    """Makes the scheduler that the options name, as Lightning takes it; None for a constant rate.

    Args:
        optimizer: whose rate it sets.
        optimization: the options.
        epochs: that are planned.
        steps: batches in all of them.

    Raises:
        InputError: there is no such scheduler, or it does not take the options.
    """
    rate = optimization.learning_rate
    if optimization.scheduler == NO_SCHEDULER:
        return None
    if optimization.scheduler == DECAY:
        return {"scheduler": LambdaLR(optimizer, lambda e: optimization.rate_of(e) / rate)}
    kind = find_class(
        optimization.scheduler, LRScheduler, "scheduler", home="torch.optim.lr_scheduler", besides="decay, none"
    )
    options = dict(optimization.scheduler_options)
    takes = inspect.signature(kind).parameters
    by_step = "total_steps" in takes  # OneCycleLR counts batches
    lengths = {"total_steps": steps} if by_step and not {"total_steps", "epochs"} & options.keys() else {}
    filled = {**lengths, "max_lr": [group["lr"] for group in optimizer.param_groups], "T_max": epochs}
    options = {**{name: value for name, value in filled.items() if name in takes}, **options}
    interval = options.pop("interval", "step" if by_step else "epoch")
    monitor = options.pop("monitor", "val_loss")
    try:
        return {"scheduler": kind(optimizer, **options), "interval": interval, "monitor": monitor}
    except (TypeError, ValueError) as error:
        raise InputError(f"scheduler: {optimization.scheduler} cannot be made with {options} ({error})") from error


def find_class(name: str, base: type, what: str, *, home: str = "", besides: str = "") -> Any:
    """Finds a class by its import path, or by its name in a module.

    Args:
        name: of the class.
        base: what it has to be.
        what: the option, for messages.
        home: module of which bare names are taken.
        besides: what else the option takes, for messages.

    Raises:
        InputError: there is none, or it is no ``base``.
    """
    module_name, _, class_name = (f"{home}.{name}" if home and "." not in name else name).rpartition(".")
    expected = ", ".join(
        part
        for part in (besides, f"a class of {home}" if home else "", f"the import path of a {base.__name__}")
        if part
    )
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, ValueError, AttributeError) as error:
        raise InputError(f"{what}: expected {expected}, got {name!r} ({error})") from error
    if not (isinstance(found, type) and issubclass(found, base)):
        raise InputError(f"{what}: expected {expected}, got {name!r}, which is something else")
    return found


def balanced_weights(targets: Tensor, num_classes: int) -> list[float]:
    """Weighs each class inversely to its frequency; an average utterance weighs 1, an absent class 0.

    Args:
        targets: label numbers, ``(utterances,)``, or shares of classes, ``(utterances, classes)``, whose sums are
            then the frequencies; -1, or shares that are not numbers, where no class is known.
        num_classes: of the model.
    """
    if targets.is_floating_point():
        targets = targets[targets.isfinite().all(dim=1)]
        counts = targets.double().sum(dim=0)
    else:
        targets = targets[targets >= 0]
        counts = torch.bincount(targets, minlength=num_classes).double()
    present = counts > 0
    weights = torch.where(present, len(targets) / (present.sum() * torch.where(present, counts, 1.0)), 0.0)
    return [float(weight) for weight in weights]
