"""Worse recordings and worse transcripts: noise, a telephone's bandwidth, the errors of a speech recognizer."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pathosnet.audio.reading import SAMPLE_RATE
from pathosnet.audio.resampling import resample

TELEPHONE_RATE = 8_000
TELEPHONE_BAND = (300.0, 3400.0)  # Hz, of ITU-T G.712
TELEPHONE_ORDER = 4  # of the Butterworth filter at each end
MU = 255  # mu-law of 8 bits


def corrupt_words(
    words: Sequence[str], rate: float, vocabulary: Sequence[str], *, generator: np.random.Generator
) -> list[str]:
    """Makes a speech recognizer's errors.

    Each word is hit with the probability ``rate``; a word that is hit is substituted, deleted, or followed by an
    inserted one, each as often. One error is made for a hit, so that ``rate`` errors a word are expected; the word
    error rate that is reached can be a little lower, since a deletion beside an insertion counts as one substitution.

    With one state of the generator, a lower rate makes some of the errors of a higher one.

    Args:
        words: of an utterance.
        rate: in [0, 1].
        vocabulary: substitutes and insertions are drawn from it evenly, so a word that is in it twice is drawn twice
            as often. A substitute differs from the word; if there is none that does, the word is deleted.
        generator: of the errors.

    Raises:
        ValueError: a rate outside [0, 1].

    >>> corrupt_words(["go", "away", "now"], 0.0, ["door"], generator=np.random.default_rng(0))
    ['go', 'away', 'now']
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"expected a rate between 0 and 1, got {rate}")
    hits = generator.random(len(words)) < rate
    kinds = generator.integers(3, size=len(words))
    draws = generator.integers(max(len(vocabulary), 1), size=len(words))
    corrupted: list[str] = []
    for word, hit, kind, draw in zip(words, hits, kinds, draws, strict=True):
        if not hit:
            corrupted.append(word)
        elif kind == 0:
            corrupted += _another_word(word, vocabulary, draw)
        elif kind == 1:
            corrupted += [word, vocabulary[draw] if vocabulary else word]
    return corrupted


def _another_word(word: str, vocabulary: Sequence[str], start: int) -> list[str]:
    for other in (*vocabulary[start:], *vocabulary[:start]):
        if other.casefold() != word.casefold():
            return [other]
    return []


def add_white_noise(waveform: Tensor, snr_db: float, generator: np.random.Generator) -> Tensor:
    """Adds Gaussian white noise.

    Args:
        waveform: ``(samples,)``; digital silence is returned as it is.
        snr_db: power of the whole recording, pauses included, over that of the noise, in dB.
        generator: of the noise.

    Returns:
        ``(samples,)``, not clipped.
    """
    noise = torch.from_numpy(generator.standard_normal(len(waveform), dtype=np.float32)).to(waveform.device)
    ratio = waveform.square().mean() / noise.square().mean()
    return waveform + noise * (ratio * 10 ** (-snr_db / 10)).sqrt()


def change_gain(waveform: Tensor, gain_db: float) -> Tensor:
    """Makes a recording louder or quieter; what then leaves [-1, 1] is clipped, as a recorder does.

    Args:
        waveform: ``(samples,)``.
        gain_db: in dB; -20 makes samples a tenth of what they are.
    """
    return (waveform * 10 ** (gain_db / 20)).clamp(-1.0, 1.0)


def measure_snr(clean: Tensor, noisy: Tensor) -> float:
    """Returns the signal-to-noise ratio in dB: infinite without noise, minus infinite without a signal."""
    signal, noise = (float(part.cpu().double().square().sum()) for part in (clean, noisy - clean))
    if signal == 0:
        return -np.inf
    return float(10 * np.log10(signal / noise)) if noise else np.inf


def telephone(waveform: Tensor) -> Tensor:
    """Sends a recording through a telephone: 8 kHz, 300-3400 Hz (Butterworth, order 4 at each end), 8 bits of mu-law.

    Args:
        waveform: ``(samples,)`` at 16 kHz.

    Returns:
        ``(samples,)`` at 16 kHz.
    """
    import scipy.signal  # takes longer to import than everything else here, and few need it

    filters = [
        scipy.signal.butter(TELEPHONE_ORDER, hertz, kind, fs=TELEPHONE_RATE, output="sos")
        for hertz, kind in zip(TELEPHONE_BAND, ("highpass", "lowpass"), strict=True)
    ]
    narrow = resample(waveform, SAMPLE_RATE, TELEPHONE_RATE).numpy()
    narrow = scipy.signal.sosfilt(np.concatenate(filters), narrow).clip(-1, 1)
    codes = np.round(np.sign(narrow) * np.log1p(MU * np.abs(narrow)) / np.log1p(MU) * MU / 2 + MU / 2)
    level = 2 * codes / MU - 1
    decoded = np.sign(level) * np.expm1(np.abs(level) * np.log1p(MU)) / MU
    return resample(torch.from_numpy(decoded), TELEPHONE_RATE, SAMPLE_RATE)[: len(waveform)]
