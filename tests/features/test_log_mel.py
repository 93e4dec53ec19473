import numpy as np
import pytest
import torch
from comparison import assert_same

from pathosnet.features import log_mel_example_pieces, log_mel_examples, log_mel_frames
from pathosnet.features.acoustic.log_mel import mel_matrix


def reference_frames(waveform: np.ndarray) -> np.ndarray:
    """Log-mel frames from the description, band by band, in float64."""

    def mel(hertz: np.ndarray | float) -> np.ndarray:
        return 1127.0 * np.log(1.0 + np.asarray(hertz) / 700.0)

    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    frames = []
    for start in range(0, len(waveform) - 400 + 1, 160):
        spectrum = np.abs(np.fft.rfft(waveform[start : start + 400].astype(np.float64) * hann, 512))
        edges = np.linspace(mel(125.0), mel(7500.0), 66)
        bands = np.zeros(64)
        for band in range(64):
            for bin_ in range(1, 257):
                position = mel(bin_ * 16_000 / 512)
                rising = (position - edges[band]) / (edges[band + 1] - edges[band])
                falling = (edges[band + 2] - position) / (edges[band + 2] - edges[band + 1])
                bands[band] += max(0.0, min(rising, falling)) * spectrum[bin_]
        frames.append(np.log(bands + 0.01))
    return np.array(frames)


def test_frames_are_those_of_the_description(rng: np.random.Generator) -> None:
    waveform = rng.uniform(-1, 1, 1200).astype(np.float32)
    frames = log_mel_frames(torch.from_numpy(waveform))
    assert frames.shape == (6, 64)
    assert_same(frames, reference_frames(waveform), "log_mel")


def test_silence_is_the_logarithm_of_the_offset() -> None:
    frames = log_mel_frames(torch.zeros(720))
    np.testing.assert_allclose(frames.numpy(), np.full((3, 64), np.log(0.01)), rtol=1e-6)


@pytest.mark.parametrize("hertz", [200, 440, 1000, 3000, 7000])
def test_a_sine_is_loudest_in_the_band_around_it(hertz: float) -> None:
    time = torch.arange(16_000, dtype=torch.float64) / 16_000
    frames = log_mel_frames(torch.sin(2 * torch.pi * hertz * time).float())
    mel = 1127 * np.log1p(np.array([125, 7500, hertz]) / 700)
    position = (mel[2] - mel[0]) / (mel[1] - mel[0]) * 65 - 1  # of the band with this centre
    assert (frames.argmax(dim=1) - position).abs().max() <= 1


@pytest.mark.parametrize(
    ("num_samples", "num_frames"), [(0, 0), (1, 0), (399, 0), (400, 1), (559, 1), (560, 2), (16_000, 98)]
)
def test_only_whole_windows_make_frames(num_samples: int, num_frames: int) -> None:
    assert log_mel_frames(torch.zeros(num_samples)).shape == (num_frames, 64)


@pytest.mark.parametrize(
    ("num_samples", "num_examples"), [(0, 0), (399, 0), (15_599, 0), (15_600, 1), (30_959, 1), (30_960, 2)]
)
def test_the_first_example_needs_0_975_seconds_and_each_more_0_96(num_samples: int, num_examples: int) -> None:
    assert log_mel_examples(torch.zeros(num_samples)).shape == (num_examples, 96, 64)


def test_examples_are_the_frames_one_after_the_other(rng: np.random.Generator) -> None:
    waveform = torch.from_numpy(rng.uniform(-1, 1, 47_000).astype(np.float32))
    examples = log_mel_examples(waveform)
    assert len(examples) == 3
    assert torch.equal(examples.flatten(0, 1), log_mel_frames(waveform)[: 3 * 96])


def test_triangles_peak_at_1_and_leave_the_constant_bin_out() -> None:
    weights = mel_matrix()
    assert weights.shape == (257, 64)
    assert (weights[0] == 0).all()
    assert weights.max() <= 1.0
    assert (weights.sum(dim=0) > 0).all()
    assert (weights[:5] == 0).all(), "bins up to 125 Hz"
    assert (weights[240:] == 0).all(), "bins from 7500 Hz"
    assert ((weights > 0).sum(dim=1) <= 2).all(), "a bin lies in two triangles at most"


def test_the_waveform_keeps_its_precision() -> None:
    assert log_mel_frames(torch.zeros(800)).dtype == torch.float32
    assert log_mel_frames(torch.zeros(800, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize("frames_at_once", [96, 200, 1000])
@pytest.mark.parametrize("num_samples", [15_599, 15_600, 62_000])
def test_a_recording_in_pieces_is_the_same(monkeypatch: pytest.MonkeyPatch, frames_at_once: int, num_samples: int):
    waveform = torch.randn(num_samples)
    frames, examples = log_mel_frames(waveform), log_mel_examples(waveform)
    monkeypatch.setattr("pathosnet.features.acoustic.log_mel.FRAMES_AT_ONCE", frames_at_once)
    assert torch.allclose(log_mel_frames(waveform), frames, atol=1e-6)
    pieces = list(log_mel_example_pieces(waveform))
    assert [len(piece) for piece in pieces[:-1]] == [frames_at_once // 96] * (len(pieces) - 1)
    assert sum(map(len, pieces)) == len(examples) == len(frames) // 96
    if pieces:
        assert torch.allclose(torch.cat(pieces), examples, atol=1e-6)
