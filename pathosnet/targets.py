"""Meaning of a model's outputs: classes to tell apart, dimensions to estimate, or both together.

A target knows how its outputs are trained, read, measured during training and named in files. Everything else asks it.
This module imports PyTorch only where it computes with it.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pathosnet.emotions import check_labels
from pathosnet.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

PREDICTED = "predicted"
SMALLEST_SPREAD = 1e-8  # what concordance divides by, at least


@dataclass(frozen=True)
class Target(ABC):
    """Meaning of a model's outputs; see ClassTarget, DimensionTarget and MultiTaskTarget.

    Args:
        labels: names of the outputs, in order.
    """

    labels: tuple[str, ...]

    kind: ClassVar[str]
    """``"classes"``, ``"dimensions"`` or ``"both"``."""
    output: ClassVar[str]
    """Name of one row of outputs: ``"probabilities"``, ``"estimates"`` or ``"answers"``."""
    metrics: ClassVar[Mapping[str, str]]
    """Figures of the validation part besides the loss → ``"max"`` or ``"min"``, whichever is better."""
    may_lack: ClassVar[bool] = False
    """Whether the truth of an utterance may lack something, which is then not a number (NaN)."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels whose outputs are probabilities."""
        return ()

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The labels whose outputs are estimates; they come behind the classes."""
        return ()

    def describe(self) -> str:
        """Says what a model does.

        >>> ClassTarget(("anger", "neutral")).describe()
        'tells apart anger, neutral'
        """
        parts = (("tells apart", self.classes), ("estimates", self.dimensions))
        return "; ".join(f"{verb} {', '.join(labels)}" for verb, labels in parts if labels)

    def shared_with(self, other: "Target") -> tuple[str, ...]:
        """Returns the labels that mean the same in another target: classes that are classes there, and so on."""
        return tuple(
            name for name in self.labels if name in (other.classes if name in self.classes else other.dimensions)
        )

    @abstractmethod
    def encode(self, emotions: Sequence[str], values: Sequence[Sequence[float]]) -> np.ndarray:
        """Returns the truth of utterances as FeatureTable has it.

        Args:
            emotions: of each utterance; empty where there is none.
            values: of each utterance, a number for each dimension.
        """

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of ``predictions.csv``.

        Of classes the true and the predicted label, then the probability of each; of dimensions the true values, then
        the estimates.
        """
        of_classes = ("emotion", PREDICTED, *self.classes) if self.classes else ()
        return (*of_classes, *self.dimensions, *(f"{PREDICTED} {name}" for name in self.dimensions))

    @abstractmethod
    def loss(
        self,
        outputs: "Tensor",
        targets: "Tensor",
        *,
        class_weights: "Tensor | None" = None,
        label_smoothing: float = 0.0,
    ) -> "Tensor":
        """Returns what training minimizes, a scalar.

        Args:
            outputs: of the network, ``(utterances, labels)``.
            targets: ``FeatureTable.learned``.
            class_weights: ``(labels,)``, of classes alone.
            label_smoothing: of classes alone.
        """

    @abstractmethod
    def measure(self, outputs: "Tensor", targets: "Tensor") -> dict[str, float]:
        """Returns the figures that ``metrics`` names; not a number where an output is not finite.

        Args:
            outputs: of the network, ``(utterances, labels)``, on the CPU.
            targets: as FeatureTable has them.
        """

    @abstractmethod
    def decode(self, outputs: "Tensor", temperature: "float | Tensor" = 1.0) -> "Tensor":
        """Turns logits into probabilities, and leaves estimates as they are, ``(utterances, labels)`` float32.

        Args:
            outputs: ``(utterances, labels)``.
            temperature: divides logits, one for all or one a row, ``(utterances, 1)``; estimates have none.
        """

    @property
    def answer_columns(self) -> tuple[str, ...]:
        """Columns of a table of answers, where the truth is not known: the most probable label, then the outputs."""
        return (*(("label",) if self.classes else ()), *self.labels)

    def config(self) -> dict[str, Any]:
        """Returns what ``target_from_config`` needs, as JSON values."""
        return {"labels": list(self.labels), "dimensional": not self.classes}


