import numpy as np
import pytest
from making import tone

from pathosnet import PathosNet
from pathosnet.recognizer.shipped import shipped_folder

RATE = 16_000
KNOWN = {
    110.0: [0.04378, 0.06335, 0.56427, 0.32861],
    250.0: [0.11241, 0.37273, 0.30257, 0.21229],
}
"""Pitch of the voice in hertz → probabilities."""


@pytest.fixture(scope="module")
def small() -> PathosNet:
    return PathosNet.from_pretrained("small")


def voice(pitch: float, seconds: float = 1.2) -> np.ndarray:
    """A buzz with a wobbling pitch and three syllables."""
    time = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(pitch * (1 + 0.1 * np.sin(2 * np.pi * 3 * time))) / RATE
    harmonics = sum(np.sin(number * phase) / number for number in range(1, 20))
    return (0.1 * harmonics * np.abs(np.sin(np.pi * 2.5 * time))).astype(np.float32)


def probabilities(prediction) -> list[float]:
    return list(prediction.probabilities.values())


def test_small_gives_known_answers(small):
    assert small.labels == ("happiness", "anger", "sadness", "neutral")
    for pitch, expected in KNOWN.items():
        found = probabilities(small.predict(voice(pitch), sample_rate=RATE))
        assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("gain_db", [-20.0, 20.0])
def test_level_changes_nothing(small, gain_db):
    clip = 0.1 * voice(200.0)
    changed = small.predict(clip * 10 ** (gain_db / 20), sample_rate=RATE)
    assert probabilities(changed) == pytest.approx(probabilities(small.predict(clip, sample_rate=RATE)), abs=1e-4)


def test_order_and_batch_change_nothing(small):
    clips = [voice(110.0, 0.7), voice(200.0, 2.0), tone(1.0)]
    alone = [probabilities(small.predict(clip, sample_rate=RATE)) for clip in clips]
    backwards = small.predict_batch(clips[::-1], sample_rate=RATE)[::-1]
    for expected, found in zip(alone, backwards, strict=True):
        assert probabilities(found) == pytest.approx(expected, abs=1e-5)


def test_small_is_small():
    assert sum(file.stat().st_size for file in shipped_folder("small").iterdir()) < 6_000_000
