"""Units of what is estimated: networks learn in standard deviations, models answer in the corpus' own units."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pathosnet.errors import InputError


@dataclass(frozen=True)
class TargetScale:
    """Mean and standard deviation of the training part's targets, each ``(dimensions,)``."""

    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, targets: Tensor, names: Sequence[str]) -> "TargetScale":
        """Measures the targets of the training part, ``(utterances, dimensions)``.

        Raises:
            InputError: a dimension is the same in all of them.
        """
        mean, deviation = targets.mean(0), targets.std(0, unbiased=False)
        for name, value, spread in zip(names, mean.tolist(), deviation.tolist(), strict=True):
            if spread < 1e-6 * max(1.0, abs(value)):
                raise InputError(f"{name}: is {value:g} in every utterance of the training part; nothing can be learnt")
        return cls(mean, deviation)

    def standardised(self, targets: Tensor) -> Tensor:
        """Returns targets ``(utterances, dimensions)`` in standard deviations from the mean."""
        return (targets - self.mean) / self.deviation

    @torch.no_grad()
    def put_into(self, classifier: nn.Linear) -> None:
        """Makes a layer that answers in standard deviations answer in the corpus' units."""
        classifier.weight.mul_(self.deviation[:, None])
        classifier.bias.mul_(self.deviation).add_(self.mean)

    @torch.no_grad()
    def take_out_of(self, classifier: nn.Linear, rows: Tensor) -> None:
        """Undoes ``put_into`` in some rows, ``(dimensions,)`` booleans; the others have no units yet."""
        shift = torch.where(rows, self.mean, 0.0)
        scale = torch.where(rows, self.deviation, 1.0)
        classifier.bias.sub_(shift).div_(scale)
        classifier.weight.div_(scale[:, None])
