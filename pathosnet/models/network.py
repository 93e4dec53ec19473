"""One network of the paper: an audio branch and a text branch, or either alone, under a linear classifier."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pathosnet.models.blocks import BATCH_NORM_MOMENTUM
from pathosnet.models.branches import AUDIO_WIDTH, TEXT_WIDTH, AudioBranch, TextBranch

TEXT = "text"
Lengths = Mapping[str, Tensor]
Masks = Mapping[str, Tensor]


class Inputs(NamedTuple):
    """A batch of feature sequences by name (``"text"``, ``"vggish"``, …), padded, with their masks."""

    features: Mapping[str, Tensor]
    """Name → ``(batch, time, features)``."""
    masks: Masks
    """Name → ``(batch, time)``, True where a frame is real; a row without any is a missing or empty sequence."""


@dataclass(frozen=True)
class BranchOptions:
    """The shape of the branches."""

    text_width: int = TEXT_WIDTH
    audio_width: int = AUDIO_WIDTH
    num_blocks: int = 2
    dropout: float = 0.5
    batch_norm_momentum: float = BATCH_NORM_MOMENTUM


class Classified(nn.Module):
    """Features of an utterance, divided by a temperature, under a linear classifier.

    Args:
        feature_dim: length of the features.
        num_classes: of the classifier.
        temperature: divides the features.
    """

    def __init__(self, feature_dim: int, num_classes: int, temperature: float) -> None:
        super().__init__()
        self.feature_dim = feature_dim
        self.num_classes = num_classes
        self.temperature = temperature
        self.classifier = linear_classifier(feature_dim, num_classes)

    @property
    def input_dims(self) -> dict[str, int]:
        """Input name → length of its frames."""
        raise NotImplementedError

    def features(self, inputs: Inputs) -> Tensor:
        """Returns the vector under the classifier, ``(batch, feature_dim)``; no sequence may be empty."""
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """Returns what ``network_from_config`` needs, as JSON values."""
        raise NotImplementedError

    def classify(self, inputs: Inputs) -> Tensor:
        """Returns logits, ``(batch, classes)``; an empty sequence becomes one row of zeros (the authors' code)."""
        logits: Tensor = self.classifier(self.features(with_zero_rows(inputs)) / self.temperature)
        return logits

    @torch.no_grad()
    def replace_classifier(self, old: Sequence[str], new: Sequence[str]) -> None:
        """Makes a classifier of other labels; those that stay keep their weights.

        Args:
            old: the labels until now, in order.
            new: the labels from now on.
        """
        classifier = linear_classifier(self.feature_dim, len(new)).to(self.classifier.weight.device)
        for row, label in enumerate(new):
            if label in old:
                classifier.weight[row] = self.classifier.weight[old.index(label)]
                classifier.bias[row] = self.classifier.bias[old.index(label)]
        self.classifier = classifier
        self.num_classes = len(new)

    def forward(
        self, *, lengths: Lengths | None = None, masks: Masks | None = None, **features: Tensor | None
    ) -> Tensor:
        """Computes logits from feature sequences by name.

        Args:
            lengths: name → real frames of each utterance, ``(batch,)``.
            masks: name → ``(batch, time)``, True where a frame is real, those first; instead of lengths. Without
                either, all are real.
            **features: name → ``(batch, time, features)``, such as ``vggish=…, ghostvlad=…, text=…``. A sequence that
                is absent, None or has no frame becomes one row of zeros (the authors' code).

        Returns:
            Logits ``(batch, classes)``.
        """
        return self.classify(make_inputs(self.input_dims, features, lengths, masks))


class EmotionNetwork(Classified):
    """Branches side by side, their outputs concatenated and classified.

    Args:
        branches: input name → length of its frames, in the order of concatenation; ``"text"`` makes a text branch, any
            other name an audio branch.
        num_classes: of the classifier.
        temperature: divides the concatenated features.
        options: of the branches.
    """

    def __init__(
        self,
        branches: Mapping[str, int],
        num_classes: int,
        temperature: float = 1.0,
        options: BranchOptions | None = None,
    ) -> None:
        options = options or BranchOptions()
        widths = {name: options.text_width if name == TEXT else options.audio_width for name in branches}
        super().__init__(sum(widths.values()), num_classes, temperature)
        shared = {
            "num_blocks": options.num_blocks,
            "dropout": options.dropout,
            "batch_norm_momentum": options.batch_norm_momentum,
        }
        self.branches = nn.ModuleDict(
            {
                name: (TextBranch if name == TEXT else AudioBranch)(dim, widths[name], **shared)
                for name, dim in branches.items()
            }
        )
        self._input_dims = dict(branches)
        self.options = options

    @property
    def input_dims(self) -> dict[str, int]:
        """Input name → length of its frames."""
        return dict(self._input_dims)

    def features(self, inputs: Inputs) -> Tensor:
        """Returns the branches' outputs side by side, ``(batch, feature_dim)``; no sequence may be empty."""
        return torch.cat(
            [branch(inputs.features[name], inputs.masks[name]) for name, branch in self.branches.items()], dim=1
        )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "EmotionNetwork":
        """Makes the network that ``config()`` describes, with fresh weights."""
        return cls(config["branches"], config["num_classes"], config["temperature"], BranchOptions(**config["options"]))

    def config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as JSON values."""
        return {
            "branches": self.input_dims,
            "num_classes": self.num_classes,
            "temperature": self.temperature,
            "options": asdict(self.options),
        }


def make_inputs(
    dims: Mapping[str, int],
    features: Mapping[str, Tensor | None],
    lengths: Lengths | None = None,
    masks: Masks | None = None,
) -> Inputs:
    """Completes a batch: masks from lengths, and empty sequences for what is absent.

    Args:
        dims: name → length of its frames, of every input that the network has.
        features: name → ``(batch, time, features)`` or None.
        lengths: name → ``(batch,)``.
        masks: name → ``(batch, time)``.

    Raises:
        ValueError: a name that the network does not have, another shape, or nothing at all.
    """
    given = {name: value for name, value in features.items() if value is not None}
    for name in {*given, *(lengths or {}), *(masks or {})} - dims.keys():
        raise ValueError(f"expected inputs out of {', '.join(dims)}, got {name!r}")
    if not given:
        raise ValueError(f"expected at least one of {', '.join(dims)}, got none")
    for name, value in given.items():
        if value.ndim != 3 or value.shape[2] != dims[name]:
            raise ValueError(f"{name}: expected shape (batch, time, {dims[name]}), got {tuple(value.shape)}")
    batch_sizes = {name: len(value) for name, value in given.items()}
    if len(set(batch_sizes.values())) > 1:
        raise ValueError(f"expected one batch size, got {batch_sizes}")
    reference = next(iter(given.values()))
    complete_features, complete_masks = {}, {}
    for name, dim in dims.items():
        frames = given.get(name, reference.new_zeros(len(reference), 0, dim))
        if masks is not None and name in masks:
            mask = masks[name].bool()
        elif lengths is not None and name in lengths:
            mask = torch.arange(frames.shape[1], device=frames.device) < lengths[name].unsqueeze(1)
        else:
            mask = torch.ones(frames.shape[:2], dtype=torch.bool, device=frames.device)
        if mask.shape != frames.shape[:2]:
            raise ValueError(f"{name}: expected a mask of shape {tuple(frames.shape[:2])}, got {tuple(mask.shape)}")
        if (mask[:, 1:] & ~mask[:, :-1]).any():
            raise ValueError(f"{name}: expected masks whose real frames come first, got padding before a real frame")
        complete_features[name], complete_masks[name] = frames, mask
    return Inputs(complete_features, complete_masks)


def with_zero_rows(inputs: Inputs) -> Inputs:
    """Puts one row of zeros in the place of every empty sequence."""
    features, masks = {}, {}
    for name, frames in inputs.features.items():
        mask = inputs.masks[name]
        if frames.shape[1] == 0:
            frames, mask = frames.new_zeros(len(frames), 1, frames.shape[2]), mask.new_zeros(len(mask), 1)
        empty = ~mask.any(dim=1, keepdim=True)
        first = torch.arange(mask.shape[1], device=mask.device) == 0
        features[name], masks[name] = frames.masked_fill(empty.unsqueeze(2), 0.0), mask | (empty & first)
    return Inputs(features, masks)


def linear_classifier(in_features: int, num_classes: int) -> nn.Linear:
    """Makes a linear layer with Keras' initial values."""
    classifier = nn.Linear(in_features, num_classes)
    nn.init.xavier_uniform_(classifier.weight)
    nn.init.zeros_(classifier.bias)
    return classifier
