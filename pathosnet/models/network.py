"""One network of the paper: an audio branch and a text branch, or either alone, under a linear classifier."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from pathosnet.models.blocks import BATCH_NORM_MOMENTUM
from pathosnet.models.branches import (
    AUDIO_WIDTH,
    TEXT_WIDTH,
    AudioBranch,
    PooledBranch,
    SequenceEncoder,
    Standardize,
    TextBranch,
)
from pathosnet.models.inputs import TEXT, Inputs, Lengths, Masks, make_inputs
from pathosnet.models.pooling import POOLINGS

NETWORKS = ("branches", "mlp", "linear")


@dataclass(frozen=True)
class BranchOptions:
    """The shape of the branches. The defaults are the paper's and the authors'."""

    text_width: int = TEXT_WIDTH
    audio_width: int = AUDIO_WIDTH
    num_blocks: int = 2
    dropout: float = 0.5
    batch_norm_momentum: float = BATCH_NORM_MOMENTUM
    network: str = "branches"
    """``branches`` (the paper's), ``mlp`` (pooled over time, one hidden layer) or ``linear`` (pooled over time)."""
    pooling: str = "mean"
    """Over time: ``mean``, ``statistics`` (mean and standard deviation) or ``attention``."""
    standardize: bool = False
    """Whether every branch begins with Standardize; models that were saved without do not have it."""

    def __post_init__(self) -> None:
        for name, value, known in (("network", self.network, NETWORKS), ("pooling", self.pooling, POOLINGS)):
            if value not in known:
                raise ValueError(f"{name}: expected {', '.join(known)}, got {value!r}")
        for one in fields(self):
            value = getattr(self, one.name)
            if type(value) is not type(one.default) and not (type(one.default) is float and type(value) is int):
                raise ValueError(f"{one.name}: expected a {type(one.default).__name__}, got {value!r}")


class Classified(nn.Module):
    """Features of an utterance, divided by a temperature, under a linear classifier.

    Args:
        feature_dim: length of the features.
        num_classes: of the classifier.
        temperature: divides the features.
    """

    def __init__(self, feature_dim: int, num_classes: int, temperature: float) -> None:
        super().__init__()
        if not (isinstance(temperature, (int, float)) and 0 < temperature < math.inf):
            raise ValueError(f"temperature: expected a number above 0, got {temperature!r}")
        self.feature_dim = feature_dim
        self.num_classes = num_classes
        self.temperature = temperature
        self.classifier = linear_classifier(feature_dim, num_classes)

    @property
    def input_dims(self) -> dict[str, int]:
        """Input name → length of its frames."""
        raise NotImplementedError

    @property
    def standardizers(self) -> dict[str, Standardize]:
        """Acoustic feature → the training part's mean and deviation, of those that are standardized."""
        raise NotImplementedError

    @property
    def centers(self) -> dict[str, Tensor]:
        """Acoustic feature → the training part's mean, ``(features,)``, of those that are standardized."""
        return {name: standardize.mean for name, standardize in self.standardizers.items()}

    @property
    def layer_weights(self) -> dict[str, list[float]]:
        """Acoustic feature → the weight of each layer of its encoder, of those whose layers are mixed."""
        raise NotImplementedError

    def features(self, inputs: Inputs) -> Tensor:
        """Returns the vector under the classifier, ``(batch, feature_dim)``."""
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """Returns what ``network_from_config`` needs, as JSON values."""
        raise NotImplementedError

    def classify(self, inputs: Inputs) -> Tensor:
        """Returns logits, ``(batch, classes)``; an empty sequence becomes one row of zeros (the authors' code)."""
        logits: Tensor = self.classifier(self.features(inputs) / self.temperature)
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
        return self.classify(make_inputs(self.input_dims, features, lengths, masks=masks))


class EmotionNetwork(Classified):
    """Branches side by side, their outputs concatenated and classified.

    Args:
        branches: input name → length of its frames, in the order of concatenation; ``"text"`` makes a text branch, any
            other name an audio branch.
        num_classes: of the classifier.
        temperature: divides the concatenated features.
        options: of the branches.
        layers: input name → how many layers of an encoder lie side by side in its frames, of those whose branch reads a
            learned mix of them.

    Raises:
        ValueError: frames are not so many layers.
    """

    def __init__(
        self,
        branches: Mapping[str, int],
        num_classes: int,
        temperature: float = 1.0,
        options: BranchOptions | None = None,
        *,
        layers: Mapping[str, int] | None = None,
    ) -> None:
        options, layers = options or BranchOptions(), layers or {}
        for name, count in layers.items():
            if count < 1 or branches[name] % count:
                raise ValueError(f"{name}: expected frames of {count} layers, got a length of {branches[name]}")
        dims = {name: dim // layers.get(name, 1) for name, dim in branches.items()}
        super().__init__(sum(_out_features(*one, options) for one in dims.items()), num_classes, temperature)
        self.branches = nn.ModuleDict(
            {name: make_branch(name, dim, options, num_layers=layers.get(name, 1)) for name, dim in branches.items()}
        )
        self._input_dims = dict(branches)
        self.options = options
        self.layers = dict(layers)
        if not list(self.branches.parameters()):
            # Nothing below learns: this is logistic regression, and random weights of thousands of features would
            # outlast the few updates of a small corpus.
            nn.init.zeros_(self.classifier.weight)

    @property
    def input_dims(self) -> dict[str, int]:
        """Input name → length of its frames."""
        return dict(self._input_dims)

    @property
    def standardizers(self) -> dict[str, Standardize]:
        """Acoustic feature → the training part's mean and deviation, of those that are standardized."""
        branches = ((name, branch) for name, branch in self.branches.items() if name != TEXT)
        return {
            name: branch.standardize
            for name, branch in branches
            if isinstance(branch, SequenceEncoder) and branch.standardize is not None
        }

    @property
    def layer_weights(self) -> dict[str, list[float]]:
        """Acoustic feature → the weight of each layer, of those whose layers are mixed."""
        mixes = ((name, branch.mix) for name, branch in self.branches.items() if isinstance(branch, SequenceEncoder))
        return {name: mix.weights.tolist() for name, mix in mixes if mix is not None}

    def features(self, inputs: Inputs) -> Tensor:
        """Returns the branches' outputs side by side, ``(batch, feature_dim)``."""
        return torch.cat(
            [branch(inputs.features[name], inputs.masks[name]) for name, branch in self.branches.items()], dim=1
        )

    def standardize(self, sequences: Mapping[str, Sequence[Tensor]]) -> None:
        """Measures what branches that standardize subtract and divide by; does nothing to others.

        Args:
            sequences: name → one ``(time, features)`` tensor an utterance of the training part.
        """
        for name, branch in self.branches.items():
            if isinstance(branch, SequenceEncoder) and branch.standardize is not None:
                branch.standardize.fit(sequences[name])

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "EmotionNetwork":
        """Makes the network that ``config()`` describes, with fresh weights."""
        options = BranchOptions(**config["options"])
        return cls(
            config["branches"], config["num_classes"], config["temperature"], options, layers=config.get("layers")
        )

    def config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as JSON values."""
        return {
            "branches": self.input_dims,
            "num_classes": self.num_classes,
            "temperature": self.temperature,
            "options": asdict(self.options),
            **({"layers": self.layers} if self.layers else {}),
        }


def _out_features(name: str, dim: int, options: BranchOptions) -> int:
    """Says how long a branch's vector is, before it is made: the classifier draws its initial weights first."""
    width = options.text_width if name == TEXT else options.audio_width
    if options.network == "mlp":
        return width
    return POOLINGS[options.pooling].factor * (width if options.network == "branches" else dim)


def make_branch(name: str, dim: int, options: BranchOptions, *, num_layers: int = 1) -> SequenceEncoder:
    """Makes the branch of one input: ``"text"`` has the width of text, any other name that of audio."""
    width = options.text_width if name == TEXT else options.audio_width
    shared: dict[str, Any] = {
        "pooling": options.pooling,
        "standardize": options.standardize,
        "num_layers": num_layers,
    }
    if options.network == "branches":
        return (TextBranch if name == TEXT else AudioBranch)(
            dim,
            width,
            num_blocks=options.num_blocks,
            dropout=options.dropout,
            batch_norm_momentum=options.batch_norm_momentum,
            **shared,
        )
    return PooledBranch(dim, width if options.network == "mlp" else None, options.dropout, **shared)


def linear_classifier(in_features: int, num_classes: int) -> nn.Linear:
    """Makes a linear layer with Keras' initial values."""
    classifier = nn.Linear(in_features, num_classes)
    nn.init.xavier_uniform_(classifier.weight)
    nn.init.zeros_(classifier.bias)
    return classifier
