"""Waveforms: files and arrays of any rate, depth and number of channels become mono 16 kHz in [-1, 1]."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pathosnet.audio.decoding import open_audio
from pathosnet.audio.forms import as_file, is_stream, to_array, unpack
from pathosnet.audio.inspection import Inspection
from pathosnet.audio.resampling import Resampler, resample_blocks
from pathosnet.errors import InputError
from pathosnet.files import to_path

SAMPLE_RATE = 16_000
MIN_SAMPLES = 400  # one 25 ms analysis window at 16 kHz: less holds no frame of any feature
LOWEST_RATE, HIGHEST_RATE = 1_000, 1_000_000  # beyond these a header is wrong
MAX_CHANNELS = 64
LONGEST_SECONDS = 3600
"""Longest recording that is taken into memory as a whole; ``read_blocks`` reads any."""


@dataclass(frozen=True, eq=False)
class Recording:
    """A waveform and what is odd about it.

    Args:
        waveform: ``(samples,)`` float32, mono.
        warnings: such as ``silent``; see [`inspect_waveform`][pathosnet.audio.inspection.inspect_waveform].
    """

    waveform: Tensor
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Returns the number of samples."""
        return len(self.waveform)


def read_recording(audio: Any, rate: int | None = None, *, sample_rate: int = SAMPLE_RATE, name: str = "") -> Recording:
    """Reads a recording, whatever it comes as.

    Args:
        audio: a file, see ``load_audio``; a file's bytes, or an object to read them from; samples, see ``to_mono``;
            ``{"array": samples, "sampling_rate": rate}``; ``(rate, samples)``; or a ``Recording``, which is returned.
        rate: of samples, in Hz.
        sample_rate: of the result, in Hz.
        name: of samples, for errors.

    Raises:
        InputError: the recording cannot be used.

    >>> read_recording(np.zeros(8000), 8000).warnings
    ('silent',)
    """
    if isinstance(audio, Recording):
        return audio
    audio, rate = unpack(audio, rate)
    if is_stream(audio):
        with as_file(audio) as path:
            return read_recording(path, sample_rate=sample_rate)
    inspection = Inspection(name or "audio")
    if isinstance(audio, (str, os.PathLike)):
        blocks = read_blocks(audio, sample_rate, inspection)
    elif rate is None:
        raise InputError("samples were given without their rate; pass sample_rate=16000, or whatever they have")
    else:
        array = to_array(audio, inspection.name)
        # A recording has more samples than channels: of two axes the longer one is time.
        samples = _to_float(array.T if array.ndim == 2 and len(array) < array.shape[1] else array, inspection.name)
        blocks = _to_waveform([samples], int(rate), sample_rate, inspection=inspection)
    found = list(_up_to_longest(blocks, sample_rate, inspection))
    return Recording(torch.cat(found) if len(found) > 1 else found[0], inspection.warnings())


def _up_to_longest(blocks: Iterable[Tensor], sample_rate: int, inspection: Inspection) -> Iterator[Tensor]:
    """Yields blocks until they are longer than what is taken into memory: a FLAC of a megabyte can hold days."""
    num_samples = 0
    for block in blocks:
        num_samples += len(block)
        if num_samples > LONGEST_SECONDS * sample_rate:
            raise InputError(
                f"{inspection.name}: is longer than {LONGEST_SECONDS // 60} minutes, expected an utterance; "
                "cut it, or predict it over time with --timeline"
            )
        yield block


def load_audio(path: str | os.PathLike[str], sample_rate: int = SAMPLE_RATE) -> Tensor:
    """Reads an audio file.

    Args:
        path: anything that libsndfile reads (WAV, FLAC, OGG, MP3, AIFF, …), and if ffmpeg is installed, what that reads
            (m4a, webm, videos); any rate, channels and bit depth.
        sample_rate: of the result, in Hz.

    Returns:
        ``(samples,)`` float32 in [-1, 1], channels averaged.

    Raises:
        InputError: the file is missing, no audio, empty, shorter than 25 ms, or holds NaN or infinite samples.
    """
    return read_recording(to_path(path), sample_rate=sample_rate).waveform


def to_mono(samples: Any, rate: int, sample_rate: int = SAMPLE_RATE, *, name: str = "audio") -> Tensor:
    """Makes samples of any kind a mono waveform.

    Args:
        samples: ``(samples,)``, ``(samples, channels)`` or ``(channels, samples)``: a NumPy array, a tensor or nested
            lists; floating point in [-1, 1], or integers of 8, 16 or 32 bit, which are divided by their type's full
            scale (unsigned ones are centered first).
        rate: of ``samples``, in Hz.
        sample_rate: of the result, in Hz.
        name: of the recording, for errors.

    Returns:
        ``(samples,)`` float32.

    Raises:
        InputError: no samples or fewer than 25 ms, NaN or infinite samples, another number of axes.
    """
    return read_recording(samples, rate, sample_rate=sample_rate, name=name).waveform


def read_blocks(
    path: str | os.PathLike[str], sample_rate: int = SAMPLE_RATE, inspection: Inspection | None = None
) -> Iterator[Tensor]:
    """Reads an audio file of any length some of it at a time.

    Args:
        path: see ``load_audio``.
        sample_rate: of the result, in Hz.
        inspection: looks at the blocks; its warnings are complete after the last one.

    Yields:
        What ``load_audio`` returns, cut into blocks ``(samples,)``.

    Raises:
        InputError: see ``load_audio``; the file's length is known at its end only.
    """
    inspection = inspection or Inspection()
    inspection.name = os.fspath(path)
    with open_audio(to_path(path)) as (rate, blocks):
        yield from _to_waveform(blocks, rate, sample_rate, inspection=inspection)


