import numpy as np
import pytest
import torch
from comparison import assert_same

from pathosnet.features import spectrogram_window_pieces, spectrogram_windows
from pathosnet.features.acoustic.silence import remove_silence
from pathosnet.features.acoustic.spectrogram import normalized_spectrogram


def reference_spectrogram(waveform: np.ndarray, hop: int) -> np.ndarray:
    """Frame by frame from the description, in float64."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    window = np.zeros(512)
    window[56:456] = hann
    padded = np.pad(waveform.astype(np.float64), 256)
    frames = []
    for start in range(0, len(waveform) + 1, hop):
        magnitudes = np.abs(np.fft.rfft(padded[start : start + 512] * window))
        frames.append((magnitudes - magnitudes.mean()) / (magnitudes.std() + 1e-5))
    return np.array(frames).T


@pytest.mark.parametrize("hop", [160, 256, 7])
@pytest.mark.parametrize("num_samples", [1, 400, 1601])
def test_frames_are_those_of_the_description(rng: np.random.Generator, hop: int, num_samples: int) -> None:
    waveform = rng.uniform(-1, 1, num_samples).astype(np.float32)
    spectrogram = normalized_spectrogram(torch.from_numpy(waveform), hop)
    assert spectrogram.shape == (257, 1 + num_samples // hop)
    assert_same(spectrogram, reference_spectrogram(waveform, hop), "spectrogram")


def test_digital_silence_is_zeros_not_nan() -> None:
    assert (normalized_spectrogram(torch.zeros(1600)) == 0).all()


@pytest.mark.parametrize(
    ("options", "num_windows"),
    [
        ({}, 5),  # 1 + 16000 // 160 = 101 frames: windows start at 0, 15, 30, 45 and 60
        ({"hop_frames": 30}, 3),
        ({"window_frames": 101}, 1),
        ({"window_frames": 102}, 0),
        ({"window_frames": 3, "hop_frames": 3, "stft_hop": 256}, 21),  # the paper's: 63 frames
        ({"window_frames": 2, "hop_frames": 5}, 20),
    ],
)
def test_windows_are_cut_at_the_hops(options: dict[str, int], num_windows: int) -> None:
    waveform = torch.randn(16_000)
    windows = spectrogram_windows(waveform, silence_removal=False, **options)
    length, hop = options.get("window_frames", 30), options.get("hop_frames", 15)
    assert windows.shape == (num_windows, 257, length)
    spectrogram = normalized_spectrogram(waveform, options.get("stft_hop", 160))
    for i, window in enumerate(windows):
        assert torch.equal(window, spectrogram[:, i * hop : i * hop + length])


def test_silence_is_removed_before_the_frames_are_made() -> None:
    waveform = torch.randn(32_000)
    waveform[8000:20_000] = 0
    with_removal = spectrogram_windows(waveform)
    assert len(with_removal) < len(spectrogram_windows(waveform, silence_removal=False))
    assert torch.equal(with_removal, spectrogram_windows(remove_silence(waveform), silence_removal=False))


def test_the_threshold_of_silence_is_an_option() -> None:
    waveform = torch.randn(32_000)
    waveform[16_000:] *= 10 ** (-30 / 20)
    assert len(spectrogram_windows(waveform, top_db=20)) < len(spectrogram_windows(waveform, top_db=40))


@pytest.mark.parametrize("num_samples", [0, 1, 4639])
@pytest.mark.parametrize("silence_removal", [True, False])
def test_a_recording_shorter_than_a_window_has_none(num_samples: int, silence_removal: bool) -> None:
    # 30 frames need 29 · 160 = 4640 samples
    waveform = torch.ones(num_samples)
    assert spectrogram_windows(waveform, silence_removal=silence_removal).shape == (0, 257, 30)
    assert len(spectrogram_windows(torch.ones(4640), silence_removal=silence_removal)) == 1


@pytest.mark.parametrize("option", ["window_frames", "hop_frames", "stft_hop"])
def test_sizes_below_1_are_an_error(option: str) -> None:
    with pytest.raises(ValueError, match="window_frames, hop_frames and stft_hop ≥ 1, got"):
        spectrogram_windows(torch.zeros(16_000), **{option: 0})


@pytest.mark.parametrize("options", [{}, {"window_frames": 7, "hop_frames": 9, "stft_hop": 256}, {"top_db": 40.0}])
@pytest.mark.parametrize("num_samples", [0, 300, 4639, 4640, 40_000])
def test_a_recording_in_pieces_is_the_same(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, float], num_samples: int
) -> None:
    waveform = torch.randn(num_samples)
    waveform[8000:20_000] *= 0.01
    whole, spectrogram = spectrogram_windows(waveform, **options), normalized_spectrogram(waveform)
    monkeypatch.setattr("pathosnet.features.acoustic.spectrogram.FRAMES_AT_ONCE", 40)
    assert torch.allclose(normalized_spectrogram(waveform), spectrogram, atol=1e-6)
    pieces = list(spectrogram_window_pieces(waveform, **options))
    assert sum(map(len, pieces)) == len(whole)
    assert len(pieces) > 1 or num_samples < 40_000
    if pieces:
        assert torch.allclose(torch.cat(pieces), whole, atol=1e-6)
