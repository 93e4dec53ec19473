"""How many cases a proof runs, and what every case has to keep to."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import settings

from pathosnet.recognizer.prediction import Prediction

try:
    import resource
except ImportError:  # Windows tells no peak of memory
    resource = None  # type: ignore[assignment]

NIGHTLY = 10_000
SECONDS = 10.0
BYTES = 1 << 30


def is_nightly() -> bool:
    """Whether ``pytest -m nightly`` asks for many cases, other ones every time."""
    return settings.get_current_profile_name() == "nightly"


def count(few: int, many: int = NIGHTLY) -> int:
    """The number of cases: ``few``, always the same ones, in an ordinary run."""
    return many if is_nightly() else few


def cases(few: int, many: int = NIGHTLY) -> Callable[[Any], Any]:
    """Decorates a property with its number of cases."""
    return settings(max_examples=count(few, many))


@contextmanager
def within_bounds(seconds: float = SECONDS, extra_bytes: int = BYTES) -> Iterator[None]:
    """Holds that a case ends in time, and that the process never grows by more than that in it."""
    before, started = peak_bytes(), time.monotonic()
    yield
    assert time.monotonic() - started < seconds
    assert peak_bytes() - before < extra_bytes


def peak_bytes() -> int:
    """The most memory that this process ever had."""
    return 0 if resource is None else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def check_answer(answer: Prediction) -> None:
    """Holds that an answer's numbers are probabilities, and that its label is one of them or none."""
    values = list(answer.probabilities.values())
    assert values
    assert all(math.isfinite(value) and 0 <= value <= 1 for value in [*values, *answer.valence.values()])
    assert math.isclose(sum(values), 1, abs_tol=1e-5)
    assert answer.label in ("", *answer.probabilities)


def check_message(message: str, *named: str) -> None:
    """Holds that an error is one short line that names what it is about."""
    assert "\n" not in message.strip()
    assert len(message) < 1500
    for name in named:
        assert name in message
