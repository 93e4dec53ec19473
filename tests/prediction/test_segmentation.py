import pytest

from pathosnet.errors import InputError
from pathosnet.prediction.segmentation import Cutting, cut_at_pauses, windows

LEVEL_SECONDS = 0.1


def cut(sounds, levels=(), **options):
    return cut_at_pauses(sounds, levels, LEVEL_SECONDS, cutting=Cutting(**options))


def test_short_pauses_do_not_end_a_segment():
    assert cut([(0, 1), (1.2, 2), (2.5, 4)], pause_seconds=0.3) == [(0, 2), (2.5, 4)]
    assert cut([(0, 1), (1.2, 2), (2.5, 4)], pause_seconds=0.1) == [(0, 1), (1.2, 2), (2.5, 4)]
    assert cut([(0, 1), (1.2, 2), (2.5, 4)], pause_seconds=0.6) == [(0, 4)]


def test_short_segments_are_joined_with_the_nearer_neighbour():
    assert cut([(0, 2), (2.4, 2.6), (3.4, 5)], min_seconds=0.5) == [(0, 2.6), (3.4, 5)]
    assert cut([(0, 2), (2.8, 3.0), (3.4, 5)], min_seconds=0.5) == [(0, 2), (2.8, 5)]


def test_short_segments_without_a_near_neighbour_are_left_out():
    assert cut([(0, 2), (5.0, 5.2), (8, 10)], min_seconds=0.5) == [(0, 2), (8, 10)]
    assert cut([(1, 1.2)]) == []
    assert cut([]) == []


def test_joining_makes_no_segment_too_long():
    assert cut([(0, 4), (4.4, 4.6)], min_seconds=0.5, max_seconds=4.5) == [(0, 4)]


def test_long_segments_are_cut_where_they_are_quietest():
    levels = [5.0] * 100
    levels[37] = 1.0  # at 3.7 s
    levels[70] = 2.0
    levels[20] = 0.0  # quieter, but in the first half of what is allowed
    assert cut([(0, 10)], levels, max_seconds=5) == [(0, 3.7), (3.7, 7.0), (7.0, 10)]


def test_segments_are_within_their_limits_in_order_and_within_the_sounds(rng):
    for _ in range(50):
        times = sorted(rng.uniform(0, 120, 30))
        sounds = list(zip(times[::2], times[1::2], strict=True))
        cutting = Cutting(pause_seconds=rng.uniform(0, 1), min_seconds=0.5, max_seconds=rng.uniform(1, 8))
        found = cut_at_pauses(sounds, rng.uniform(size=1201), LEVEL_SECONDS, cutting=cutting)
        for (start, end), (after, _) in zip(found, [*found[1:], (121, 122)], strict=True):
            assert 0.5 - 1e-9 <= end - start <= cutting.max_seconds + 1e-9
            assert end <= after
            assert any(start <= b and end >= a for a, b in sounds)


def test_windows_cover_the_recording():
    assert windows(10, Cutting(window_seconds=5)) == [(0, 5), (5, 10)]
    assert windows(3, Cutting(window_seconds=5)) == [(0, 3)]
    assert windows(10.3, Cutting(window_seconds=5, min_seconds=0.5)) == [(0, 5), (5, 10)]  # the rest is too short
    assert windows(10, Cutting(window_seconds=4, hop_seconds=3)) == [(0, 4), (3, 7), (6, 10)]
    assert windows(0.1, Cutting()) == [(0, 0.1)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"segments": "words"}, "segments: expected pauses, windows, cues, turns, got 'words'"),
        ({"window_seconds": 0}, "window_seconds: expected at least 0.025, got 0"),
        ({"hop_seconds": -1}, "hop_seconds: expected at least 0.025, got -1"),
        ({"pause_seconds": float("nan")}, "pause_seconds: expected at least 0, got nan"),
        ({"pause_db": -3}, "pause_db: expected at least 0, got -3"),
        ({"max_seconds": 0.7}, r"max_seconds: expected at least twice min_seconds \(0.5\), got 0.7"),
    ],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(InputError, match=message):
        Cutting(**options)