def _to_waveform(blocks: Iterable[np.ndarray], rate: int, sample_rate: int, inspection: Inspection) -> Iterator[Tensor]:
    """Turns blocks ``(samples, channels)`` at ``rate`` into blocks ``(samples,)`` at ``sample_rate``."""
    _check_rate(rate, inspection.name)
    for block in resample_blocks(mix_blocks(blocks, rate, inspection), rate, sample_rate):
        if len(block):
            yield torch.from_numpy(np.require(block, requirements=["C", "W"]))  # a copy if it must not be written to


def _check_rate(rate: int, name: str) -> None:
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise InputError(
            f"{name}: expected a positive sample rate, got {rate}"
            if rate <= 0
            else f"{name}: expected a sample rate from {LOWEST_RATE} to {HIGHEST_RATE} Hz, got {rate}"
        )


def mix_blocks(blocks: Iterable[np.ndarray], rate: int, inspection: Inspection) -> Iterator[np.ndarray]:
    """Turns blocks ``(samples, channels)`` into blocks of their mean, ``(samples,)``, and looks at them.

    Args:
        blocks: of one recording.
        rate: of the recording, in Hz.
        inspection: named after the recording.

    Raises:
        InputError: see ``load_audio``; too few samples are known at the end only.
    """
    name = inspection.name
    _check_rate(rate, name)
    num_samples = 0
    for block in blocks:
        mixed = _mean_of_channels(block)
        inspection.add(mixed, rate, block)
        num_samples += len(block)
        yield mixed
    if num_samples * SAMPLE_RATE < MIN_SAMPLES * rate:
        raise InputError(
            f"{name}: holds {num_samples} samples at {rate} Hz, expected at least "
            f"{1000 * MIN_SAMPLES // SAMPLE_RATE} ms of audio ({round(MIN_SAMPLES * rate / SAMPLE_RATE)} samples)"
        )


class Incoming:
    """A waveform that comes in chunks of any size, as mono 16 kHz, without seams between them.

    Args:
        rate: of the chunks, in Hz.
        name: of the recording, for errors.

    Raises:
        InputError: the rate is none.

    >>> incoming = Incoming(48_000)
    >>> sum(len(incoming.add(np.zeros(size))) for size in (1, 47_000, 999)) + len(incoming.finish())
    16000
    """

    def __init__(self, rate: int, name: str = "audio") -> None:
        _check_rate(rate, name)
        self.rate = rate
        self.num_channels = 0
        """Rate of the chunks; known with the first one."""
        self._inspection = Inspection(name)
        self._resampler = Resampler(rate, SAMPLE_RATE)

    def add(self, samples: Any) -> Tensor:
        """Takes the next chunk.

        Args:
            samples: ``(samples,)`` or ``(samples, channels)``, of any type that ``to_mono`` takes.

        Returns:
            What is known of the waveform since the chunk before, ``(samples,)`` float32; a filter holds some
            milliseconds of it back if the rate has to be changed.

        Raises:
            InputError: the samples are not of that kind, or other channels than before.
        """
        name = self._inspection.name
        block = _to_float(to_array(samples, name), name)
        self.num_channels = self.num_channels or block.shape[1]
        if block.shape[1] != self.num_channels:
            expected = f"chunks with {self.num_channels} channels, like the first"
            raise InputError(f"{name}: expected {expected}, got samples of shape {np.shape(samples)}")
        mixed = _mean_of_channels(block)
        self._inspection.add(mixed, self.rate, block)
        return torch.from_numpy(self._resampler.add(mixed).copy())

    def finish(self) -> Tensor:
        """Returns the end of the waveform, ``(samples,)``."""
        return torch.from_numpy(self._resampler.finish().copy())


def _mean_of_channels(samples: np.ndarray) -> np.ndarray:
    channels = samples.T
    if len(channels) == 1:
        return channels[0]
    with np.errstate(invalid="ignore", over="ignore"):  # samples without end are found in the channels
        return sum(channels[1:], channels[0]) / np.float32(len(channels))  # faster than a mean over a short axis


def _to_float(array: np.ndarray, name: str) -> np.ndarray:
    """Makes samples of any type, ``(samples,)`` or ``(samples, channels)``, float32 with two axes."""
    if array.ndim == 2 and not 0 < array.shape[1] <= MAX_CHANNELS:
        raise InputError(f"{name}: expected at most {MAX_CHANNELS} channels, got samples of shape {array.shape}")
    if array.dtype in (np.int8, np.int16, np.int32):
        array = array.astype(np.float32) / -float(np.iinfo(array.dtype).min)
    elif array.dtype in (np.uint8, np.uint16):
        center = (np.iinfo(array.dtype).max + 1) / 2
        array = (array.astype(np.float32) - center) / center
    elif not np.issubdtype(array.dtype, np.floating):
        raise InputError(
            f"{name}: expected floating-point samples in [-1, 1], or integers of 8, 16 or 32 bit, got {array.dtype}"
        )
    with np.errstate(over="ignore"):  # what does not fit becomes infinite, and is refused
        array = array.astype(np.float32, copy=False)
    return array[:, None] if array.ndim == 1 else array
