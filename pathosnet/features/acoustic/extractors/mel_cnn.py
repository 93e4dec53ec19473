"""A small convolutional network over log-mel spectrograms as an acoustic feature."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from pathosnet.backbones.fused import fused
from pathosnet.backbones.mel_cnn import MelCNN
from pathosnet.features.acoustic.extractors.base import AcousticExtractor, Part, register_extractor
from pathosnet.features.acoustic.relative_mel import relative_mel

PIECE_FRAMES = 1500  # 30 s; bounds the memory of long recordings


@register_extractor
class MelCNNExtractor(AcousticExtractor):
    """One vector of a whole recording; a gain changes nothing, nor does silence before and after speech.

    The network comes trained, with a saved model that holds its weights: features are not made from nothing with it.
    It cannot be exported to ONNX, since it cuts recordings by what they hold.

    Args:
        backbone: the network.
    """

    name = "mel-cnn"
    version = 1

    def __init__(self, backbone: MelCNN) -> None:
        super().__init__(backbone.feature_dim, backbone)

    def front_end(self, waveform: Tensor) -> Tensor:
        """Computes ``(1, 2, 80, frames)`` of ``(samples,)``; no row of an empty recording."""
        if not len(waveform):
            return waveform.new_zeros(0, 2, 80, 1)
        return relative_mel(waveform.float()).unsqueeze(0)

    @torch.no_grad()
    def extract(self, waveforms: Sequence[Tensor], part: Part = "features") -> list[Tensor]:
        """Computes ``(1, feature_dim)`` for each recording, one after the other, since lengths differ."""
        if part != "features":
            raise ValueError(f"{self.name}: expected the part 'features', got {part!r}")
        assert isinstance(self.backbone, MelCNN)
        network = fused(self.backbone).network
        return [self._extract(waveform, network) for waveform in waveforms]

    def _extract(self, waveform: Tensor, network: MelCNN) -> Tensor:
        spectrogram = self.front_end(waveform)
        if not len(spectrogram):
            return waveform.new_zeros(0, self.feature_dim)
        kind = next(network.parameters()).dtype
        pieces = [network.vectors(piece.to(kind)) for piece in spectrogram.split(PIECE_FRAMES, dim=3)]
        return torch.cat(pieces, dim=2).mean(dim=2).to(spectrogram.dtype)

    def config(self) -> dict[str, Any]:
        """Returns the size of the network."""
        assert isinstance(self.backbone, MelCNN)
        return {"extractor": self.name, "width": self.backbone.width, "feature_dim": self.feature_dim}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "MelCNNExtractor":
        """Makes what ``config()`` describes."""
        return cls(MelCNN(config["width"], config["feature_dim"]))
