"""The forms in which a recording may be given, reduced to two: a file, or samples with their rate."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from pathosnet.errors import InputError

ARRAYS, RATES = ("array", "raw"), ("sampling_rate", "sample_rate")
"""Keys of mappings, as Hugging Face's datasets and pipelines have them."""


def unpack(audio: Any, rate: int | None) -> tuple[Any, int | None]:
    """Takes apart what holds samples and their rate.

    Args:
        audio: ``{"array": samples, "sampling_rate": rate}``, ``{"path": …}``, ``{"bytes": …}``, ``(rate, samples)``,
            ``(samples, rate)``, or anything else, which is returned as it is.
        rate: in Hz, where ``audio`` does not say it.

    Raises:
        InputError: a mapping without a recording, or samples whose rates contradict each other.
    """
    found, own = audio, None
    if isinstance(audio, Mapping):
        found = next((audio[key] for key in (*ARRAYS, "bytes", "path") if audio.get(key) is not None), None)
        own = next((audio[key] for key in RATES if key in audio), None)
        if found is None:
            raise InputError(f"audio: expected the keys array and sampling_rate, got {', '.join(map(str, audio))}")
    elif isinstance(audio, tuple) and len(audio) == 2 and _is_rate(audio[0]) != _is_rate(audio[1]):
        own, found = audio if _is_rate(audio[0]) else audio[::-1]
    if own is not None and rate is not None and int(own) != rate:
        raise InputError(f"audio: comes with a rate of {own} Hz, but sample_rate is {rate}; leave that out")
    return found, rate if own is None else int(own)


def _is_rate(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_stream(audio: Any) -> bool:
    """Whether something is the content of a file: bytes, or an object to read them from."""
    return isinstance(audio, (bytes, bytearray, memoryview)) or hasattr(audio, "read")


@contextmanager
def as_file(audio: Any) -> Iterator[Path]:
    """Gives a file with the content of bytes, or of an open file, from where it stands.

    Raises:
        InputError: the file is open as text; or any error in the block, under the name of the open file.
    """
    content = audio.read() if hasattr(audio, "read") else audio
    if isinstance(content, str):
        raise InputError("audio: the file is open as text, expected binary; open(path, 'rb')")
    name = getattr(audio, "name", None)
    with tempfile.NamedTemporaryFile(suffix=Path(name).suffix if isinstance(name, str) else "", delete=False) as file:
        file.write(content)
    try:
        yield Path(file.name)
    except InputError as error:
        shown = name if isinstance(name, str) else "audio"
        raise InputError(str(error).replace(file.name, shown)) from error
    finally:
        os.unlink(file.name)


def to_array(samples: Any, name: str) -> np.ndarray:
    """Makes samples of any kind an array of one axis or two, of the type that they have.

    Raises:
        InputError: they are no array, or have another number of axes.
    """
    try:
        if isinstance(samples, Tensor):
            samples = samples.detach().cpu()
            samples = samples.float() if samples.is_floating_point() else samples  # NumPy has no bfloat16
        array = np.asarray(samples)
    except Exception as error:  # whatever an object that is no array says
        raise InputError(f"{name}: expected samples as an array, got {type(samples).__name__} ({error})") from error
    if array.ndim not in (1, 2):
        raise InputError(f"{name}: expected samples of shape (samples,) or (samples, channels), got {array.shape}")
    return array
