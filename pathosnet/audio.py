"""Waveforms: files and arrays of any rate, depth and number of channels become mono 16 kHz in [-1, 1]."""

import functools
import importlib.metadata
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
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: {'is a folder, expected an audio file' if path.is_dir() else 'no such audio file'}")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: is an empty file (0 bytes), expected audio; record or export it again")
    try:
        samples, rate = _read_mono(path)
    except (soundfile.SoundFileError, RuntimeError) as error:
        reason = str(error).rpartition(": ")[2].rstrip(".")
        raise InputError(
            f"{path}: cannot be read as audio ({reason}); expected WAV, FLAC, OGG, MP3 or AIFF — convert it to WAV"
        ) from error
    return to_mono(samples, rate, sample_rate, name=str(path))


def _read_mono(path: Path) -> tuple[np.ndarray, int]:
    blocks = []
    with soundfile.SoundFile(path) as file:
        while len(block := file.read(BLOCK_SAMPLES, dtype="float32", always_2d=True)):
            blocks.append(_mean_of_channels(block))
        return np.concatenate(blocks) if blocks else np.zeros(0, np.float32), file.samplerate


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
    if not np.isfinite(array).all():
        raise InputError(f"{name}: holds NaN or infinite samples; repair or leave out the recording")
    minimum = MIN_SAMPLES / SAMPLE_RATE
    if len(array) < minimum * rate:
        raise InputError(
            f"{name}: holds {len(array)} samples at {rate} Hz, expected at least {minimum * 1000:.0f} ms of audio "
            f"({round(minimum * rate)} samples)"
        )
    waveform = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
    return waveform if rate == sample_rate else resample(waveform, rate, sample_rate)


def resample(waveform: Tensor, rate: int, sample_rate: int) -> Tensor:
    """Resamples with a Kaiser-windowed sinc of 64 zero crossings (the quality that is often called "kaiser best").

    Args:
        waveform: ``(samples,)`` at ``rate`` Hz.
        rate: in Hz.
        sample_rate: of the result, in Hz.

    Returns:
        ``(ceil(samples · sample_rate / rate),)``.
    """
    matrix, hop, first = _resampling_matrix(rate, sample_rate)
    taps, outputs = matrix.shape
    num_samples = -(-len(waveform) * sample_rate // rate)
    num_steps = -(-num_samples // outputs)
    at_once = max(1, BLOCK_SAMPLES // hop)
    pieces = []
    for step in range(0, num_steps, at_once):
        start = step * hop + first
        stop = (min(step + at_once, num_steps) - 1) * hop + first + taps
        samples = waveform[max(start, 0) : stop]
        samples = torch.nn.functional.pad(samples, (max(-start, 0), stop - max(start, 0) - len(samples)))
        pieces.append((samples.unfold(0, taps, hop) @ matrix).flatten())
    return torch.cat(pieces)[:num_samples]


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
