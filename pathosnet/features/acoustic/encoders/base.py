"""Base class of speech encoders, and how recordings longer than their window pass through them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from pathosnet.errors import InputError

SAMPLE_RATE = 16_000


@dataclass(frozen=True)
class EncoderSource:
    """Which encoder it is.

    Args:
        name: what the option calls it, ``whisper-base``, ``hf:openai/whisper-base``, ``torchaudio:WAVLM_BASE``, ….
        revision: its commit on the hub, if it is from there.
        sha256: of its tensors; see ``hash_tensors``.
    """

    name: str
    revision: str | None
    sha256: str

    @property
    def file(self) -> str:
        """Name in a model's card."""
        return f"{self.name} (revision {self.revision})" if self.revision else self.name


class SpeechEncoder(nn.Module, ABC):
    """Recordings → the hidden states of an encoder's layers. Frozen, in evaluation mode.

    Args:
        network: the encoder itself.
        dim: length of a vector.
        num_layers: layers; hidden states have the numbers 0 (what the first layer reads) to this.
        hop_samples: from one vector to the next; 320 are 50 a second.
        min_samples: the shortest recording that has a vector.
        max_samples: the longest that it reads at once; None if there is no limit but memory.
        default_layers: first and last of those that are averaged if nobody says which.
    """

    source: EncoderSource | None = None

    def __init__(
        self,
        network: nn.Module,
        *,
        dim: int,
        num_layers: int,
        hop_samples: int,
        min_samples: int,
        max_samples: int | None,
        default_layers: tuple[int, int],
    ) -> None:
        super().__init__()
        self.network = network.float().eval().requires_grad_(False)
        self.dim = dim
        self.num_layers = num_layers
        self.hop_samples = hop_samples
        self.min_samples = min_samples
        self.max_samples = max_samples
        self.default_layers = default_layers

    @abstractmethod
    def forward(self, waveforms: Sequence[Tensor], layers: Sequence[int]) -> list[Tensor]:
        """Computes hidden states; those of a recording are the same alone and beside others.

        Args:
            waveforms: each ``(samples,)`` at 16 kHz, from ``min_samples`` to ``max_samples`` long.
            layers: numbers of hidden states, ascending.

        Returns:
            For each recording ``(layers, time, dim)``.
        """

    @property
    def layers(self) -> Sequence[nn.Module]:
        """Its layers, the lowest first.

        Raises:
            InputError: they cannot be run apart from the rest.
        """
        name = self.source.name if self.source else type(self).__name__
        raise InputError(f"unlock: expected an encoder hf:NAME, not torchaudio's, got {name}; use 0 with it")

    @property
    def norm(self) -> nn.Module | None:
        """The norm over the hidden states of the last layer, if that has none itself."""
        return None

    def states_from(self, x: Tensor, lengths: Sequence[int], layers: Sequence[int], *, start: int = 0) -> Tensor:
        """Goes on from the hidden states of one layer, see WhisperEncoder; only of an encoder that has ``layers``."""
        raise NotImplementedError

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Writes the encoder into an existing folder, from where it can be opened again.

        Raises:
            InputError: such an encoder cannot be written.
        """


LEARNED = "learned"


def side_by_side(value: str) -> bool:
    """Whether the option asks for several layers side by side, instead of their mean."""
    return value == LEARNED or "," in value


def parse_layers(value: str, encoder: SpeechEncoder) -> tuple[int, ...]:
    """Reads the option that chooses layers: one, a span, some of them, ``auto``, or ``learned`` for all of them.

    Raises:
        InputError: the encoder has no such layers.
    """
    if value == LEARNED:
        return tuple(range(encoder.num_layers + 1))
    if value == "auto":
        value = "{}-{}".format(*encoder.default_layers)
    ends = value.split("-")
    span = len(ends) == 2
    numbers = ends if span else value.split(",")
    if not all(number.isascii() and number.isdigit() and len(number) < 5 for number in numbers):
        raise InputError(
            f"encoder_layers: expected a layer such as 4, the mean of a span 3-5, layers side by side 2,3,4, auto or "
            f"learned, got {value!r}"
        )
    layers = tuple(map(int, numbers))
    if span:
        layers = tuple(range(layers[0], layers[1] + 1))
    if not layers or layers[-1] > encoder.num_layers or list(layers) != sorted(set(layers)):
        raise InputError(
            f"encoder_layers: expected layers from 0 to {encoder.num_layers}, each once, ascending, got {value!r}"
        )
    return layers


def plan_windows(num_samples: int, encoder: SpeechEncoder, overlap_samples: int) -> list[tuple[int, int]]:
    """Plans in which windows an encoder reads a recording: one, or full ones at even distances.

    Args:
        num_samples: of the recording.
        encoder: which has a limit, or none.
        overlap_samples: at least so many between one window and the next, but no more than half a window.

    Returns:
        Start and end of each window in samples; starts are multiples of the encoder's hop.
    """
    size = encoder.max_samples
    if size is None or num_samples <= size:
        return [(0, num_samples)]
    overlap_samples = min(overlap_samples, size // 2)
    count = -(-(num_samples - overlap_samples) // (size - overlap_samples))
    hop = encoder.hop_samples
    starts = [-(-(i * (num_samples - size) // (count - 1)) // hop) * hop for i in range(count)]
    return [(start, min(start + size, num_samples)) for start in starts]


def join_windows(windows: Sequence[Tensor], starts: Sequence[int]) -> Tensor:
    """Joins vectors of windows that overlap; each comes from the window in which it is further from the edge.

    Args:
        windows: each ``(…, time, dim)``.
        starts: number of each window's first vector.
    """
    pieces, begin = [], 0
    for i, window in enumerate(windows):
        end = starts[i] + window.shape[-2]
        if i + 1 < len(windows):
            end = (starts[i + 1] + end) // 2
        pieces.append(window[..., begin - starts[i] : end - starts[i], :])
        begin = end
    return torch.cat(pieces, dim=-2) if len(pieces) > 1 else pieces[0]
