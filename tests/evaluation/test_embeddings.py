import xml.etree.ElementTree as ElementTree

import matplotlib
import numpy as np
import pytest

from pathosnet.evaluation import Estimates, Predictions
from pathosnet.evaluation.embeddings import MOST_POINTS, plot_embeddings, project
from pathosnet.evaluation.predictions import ROW


@pytest.fixture
def drawn_texts():
    def read(path):
        return {
            "".join(one.itertext()).strip() for one in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")
        }

    with matplotlib.rc_context({"svg.fonttype": "none"}):
        yield read


def clusters(rng, per_cluster=30, features=8):
    """Three directions, and around each of them some vectors of any length."""
    directions = np.eye(features)[[0, 1, 2]].repeat(per_cluster, axis=0)
    lengths = rng.uniform(0.5, 20.0, (3 * per_cluster, 1))
    return lengths * (directions + rng.normal(0, 0.05, directions.shape)), np.arange(3).repeat(per_cluster)


def told(numbers, **columns):
    rows = tuple({name: columns.get(name, [""] * len(numbers))[i] for name in ROW} for i in range(len(numbers)))
    return Predictions(("anger", "joy", "$calm$"), rows, np.asarray(numbers), outputs=np.full((len(numbers), 3), 1 / 3))


def test_vectors_of_one_direction_become_neighbors_whatever_their_length(rng):
    vectors, numbers = clusters(rng)
    points = project(vectors)
    distances = np.linalg.norm(points[:, None] - points[None], axis=2) + np.diag(np.full(len(points), np.inf))
    assert (numbers[distances.argmin(axis=1)] == numbers).all()
    assert np.array_equal(points, project(vectors))


@pytest.mark.parametrize(("count", "features"), [(1, 5), (2, 1), (9, 3), (12, 1), (12, 5)])
def test_few_or_like_vectors_are_drawn_as_well(rng, count, features):
    assert np.isfinite(project(rng.normal(size=(count, features)))).all()
    assert np.isfinite(project(np.zeros((count, features)))).all()


def test_a_panel_for_each_thing_that_differs(tmp_path, rng, drawn_texts):
    vectors, numbers = clusters(rng, 5)
    speakers = [f"s{i}" for i in range(15)]
    plot_embeddings(told(numbers, speaker=speakers, corpus=["c"] * 15), vectors, tmp_path / "a.svg")
    texts = drawn_texts(tmp_path / "a.svg")
    assert {"by emotion", "by speaker (15)", "anger", "joy", "$calm$"} <= texts
    assert "by corpus" not in texts
    assert "t-SNE of what the classifier reads, 15 test utterances" in texts


def test_a_sample_of_many_is_drawn_and_said(tmp_path, rng, monkeypatch, drawn_texts):
    monkeypatch.setattr("pathosnet.evaluation.embeddings.project", lambda vectors, seed: vectors[:, :2])
    count = MOST_POINTS + 5
    plot_embeddings(told(rng.integers(0, 3, count)), rng.normal(size=(count, 4)), tmp_path / "a.svg")
    expected = {f"t-SNE of what the classifier reads, {MOST_POINTS} test utterances,", f"drawn at random from {count}"}
    assert expected <= drawn_texts(tmp_path / "a.svg")


def test_each_dimension_has_a_panel(tmp_path, rng, drawn_texts):
    rows = told(np.zeros(12, int)).rows
    estimates = Estimates(("valence", "arousal"), rows, rng.normal(size=(12, 2)), outputs=rng.normal(size=(12, 2)))
    plot_embeddings(estimates, rng.normal(size=(12, 4)), tmp_path / "a.svg")
    assert {"by valence", "by arousal"} <= drawn_texts(tmp_path / "a.svg")