@dataclass(frozen=True)
class ClassTarget(Target):
    """Classes, such as emotions: logits become probabilities, trained by cross-entropy.

    >>> ClassTarget(("anger", "neutral")).columns
    ('emotion', 'predicted', 'anger', 'neutral')
    """

    kind = "classes"
    output = "probabilities"
    metrics: ClassVar[Mapping[str, str]] = MappingProxyType({"accuracy": "max", "uar": "max"})

    def __post_init__(self) -> None:
        super().__post_init__()
        check_labels(self.labels)

    @property
    def classes(self) -> tuple[str, ...]:
        """All labels."""
        return self.labels

    def encode(self, emotions: Sequence[str], values: Sequence[Sequence[float]]) -> np.ndarray:
        """Returns label numbers, ``(utterances,)``."""
        return np.array([self.labels.index(emotion) for emotion in emotions], dtype=np.int64)

    def loss(
        self,
        outputs: "Tensor",
        targets: "Tensor",
        *,
        class_weights: "Tensor | None" = None,
        label_smoothing: float = 0.0,
    ) -> "Tensor":
        """Returns the cross-entropy.

        ``targets`` are label numbers, ``(utterances,)``, or shares of each label that sum to 1, ``(utterances,
        labels)``. With weights w and shares p, the loss is - Σ w·p'·log q / Σ w·p over utterances and labels, where
        label smoothing ε makes p' = (1 - ε) p + ε / labels; rows of one label alone give what its number gives.
        """
        from torch.nn.functional import cross_entropy

        if targets.is_floating_point():
            shares, best = targets.max(dim=1)
            if not (shares == 1).all():
                total = cross_entropy(outputs, targets, class_weights, reduction="sum", label_smoothing=label_smoothing)
                return total / (len(targets) if class_weights is None else (targets @ class_weights).sum())
            targets = best  # the very same numbers, to the last bit, as with hard labels
        return cross_entropy(outputs, targets, class_weights, label_smoothing=label_smoothing)

    def measure(self, outputs: "Tensor", targets: "Tensor") -> dict[str, float]:
        """Returns accuracy, and the mean recall of the classes that occur."""
        if not outputs.isfinite().all():
            return dict.fromkeys(self.metrics, float("nan"))
        right = (outputs.argmax(dim=1) == targets).double()
        recalls = [right[targets == label].mean() for label in targets.unique()]
        return {"accuracy": float(right.mean()), "uar": float(sum(recalls) / len(recalls))}

    def decode(self, outputs: "Tensor", temperature: "float | Tensor" = 1.0) -> "Tensor":
        """Returns probabilities that sum to 1 in every row."""
        return (outputs.float() / temperature).softmax(dim=1)


@dataclass(frozen=True)
class DimensionTarget(Target):
    """Dimensions, such as valence, in the units of the corpus; trained by concordance.

    >>> DimensionTarget(("valence",)).columns
    ('valence', 'predicted valence')
    """

    kind = "dimensions"
    output = "estimates"
    metrics: ClassVar[Mapping[str, str]] = MappingProxyType({"ccc": "max"})

    @property
    def dimensions(self) -> tuple[str, ...]:
        """All labels."""
        return self.labels

    def encode(self, emotions: Sequence[str], values: Sequence[Sequence[float]]) -> np.ndarray:
        """Returns the values, ``(utterances, dimensions)``."""
        return np.array(values, dtype=float).reshape(-1, len(self.labels))

    def loss(
        self,
        outputs: "Tensor",
        targets: "Tensor",
        *,
        class_weights: "Tensor | None" = None,
        label_smoothing: float = 0.0,
    ) -> "Tensor":
        """Returns 1 − the mean concordance; ``targets`` are ``(utterances, labels)``. 1 of a single utterance."""
        if class_weights is not None or label_smoothing:
            raise InputError("class weights and label smoothing are for classes; expected neither with dimensions")
        return 1.0 - concordance(outputs, targets).mean()

    def measure(self, outputs: "Tensor", targets: "Tensor") -> dict[str, float]:
        """Returns the mean concordance."""
        return {"ccc": float(concordance(outputs, targets).mean())}

    def decode(self, outputs: "Tensor", temperature: "float | Tensor" = 1.0) -> "Tensor":
        """Returns the estimates as they are."""
        return outputs.float()


