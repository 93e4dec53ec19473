import numpy as np
import pytest
import torch
from making import random_model, tone

from pathosnet.audio.level import loud_rms, normalize_level

GAINS_DB = [-40.0, -20.0, -6.0, 6.0, 20.0, 40.0]


@pytest.fixture
def speech(rng: np.random.Generator) -> torch.Tensor:
    """Noise that comes and goes, quiet enough for a gain of ±40 dB."""
    envelope = np.abs(np.sin(np.linspace(0, 9, 20_001))) ** 3
    return torch.from_numpy((0.05 * rng.normal(size=20_001) * envelope).astype(np.float32))


@pytest.mark.parametrize("method", ["peak", "rms"])
@pytest.mark.parametrize("gain_db", GAINS_DB)
def test_gain_makes_no_difference(speech, method, gain_db):
    louder = speech * 10 ** (gain_db / 20)
    torch.testing.assert_close(normalize_level(louder, method), normalize_level(speech, method), rtol=2e-6, atol=2e-7)


@pytest.mark.parametrize("method", ["peak", "rms"])
def test_a_constant_offset_makes_no_difference(speech, method):
    torch.testing.assert_close(
        normalize_level(speech + 0.3, method), normalize_level(speech, method), atol=1e-5, rtol=0
    )


def test_peak_is_one_half(speech):
    assert normalize_level(speech, "peak").abs().max() == 0.5


@pytest.mark.parametrize("amplitude", [0.001, 0.3, 30_000.0, 1e20])
def test_rms_of_a_steady_sine_is_one_tenth(amplitude):
    sine = normalize_level(torch.from_numpy(tone(1.0, amplitude=amplitude)), "rms")
    assert float(sine.square().mean().sqrt()) == pytest.approx(0.1, rel=1e-3)


def test_pauses_do_not_count_for_rms(speech):
    speech = speech[:20_000] - speech[:20_000].mean()
    with_pause = torch.cat([speech, torch.zeros(80_000)])
    torch.testing.assert_close(normalize_level(with_pause, "rms")[:20_000], normalize_level(speech, "rms"))


def test_a_click_counts_less_for_rms_than_for_the_peak():
    sine = torch.from_numpy(tone(1.0, amplitude=0.05))
    clicked = sine.clone()
    clicked[4000] = 1.0

    def change(method) -> float:
        before, after = (normalize_level(waveform, method)[8000:] for waveform in (sine, clicked))
        return float(after.norm() / before.norm())

    assert change("rms") > 0.9
    assert change("peak") == pytest.approx(0.05, abs=1e-3)


@pytest.mark.parametrize("method", ["none", "peak", "rms"])
@pytest.mark.parametrize(
    "waveform",
    [torch.zeros(1600), torch.full((1600,), 0.25), torch.randn(1600).round().clamp(-1, 1) / 32_768],
    ids=["zeros", "a constant", "noise of a converter"],
)
def test_silence_stays_as_it_is(waveform, method):
    assert torch.equal(normalize_level(waveform, method), waveform)


def test_none_changes_nothing(speech):
    assert normalize_level(speech, "none") is speech


@pytest.mark.parametrize("method", ["peak", "rms"])
def test_precision_and_length_stay(speech, method):
    assert normalize_level(speech.double(), method).dtype == torch.float64
    for length in (1, 399, 400, 401):
        assert normalize_level(speech[5000 : 5000 + length], method).shape == (length,)


def test_another_method_is_an_error(speech):
    with pytest.raises(ValueError, match="level: expected none, peak, rms, got 'loud'"):
        normalize_level(speech, "loud")


def test_root_mean_square_of_a_sine_by_hand():
    assert float(loud_rms(torch.from_numpy(tone(1.0, hertz=400.0, amplitude=0.2)))) == pytest.approx(
        0.2 / 2**0.5, rel=1e-5
    )
    assert float(loud_rms(torch.zeros(500))) == 0.0


def test_gain_changes_no_prediction(speech):
    model = random_model(text=False)
    expected = model.predict(speech, sample_rate=16_000)
    for gain_db in GAINS_DB:
        found = model.predict(speech * 10 ** (gain_db / 20), sample_rate=16_000)
        assert found.label == expected.label
        assert list(found.probabilities.values()) == pytest.approx(list(expected.probabilities.values()), abs=1e-4)
