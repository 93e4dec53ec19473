"""Worse recordings and worse transcripts: noise, a telephone's bandwidth, the errors of a speech recogniser."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pathosnet.audio import SAMPLE_RATE, import_torchaudio, resample

TELEPHONE_RATE = 8_000
TELEPHONE_BAND = (300.0, 3400.0)  # Hz, of ITU-T G.712
MU_LAW_CHANNELS = 256  # 8 bits
BUTTERWORTH_4 = (0.54119610, 1.30656296)  # the Q of the two biquads that make a Butterworth filter of order 4


def corrupt_words(
    words: Sequence[str], rate: float, vocabulary: Sequence[str], generator: np.random.Generator
) -> list[str]:
    """Makes a speech recogniser's errors.

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

    >>> corrupt_words(["go", "away", "now"], 0.0, ["door"], np.random.default_rng(0))
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
    noisy: Tensor = import_torchaudio().functional.add_noise(waveform, noise, waveform.new_tensor(snr_db))
    return noisy


def measure_snr(clean: Tensor, noisy: Tensor) -> float:
    """Returns the signal-to-noise ratio in dB: infinite without noise, minus infinite without a signal."""
    signal, noise = (float(part.double().square().sum()) for part in (clean, noisy - clean))
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
    functional = import_torchaudio().functional
    low, high = TELEPHONE_BAND
    narrow = resample(waveform, SAMPLE_RATE, TELEPHONE_RATE)
    for q in BUTTERWORTH_4:
        narrow = functional.highpass_biquad(narrow, TELEPHONE_RATE, low, q)
        narrow = functional.lowpass_biquad(narrow, TELEPHONE_RATE, high, q)
    codes = functional.mu_law_encoding(narrow.clamp(-1, 1), MU_LAW_CHANNELS)
    decoded = functional.mu_law_decoding(codes, MU_LAW_CHANNELS)
    return resample(decoded, TELEPHONE_RATE, SAMPLE_RATE)[: len(waveform)]
