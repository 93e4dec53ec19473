"""Log-mel frames as Whisper reads them.

Source: openai/whisper, ``audio.py``. Unlike there, a recording is not padded to 30 s.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

SAMPLE_RATE = 16_000
FFT_SAMPLES = 400  # 25 ms
HOP_SAMPLES = 160  # 10 ms
MIN_SAMPLES = FFT_SAMPLES
FLOOR = 1e-10
RANGE = 8.0  # decades of power below the loudest, 80 dB; what is quieter counts as that
LINEAR_HZ = 1000.0  # up to here the mel scale of Slaney's toolbox is linear
MEL_PER_HZ = 3 / 200
LOG_MELS = 27 / math.log(6.4)  # above, 27 mels go from 1,000 to 6,400 Hz


def whisper_log_mel(waveform: Tensor, num_bands: int = 80) -> Tensor:
    """Computes log-mel frames, 100 a second.

    Args:
        waveform: ``(samples,)`` at 16 kHz in [-1, 1], at least 400.
        num_bands: 80, or 128 for Whisper-large-v3.

    Returns:
        ``(bands, samples // 160)``.

    >>> tuple(whisper_log_mel(torch.zeros(16_000)).shape)
    (80, 100)
    """
    window = torch.hann_window(FFT_SAMPLES, device=waveform.device)
    spectrum = torch.stft(waveform, FFT_SAMPLES, HOP_SAMPLES, window=window, return_complex=True)
    power = torch.view_as_real(spectrum[:, :-1]).square().sum(dim=2)  # (bins, frames); the last is past the end
    mel = slaney_mel_matrix(num_bands).to(waveform.device) @ power
    return limit_range(mel)


def limit_range(mel: Tensor) -> Tensor:
    """Takes the logarithm of mel powers, limits their range and brings them to about [-1, 1]."""
    log_mel = mel.clamp(min=FLOOR).log10()
    return (torch.maximum(log_mel, log_mel.amax(dim=(0, 1)) - RANGE) + 4.0) / 4.0


@lru_cache
def slaney_mel_matrix(num_bands: int) -> Tensor:
    """Returns the triangles of Slaney's auditory toolbox from 0 to 8,000 Hz, each of area 1, ``(bands, 201)``."""
    with torch.device("cpu"):
        bins = torch.linspace(0, SAMPLE_RATE / 2, FFT_SAMPLES // 2 + 1, dtype=torch.float64)
        top = _to_mel(torch.tensor(SAMPLE_RATE / 2, dtype=torch.float64))
        edges = _to_hz(torch.linspace(0, 1, num_bands + 2, dtype=torch.float64) * top)
        distance = edges.unsqueeze(1) - bins  # (edges, bins)
        widths = edges.diff().unsqueeze(1)
        rising, falling = -distance[:-2] / widths[:-1], distance[2:] / widths[1:]
        triangles = torch.minimum(rising, falling).clamp(min=0)
        return (triangles * (2.0 / (edges[2:] - edges[:-2])).unsqueeze(1)).float()


def _to_mel(hz: Tensor) -> Tensor:
    above = LINEAR_HZ * MEL_PER_HZ + LOG_MELS * torch.log(hz / LINEAR_HZ)
    return torch.where(hz < LINEAR_HZ, hz * MEL_PER_HZ, above)


def _to_hz(mel: Tensor) -> Tensor:
    base = LINEAR_HZ * MEL_PER_HZ
    above = LINEAR_HZ * torch.exp((mel - base) / LOG_MELS)
    return torch.where(mel < base, mel / MEL_PER_HZ, above)
