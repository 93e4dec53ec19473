"""From a waveform to a sequence of acoustic features: a front end, a backbone if there is one, and the windows."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar, get_args

import torch
from torch import Tensor, nn

from pathosnet.backbones import ThinResNet34, Unlockable, VGGish
from pathosnet.config import TrainConfig
from pathosnet.errors import InputError
from pathosnet.feature_store import FORMAT
from pathosnet.features import (
    log_mel_example_pieces,
    log_mel_examples,
    log_mel_frames,
    spectrogram_window_pieces,
    spectrogram_windows,
)
from pathosnet.features.log_mel import NUM_BANDS
from pathosnet.registry import acoustic_features
from pathosnet.weights import load_thin_resnet34, load_vggish
from pathosnet.weights.catalogue import file_or_known

WINDOWS_AT_ONCE = (
    256  # bounds the memory of a long recording; enough for the large dense layers to be worth their reading
)
SAMPLES_TOGETHER = 60 * 16_000  # of the recordings whose windows share batches

Part = Literal["features", "frozen"]
"""What to compute: the features, or what the backbone's unlocked layer reads."""
Precision = Literal["32", "bf16"]
"""Of a backbone's convolutions and large products: float32 or bfloat16."""


class AcousticExtractor(nn.Module, ABC):
    """What makes an acoustic feature. Subclasses set its ``name`` and are registered, see ``register_extractor``.

    Args:
        feature_dim: length of a feature vector.
        backbone: the network between the front end and the features, if there is one: ``(windows, …)`` →
            ``(windows, feature_dim)``. If it is ``Unlockable``, the second stage of training applies to it.
        precision: the backbone's, where nothing is learnt; bfloat16 for VGGish and Thin ResNet-34 alone.
    """

    name: str
    version: int | None = None
    """Features are kept from run to run under this number, configuration and weights; it is to be raised when the code
    comes to give others. With None they are made again in every run."""

    def __init__(self, feature_dim: int, backbone: nn.Module | None = None, precision: Precision = "32") -> None:
        super().__init__()
        if precision not in get_args(Precision):
            raise ValueError(f"precision: expected {' or '.join(get_args(Precision))}, got {precision!r}")
        self.feature_dim = feature_dim
        self.backbone = backbone
        self.precision = precision
        if isinstance(backbone, (VGGish, ThinResNet34)) and precision == "bf16":
            backbone.layers.dtype = torch.bfloat16

    @classmethod
    def from_options(cls, options: TrainConfig, **own: Any) -> "AcousticExtractor":
        """Makes the extractor for a training run, a pre-trained backbone with its weights.

        Args:
            options: of the run.
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
    def unlockable(self) -> Unlockable | None:
        """The backbone, if it has a layer that the second stage of training can unlock."""
        return self.backbone if isinstance(self.backbone, Unlockable) else None

    @abstractmethod
    def front_end(self, waveform: Tensor) -> Tensor:
        """Turns ``(samples,)`` at 16 kHz into what the backbone reads, ``(windows, …)``; perhaps no windows."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Returns what ``from_config`` needs, as JSON values: the constructor's arguments but for the backbone."""

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
        network: Callable[[Tensor], Tensor] = self.backbone if part == "features" else self._unlockable().frozen_part
        counts = [0] * len(waveforms)

        def windows() -> Iterator[Tensor]:
            for i, waveform in enumerate(waveforms):
                for piece in self.front_end_pieces(waveform):
                    counts[i] += len(piece)
                    yield piece

        rows = [network(batch) for batch in _rebatched(windows(), WINDOWS_AT_ONCE)]
        together = torch.cat(rows) if rows else self._no_rows(waveforms[0], part)
        return [own.clone() for own in together.split(counts)]  # a view would keep the others' rows as well

    def _no_rows(self, waveform: Tensor, part: Part) -> Tensor:
        if part == "features":
            return waveform.new_zeros(0, self.feature_dim)
        windows = self.front_end(waveform)  # one window of silence tells the shape
        return self._unlockable().frozen_part(windows.new_zeros(1, *windows.shape[1:]))[:0]

    def _unlockable(self) -> Unlockable:
        if self.unlockable is None:
            raise ValueError(f"{self.name}: expected a backbone with a layer to unlock, got {type(self.backbone)}")
        return self.unlockable


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


