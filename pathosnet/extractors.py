"""From a waveform to a sequence of acoustic features: a front end, a backbone if there is one, and the windows."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pathosnet.backbones import ThinResNet34, VGGish
from pathosnet.features import log_mel_examples, log_mel_frames, spectrogram_windows
from pathosnet.features.log_mel import NUM_BANDS

WINDOWS_AT_ONCE = 64  # bounds the memory of a long recording


class AcousticExtractor(nn.Module, ABC):
    """What makes an acoustic feature. Subclasses set its ``name``.

    Args:
        feature_dim: length of a feature vector.
        backbone: the network between the front end and the features, if there is one.
    """

    name: str

    def __init__(self, feature_dim: int, backbone: VGGish | ThinResNet34 | None = None) -> None:
        super().__init__()
        self.feature_dim = feature_dim
        self.backbone = backbone

    @abstractmethod
    def front_end(self, waveform: Tensor) -> Tensor:
        """Turns ``(samples,)`` at 16 kHz into what the backbone reads, ``(windows, …)``; perhaps no windows."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Returns the constructor's arguments but for the backbone, as JSON values."""

    @torch.no_grad()
    def forward(self, waveform: Tensor) -> Tensor:
        """Extracts features.

        Args:
            waveform: ``(samples,)`` at 16 kHz in [-1, 1].

        Returns:
            ``(time, feature_dim)``; no rows if the recording is too short for one.
        """
        windows = self.front_end(waveform)
        return self._in_pieces(windows, self.backbone) if self.backbone is not None else windows

    @torch.no_grad()
    def frozen_part(self, waveform: Tensor) -> Tensor:
        """Computes what the backbone's unlocked layer reads, ``(time, channels, …)``."""
        assert self.backbone is not None
        windows = self.front_end(waveform)
        if len(windows) == 0:  # one window of silence tells the shape
            return self.backbone.frozen_part(windows.new_zeros(1, *windows.shape[1:]))[:0]
        return self._in_pieces(windows, self.backbone.frozen_part)

    def _in_pieces(self, windows: Tensor, network: Any) -> Tensor:
        if len(windows) == 0:
            return windows.new_zeros(0, self.feature_dim)
        return torch.cat([network(piece) for piece in windows.split(WINDOWS_AT_ONCE)])


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


class VGGishExtractor(AcousticExtractor):
    """One VGGish vector for every 0.96 s; none below 0.975 s.

    Args:
        backbone: the network.
    """

    name = "vggish"

    def __init__(self, backbone: VGGish) -> None:
        super().__init__(backbone.feature_dim, backbone)

    def front_end(self, waveform: Tensor) -> Tensor:
        """Computes ``(examples, 96, 64)``."""
        return log_mel_examples(waveform)

    def config(self) -> dict[str, Any]:
        """Returns the backbone's arguments."""
        assert isinstance(self.backbone, VGGish)
        return {"output": self.backbone.output}


class GhostVLADExtractor(AcousticExtractor):
    """One Thin ResNet-34 + GhostVLAD vector for every window of a spectrogram.

    Args:
        backbone: the network.
        window_frames: length of a window in frames; the authors' 30 are 0.3 s.
        hop_frames: frames from one window to the next; the authors' 15 overlap by half.
        stft_hop: samples from one frame to the next.
        silence_removal: remove silence first.
        top_db: what counts as silence.
    """

    name = "ghostvlad"

    def __init__(
        self,
        backbone: ThinResNet34,
        window_frames: int = 30,
        hop_frames: int = 15,
        stft_hop: int = 160,
        silence_removal: bool = True,
        top_db: float = 20.0,
    ) -> None:
        super().__init__(backbone.feature_dim, backbone)
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

    def config(self) -> dict[str, Any]:
        """Returns the constructor's arguments and the backbone's."""
        assert isinstance(self.backbone, ThinResNet34)
        return {**self.windowing, "normalize": self.backbone.normalize}


def extractor_from_config(name: str, config: Mapping[str, Any]) -> AcousticExtractor:
    """Makes the extractor that a ``config()`` describes, its backbone with fresh weights.

    Raises:
        KeyError: an unknown name.
    """
    options = dict(config)
    if name == LogMelExtractor.name:
        return LogMelExtractor(**options)
    if name == VGGishExtractor.name:
        return VGGishExtractor(VGGish(**options))
    if name == GhostVLADExtractor.name:
        return GhostVLADExtractor(ThinResNet34(options.pop("normalize")), **options)
    raise KeyError(name)
