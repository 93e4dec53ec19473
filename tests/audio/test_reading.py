from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from pathosnet.audio.reading import SAMPLE_RATE, load_audio, to_mono
from pathosnet.audio.resampling import resample
from pathosnet.errors import InputError

HERTZ, AMPLITUDE = 440.0, 0.5


def sine(rate: int, seconds: float = 0.5, hertz: float = HERTZ, amplitude: float = AMPLITUDE) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def assert_is_sine(waveform: torch.Tensor, rate: int, tolerance: float, hertz: float = HERTZ) -> None:
    """Compares away from the ends, where a resampler has too few neighbours."""
    assert waveform.dtype == torch.float32
    expected = sine(rate, seconds=len(waveform) / rate, hertz=hertz)
    edge = rate // 20
    np.testing.assert_allclose(waveform.numpy()[edge:-edge], expected[edge:-edge], atol=tolerance)


@pytest.mark.parametrize(
    ("suffix", "subtype", "tolerance"),
    [
        ("wav", "PCM_U8", 2 / 128),
        ("wav", "PCM_16", 1e-4),
        ("wav", "PCM_24", 1e-6),
        ("wav", "PCM_32", 1e-6),
        ("wav", "FLOAT", 1e-6),
        ("wav", "DOUBLE", 1e-6),
        ("flac", "PCM_16", 1e-4),
        ("flac", "PCM_24", 1e-6),
        ("ogg", "VORBIS", 0.05),
        ("aiff", "PCM_16", 1e-4),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_each_format_and_depth_is_read_at_full_scale(
    tmp_path: Path, suffix: str, subtype: str, tolerance: float, channels: int
) -> None:
    path = tmp_path / f"clip.{suffix}"
    soundfile.write(path, np.tile(sine(SAMPLE_RATE)[:, None], channels), SAMPLE_RATE, subtype=subtype)
    waveform = load_audio(path)
    assert waveform.shape == (8000,)
    assert_is_sine(waveform, SAMPLE_RATE, tolerance)


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 44_100, 48_000])
def test_resampling_keeps_frequency_and_amplitude(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "clip.wav", sine(rate), rate, subtype="FLOAT")
    waveform = load_audio(tmp_path / "clip.wav")
    assert len(waveform) == np.ceil(round(0.5 * rate) * SAMPLE_RATE / rate)
    assert_is_sine(waveform, SAMPLE_RATE, tolerance=1e-3)


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_what_is_below_the_new_rates_reach_is_kept(rate: int) -> None:
    waveform = resample(torch.from_numpy(sine(rate, hertz=7000)).float(), rate, 16_000)
    assert_is_sine(waveform, 16_000, tolerance=1e-3, hertz=7000)


def test_what_is_above_the_new_rates_reach_is_removed() -> None:
    waveform = resample(torch.from_numpy(sine(48_000, hertz=10_000)).float(), 48_000, 16_000)
    assert waveform[800:-800].abs().max() < 1e-3 * AMPLITUDE


def test_another_rate_can_be_asked_for(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "clip.wav", sine(16_000), 16_000)
    waveform = load_audio(tmp_path / "clip.wav", sample_rate=8000)
    assert waveform.shape == (4000,)
    assert_is_sine(waveform, 8000, tolerance=1e-3)


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = np.full(800, 0.5, np.float32), np.full(800, -0.25, np.float32)
    soundfile.write(tmp_path / "clip.wav", np.stack([left, right], axis=1), SAMPLE_RATE, subtype="FLOAT")
    assert load_audio(tmp_path / "clip.wav").tolist() == [0.125] * 800


@pytest.mark.parametrize(
    ("dtype", "low", "middle", "high"),
    [
        (np.int8, -128, 0, 127),
        (np.int16, -(2**15), 0, 2**15 - 1),
        (np.int32, -(2**31), 0, 2**31 - 1),
        (np.uint8, 0, 128, 255),
    ],
)
def test_integers_are_divided_by_full_scale(dtype: Any, low: int, middle: int, high: int) -> None:
    waveform = to_mono(np.array([low, middle, high] * 200, dtype), SAMPLE_RATE)
    assert waveform.dtype == torch.float32
    assert waveform[:2].tolist() == [-1.0, 0.0]
    assert 0.99 < waveform[2] <= 1.0


def test_unsigned_16_bit_is_centred_or_refused_and_not_called_infinite() -> None:
    try:
        waveform = to_mono(np.array([0, 2**15, 2**16 - 1] * 200, np.uint16), SAMPLE_RATE)
    except InputError as error:
        assert "uint16" in str(error)  # noqa: PT017 - either is fine
    else:
        assert waveform[:2].tolist() == [-1.0, 0.0]