@register_extractor
class LogMelExtractor(AcousticExtractor):
    """Log-mel frames, 64 bands every 10 ms, straight into the audio branch: nothing is pre-trained.

    The branch sees few steps at once, so that it helps to let each hold more time.

    Args:
        stack: frames side by side in one step of the sequence; the four of the default make 40 ms.
    """

    name = "logmel"

    def __init__(self, stack: int = 4) -> None:
        super().__init__(NUM_BANDS * stack)
        self.stack = stack

    def front_end(self, waveform: Tensor) -> Tensor:
        """Computes ``(time, 64 · stack)``."""
        frames = log_mel_frames(waveform)
        time = len(frames) // self.stack
        return frames[: time * self.stack].reshape(time, self.feature_dim)

    def config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"stack": self.stack}

    @classmethod
    def from_options(cls, options: TrainConfig, **own: Any) -> "LogMelExtractor":
        """Takes the run's ``logmel_stack``."""
        return cls(**{"stack": options.logmel_stack, **own})


@register_extractor
class VGGishExtractor(AcousticExtractor):
    """One VGGish vector for every 0.96 s; none below 0.975 s.

    Args:
        backbone: the network.
        precision: the network's, where nothing is learnt.
    """

    name = "vggish"
    version = FORMAT

    def __init__(self, backbone: VGGish, precision: Precision = "32") -> None:
        super().__init__(backbone.feature_dim, backbone, precision)

    def front_end(self, waveform: Tensor) -> Tensor:
        """Computes ``(examples, 96, 64)``."""
        return log_mel_examples(waveform)

    def front_end_pieces(self, waveform: Tensor) -> Iterator[Tensor]:
        """Yields the same some examples at a time."""
        return log_mel_example_pieces(waveform)

    def config(self) -> dict[str, Any]:
        """Returns the precision and the backbone's arguments."""
        assert isinstance(self.backbone, VGGish)
        return {"output": self.backbone.output, "precision": self.precision}

    @classmethod
    def from_options(cls, options: TrainConfig, **own: Any) -> "VGGishExtractor":
        """Reads the run's file of weights."""
        backbone = load_vggish(file_or_known(str(options.vggish)), options.vggish_output)
        return cls(backbone, **{"precision": options.extraction_precision, **own})

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "VGGishExtractor":
        """Makes what ``config()`` describes."""
        options = dict(config)
        return cls(VGGish(options.pop("output")), **options)


@register_extractor
class GhostVLADExtractor(AcousticExtractor):
    """One Thin ResNet-34 + GhostVLAD vector for every window of a spectrogram.

    Args:
        backbone: the network.
        window_frames: length of a window in frames; the authors' 30 are 0.3 s.
        hop_frames: frames from one window to the next; the authors' 15 overlap by half.
        stft_hop: samples from one frame to the next.
        silence_removal: remove silence first.
        top_db: what counts as silence.
        precision: the network's, where nothing is learnt.
    """

    name = "ghostvlad"
    version = FORMAT

    def __init__(
        self,
        backbone: ThinResNet34,
        window_frames: int = 30,
        hop_frames: int = 15,
        stft_hop: int = 160,
        silence_removal: bool = True,
        top_db: float = 20.0,
        precision: Precision = "32",
    ) -> None:
        super().__init__(backbone.feature_dim, backbone, precision)
        self.windowing = {
            "window_frames": window_frames,
            "hop_frames": hop_frames,
            "stft_hop": stft_hop,
            "silence_removal": silence_removal,
            "top_db": top_db,
        }

    def front_end(self, waveform: Tensor) -> Tensor:
        """Computes ``(windows, 257, window_frames)``."""
        return spectrogram_windows(waveform, **self.windowing)  # type: ignore[arg-type]

    def front_end_pieces(self, waveform: Tensor) -> Iterator[Tensor]:
        """Yields the same some windows at a time."""
        return spectrogram_window_pieces(waveform, **self.windowing)  # type: ignore[arg-type]

    def config(self) -> dict[str, Any]:
        """Returns the constructor's arguments and the backbone's."""
        assert isinstance(self.backbone, ThinResNet34)
        return {**self.windowing, "normalize": self.backbone.normalize, "precision": self.precision}

    @classmethod
    def from_options(cls, options: TrainConfig, **own: Any) -> "GhostVLADExtractor":
        """Reads the run's file of weights."""
        given = {
            "window_frames": options.window_frames,
            "hop_frames": options.hop_frames,
            "stft_hop": options.stft_hop,
            "silence_removal": options.silence_removal,
            "top_db": options.top_db,
            "precision": options.extraction_precision,
        }
        return cls(load_thin_resnet34(file_or_known(str(options.ghostvlad))), **{**given, **own})

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "GhostVLADExtractor":
        """Makes what ``config()`` describes."""
        options = dict(config)
        return cls(ThinResNet34(options.pop("normalize")), **options)


def extractor_from_config(name: str, config: Mapping[str, Any]) -> AcousticExtractor:
    """Makes the extractor that a ``config()`` describes, its backbone with fresh weights.

    Raises:
        InputError: no extractor of this name is registered.
    """
    made: AcousticExtractor = acoustic_features.find(name).from_config(config)
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
