"""Losses of the networks, and their figures on the validation part."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from pathosnet.errors import InputError
from pathosnet.targets import Target


class Objective(nn.Module):
    """A target's loss, and its figures over a whole part, in whatever batches and processes it comes.

    Args:
        target: classes, dimensions or both.
        class_weights: one a class, or None.
        label_smoothing: see PyTorch's cross-entropy.
    """

    class_weights: Tensor | None

    def __init__(
        self, target: Target, class_weights: Sequence[float] | None = None, label_smoothing: float = 0.0
    ) -> None:
        super().__init__()
        weights = None if class_weights is None else torch.tensor(class_weights)
        self.target = target
        self.label_smoothing = label_smoothing
        self.register_buffer("class_weights", weights, persistent=False)
        self.seen = _Seen()

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Returns the loss of a network's outputs ``(batch, labels)``; targets see ``Target.loss``."""
        return self.target.loss(
            outputs, targets, class_weights=self.class_weights, label_smoothing=self.label_smoothing
        )

    def update(self, outputs: Tensor, targets: Tensor, learned: Tensor | None = None) -> None:
        """Adds a batch of the part that is measured; ``learned`` is what the loss reads instead of the targets."""
        self.seen.update(outputs, targets, targets if learned is None else learned)

    def compute(self, part: str = "val") -> dict[str, float]:
        """Returns ``<part>_loss`` and the target's figures of all that was added, and forgets it.

        Not a number where the outputs have diverged: such weights are never the best.
        """
        outputs, targets, learned = self.seen.compute()
        self.seen.reset()
        weights = None if self.class_weights is None else self.class_weights.cpu().double()
        loss = self.target.loss(outputs, learned, class_weights=weights, label_smoothing=self.label_smoothing)
        figures = {"loss": float(loss), **self.target.measure(outputs, targets)}
        return {f"{part}_{name}": value for name, value in figures.items()}


class _Seen(Metric):
    """Outputs and targets of all processes, on the CPU, outputs in double precision: not every device has that."""

    outputs: list[Tensor]
    targets: list[Tensor]
    learned: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        for name in ("outputs", "targets", "learned"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, outputs: Tensor, targets: Tensor, learned: Tensor) -> None:
        self.outputs.append(outputs.detach().float())
        self.targets.append(targets)
        self.learned.append(learned)

    def compute(self) -> tuple[Tensor, Tensor, Tensor]:
        outputs, targets, learned = (dim_zero_cat(seen).cpu() for seen in (self.outputs, self.targets, self.learned))
        return outputs.double(), _doubled(targets), _doubled(learned)


def _doubled(targets: Tensor) -> Tensor:
    return targets.double() if targets.is_floating_point() else targets


@dataclass(frozen=True)
class TargetScale:
    """Mean and standard deviation of the training part's dimensions, each ``(dimensions,)``.

    Networks learn dimensions in standard deviations; models answer in the corpus' own units. Of targets and of layers
    that have classes as well, the dimensions are what comes last.
    """

    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, targets: Tensor, names: Sequence[str]) -> "TargetScale":
        """Measures the targets of the training part, ``(utterances, …)``, of which the dimensions come last.

        Raises:
            InputError: a dimension is the same in all of them, or known of none.
        """
        known = [values[~values.isnan()] for values in targets.T[-len(names) :]]
        for name, values in zip(names, known, strict=True):
            if not len(values):
                raise InputError(f"{name}: no row of the training part has a number in this column; fill some in")
        mean = torch.stack([values.mean() for values in known])
        deviation = torch.stack([values.std(unbiased=False) for values in known])
        for name, value, spread in zip(names, mean.tolist(), deviation.tolist(), strict=True):
            if spread < 1e-6 * max(1.0, abs(value)):
                raise InputError(
                    f"{name}: is {value:g} in every utterance of the training part; nothing can be learned"
                )
        return cls(mean, deviation)

    def standardized(self, targets: Tensor) -> Tensor:
        """Returns targets ``(utterances, …)`` with the dimensions in standard deviations from the mean."""
        before, dimensions = targets.tensor_split([-len(self.mean)], dim=1)
        return torch.cat([before, (dimensions - self.mean) / self.deviation], dim=1)

    @torch.no_grad()
    def put_into(self, classifier: nn.Linear) -> None:
        """Makes a layer that answers in standard deviations answer in the corpus' units."""
        first = -len(self.mean)
        classifier.weight[first:].mul_(self.deviation[:, None])
        classifier.bias[first:].mul_(self.deviation).add_(self.mean)

    @torch.no_grad()
    def take_out_of(self, classifier: nn.Linear, rows: Tensor) -> None:
        """Undoes ``put_into`` in some rows, ``(dimensions,)`` booleans; the others have no units yet."""
        first = -len(self.mean)
        shift = torch.where(rows, self.mean, 0.0)
        scale = torch.where(rows, self.deviation, 1.0)
        classifier.bias[first:].sub_(shift).div_(scale)
        classifier.weight[first:].div_(scale[:, None])
