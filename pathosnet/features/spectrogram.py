"""The normalised spectrogram of Thin ResNet-34, and the windows that PATHOSnet cuts it into.

Source: WeidiXie/VGG-Speaker-Recognition (the spectrogram); PATHOSnet's authors' code (silence removal and windows).
"""

import torch
from torch import Tensor

from pathosnet.features.silence import remove_silence

FFT_SAMPLES = 512
WINDOW_SAMPLES = 400  # 25 ms at 16 kHz
NUM_BINS = 257
EPSILON = 1e-5


def normalised_spectrogram(waveform: Tensor, stft_hop: int = 160) -> Tensor:
    """Computes a magnitude spectrogram whose frames each have mean 0 and standard deviation 1.

    Args:
        waveform: ``(samples,)`` at 16 kHz.
        stft_hop: hop between frames in samples.

    Returns:
        ``(257, frames)`` with ``1 + samples // stft_hop`` frames; they are centred, the ends padded with zeros.
    """
    window = torch.hann_window(WINDOW_SAMPLES, periodic=True, dtype=torch.float64).to(waveform)
    magnitudes = torch.stft(
        waveform,
        n_fft=FFT_SAMPLES,
        hop_length=stft_hop,
        win_length=WINDOW_SAMPLES,
        window=window,
        center=True,
        pad_mode="constant",
        return_complex=True,
    ).abs()  # (257, frames)
    mean = magnitudes.mean(dim=0, keepdim=True)
    deviation = magnitudes.std(dim=0, correction=0, keepdim=True)
    return (magnitudes - mean) / (deviation + EPSILON)


def spectrogram_windows(
    waveform: Tensor,
    *,
    window_frames: int = 30,
    hop_frames: int = 15,
    stft_hop: int = 160,
    silence_removal: bool = True,
    top_db: float = 20.0,
) -> Tensor:
    """Cuts a normalised spectrogram into windows, one feature vector's worth each.

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
    if min(window_frames, hop_frames, stft_hop) < 1:
        raise ValueError(
            f"expected window_frames, hop_frames and stft_hop ≥ 1, got {window_frames}, {hop_frames}, {stft_hop}"
        )
    if silence_removal:
        waveform = remove_silence(waveform, top_db)
    if len(waveform) == 0:
        return waveform.new_zeros((0, NUM_BINS, window_frames))
    spectrogram = normalised_spectrogram(waveform, stft_hop)  # (257, frames)
    if spectrogram.shape[1] < window_frames:
        return waveform.new_zeros((0, NUM_BINS, window_frames))
    return spectrogram.unfold(1, window_frames, hop_frames).transpose(0, 1)  # (windows, 257, window_frames)
