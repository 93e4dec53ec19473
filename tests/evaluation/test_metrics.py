import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
    roc_auc_score,
)

from pathosnet.evaluation import Metrics, measure
from pathosnet.evaluation.metrics import jensen_shannon_divergence

LABELS = ("happiness", "anger", "sadness", "neutral")
SAME = 1e-6


def random_case(num_utterances: int, classes: Sequence[int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Truth out of some of the classes, and probabilities that lean towards it."""
    generator = np.random.default_rng(seed)
    truth = np.concatenate([classes, generator.choice(classes, num_utterances - len(classes))])
    scores = generator.normal(size=(num_utterances, len(LABELS)))
    scores[np.arange(num_utterances), truth] += 1.0
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return truth, probabilities


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("classes", [(0, 1, 2, 3), (0, 1, 2), (1, 3)])
def test_every_figure_is_scikit_learns(seed, classes):
    truth, probabilities = random_case(57, classes, seed)
    predicted = probabilities.argmax(axis=1)
    metrics = measure(truth.tolist(), probabilities, LABELS)
    weighted = {"average": "weighted", "zero_division": 0}
    assert metrics.utterances == 57
    assert metrics.accuracy == pytest.approx(accuracy_score(truth, predicted), abs=SAME)
    assert metrics.precision == pytest.approx(precision_score(truth, predicted, **weighted), abs=SAME)
    assert metrics.recall == pytest.approx(recall_score(truth, predicted, **weighted), abs=SAME)
    assert metrics.f1 == pytest.approx(f1_score(truth, predicted, **weighted), abs=SAME)
    recalls = recall_score(truth, predicted, labels=list(classes), average=None)
    assert metrics.uar == pytest.approx(recalls.mean(), abs=SAME)
    for label, recall in zip(classes, recalls, strict=True):
        assert metrics.recalls[LABELS[label]] == pytest.approx(recall, abs=SAME)
    assert metrics.confusion == confusion_matrix(truth, predicted, labels=range(4)).tolist()
    assert metrics.macro_f1 == pytest.approx(f1_score(truth, predicted, average="macro", zero_division=0), abs=SAME)
    assert metrics.log_loss == pytest.approx(log_loss(truth, probabilities, labels=range(4)), abs=SAME)
    assert metrics.jensen_shannon is None


@pytest.mark.parametrize("seed", range(3))
def test_raters_shares_are_compared_as_scikit_learn_and_scipy_do(seed):
    truth, probabilities = random_case(57, (0, 1, 2, 3), seed)
    shares = np.random.default_rng(seed).dirichlet(np.ones(4), 57)
    metrics = measure(truth, probabilities, LABELS, shares=shares)
    distances = [jensenshannon(p, q, base=2) for p, q in zip(shares, probabilities, strict=True)]
    assert metrics.jensen_shannon == pytest.approx(np.mean(np.square(distances)), abs=SAME)
    # Cross-entropy against shares is the log loss of every label, weighted with its share.
    repeated = np.repeat(np.arange(57), 4)
    expected = log_loss(np.tile(np.arange(4), 57), probabilities[repeated], sample_weight=shares.ravel())
    assert metrics.log_loss == pytest.approx(expected, abs=SAME)
    assert metrics.uar == measure(truth, probabilities, LABELS).uar


def test_divergence_is_nothing_between_equals_and_one_bit_between_certain_opposites():
    certain = np.eye(2)
    assert jensen_shannon_divergence(certain, certain) == 0
    assert jensen_shannon_divergence(certain, certain[::-1]) == pytest.approx(1)


def test_certain_mistakes_have_a_finite_loss():
    assert np.isfinite(measure([1], np.eye(2)[[0]], ("a", "b")).log_loss)


@pytest.mark.parametrize("seed", range(5))
def test_auc_is_scikit_learns_weighted_one_vs_rest(seed):
    truth, probabilities = random_case(80, (0, 1, 2, 3), seed)
    expected = roc_auc_score(truth, probabilities, multi_class="ovr", average="weighted")
    assert measure(truth.tolist(), probabilities, LABELS).auc == pytest.approx(expected, abs=SAME)


def test_auc_of_two_labels_is_the_binary_one():
    generator = np.random.default_rng(0)
    truth = generator.integers(2, size=40)
    positive = generator.random(40)
    metrics = measure(truth.tolist(), np.stack([1 - positive, positive], axis=1), ("calm", "angry"))
    assert metrics.auc == pytest.approx(roc_auc_score(truth, positive), abs=SAME)


@pytest.mark.parametrize("seed", range(3))
def test_uar_is_the_balanced_accuracy_where_all_labels_occur(seed):
    truth, probabilities = random_case(60, (0, 1, 2, 3), seed)
    expected = balanced_accuracy_score(truth, probabilities.argmax(axis=1))
    assert measure(truth.tolist(), probabilities, LABELS).uar == pytest.approx(expected, abs=SAME)


def test_absent_label_has_no_recall_and_does_not_lower_the_average():
    # neutral never occurs, but is predicted once
    probabilities = np.eye(4)[[0, 1, 2, 3]]
    metrics = measure([0, 1, 2, 2], probabilities, LABELS)
    assert metrics.recalls == {"happiness": 1.0, "anger": 1.0, "sadness": 0.5, "neutral": None}
    assert metrics.uar == pytest.approx((1 + 1 + 0.5) / 3)


def test_absent_label_weighs_nothing_in_the_auc():
    truth, probabilities = random_case(50, (0, 1, 2), 4)
    expected = [roc_auc_score(truth == label, probabilities[:, label]) for label in range(3)]
    weights = [(truth == label).mean() for label in range(3)]
    assert measure(truth.tolist(), probabilities, LABELS).auc == pytest.approx(np.dot(expected, weights), abs=SAME)


def test_single_class_has_no_auc():
    metrics = measure([1, 1, 1], np.eye(4)[[1, 1, 0]], LABELS)
    assert metrics.auc is None
    assert metrics.uar == pytest.approx(2 / 3)
    assert metrics.accuracy == pytest.approx(2 / 3)
    assert metrics.recalls == {"happiness": None, "anger": pytest.approx(2 / 3), "sadness": None, "neutral": None}


def test_hand_computed_case():
    # truth:      happiness ×2, anger ×1, sadness ×1
    # predicted:  happiness, anger, anger, neutral
    metrics = measure([0, 0, 1, 2], np.eye(4)[[0, 1, 1, 3]], LABELS)
    assert metrics.accuracy == 0.5
    assert metrics.uar == pytest.approx((0.5 + 1 + 0) / 3)
    assert metrics.recall == pytest.approx(0.5)
    assert metrics.precision == pytest.approx((2 * 1 + 1 * 0.5 + 0) / 4)
    assert metrics.f1 == pytest.approx((2 * 2 / 3 + 1 * 2 / 3 + 0) / 4)
    assert metrics.confusion == [[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]]


def test_perfect_predictions():
    metrics = measure([0, 1, 2, 3], np.eye(4), LABELS)
    figures = (metrics.accuracy, metrics.uar, metrics.precision, metrics.recall, metrics.f1, metrics.auc)
    assert figures == (1.0,) * 6


def test_order_of_the_utterances_does_not_matter():
    truth, probabilities = random_case(40, (0, 1, 2, 3), 7)
    order = np.random.default_rng(1).permutation(40)
    ours = measure(truth.tolist(), probabilities, LABELS)
    shuffled = measure(truth[order].tolist(), probabilities[order], LABELS)
    assert shuffled.confusion == ours.confusion
    for name in ("accuracy", "uar", "precision", "recall", "f1", "auc"):
        assert math.isclose(getattr(ours, name), getattr(shuffled, name), abs_tol=1e-12)


def test_figures_are_plain_numbers():
    truth, probabilities = random_case(20, (0, 1, 2, 3), 2)
    metrics = measure(truth.tolist(), probabilities.astype(np.float32), LABELS)
    for name in ("accuracy", "uar", "precision", "recall", "f1", "auc"):
        assert type(getattr(metrics, name)) is float
    assert all(type(count) is int for row in metrics.confusion for count in row)
    assert isinstance(metrics, Metrics)


def test_nothing_to_measure():
    with pytest.raises(ValueError, match="expected at least one utterance"):
        measure([], np.zeros((0, 4)), LABELS)


def test_summary_says_the_figures():
    truth, probabilities = random_case(57, (0, 1, 2, 3), 0)
    metrics = measure(truth.tolist(), probabilities, LABELS)
    summary = metrics.summary()
    for figure in (metrics.accuracy, metrics.uar, metrics.f1, metrics.auc):
        assert f"{figure:.3f}" in summary
    assert "57 utterances" in summary
    assert "AUC –" in measure([1, 1], np.eye(4)[[1, 1]], LABELS).summary()
