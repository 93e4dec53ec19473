"""VGGish's embeddings."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from pathosnet.audio.level import Level, check_level, normalize_level
from pathosnet.backbones import VGGish
from pathosnet.features.acoustic.extractors.base import AcousticExtractor, Precision, register_extractor
from pathosnet.features.acoustic.log_mel import log_mel_example_pieces, log_mel_examples
from pathosnet.features.store import FORMAT


@register_extractor
class VGGishExtractor(AcousticExtractor):
    """One VGGish vector for every 0.96 s; none below 0.975 s.

    Args:
        backbone: the network.
        precision: the network's, where nothing is learned.
        level: how the recording's level is set first, see
            [`normalize_level`][pathosnet.audio.level.normalize_level]; VGGish hears another recording at another level.
    """

    name = "vggish"
    version = FORMAT

    def __init__(self, backbone: VGGish, precision: Precision = "32", *, level: Level = "none") -> None:
        super().__init__(backbone.feature_dim, backbone, precision)
        self.level = check_level(level)

    def front_end(self, waveform: Tensor) -> Tensor:
        """Computes ``(examples, 96, 64)``."""
        return log_mel_examples(normalize_level(waveform, self.level))

    def front_end_pieces(self, waveform: Tensor) -> Iterator[Tensor]:
        """Yields the same some examples at a time."""
        return log_mel_example_pieces(normalize_level(waveform, self.level))

    def config(self) -> dict[str, Any]:
        """Returns the constructor's arguments and the backbone's."""
        assert isinstance(self.backbone, VGGish)
        return {"output": self.backbone.output, "precision": self.precision, "level": self.level}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "VGGishExtractor":
        """Makes what ``config()`` describes; those of old models name no level, and change none."""
        options = dict(config)
        return cls(VGGish(options.pop("output")), **options)
