"""Meaning of a model's outputs: classes to tell apart, or dimensions to estimate.

A target knows how its outputs are trained, read, measured during training and named in files. Everything else asks it,
so that a third kind would be one more class here. This module imports PyTorch only where it computes a loss.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from pathosnet.emotions import check_labels
from pathosnet.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

PREDICTED = "predicted"
SMALLEST_SPREAD = 1e-8  # what concordance divides by, at least


@dataclass(frozen=True)
class Target(ABC):
    """Meaning of a model's outputs; see ClassTarget and DimensionTarget.

    Args:
        labels: names of the outputs, in order.
    """

    labels: tuple[str, ...]

    kind: ClassVar[str]
    """``"classes"`` or ``"dimensions"``."""
    verb: ClassVar[str]
    """Verb for a model and its labels."""
    output: ClassVar[str]
    """Name of one row of outputs: ``"probabilities"`` or ``"estimates"``."""
    picture: ClassVar[str]
    """Stem of the picture that shows the outputs beside the truth."""
    metrics: ClassVar[Mapping[str, str]]
    """Figures of the validation part besides the loss → ``"max"`` or ``"min"``, whichever is better."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Columns of ``predictions.csv`` that hold the truth and the outputs."""

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
        """Turns a network's outputs into probabilities, or leaves them as estimates, ``(utterances, labels)`` float32.

        Args:
            outputs: ``(utterances, labels)``.
            temperature: divides logits, one for all or one a row, ``(utterances, 1)``; estimates have none.
        """

    @property
    @abstractmethod
    def answer_columns(self) -> tuple[str, ...]:
        """Columns of a table of answers, where the truth is not known."""

    def config(self) -> dict[str, Any]:
        """Returns what ``target_from_config`` needs, as JSON values."""
        return {"labels": list(self.labels), "dimensional": self.kind == DimensionTarget.kind}


@dataclass(frozen=True)
class ClassTarget(Target):
    """Classes, such as emotions: logits become probabilities, trained by cross-entropy.

    >>> ClassTarget(("anger", "neutral")).columns
    ('emotion', 'predicted', 'anger', 'neutral')
    """

    kind = "classes"
    verb = "tells apart"
    output = "probabilities"
    picture = "confusion_matrix"
    metrics: ClassVar[Mapping[str, str]] = MappingProxyType({"accuracy": "max", "uar": "max"})

    def __post_init__(self) -> None:
        super().__post_init__()
        check_labels(self.labels)

    @property
    def columns(self) -> tuple[str, ...]:
        """The true and the predicted label, then the probability of each."""
        return ("emotion", PREDICTED, *self.labels)

    @property
    def answer_columns(self) -> tuple[str, ...]:
        """The most probable label, then the probability of each."""
        return ("label", *self.labels)

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
    verb = "estimates"
    output = "estimates"
    picture = "estimates"
    metrics: ClassVar[Mapping[str, str]] = MappingProxyType({"ccc": "max"})

    @property
    def columns(self) -> tuple[str, ...]:
        """The true values, then the estimates."""
        return (*self.labels, *(f"{PREDICTED} {name}" for name in self.labels))

    @property
    def answer_columns(self) -> tuple[str, ...]:
        """The estimates."""
        return self.labels

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


def to_target(labels: "Sequence[str] | Target") -> Target:
    """Returns a target as it is; labels alone are classes."""
    return labels if isinstance(labels, Target) else ClassTarget(tuple(labels))


def target_from_config(config: Mapping[str, Any]) -> Target:
    """Makes the target that a ``config()`` describes; one without ``dimensional`` is of classes."""
    kind = DimensionTarget if config.get("dimensional", False) is True else ClassTarget
    return kind(tuple(config["labels"]))


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
