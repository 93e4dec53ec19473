import xml.etree.ElementTree as ElementTree

import matplotlib
import matplotlib.image
import numpy as np
import pytest

from pathosnet.evaluation import plot_confusion_matrix
from pathosnet.evaluation.panels import Panel, plot_panels

LABELS = ("happiness", "anger", "sadness", "neutral")
CONFUSION = [[8, 1, 1, 0], [0, 5, 0, 5], [2, 0, 6, 2], [0, 0, 0, 0]]
SVG = "{http://www.w3.org/2000/svg}"


def test_png_opens_and_is_large_enough_to_read(tmp_path):
    path = tmp_path / "confusion.png"
    plot_confusion_matrix(CONFUSION, LABELS, path)
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    height, width, _ = matplotlib.image.imread(path).shape
    assert 500 <= height <= 2000
    assert 500 <= width <= 2000


def test_svg_is_well_formed(tmp_path):
    path = tmp_path / "confusion.svg"
    plot_confusion_matrix(CONFUSION, LABELS, path)
    root = ElementTree.parse(path).getroot()
    assert root.tag == f"{SVG}svg"
    assert float(root.get("width").removesuffix("pt")) > 200


def test_picture_shows_labels_counts_and_shares(tmp_path):
    path = tmp_path / "confusion.svg"
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        plot_confusion_matrix(CONFUSION, LABELS, path)
    texts = ["".join(element.itertext()).strip() for element in ElementTree.parse(path).iter(f"{SVG}text")]
    for label in LABELS:
        assert texts.count(label) == 2  # one for each axis
    assert {"predicted", "true", "80%", "8"} <= set(texts)
    assert "nan%" not in texts


def test_cells_are_coloured_by_their_share_of_the_row(tmp_path):
    """The darker of two plots' diagonals is the one with the higher recall, whatever the counts."""
    few, many = tmp_path / "few.png", tmp_path / "many.png"
    plot_confusion_matrix([[1, 0], [0, 1]], ("a", "b"), few)
    plot_confusion_matrix([[1000, 1000], [1000, 1000]], ("a", "b"), many)
    # Blues: full shares are dark blue, halves are lighter
    darkest = [np.quantile(matplotlib.image.imread(path)[..., 0], 0.1) for path in (few, many)]
    assert darkest[0] < darkest[1]


@pytest.mark.parametrize("labels", [("a", "b"), tuple(f"emotion {i}" for i in range(12))])
def test_any_number_of_labels_is_drawn(tmp_path, labels):
    path = tmp_path / "confusion.png"
    plot_confusion_matrix(np.eye(len(labels)).tolist(), labels, path)
    assert path.stat().st_size > 5_000


def test_labels_in_other_scripts_are_drawn_without_warnings(tmp_path):
    plot_confusion_matrix([[1, 0], [0, 1]], ("χαρά", "θυμός"), tmp_path / "confusion.png")


def test_panels_show_their_axes_curves_and_references(tmp_path):
    curves = {"accuracy": [0.7, 0.5], "UAR": [0.6, 0.4]}
    bars = {"accuracy": [0.0, 0.1], "UAR": [0.0, 0.05]}
    panels = [
        Panel("word error rate", [0.0, 0.4], curves, deviations=bars, references={"accuracy": 0.7}, as_percent=True),
        Panel("SNR (dB)", [20.0, 0.0], curves, deviations=bars, references={}, falling=True),
        Panel("", ["clean", "telephone"], curves, deviations=bars, references={}),
    ]
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        plot_panels(panels, tmp_path / "panels.svg", chance=0.25)
    texts = ["".join(e.itertext()).strip() for e in ElementTree.parse(tmp_path / "panels.svg").iter(f"{SVG}text")]
    assert {"word error rate", "SNR (dB)", "clean", "telephone", "40%", "20.0", "100%"} <= set(texts)
    for entry in ("accuracy", "UAR", "accuracy, clean", "chance"):
        assert texts.count(entry) == 1  # one legend for all panels


@pytest.mark.parametrize("positions", [([0.0, 0.5],), ([0.0, 0.5], ["clean", "telephone"])])
def test_legend_fits_into_the_picture(tmp_path, positions):
    curves = {"accuracy": [0.7, 0.5], "UAR": [0.6, 0.4]}
    references = {"accuracy": 0.7, "UAR": 0.6}
    bars = {"accuracy": [0.0, 0.0], "UAR": [0.0, 0.0]}
    panels = [Panel("axis", where, curves, deviations=bars, references=references) for where in positions]
    plot_panels(panels, tmp_path / "panels.png", chance=0.25)
    image = matplotlib.image.imread(tmp_path / "panels.png")
    assert (image[:, [0, -1]] == 1.0).all()  # nothing reaches the edges
    assert (image[[0, -1]] == 1.0).all()
