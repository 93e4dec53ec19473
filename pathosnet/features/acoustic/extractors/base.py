"""Base class of acoustic extractors, their registration by name, and batches shared by many recordings."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar, get_args

import torch
from torch import Tensor, nn

from pathosnet.backbones import ThinResNet34, Unlockable, UnlockedLayers, VGGish, fused
from pathosnet.errors import InputError
from pathosnet.features.registry import acoustic_features

WINDOWS_AT_ONCE = (
    256  # bounds the memory of a long recording; enough for the large dense layers to be worth their reading
)
SAMPLES_TOGETHER = 60 * 16_000  # of the recordings whose windows share batches

Part = Literal["features", "frozen"]
"""Output of an extractor: the features, or the input of the backbone's unlocked layer."""
Precision = Literal["32", "bf16"]
"""Precision of a backbone's convolutions and large products: float32 or bfloat16."""


class AcousticExtractor(nn.Module, ABC):
    """Maker of one acoustic feature. Subclasses set its ``name`` and are registered, see ``register_extractor``.

    Args:
        feature_dim: length of a feature vector.
        backbone: the network between the front end and the features, if there is one: ``(windows, …)`` →
            ``(windows, feature_dim)``. If it is ``Unlockable``, the second stage of training applies to it.
        precision: the backbone's, where nothing is learned; bfloat16 for VGGish and Thin ResNet-34 alone.
    """

    name: str
    version: int | None = None
    """Features are kept from run to run under this number, configuration and weights; it is to be raised when the code
    comes to give others. With None they are made again in every run."""

    keeps_hidden: bool = True
    """Whether the feature store also keeps what the unlocked layer reads."""

    num_layers: int = 1
    """Layers of an encoder side by side in a frame, of which the branch reads a mix that is trained with it."""

    def __init__(self, feature_dim: int, backbone: nn.Module | None = None, precision: Precision = "32") -> None:
        super().__init__()
        if precision not in get_args(Precision):
            raise ValueError(f"precision: expected {' or '.join(get_args(Precision))}, got {precision!r}")
        self.feature_dim = feature_dim
        self.backbone = backbone
        self.precision = precision

    @classmethod
    def from_options(cls, options: Any, **own: Any) -> "AcousticExtractor":
        """Makes the extractor for a training run; a plug-in whose backbone is pre-trained overrides it to read weights.

        Args:
            options: of the run, a ``pathosnet.experiments.config.TrainConfig``.
            **own: what ``options.feature_options`` says of this feature.

        Raises:
            InputError: a file cannot be used.
        """
        return cls(**own)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "AcousticExtractor":
        """Makes the extractor that a ``config()`` describes, its backbone with fresh weights."""
        return cls(**config)

    @property
    def unlockable(self) -> Unlockable | UnlockedLayers | None:
        """The backbone, or the part of it that the second stage of training can unlock; None without such."""
        return self.backbone if isinstance(self.backbone, Unlockable) else None

    @abstractmethod
    def front_end(self, waveform: Tensor) -> Tensor:
        """Turns ``(samples,)`` at 16 kHz into what the backbone reads, ``(windows, …)``; perhaps no windows."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Returns what ``from_config`` needs, as JSON values: the constructor's arguments but for the backbone."""

    @property
    def origin(self) -> str:
        """Source of the feature for a model's card, such as a file of weights; perhaps empty."""
        source = getattr(self.backbone, "source", None)
        return str(getattr(source, "file", ""))

    def recipe(self) -> dict[str, Any]:
        """Returns what, beside the weights, decides about the features; the feature store finds them by it."""
        return self.config()

    def front_end_pieces(self, waveform: Tensor) -> Iterator[Tensor]:
        """Yields what ``front_end`` returns, perhaps some windows at a time."""
        yield self.front_end(waveform)

    def forward(self, waveform: Tensor) -> Tensor:
        """Extracts features.

        Args:
            waveform: ``(samples,)`` at 16 kHz in [-1, 1].

        Returns:
            ``(time, feature_dim)``; no rows if the recording is too short for one.
        """
        return self.extract([waveform])[0]

    def frozen_part(self, waveform: Tensor) -> Tensor:
        """Computes what the backbone's unlocked layer reads, ``(time, channels, …)``."""
        return self.extract([waveform], "frozen")[0]

    @torch.no_grad()
    def extract(self, waveforms: Sequence[Tensor], part: Part = "features") -> list[Tensor]:
        """Computes the features of several recordings, or their frozen part; their windows share batches.

        Args:
            waveforms: each ``(samples,)`` at 16 kHz in [-1, 1].
            part: what to compute.

        Returns:
            One ``(time, …)`` a recording, the same as alone; no rows if it is too short for one.
        """
        if self.backbone is None:
            return [self.front_end(waveform) for waveform in waveforms]
        network = self._network(part)
        counts = [0] * len(waveforms)

        def windows() -> Iterator[Tensor]:
            for i, waveform in enumerate(waveforms):
                for piece in self.front_end_pieces(waveform):
                    counts[i] += len(piece)
                    yield piece

        # Front ends compute in float32, whatever the backbone was converted to.
        kind = next((weight.dtype for weight in self.backbone.parameters()), torch.float32)
        rows = [network(batch.to(kind)).to(batch.dtype) for batch in _rebatched(windows(), WINDOWS_AT_ONCE)]
        together = torch.cat(rows) if rows else self._no_rows(waveforms[0], part)
        return [own.clone() for own in together.split(counts)]  # a view would keep the others' rows as well

    def _no_rows(self, waveform: Tensor, part: Part) -> Tensor:
        if part == "features":
            return waveform.new_zeros(0, self.feature_dim)
        windows = self.front_end(waveform)  # one window of silence tells the shape
        return self._unlockable().frozen_part(windows.new_zeros(1, *windows.shape[1:]))[:0]

    def _network(self, part: Part) -> Callable[[Tensor], Tensor]:
        """Returns what computes a part of batches; of the known backbones, their fused copies."""
        network: Any = self.backbone if part == "features" else self._unlockable()
        if isinstance(network, (VGGish, ThinResNet34)) and not network.training:
            network = fused(network, torch.bfloat16 if self.precision == "bf16" else None)
        return network if part == "features" else network.frozen_part

    def _unlockable(self) -> Unlockable:
        if not isinstance(self.backbone, Unlockable):
            raise ValueError(f"{self.name}: expected a backbone with a layer to unlock, got {type(self.backbone)}")
        return self.backbone


