"""PATHOSnet: multilingual emotion recognition from speech and its transcript.

Scotti, Galati, Sbattella, Tedesco: Combining deep and unsupervised features for multilingual speech emotion
recognition, ICPR 2020 workshops, doi 10.1007/978-3-030-68790-8_10.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathosnet.recognizer import PathosNet, Prediction

__version__ = "0.1.0"
__all__ = ["PathosNet", "Prediction", "__version__"]


def __getattr__(name: str) -> Any:
    # On demand, so that `import pathosnet` and `pathosnet --help` answer without loading PyTorch.
    if name in ("PathosNet", "Prediction"):
        from pathosnet import recognizer

        return getattr(recognizer, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