@pytest.mark.parametrize("kind", ["array", "float64 array", "tensor", "list", "column", "tensor with gradient"])
def test_floating_point_samples_of_any_kind_are_taken_as_they_are(kind: str) -> None:
    values = sine(SAMPLE_RATE).astype(np.float32)
    samples: Any = {
        "array": values,
        "float64 array": values.astype(np.float64),
        "tensor": torch.from_numpy(values),
        "list": values.tolist(),
        "column": values[:, None],
        "tensor with gradient": torch.from_numpy(values).requires_grad_(),
    }[kind]
    waveform = to_mono(samples, SAMPLE_RATE)
    assert not waveform.requires_grad
    np.testing.assert_array_equal(waveform.numpy(), values)


def error_of(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_audio(path)
    message = str(caught.value)
    assert "\n" not in message, "an error for a person is one line"
    assert message.startswith(f"{path}: "), "the error names the file"
    return message.removeprefix(f"{path}: ")


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    assert error_of(tmp_path / "nowhere.wav") == "no such audio file"


def test_a_folder_is_an_error(tmp_path: Path) -> None:
    assert error_of(tmp_path) == "is a folder, expected an audio file"


def test_an_empty_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").write_bytes(b"")
    assert error_of(tmp_path / "empty.wav").startswith("is an empty file (0 bytes)")


@pytest.mark.parametrize("content", [b"this is a text\n" * 100, b"RIFF", b"RIFF\x00\x00\x00\x00WAVEfmt "])
def test_a_text_that_is_called_wav_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "text.wav").write_bytes(content)
    message = error_of(tmp_path / "text.wav")
    assert message.startswith("cannot be read as audio (")
    assert message.endswith("convert it to WAV")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("channel", [0, 1])
def test_samples_that_are_no_numbers_are_an_error(tmp_path: Path, value: float, channel: int) -> None:
    samples = np.zeros((1600, 2), np.float32)
    samples[700, channel] = value
    soundfile.write(tmp_path / "broken.wav", samples, SAMPLE_RATE, subtype="FLOAT")
    assert error_of(tmp_path / "broken.wav").startswith("holds NaN or infinite samples")


@pytest.mark.parametrize(
    ("num_samples", "rate"), [(0, 16_000), (100, 16_000), (399, 16_000), (199, 8000), (1102, 44_100)]
)
def test_less_than_25_milliseconds_is_an_error(tmp_path: Path, num_samples: int, rate: int) -> None:
    soundfile.write(tmp_path / "short.wav", np.zeros(num_samples), rate)
    message = error_of(tmp_path / "short.wav")
    assert message.startswith(f"holds {num_samples} samples at {rate} Hz, expected at least 25 ms of audio")


@pytest.mark.parametrize(("num_samples", "rate"), [(400, 16_000), (200, 8000), (1103, 44_100)])
def test_25_milliseconds_are_enough(num_samples: int, rate: int) -> None:
    assert len(to_mono(np.zeros(num_samples), rate)) >= 400


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros((2, 3, 1600)), 16_000, r"shape \(samples,\) or \(samples, channels\), got \(2, 3, 1600\)"),
        (np.zeros((70, 1600)), 16_000, r"expected at most 64 channels, got samples of shape \(1600, 70\)"),
        (np.float32(0), 16_000, r"got \(\)"),
        (np.zeros(1600), 0, "positive sample rate, got 0"),
        (np.zeros(1600), -8000, "positive sample rate, got -8000"),
        (np.zeros(1600, complex), 16_000, "integers of 8, 16 or 32 bit, got complex128"),
        (np.array(["a"] * 1600), 16_000, "integers of 8, 16 or 32 bit, got <U1"),
        (np.zeros(1600, bool), 16_000, "integers of 8, 16 or 32 bit, got bool"),
    ],
)
def test_samples_of_another_kind_are_an_error_that_names_the_recording(samples: Any, rate: int, message: str) -> None:
    with pytest.raises(InputError, match=f"^my clip: .*{message}"):
        to_mono(samples, rate, name="my clip")


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 44_100])
def test_a_recording_in_pieces_is_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rate: int) -> None:
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "clip.wav", rng.uniform(-1, 1, (3 * rate + 17, 2)), rate)
    whole = load_audio(tmp_path / "clip.wav")
    monkeypatch.setattr("pathosnet.audio.decoding.BLOCK_SAMPLES", rate)
    pieces = load_audio(tmp_path / "clip.wav")
    assert pieces.shape == whole.shape
    assert torch.allclose(pieces, whole, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.uint8])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_channels_of_every_kind_of_sample_are_averaged(dtype: type, channels: int) -> None:
    samples = np.full((800, channels), 64, dtype) if dtype in (np.int16, np.uint8) else np.zeros((800, channels), dtype)
    samples[:, 0] = 0 if dtype in (np.int16, np.uint8) else 0.75
    full = to_mono(samples, SAMPLE_RATE)
    each = torch.stack([to_mono(samples[:, i], SAMPLE_RATE) for i in range(channels)])
    assert torch.allclose(full, each.mean(dim=0), atol=1e-6)
