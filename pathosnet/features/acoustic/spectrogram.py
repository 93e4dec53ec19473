"""The normalized spectrogram of Thin ResNet-34, and the windows that PATHOSnet cuts it into.

Source: WeidiXie/VGG-Speaker-Recognition (the spectrogram); PATHOSnet's authors' code (silence removal and windows).
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from pathosnet.features.acoustic.log_mel import FFT_SAMPLES, FRAMES_AT_ONCE, WINDOW_SAMPLES, hann_window
from pathosnet.features.acoustic.silence import remove_silence

NUM_BINS = 257
EPSILON = 1e-5


def normalized_spectrogram(waveform: Tensor, stft_hop: int = 160) -> Tensor:
    """Computes a magnitude spectrogram whose frames each have mean 0 and standard deviation 1.

    Args:
        waveform: ``(samples,)`` at 16 kHz.
        stft_hop: hop between frames in samples.

    Returns:
        ``(257, frames)`` with ``1 + samples // stft_hop`` frames; they are centered, the ends padded with zeros.
    """
    num_frames = 1 + len(waveform) // stft_hop
    starts = range(0, num_frames, FRAMES_AT_ONCE)
    pieces = [_frames(waveform, stft_hop, start, stop=min(start + FRAMES_AT_ONCE, num_frames)) for start in starts]
    return torch.cat(pieces).T


def _frames(waveform: Tensor, stft_hop: int, start: int, stop: int) -> Tensor:
    """Returns some of the normalized spectrogram's frames, ``(frames, 257)``."""
    first = start * stft_hop - FFT_SAMPLES // 2
    last = (stop - 1) * stft_hop + FFT_SAMPLES // 2
    samples = waveform[max(first, 0) : last]
    samples = torch.nn.functional.pad(samples, (max(-first, 0), last - max(first, 0) - len(samples)))
    window = torch.nn.functional.pad(hann_window(waveform), ((FFT_SAMPLES - WINDOW_SAMPLES) // 2,) * 2)
    magnitudes = torch.fft.rfft(samples.unfold(0, FFT_SAMPLES, stft_hop) * window).abs()
    deviation, mean = torch.std_mean(magnitudes, dim=1, correction=0, keepdim=True)
    return magnitudes.sub_(mean).div_(deviation.add_(EPSILON))


def spectrogram_windows(
    waveform: Tensor,
    *,
    window_frames: int = 30,
    hop_frames: int = 15,
    stft_hop: int = 160,
    silence_removal: bool = True,
    top_db: float = 20.0,
) -> Tensor:
    """Cuts a normalized spectrogram into windows, one feature vector's worth each.

    The defaults are the authors' code: silence removed, windows of 0.3 s every 0.15 s. The paper's figures (16 ms hop,
    vectors every 0.045 s) are ``stft_hop=256, window_frames=3, hop_frames=3``.

    Args:
        waveform: ``(samples,)`` at 16 kHz in [-1, 1].
        window_frames: length of a window in frames.
        hop_frames: frames from one window's start to the next one's.
        stft_hop: samples from one frame to the next.
        silence_removal: drop what is ``top_db`` below the loudest frame first.
        top_db: threshold of the silence removal, in dB.

    Returns:
        ``(windows, 257, window_frames)``; frames that fill no whole window at the end are dropped, so a recording that
        is shorter than a window has none.
    """
    waveform = _prepared(
        waveform, window_frames, hop_frames, stft_hop=stft_hop, silence_removal=silence_removal, top_db=top_db
    )
    spectrogram = normalized_spectrogram(waveform, stft_hop)  # (257, frames)
    if len(waveform) == 0 or spectrogram.shape[1] < window_frames:
        return waveform.new_zeros((0, NUM_BINS, window_frames))
    return spectrogram.unfold(1, window_frames, hop_frames).transpose(0, 1)  # (windows, 257, window_frames)


def spectrogram_window_pieces(
    waveform: Tensor,
    *,
    window_frames: int = 30,
    hop_frames: int = 15,
    stft_hop: int = 160,
    silence_removal: bool = True,
    top_db: float = 20.0,
) -> Iterator[Tensor]:
    """Yields the same windows some at a time, so that an hour's spectrogram is never there as a whole.

    Args:
        waveform: see [`spectrogram_windows`][pathosnet.features.acoustic.spectrogram.spectrogram_windows], and the
            others.
        window_frames: length of a window.
        hop_frames: from one window's start to the next one's.
        stft_hop: from one frame to the next.
        silence_removal: remove silence first.
        top_db: what counts as silence.
    """
    waveform = _prepared(
        waveform, window_frames, hop_frames, stft_hop=stft_hop, silence_removal=silence_removal, top_db=top_db
    )
    num_frames = 1 + len(waveform) // stft_hop if len(waveform) else 0
    num_windows = max(0, 1 + (num_frames - window_frames) // hop_frames)
    at_once = max(1, FRAMES_AT_ONCE // hop_frames)
    for start in range(0, num_windows, at_once):
        last = min(start + at_once, num_windows) - 1
        frames = _frames(waveform, stft_hop, start * hop_frames, stop=last * hop_frames + window_frames)
        yield frames.unfold(0, window_frames, hop_frames)  # (windows, 257, window_frames)


def _prepared(
    waveform: Tensor, window_frames: int, hop_frames: int, stft_hop: int, silence_removal: bool, top_db: float
) -> Tensor:
    if min(window_frames, hop_frames, stft_hop) < 1:
        raise ValueError(
            f"expected window_frames, hop_frames and stft_hop ≥ 1, got {window_frames}, {hop_frames}, {stft_hop}"
        )
    return remove_silence(waveform, top_db) if silence_removal else waveform
