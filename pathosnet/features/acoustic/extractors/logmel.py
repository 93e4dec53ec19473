"""Log-mel frames as they are."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from pathosnet.audio.level import Level, check_level, normalize_level
from pathosnet.features.acoustic.extractors.base import AcousticExtractor, register_extractor
from pathosnet.features.acoustic.log_mel import NUM_BANDS, log_mel_frames


@register_extractor
class LogMelExtractor(AcousticExtractor):
    """Log-mel frames, 64 bands every 10 ms, straight into the audio branch: nothing is pre-trained.

    The branch sees few steps at once, so that it helps to let each hold more time.

    Args:
        stack: frames side by side in one step of the sequence; the four of the default make 40 ms.
        level: how the recording's level is set first, so that it makes no difference; see
            [`normalize_level`][pathosnet.audio.level.normalize_level].
    """

    name = "logmel"
    version = 1  # they are quick to make, but those of a large corpus do not fit into memory

    def __init__(self, stack: int = 4, level: Level = "rms") -> None:
        super().__init__(NUM_BANDS * stack)
        self.stack = stack
        self.level = check_level(level)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "LogMelExtractor":
        """Makes the extractor that a ``config()`` describes; those of old models name no level, and change none."""
        return cls(**{"level": "none", **config})

    def front_end(self, waveform: Tensor) -> Tensor:
        """Computes ``(time, 64 · stack)``."""
        frames = log_mel_frames(normalize_level(waveform, self.level))
        time = len(frames) // self.stack
        return frames[: time * self.stack].reshape(time, self.feature_dim)

    def config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"stack": self.stack, "level": self.level}
