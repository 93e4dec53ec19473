import xml.etree.ElementTree as ElementTree

import matplotlib
import matplotlib.image
import numpy as np
import pytest

from pathosnet import Prediction
from pathosnet.prediction.timeline import Segment
from pathosnet.prediction.timeline_plot import _averages, _columns, _rows, clock, plot_timeline

LABELS = ("happiness", "anger", "sadness", "neutral")
SVG = "{http://www.w3.org/2000/svg}"


def segment(start, end, values=(0.1, 0.7, 0.2, 0.0), labels=LABELS):
    named = dict(zip(labels, values, strict=True))
    return Segment(start, end, Prediction(max(named, key=named.__getitem__), named, {}))


def many(duration, every=4.0, length=3.0, labels=LABELS):
    rng = np.random.default_rng(0)
    starts = np.arange(0, duration - length, every)
    return [segment(start, start + length, rng.dirichlet(np.ones(len(labels))), labels) for start in starts]


def texts_of(path):
    return ["".join(element.itertext()).strip() for element in ElementTree.parse(path).iter(f"{SVG}text")]


def coloured(path, color):
    """The share of the picture that has a color."""
    wanted = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return float((np.abs(matplotlib.image.imread(path)[..., :3] - wanted).max(axis=-1) < 0.02).mean())


@pytest.mark.parametrize(
    ("duration", "tick"), [(60, "00:10"), (1800, "06:00"), (3 * 3600, "1:05:00"), (20 * 3600, "8:00:00")]
)
def test_time_is_written_on_the_axis(tmp_path, duration, tick):
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        plot_timeline(many(duration), tmp_path / "timeline.svg")
    texts = texts_of(tmp_path / "timeline.svg")
    assert tick in texts
    assert all(texts.count(label) == 1 for label in LABELS)
    is_averaged = any("averages over" in text for text in texts)
    assert is_averaged == (duration > 3600)


@pytest.mark.parametrize("duration", [60, 3 * 3600])
def test_picture_fits_on_a_page(tmp_path, duration):
    plot_timeline(many(duration), tmp_path / "timeline.png")
    image = matplotlib.image.imread(tmp_path / "timeline.png")
    assert 300 <= image.shape[0] <= 1500
    assert 1000 <= image.shape[1] <= 2000
    assert (image[[0, -1]] == 1.0).all()  # nothing reaches the edges


def test_areas_are_probabilities_and_pauses_are_white(tmp_path):
    plot_timeline([segment(0, 60, (0.0, 1.0, 0.0, 0.0))], tmp_path / "full.png")
    plot_timeline([segment(0, 10, (0.0, 1.0, 0.0, 0.0)), segment(50, 60, (0.5, 0.3, 0.2, 0.0))], tmp_path / "some.png")
    full, some = (coloured(tmp_path / name, "#d1495b") for name in ("full.png", "some.png"))
    assert full > 0.5
    assert some / full == pytest.approx((1 + 0.3 / 1.12) / 6, abs=0.04)  # the strip shows another label for the second
    assert coloured(tmp_path / "full.png", "#f2b134") < 0.01  # the legend


def test_overlapping_windows_are_drawn_up_to_their_middle():
    columns = _columns([segment(0, 4), segment(3, 7), segment(8, 9)])
    assert [(column.start, column.end) for column in columns] == [(0, 3.5), (3.5, 7), (8, 9)]


def test_averages_weigh_by_time_and_leave_pauses_out():
    columns = _columns([segment(0, 3, (1, 0, 0, 0)), segment(3, 4, (0, 1, 0, 0)), segment(22, 31, (0, 0, 1, 0))])
    averages = _averages(columns, 10)
    assert [(column.start, column.end) for column in averages] == [(0, 10), (20, 30), (30, 31)]
    assert list(averages[0].probabilities.values()) == [0.75, 0.25, 0, 0]
    assert list(averages[2].probabilities.values()) == [0, 0, 1, 0]


def test_rows_are_few_and_of_round_lengths():
    assert _rows(60) == (1, 60)
    assert _rows(600) == (5, 120)
    assert _rows(1800) == (6, 300)
    assert _rows(3 * 3600) == (6, 1800)
    assert _rows(601) == (5, 601 / 5)  # a second more makes no new row
    for seconds in (1, 100, 130, 1799, 5000, 30_000, 100_000):
        num_rows, width = _rows(seconds)
        assert num_rows <= 6
        assert num_rows * width >= seconds


def test_clock_carries():
    assert [clock(seconds, 7000) for seconds in (0, 59.7, 3599.6, 6999)] == ["0:00:00", "0:01:00", "1:00:00", "1:56:39"]
    assert clock(3599, 3599) == "59:59"


def test_labels_of_any_number_and_script_are_drawn_without_warnings(tmp_path):
    labels = ("χαρά", "$a$", *(f"emotion {i}" for i in range(10)))
    plot_timeline(many(100, labels=labels), tmp_path / "timeline.png")
    assert (tmp_path / "timeline.png").stat().st_size > 5000
