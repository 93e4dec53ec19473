"""VGGish's log-mel spectrogram.

Source: tensorflow/models, research/audioset/vggish (mel_features.py, vggish_params.py).
"""

import functools
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

SAMPLE_RATE = 16_000
WINDOW_SAMPLES = 400  # 25 ms
HOP_SAMPLES = 160  # 10 ms
FFT_SAMPLES = 512
NUM_BANDS = 64
MIN_HERTZ = 125.0
MAX_HERTZ = 7500.0
LOG_OFFSET = 0.01
FRAMES_AT_ONCE = 1024  # bounds the memory of a long recording, and fits into caches
EXAMPLE_FRAMES = 96  # 0.96 s, the length of VGGish's examples and the hop between them


def log_mel_frames(waveform: Tensor) -> Tensor:
    """Computes log-mel frames of 25 ms every 10 ms.

    Args:
        waveform: ``(samples,)`` at 16 kHz in [-1, 1].

    Returns:
        ``(frames, 64)``: natural logarithm of (magnitude in a mel band + 0.01). Only frames that lie wholly within the
        waveform: none if it is shorter than 25 ms.
    """
    if len(waveform) < WINDOW_SAMPLES:
        return waveform.new_zeros((0, NUM_BANDS))
    frames = waveform.unfold(0, WINDOW_SAMPLES, HOP_SAMPLES)  # (frames, 400)
    window = hann_window(waveform)
    bands = mel_matrix().to(waveform.dtype).to(waveform.device)

    def log_mel(frames: Tensor) -> Tensor:
        magnitudes = torch.fft.rfft(frames * window, n=FFT_SAMPLES).abs()  # (frames, 257)
        return (magnitudes @ bands).add_(LOG_OFFSET).log_()

    return torch.cat([log_mel(piece) for piece in frames.split(FRAMES_AT_ONCE)])


def log_mel_examples(waveform: Tensor) -> Tensor:
    """Cuts log-mel frames into VGGish's examples of 0.96 s, which do not overlap.

    Args:
        waveform: ``(samples,)`` at 16 kHz in [-1, 1].

    Returns:
        ``(examples, 96, 64)``; what is left over at the end is dropped. The first example needs
        (96 − 1)·160 + 400 = 15,600 samples, 0.975 s: a shorter waveform has no examples.
    """
    pieces = list(log_mel_example_pieces(waveform))
    return torch.cat(pieces) if pieces else waveform.new_zeros((0, EXAMPLE_FRAMES, NUM_BANDS))


def log_mel_example_pieces(waveform: Tensor) -> Iterator[Tensor]:
    """Yields the same examples some at a time; ``waveform`` as there."""
    num_samples = EXAMPLE_FRAMES * HOP_SAMPLES
    overlap = WINDOW_SAMPLES - HOP_SAMPLES  # of a frame and the next one
    num_examples = max(0, len(waveform) - overlap) // num_samples
    at_once = FRAMES_AT_ONCE // EXAMPLE_FRAMES
    for start in range(0, num_examples, at_once):
        stop = min(start + at_once, num_examples)
        frames = log_mel_frames(waveform[start * num_samples : stop * num_samples + overlap])
        yield frames.reshape(stop - start, EXAMPLE_FRAMES, NUM_BANDS)


def hann_window(like: Tensor) -> Tensor:
    """Returns a periodic Hann window of 25 ms, ``(400,)``, of a tensor's precision and on its device.

    It is rounded before it is moved: Apple's GPUs have no float64.
    """
    window = torch.hann_window(WINDOW_SAMPLES, periodic=True, dtype=torch.float64, device="cpu")
    return window.to(like.dtype).to(like.device)


@functools.lru_cache(maxsize=1)
def mel_matrix() -> Tensor:
    """Returns the weights of 64 mel bands between 125 and 7500 Hz, ``(257 bins, 64 bands)``, float64.

    The triangles are linear in mel (not in hertz, as in most libraries), their peaks are 1, and the constant bin is
    left out of all of them.
    """

    def hertz_to_mel(hertz: np.ndarray | float) -> np.ndarray:
        return 1127.0 * np.log1p(np.asarray(hertz) / 700.0)

    bins = hertz_to_mel(np.linspace(0.0, SAMPLE_RATE / 2, FFT_SAMPLES // 2 + 1))[:, None]  # (bins, 1)
    edges = np.linspace(hertz_to_mel(MIN_HERTZ), hertz_to_mel(MAX_HERTZ), NUM_BANDS + 2)
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    weights = np.maximum(0.0, np.minimum((bins - lower) / (centre - lower), (upper - bins) / (upper - centre)))
    weights[0] = 0.0
    return torch.from_numpy(weights)
