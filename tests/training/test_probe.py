"""The linear probe that is fitted along with every run."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pathosnet.features.table import FeatureTable
from pathosnet.training import Positions
from pathosnet.training.probe import STRENGTHS, Probe, measure_probe, pool

TRAIN, VALIDATION, TEST = range(40), range(40, 60), range(60, 90)


def some_table() -> FeatureTable:
    """Three classes, told apart by the mean of one feature; the other feature is a hundred times larger noise."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(90) % 3
    sequences = [
        torch.stack([label + torch.randn(n, generator=generator), 100 * torch.randn(n, generator=generator)], dim=1)
        for label, n in zip(targets.tolist(), [1 + i % 5 for i in range(90)], strict=True)
    ]
    text = [torch.randn(i % 3, 4, generator=generator) for i in range(90)]
    return FeatureTable({"logmel": sequences, "text": text}, targets)


def test_features_are_averaged_over_time_and_empty_sequences_are_zeros():
    table = FeatureTable({"a": [torch.tensor([[1.0], [3.0]]), torch.zeros(0, 1)]}, torch.tensor([0, 1]))
    assert pool(table).tolist() == [[2.0], [0.0]]


def test_probe_is_scikit_learns_on_the_training_part_alone():
    table, network = some_table(), np.eye(3)[np.zeros(30, dtype=int)]
    found = measure_probe(table, Positions(TRAIN, VALIDATION), TEST, probabilities=network)
    vectors, truth = pool(table), table.targets.numpy()
    uars = {}
    for strength in STRENGTHS:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, class_weight="balanced", max_iter=500))
        model.fit(vectors[list(TRAIN)], truth[list(TRAIN)])
        validated = recall_score(truth[list(VALIDATION)], model.predict(vectors[list(VALIDATION)]), average="macro")
        uars[strength] = validated, recall_score(truth[list(TEST)], model.predict(vectors[list(TEST)]), average="macro")
    chosen = max(uars, key=lambda strength: uars[strength][0])
    assert found.inverse_regularization == chosen
    assert found.uar == pytest.approx(uars[chosen][1])
    assert found.network_uar == pytest.approx(1 / 3)


def test_one_class_in_the_training_part_is_no_error():
    table = FeatureTable({"a": [torch.randn(2, 1) for _ in range(6)]}, torch.tensor([0, 0, 0, 0, 1, 0]))
    found = measure_probe(table, Positions([0, 1], [2, 3]), [4, 5], probabilities=np.array([[0.2, 0.8], [0.9, 0.1]]))
    assert (found.uar, found.network_uar) == (0.5, 1.0)


def test_network_that_does_worse_than_a_straight_line_is_told():
    assert Probe(0.71, 0.7, 0.74, inverse_regularization=0.03).summary() == "linear probe UAR 0.71, network 0.74"
    assert "worse than a straight line" in Probe(0.71, 0.7, 0.6, inverse_regularization=0.03).summary()
