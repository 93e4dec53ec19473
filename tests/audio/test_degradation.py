import itertools

import numpy as np
import pytest
import torch
from making import tone

from pathosnet.audio.degradation import add_white_noise, corrupt_words, measure_snr, telephone
from pathosnet.evaluation import measure_word_errors

VOCABULARY = [f"w{i}" for i in range(200)]
LONG = [f"s{i}" for i in range(3000)]


def corrupted(rate: float, seed: int = 0, words=LONG, vocabulary=VOCABULARY) -> list[str]:
    return corrupt_words(words, rate, vocabulary, generator=np.random.default_rng(seed))


def energy_between(waveform: torch.Tensor, low: float, high: float, rate: int = 16_000) -> float:
    spectrum = torch.fft.rfft(waveform.double() * torch.hann_window(len(waveform), dtype=torch.float64)).abs().square()
    hertz = torch.fft.rfftfreq(len(waveform), 1 / rate)
    return float(spectrum[(hertz >= low) & (hertz < high)].sum())


# Words


def test_rate_0_changes_no_word():
    assert corrupted(0.0) == LONG


def test_rate_1_leaves_no_word_without_an_error():
    heard = corrupted(1.0)
    inserted_after = {word for word, following in itertools.pairwise(heard) if following.startswith("w")}
    assert all(word.startswith("w") or word in inserted_after for word in heard)


@pytest.mark.parametrize("rate", [0.1, 0.4])
def test_errors_are_as_many_as_asked_for(rate):
    errors = measure_word_errors([" ".join(LONG)], [" ".join(corrupted(rate))])
    assert errors is not None
    assert rate * 0.85 <= errors.wer <= rate * 1.1  # a deletion beside an insertion is measured as one substitution


def test_the_three_kinds_of_errors_are_as_frequent():
    errors = measure_word_errors([" ".join(LONG)], [" ".join(corrupted(0.1))])
    assert errors is not None
    for count in (errors.substitutions, errors.deletions, errors.insertions):
        assert count == pytest.approx(0.1 * len(LONG) / 3, rel=0.3)


def test_errors_depend_on_the_seed():
    assert corrupted(0.3, seed=1) == corrupted(0.3, seed=1)
    assert corrupted(0.3, seed=1) != corrupted(0.3, seed=2)


def test_lower_rate_makes_some_of_the_errors_of_a_higher_one():
    lower, higher = (set(LONG) - set(corrupted(rate)) for rate in (0.2, 0.5))
    assert lower < higher


def test_new_words_come_from_the_vocabulary():
    assert set(corrupted(0.6)) <= set(LONG) | set(VOCABULARY)


def test_substitute_differs_from_the_word_and_is_left_out_where_none_does():
    heard = corrupted(1.0, words=["go"] * 300, vocabulary=["Go", "go", "stay"])
    assert heard.count("stay") > 100
    heard = corrupted(1.0, words=["go"] * 300, vocabulary=["Go"])
    assert heard.count("go") == heard.count("Go") == pytest.approx(100, abs=25)  # insertions alone are left


def test_no_words_stay_none():
    assert corrupted(0.5, words=[]) == []
    assert corrupted(0.5, words=[], vocabulary=[]) == []


@pytest.mark.parametrize("rate", [-0.1, 1.1, 20])
def test_rates_are_shares(rate):
    with pytest.raises(ValueError, match=f"between 0 and 1, got {rate}"):
        corrupted(rate)


# Noise


@pytest.mark.parametrize("snr_db", [40.0, 20.0, 10.0, 0.0, -5.0])
@pytest.mark.parametrize("amplitude", [0.001, 0.9])
def test_noise_has_the_power_that_was_asked_for(snr_db, amplitude):
    clean = torch.from_numpy(tone(0.5, amplitude=amplitude))
    noisy = add_white_noise(clean, snr_db, np.random.default_rng(0))
    power, noise_power = (float(part.square().mean()) for part in (clean, noisy - clean))
    assert 10 * np.log10(power / noise_power) == pytest.approx(snr_db, abs=0.5)
    assert measure_snr(clean, noisy) == pytest.approx(snr_db, abs=0.5)


def test_noise_is_white():
    noise = add_white_noise(torch.from_numpy(tone(2.0)), 0.0, np.random.default_rng(0)) - torch.from_numpy(tone(2.0))
    parts = [energy_between(noise, low, low + 2000) for low in (0, 2000, 4000, 6000)]
    assert max(parts) < 1.2 * min(parts)


def test_noise_depends_on_the_seed_alone():
    clean = torch.from_numpy(tone())
    first, same, other = (add_white_noise(clean, 10.0, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_silence_stays_silent():
    silence = torch.zeros(800)
    noisy = add_white_noise(silence, 10.0, np.random.default_rng(0))
    assert torch.equal(noisy, silence)
    assert measure_snr(silence, noisy) == -np.inf


def test_no_noise_is_an_infinite_ratio():
    assert measure_snr(torch.ones(400), torch.ones(400)) == np.inf


# Telephone


@pytest.fixture
def white(rng) -> torch.Tensor:
    return torch.from_numpy(rng.normal(0, 0.1, 16_001).astype(np.float32))


def test_telephone_has_no_energy_above_4_khz(white):
    called = telephone(white)
    assert energy_between(called, 4050, 8001) < 1e-5 * energy_between(called, 0, 8001)


def test_telephone_passes_the_middle_and_holds_back_the_ends(white):
    called = telephone(white)

    def passed(low: float, high: float) -> float:
        return energy_between(called, low, high) / energy_between(white, low, high)

    assert passed(600, 2800) == pytest.approx(1.0, abs=0.1)
    assert passed(0, 150) < 0.01
    assert passed(3750, 4000) < 0.05


def test_telephone_keeps_length_and_is_deterministic(white):
    for length in (400, 401, 16_001):
        assert telephone(white[:length]).shape == (length,)
    assert torch.equal(telephone(white), telephone(white))


def test_telephone_of_silence_is_silence():
    assert telephone(torch.zeros(1600)).abs().max() < 1e-3
