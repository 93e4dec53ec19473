"""Any samples at any rate: a finite answer, or one line that says why there is none."""

import numpy as np
import pytest
from cases import cases, check_answer, check_message, within_bounds
from hypothesis import given
from hypothesis import strategies as st

from pathosnet.errors import InputError

KINDS = ("int8", "int16", "int32", "uint8", "uint16", "float16", "float32", "float64", "longdouble", "int64", "bool")
CONTENTS = ("noise", "tone", "silence", "constant", "clipped", "denormal", "steps", "click", "alternating")
RATES = st.one_of(st.integers(4_000, 384_000), st.sampled_from((8_000, 16_000, 44_100, 48_000, 192_000, 384_000)))
ODD = (np.nan, np.inf, -np.inf, 1e30, -1e-45, 3.4e38)


@st.composite
def waveforms(draw, most_seconds: float = 3.0):
    """Samples of any kind and their rate."""
    rate = draw(RATES)
    seconds = draw(st.one_of(st.sampled_from((0.0, 1e-4, 0.024, 0.025, 0.026, 0.5)), st.floats(0, most_seconds)))
    channels = draw(st.integers(1, 8))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (round(seconds * rate), channels)
    time = np.arange(shape[0])[:, None] / rate
    samples = {
        "noise": lambda: generator.normal(size=shape),
        "tone": lambda: np.sin(2 * np.pi * generator.uniform(20, 8000, channels) * time),
        "silence": lambda: np.zeros(shape),
        "constant": lambda: np.full(shape, generator.uniform(-1, 1)),
        "clipped": lambda: np.clip(10 * generator.normal(size=shape), -1, 1),
        "denormal": lambda: generator.normal(size=shape) * 1e-40,
        "steps": lambda: np.sign(generator.normal(size=shape)),
        "click": lambda: np.eye(1, shape[0], shape[0] // 2).T * np.ones(channels),
        "alternating": lambda: np.resize([1.0, -1.0], shape[::-1]).T,
    }[draw(st.sampled_from(CONTENTS))]()
    kind = np.dtype(draw(st.sampled_from(KINDS)))
    if np.issubdtype(kind, np.integer):
        about = np.iinfo(kind)
        samples = np.clip(samples, -1, 1) * (about.max // 2) + (0 if about.min else about.max // 2)
    else:
        samples = samples * 10.0 ** draw(st.integers(-12, 12)) + draw(st.sampled_from((0.0, 0.0, 0.5, -3.0)))
        if samples.size and draw(st.integers(0, 9)) == 0:
            samples.flat[generator.integers(samples.size)] = draw(st.sampled_from(ODD))
    with np.errstate(over="ignore"):
        samples = samples.astype(kind)
    if draw(st.booleans()):
        samples = samples.T
    return (samples[:, 0] if draw(st.booleans()) and samples.shape[1] else samples), rate


@cases(70)
@given(waveforms())
def test_any_samples_have_a_finite_answer_or_a_reason(small, waveform):
    samples, rate = waveform
    with within_bounds():
        try:
            answer = small.predict(samples, sample_rate=rate)
        except InputError as error:
            check_message(str(error), "audio")
        else:
            check_answer(answer)


@pytest.mark.parametrize("minutes", [3])
@pytest.mark.parametrize("rate", [4_000, 16_000])
def test_minutes_of_samples_have_a_finite_answer(small, minutes, rate):
    samples = np.random.default_rng(0).normal(0, 0.1, size=minutes * 60 * rate).astype(np.float32)
    with within_bounds(seconds=30):
        check_answer(small.predict(samples, sample_rate=rate))


@cases(60)
@given(st.lists(waveforms(most_seconds=0.6), min_size=1, max_size=4))
def test_order_and_company_change_no_answer(small, several):
    usable = []
    for samples, rate in several:
        try:
            usable.append(({"array": samples, "sampling_rate": rate}, small.predict(samples, sample_rate=rate)))
        except InputError:
            continue
    together = small.predict_batch([audio for audio, _ in usable[::-1]])[::-1]
    for (_, alone), answer in zip(usable, together, strict=True):
        assert list(answer.values.values()) == pytest.approx(list(alone.values.values()), abs=1e-5)
        assert answer.warnings == alone.warnings