Extractor = TypeVar("Extractor", bound=type[AcousticExtractor])


def register_extractor(extractor: Extractor) -> Extractor:
    """Lets options and saved models name an extractor; a decorator of its class.

    Raises:
        InputError: the class has no name, one that cannot be used, or another's.
    """
    name = getattr(extractor, "name", None)
    if not isinstance(name, str) or hasattr(nn.ModuleDict, name):
        raise InputError(
            f"acoustic feature {extractor.__qualname__}: expected a name = …, got {name!r}; choose another"
        )
    acoustic_features.add(name, extractor)
    return extractor


def extractor_from_config(name: str, config: Mapping[str, Any]) -> AcousticExtractor:
    """Makes the extractor that a ``config()`` describes, its backbone with fresh weights.

    Raises:
        InputError: no extractor of this name is registered.
    """
    kind = acoustic_features.kind_of(name, config)
    named = {} if kind == name else {"name": name}
    made: AcousticExtractor = acoustic_features.find(kind).from_config({**config, **named})
    return made


def extract_together(
    waveforms: Iterable[Tensor], extractors: Mapping[str, AcousticExtractor], part: Part = "features"
) -> Iterator[dict[str, Tensor]]:
    """Extracts from many recordings, some at a time, so that short ones fill batches and long ones fit into memory.

    Args:
        waveforms: each ``(samples,)`` at 16 kHz in [-1, 1].
        extractors: name → extractor.
        part: see ``AcousticExtractor.extract``.

    Yields:
        Name → ``(time, …)`` for each recording, in order.
    """
    for group in _groups(waveforms):
        found = {name: extractor.extract(group, part) for name, extractor in extractors.items()}
        for i in range(len(group)):
            yield {name: sequences[i] for name, sequences in found.items()}


def _groups(waveforms: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    group: list[Tensor] = []
    for waveform in waveforms:
        group.append(waveform)
        if sum(map(len, group)) >= SAMPLES_TOGETHER:
            yield group
            group = []
    if group:
        yield group


def _rebatched(pieces: Iterable[Tensor], size: int) -> Iterator[Tensor]:
    """Joins and cuts ``(windows, …)`` into batches of one size, the last of which may be smaller."""
    waiting: list[Tensor] = []
    for piece in pieces:
        while len(piece):
            room = size - sum(map(len, waiting))
            waiting.append(piece[:room])
            piece = piece[room:]
            if sum(map(len, waiting)) == size:
                yield torch.cat(waiting)
                waiting = []
    if waiting:
        yield torch.cat(waiting)
