import pytest
import torch

from pathosnet.features.acoustic.whisper_log_mel import MIN_SAMPLES, slaney_mel_matrix, whisper_log_mel


@pytest.mark.parametrize("num_bands", [80, 128])
def test_thirty_seconds_are_those_of_transformers(num_bands):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    waveform = 0.1 * torch.randn(480_000)
    waveform[100_000:200_000] = 0
    extractor = transformers.WhisperFeatureExtractor(feature_size=num_bands)
    expected = extractor(waveform.numpy(), sampling_rate=16_000, return_tensors="pt")["input_features"][0]
    found = whisper_log_mel(waveform, num_bands)
    assert found.shape == expected.shape == (num_bands, 3000)
    assert (found - expected).abs().max() < 1e-5


def test_triangles_have_area_one():
    areas = slaney_mel_matrix(80)[20:].sum(dim=1) * 40  # bins are 40 Hz apart, which samples the narrower ones coarsely
    assert areas.mean().item() == pytest.approx(1.0, abs=0.01)
    assert (areas - 1).abs().max() < 0.1


@pytest.mark.parametrize(("samples", "frames"), [(MIN_SAMPLES, 2), (16_000, 100), (16_159, 100), (16_160, 101)])
def test_a_frame_is_ten_milliseconds(samples, frames):
    assert whisper_log_mel(torch.randn(samples)).shape == (80, frames)


def test_what_is_more_than_80_db_below_the_loudest_counts_as_that():
    waveform = torch.zeros(16_000)
    waveform[:4000] = torch.randn(4000)
    found = whisper_log_mel(waveform)
    assert found.max() - found.min() == pytest.approx(2.0)