@dataclass(frozen=True)
class MultiTaskTarget(Target):
    """Classes and dimensions of one model, trained together: a weighted sum of both losses.

    The truth of an utterance is its label number, then its values, ``(utterances, 1 + dimensions)``, each not a number
    where it is not known; shares of classes may stand in the place of the label number. What is not known is left out
    of the losses and the figures.

    Args:
        labels: names of the classes, then of the dimensions.
        num_classes: how many of them are classes.
        dimension_weight: weight of the dimensions' loss; that of the classes is 1.

    >>> MultiTaskTarget(("anger", "neutral", "valence"), 2).columns
    ('emotion', 'predicted', 'anger', 'neutral', 'valence', 'predicted valence')
    """

    num_classes: int = 0
    dimension_weight: float = field(default=1.0, compare=False)

    kind = "both"
    output = "answers"
    metrics: ClassVar[Mapping[str, str]] = MappingProxyType(
        {**ClassTarget.metrics, **DimensionTarget.metrics, "uar_ccc": "max"}
    )
    may_lack = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_labels(self.classes)
        if not self.dimensions:
            raise InputError(f"targets: expected dimensions beside the emotions {', '.join(self.classes)}, got none")
        folded = [name.lower() for name in self.labels]
        if twice := [name for name in self.dimensions if folded.count(name.lower()) > 1]:
            raise InputError(f"targets: expected other names than the emotions have, each once, got {', '.join(twice)}")
        if not 0 < self.dimension_weight < math.inf:
            raise InputError(f"dimension_weight: expected a number above 0, got {self.dimension_weight}")

    @classmethod
    def of(cls, classes: Sequence[str], dimensions: Sequence[str], dimension_weight: float = 1.0) -> "MultiTaskTarget":
        """Joins classes and dimensions."""
        return cls((*classes, *dimensions), len(classes), dimension_weight)

    @property
    def classes(self) -> tuple[str, ...]:
        """The first labels."""
        return self.labels[: self.num_classes]

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The labels behind the classes."""
        return self.labels[self.num_classes :]

    @property
    def parts(self) -> tuple[ClassTarget, DimensionTarget]:
        """The targets that it consists of."""
        return ClassTarget(self.classes), DimensionTarget(self.dimensions)

    def encode(self, emotions: Sequence[str], values: Sequence[Sequence[float]]) -> np.ndarray:
        """Returns label numbers and values, ``(utterances, 1 + dimensions)``."""
        numbers = [self.classes.index(emotion) if emotion else math.nan for emotion in emotions]
        rows = [(number, *own) for number, own in zip(numbers, values, strict=True)]
        return np.array(rows, dtype=float).reshape(-1, 1 + len(self.dimensions))

    def loss(
        self,
        outputs: "Tensor",
        targets: "Tensor",
        *,
        class_weights: "Tensor | None" = None,
        label_smoothing: float = 0.0,
    ) -> "Tensor":
        """Returns the cross-entropy of the utterances whose label is known, plus that of the dimensions, weighted.

        The dimensions' is 1 − the mean of their concordances, each over the utterances whose value is known. Where
        nothing is known of any utterance, a part adds nothing.
        """
        classes, dimensions = self.parts
        truth, values = targets[:, : -len(dimensions)], targets[:, -len(dimensions) :]
        losses = []
        labeled = truth.isfinite().all(dim=1)
        if labeled.any():
            known = truth[labeled] if truth.shape[1] > 1 else truth[labeled, 0].long()
            logits = outputs[labeled, : len(classes)]
            losses.append(classes.loss(logits, known, class_weights=class_weights, label_smoothing=label_smoothing))
        if found := self._concordances(outputs, values):
            losses.append(self.dimension_weight * (1.0 - sum(found[1:], found[0]) / len(found)))
        return sum(losses[1:], losses[0]) if losses else outputs.float().sum() * 0.0

    def measure(self, outputs: "Tensor", targets: "Tensor") -> dict[str, float]:
        """Returns the figures of the classes and of the dimensions, and ``uar_ccc``, the mean of UAR and concordance.

        Of what nothing is known there is none, in the mean as well.
        """
        if not outputs.isfinite().all():
            return dict.fromkeys(self.metrics, math.nan)
        labeled, found = targets[:, 0].isfinite(), self._concordances(outputs, targets[:, 1:])
        logits = outputs[labeled, : self.num_classes]
        figures = self.parts[0].measure(logits, targets[labeled, 0]) if labeled.any() else {}
        if found:
            figures["ccc"] = float(sum(found)) / len(found)
        of_both = [figures[name] for name in ("uar", "ccc") if name in figures]
        return {**figures, "uar_ccc": sum(of_both) / len(of_both)} if of_both else {}

    def _concordances(self, outputs: "Tensor", values: "Tensor") -> "list[Tensor]":
        """Returns the concordance of each dimension over the utterances whose value is known, if there are some."""
        columns = zip(outputs[:, self.num_classes :].T, values.T, values.isfinite().T, strict=True)
        return [concordance(own[known, None], truth[known, None])[0] for own, truth, known in columns if known.any()]

    def decode(self, outputs: "Tensor", temperature: "float | Tensor" = 1.0) -> "Tensor":
        """Returns probabilities that sum to 1 in every row, then the estimates as they are."""
        import torch

        classes, dimensions = self.parts
        logits, estimates = outputs[:, : len(classes)], outputs[:, len(classes) :]
        return torch.cat([classes.decode(logits, temperature), dimensions.decode(estimates)], dim=1)

    def config(self) -> dict[str, Any]:
        """Returns the classes as ``labels``, the dimensions and their weight."""
        return {
            "labels": list(self.classes),
            "dimensional": False,
            "dimensions": list(self.dimensions),
            "dimension_weight": self.dimension_weight,
        }


def to_target(labels: "Sequence[str] | Target") -> Target:
    """Returns a target as it is; labels alone are classes."""
    return labels if isinstance(labels, Target) else ClassTarget(tuple(labels))


def target_from_config(config: Mapping[str, Any]) -> Target:
    """Makes the target that a ``config()`` describes; one without ``dimensional`` is of classes."""
    labels, dimensions = tuple(config["labels"]), tuple(config.get("dimensions", ()))
    if dimensions:
        return MultiTaskTarget.of(labels, dimensions, float(config.get("dimension_weight", 1.0)))
    return DimensionTarget(labels) if config.get("dimensional", False) is True else ClassTarget(labels)


def concordance(estimates: "Tensor", targets: "Tensor") -> "Tensor":
    """Computes concordance correlation coefficients (Lin, 1989; variances and covariance with 1 / n).

    Args:
        estimates: ``(utterances, dimensions)``.
        targets: of the same shape.

    Returns:
        ``(dimensions,)`` in float32 or better; 0 where nothing varies.
    """
    estimates, targets = (x if x.element_size() == 8 else x.float() for x in (estimates, targets))
    x, y = estimates - estimates.mean(0), targets - targets.mean(0)
    shift = estimates.mean(0) - targets.mean(0)
    spread = (x * x).mean(0) + (y * y).mean(0) + shift * shift
    return 2.0 * (x * y).mean(0) / spread.clamp(min=SMALLEST_SPREAD)
