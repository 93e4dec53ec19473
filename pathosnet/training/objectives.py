"""What a network is trained for, and how the validation part tells how far it has come."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchmetrics import Metric, SumMetric
from torchmetrics.classification import MulticlassConfusionMatrix
from torchmetrics.utilities import dim_zero_cat

SMALLEST = 1e-8  # of what is divided by


class CrossEntropy(nn.Module):
    """Classes: cross-entropy; validated by ``val_loss``, ``val_accuracy`` and ``val_uar``.

    Args:
        num_classes: of the classifier.
        class_weights: as many, or None.
        label_smoothing: see PyTorch's.
    """

    def __init__(
        self, num_classes: int, class_weights: Sequence[float] | None = None, label_smoothing: float = 0.0
    ) -> None:
        super().__init__()
        weights = None if class_weights is None else torch.tensor(class_weights)
        self.loss = nn.CrossEntropyLoss(weights, label_smoothing=label_smoothing)
        # Sums over the whole validation part, in whatever batches and processes it comes.
        self.loss_sum = SumMetric(nan_strategy="disable")  # a diverged loss shall show
        self.weight_sum = SumMetric(nan_strategy="disable")
        self.confusion = MulticlassConfusionMatrix(num_classes)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Returns the loss of logits ``(batch, classes)`` and label numbers ``(batch,)``."""
        loss: Tensor = self.loss(logits, targets)
        return loss

    def outputs(self, logits: Tensor) -> Tensor:
        """Returns probabilities, ``(batch, classes)``."""
        return torch.softmax(logits.float(), dim=1)

    def update(self, logits: Tensor, targets: Tensor) -> None:
        """Adds a batch of the validation part."""
        weights = self.loss.weight
        weight = len(targets) if weights is None else weights[targets].sum()
        self.loss_sum.update(self.loss(logits, targets) * weight)
        self.weight_sum.update(weight)
        self.confusion.update(logits, targets)

    def compute(self) -> dict[str, Tensor]:
        """Returns the figures of the validation part, and forgets it."""
        confusion = self.confusion.compute().float()
        support = confusion.sum(dim=1)
        occurs = support > 0
        loss = self.loss_sum.compute() / self.weight_sum.compute()
        undefined = 0.0 * loss  # not a number once the loss has diverged: such weights are never the best
        for metric in (self.loss_sum, self.weight_sum, self.confusion):
            metric.reset()
        return {
            "val_loss": loss,
            "val_accuracy": confusion.trace() / confusion.sum() + undefined,
            "val_uar": (confusion.diagonal()[occurs] / support[occurs]).mean() + undefined,
        }


class Concordance(nn.Module):
    """Numbers: 1 − the mean concordance correlation of a batch; validated by ``val_loss`` and ``val_ccc``."""

    def __init__(self) -> None:
        super().__init__()
        # All of the validation part: its coefficient is not the mean of its batches'.
        self.seen = _Seen()

    def forward(self, estimates: Tensor, targets: Tensor) -> Tensor:
        """Returns the loss of estimates and targets, both ``(batch, dimensions)``; 1 of a single utterance."""
        return 1.0 - concordance(estimates.float(), targets.float()).mean()

    def outputs(self, estimates: Tensor) -> Tensor:
        """Returns the estimates, ``(batch, dimensions)``."""
        return estimates.float()

    def update(self, estimates: Tensor, targets: Tensor) -> None:
        """Adds a batch of the validation part."""
        self.seen.update(estimates, targets)

    def compute(self) -> dict[str, Tensor]:
        """Returns the figures of the validation part as a whole, and forgets it."""
        ccc = self.seen.compute()
        self.seen.reset()
        return {"val_loss": 1.0 - ccc, "val_ccc": ccc}


def concordance(estimates: Tensor, targets: Tensor) -> Tensor:
    """Computes concordance correlation coefficients (Lin, 1989; variances and covariance with 1 / n).

    Args:
        estimates: ``(utterances, dimensions)``.
        targets: of the same shape.

    Returns:
        ``(dimensions,)``; 0 where nothing varies.
    """
    x, y = estimates - estimates.mean(0), targets - targets.mean(0)
    shift = estimates.mean(0) - targets.mean(0)
    spread = (x * x).mean(0) + (y * y).mean(0) + shift * shift
    return 2.0 * (x * y).mean(0) / spread.clamp(min=SMALLEST)


class _Seen(Metric):
    """The mean coefficient of all that was seen, by whatever processes."""

    estimates: list[Tensor]
    targets: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        for name in ("estimates", "targets"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, estimates: Tensor, targets: Tensor) -> None:
        self.estimates.append(estimates.float())
        self.targets.append(targets.float())

    def compute(self) -> Tensor:
        estimates, targets = (dim_zero_cat(seen) for seen in (self.estimates, self.targets))
        exact = concordance(estimates.cpu().double(), targets.cpu().double()).mean()
        return exact.to(estimates.device, torch.float32)
