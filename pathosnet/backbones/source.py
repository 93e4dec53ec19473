"""Which file a backbone's weights come from."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class WeightsSource:
    """A file of weights, by name and content.

    Args:
        file: its name.
        sha256: of its bytes.
        path: where it was; None if that is not known on this machine.
    """

    file: str
    sha256: str
    path: Path | None = None
