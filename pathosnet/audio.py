"""Waveforms: files and arrays of any rate, depth and number of channels become mono 16 kHz in [-1, 1]."""

import functools
import importlib.metadata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch import Tensor

from pathosnet.errors import InputError

SAMPLE_RATE = 16_000
OUTPUTS_AT_ONCE = 128  # of a resampling product, which are fast when they are wide
BLOCK_SAMPLES = 1 << 20  # bounds the memory of a long recording
MIN_SAMPLES = 400  # one 25 ms analysis window at 16 kHz: less holds no frame of any feature


def load_audio(path: str | Path, sample_rate: int = SAMPLE_RATE) -> Tensor:
    """Reads an audio file.

    Args:
        path: anything that libsndfile reads (WAV, FLAC, OGG, MP3, AIFF, …), any rate, channels and bit depth.
        sample_rate: of the result, in Hz.

    Returns:
        ``(samples,)`` float32 in [-1, 1], channels averaged.

    Raises:
        InputError: the file is missing, no audio, empty, shorter than 25 ms, or holds NaN or infinite samples.
    """
    return torch.cat(list(read_blocks(path, sample_rate)))


def read_blocks(path: str | Path, sample_rate: int = SAMPLE_RATE) -> Iterator[Tensor]:
    """Reads an audio file of any length some of it at a time.

    Args:
        path: see ``load_audio``.
        sample_rate: of the result, in Hz.

    Yields:
        What ``load_audio`` returns, cut into blocks ``(samples,)``.

    Raises:
        InputError: see ``load_audio``; the file's length is known at its end only.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: {'is a folder, expected an audio file' if path.is_dir() else 'no such audio file'}")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: is an empty file (0 bytes), expected audio; record or export it again")
    try:
        with soundfile.SoundFile(path) as file:
            blocks, rate = _read_mono(file, path), file.samplerate
            yield from blocks if rate == sample_rate else resample_blocks(blocks, rate, sample_rate)
    except (soundfile.SoundFileError, RuntimeError) as error:
        reason = str(error).rpartition(": ")[2].rstrip(".")
        raise InputError(
            f"{path}: cannot be read as audio ({reason}); expected WAV, FLAC, OGG, MP3 or AIFF — convert it to WAV"
        ) from error


def _read_mono(file: soundfile.SoundFile, path: Path) -> Iterator[Tensor]:
    num_samples = 0
    while len(block := file.read(BLOCK_SAMPLES, dtype="float32", always_2d=True)):
        samples = _mean_of_channels(block)
        _check_finite(samples, str(path))
        num_samples += len(samples)
        yield torch.from_numpy(np.ascontiguousarray(samples))
    _check_length(num_samples, file.samplerate, str(path))


def _mean_of_channels(samples: np.ndarray) -> np.ndarray:
    if samples.shape[1] == 0:
        return samples.sum(axis=1)
    total = sum(samples.T[1:], samples.T[0])  # much faster than a mean over a short last axis
    return np.asarray(total / samples.shape[1], dtype=samples.dtype) if samples.shape[1] > 1 else total


def to_mono(samples: Any, rate: int, sample_rate: int = SAMPLE_RATE, name: str = "audio") -> Tensor:
    """Makes samples of any kind a mono waveform.

    Args:
        samples: ``(samples,)`` or ``(samples, channels)``, a NumPy array, a tensor or nested lists; floating point in
            [-1, 1], or integers of 8, 16 or 32 bit, which are divided by their type's full scale (unsigned ones are
            centred first).
        rate: of ``samples``, in Hz.
        sample_rate: of the result, in Hz.
        name: of the recording, for errors.

    Returns:
        ``(samples,)`` float32.

    Raises:
        InputError: no samples or fewer than 25 ms, NaN or infinite samples, another number of axes.
    """
    array = samples.detach().cpu().numpy() if isinstance(samples, Tensor) else np.asarray(samples)
    if array.ndim not in (1, 2):
        raise InputError(f"{name}: expected samples of shape (samples,) or (samples, channels), got {array.shape}")
    if array.ndim == 2 and array.shape[1] > 64:
        raise InputError(f"{name}: expected shape (samples, channels), got {array.shape}; pass the transpose")
    if rate <= 0:
        raise InputError(f"{name}: expected a positive sample rate, got {rate}")
    if array.dtype in (np.int8, np.int16, np.int32):
        array = array.astype(np.float32) / -float(np.iinfo(array.dtype).min)
    elif array.dtype in (np.uint8, np.uint16):
        centre = (np.iinfo(array.dtype).max + 1) / 2
        array = (array.astype(np.float32) - centre) / centre
    elif not np.issubdtype(array.dtype, np.floating):
        raise InputError(
            f"{name}: expected floating-point samples in [-1, 1], or integers of 8, 16 or 32 bit, got {array.dtype}"
        )
    if array.ndim == 2:
        array = _mean_of_channels(array)
    _check_finite(array, name)
    _check_length(len(array), rate, name)
    waveform = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
    return waveform if rate == sample_rate else resample(waveform, rate, sample_rate)


def _check_finite(samples: np.ndarray, name: str) -> None:
    if not np.isfinite(samples).all():
        raise InputError(f"{name}: holds NaN or infinite samples; repair or leave out the recording")


def _check_length(num_samples: int, rate: int, name: str) -> None:
    minimum = MIN_SAMPLES / SAMPLE_RATE
    if num_samples < minimum * rate:
        raise InputError(
            f"{name}: holds {num_samples} samples at {rate} Hz, expected at least {minimum * 1000:.0f} ms of audio "
            f"({round(minimum * rate)} samples)"
        )


def resample(waveform: Tensor, rate: int, sample_rate: int) -> Tensor:
    """Resamples with a Kaiser-windowed sinc of 64 zero crossings (the quality that is often called "kaiser best").

    Args:
        waveform: ``(samples,)`` at ``rate`` Hz.
        rate: in Hz.
        sample_rate: of the result, in Hz.

    Returns:
        ``(ceil(samples · sample_rate / rate),)``.
    """
    return torch.cat(list(resample_blocks([waveform], rate, sample_rate)))


def resample_blocks(blocks: Iterable[Tensor], rate: int, sample_rate: int) -> Iterator[Tensor]:
    """Resamples a waveform that comes in blocks, without seams: however it is cut, the result is the same.

    Args:
        blocks: each ``(samples,)`` at ``rate`` Hz.
        rate: in Hz.
        sample_rate: of the result, in Hz.

    Yields:
        What ``resample`` returns for the whole, in pieces of other lengths than the blocks.
    """
    matrix, hop, first = _resampling_matrix(rate, sample_rate)
    taps, outputs = matrix.shape
    at_once = max(1, BLOCK_SAMPLES // hop)
    needed = (at_once - 1) * hop + taps  # samples for so many products

    def products(samples: Tensor) -> Tensor:
        return (samples.unfold(0, taps, hop) @ matrix).flatten()

    held = torch.zeros(-first)  # what lies before the waveform
    num_samples = made = 0
    for block in blocks:
        num_samples += len(block)
        held = torch.cat([held, block])
        while len(held) >= needed:
            yield products(held[:needed])
            made += at_once * outputs
            held = held[at_once * hop :]
    total = -(-num_samples * sample_rate // rate)
    while made < total:
        steps = min(at_once, -(-(total - made) // outputs))
        samples = held[: (steps - 1) * hop + taps]
        samples = torch.nn.functional.pad(samples, (0, (steps - 1) * hop + taps - len(samples)))
        yield products(samples)[: total - made]
        made += steps * outputs
        held = held[at_once * hop :]


@functools.lru_cache(maxsize=8)
def _resampling_matrix(rate: int, sample_rate: int) -> tuple[Tensor, int, int]:
    """Returns what turns ``taps`` samples into ``outputs`` resampled ones, one column each.

    The filter is torchaudio's. Its periods, which may be as short as one output, are put side by side.

    Returns:
        ``(taps, outputs)``; the hop from one product to the next in samples; where the first one begins.
    """
    resampler = import_torchaudio().transforms.Resample(
        rate,
        sample_rate,
        lowpass_filter_width=64,
        rolloff=0.9475937167399596,
        resampling_method="sinc_interp_kaiser",
        beta=14.769656459379492,
        dtype=torch.float32,
    )
    kernel = resampler.kernel[:, 0]  # (outputs of a period, taps of a period)
    outputs = len(kernel)
    hop = rate // resampler.gcd
    periods = max(1, OUTPUTS_AT_ONCE // outputs)
    shifted = [torch.nn.functional.pad(kernel, (i * hop, (periods - 1 - i) * hop)) for i in range(periods)]
    return torch.cat(shifted).T.contiguous(), periods * hop, -resampler.width


def import_torchaudio() -> Any:
    """Imports torchaudio, with its functions and transforms.

    Raises:
        InputError: torchaudio does not fit beside this torch.
    """
    try:
        import torchaudio.functional
        import torchaudio.transforms
    except Exception as error:  # a mismatched pair raises ImportError, OSError or RuntimeError, by platform
        try:
            torchaudio_version = importlib.metadata.version("torchaudio")
        except importlib.metadata.PackageNotFoundError:
            torchaudio_version = "(not installed)"
        raise InputError(
            f"torchaudio {torchaudio_version} cannot be imported beside torch {torch.__version__} ({error}); "
            "install a pair that was built together: pip install 'torch==2.11.*' 'torchaudio==2.11.*'"
        ) from error
    return torchaudio
