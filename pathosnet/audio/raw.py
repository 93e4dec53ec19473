"""Encodings and rates of samples without a header."""

from dataclasses import dataclass
from typing import Literal, get_args

from pathosnet.errors import InputError

Encoding = Literal["s16le", "s24le", "s32le", "f32le"]
"""Signed integers or floating point, of so many bits, low byte first, as ffmpeg names them."""


@dataclass(frozen=True)
class Raw:
    """Samples without a header; of those with one, it is not asked."""

    encoding: Encoding | None = None
    """Samples on stdin have no header, and are integers (s) or floating point (f) of so many bits."""
    rate: int = 16_000
    """Rate of samples without a header, in Hz."""
    channels: int = 1
    """Channels of samples without a header."""

    def __post_init__(self) -> None:
        """Checks the values."""
        if self.encoding not in (None, *get_args(Encoding)):
            raise InputError(f"encoding: expected {', '.join(get_args(Encoding))}, got {self.encoding!r}")
        for name in ("rate", "channels"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: expected 1 or more, got {getattr(self, name)}")
        if self.encoding is None and (self.rate, self.channels) != (Raw.rate, Raw.channels):
            raise InputError("rate, channels: are for samples without a header; say what they are, --encoding s16le")
