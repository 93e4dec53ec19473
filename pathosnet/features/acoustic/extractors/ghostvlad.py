"""Thin ResNet-34 + GhostVLAD's speaker embeddings."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from pathosnet.audio.level import Level, check_level, normalize_level
from pathosnet.backbones import ThinResNet34
from pathosnet.features.acoustic.extractors.base import AcousticExtractor, Precision, register_extractor
from pathosnet.features.acoustic.spectrogram import spectrogram_window_pieces, spectrogram_windows
from pathosnet.features.store import FORMAT


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
        precision: the network's, where nothing is learned.
        level: how the recording's level is set first, see
            [`normalize_level`][pathosnet.audio.level.normalize_level]. Frames are normalized one by one in any case,
            but for a small constant, and what counts as digital silence depends on the level.
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
        *,
        level: Level = "none",
    ) -> None:
        super().__init__(backbone.feature_dim, backbone, precision)
        self.level = check_level(level)
        self.windowing = {
            "window_frames": window_frames,
            "hop_frames": hop_frames,
            "stft_hop": stft_hop,
            "silence_removal": silence_removal,
            "top_db": top_db,
        }

    def front_end(self, waveform: Tensor) -> Tensor:
        """Computes ``(windows, 257, window_frames)``."""
        return spectrogram_windows(normalize_level(waveform, self.level), **self.windowing)  # type: ignore[arg-type]

    def front_end_pieces(self, waveform: Tensor) -> Iterator[Tensor]:
        """Yields the same some windows at a time."""
        leveled = normalize_level(waveform, self.level)
        return spectrogram_window_pieces(leveled, **self.windowing)  # type: ignore[arg-type]

    def config(self) -> dict[str, Any]:
        """Returns the constructor's arguments and the backbone's."""
        assert isinstance(self.backbone, ThinResNet34)
        about = {"normalize": self.backbone.normalize, "precision": self.precision, "level": self.level}
        return {**self.windowing, **about}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "GhostVLADExtractor":
        """Makes what ``config()`` describes; those of old models name no level, and change none."""
        options = dict(config)
        return cls(ThinResNet34(options.pop("normalize")), **options)
