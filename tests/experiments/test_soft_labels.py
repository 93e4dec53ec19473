"""Training on the raters' votes."""

import json
import math

import numpy as np
import pytest
import torch
from making import make_corpus, read_rows, tiny_config

from pathosnet import InputError
from pathosnet.evaluation import Predictions
from pathosnet.evaluation.metrics import jensen_shannon_divergence
from pathosnet.experiments.cross_validate import cross_validate
from pathosnet.experiments.evaluate import evaluate
from pathosnet.experiments.finetune import finetune
from pathosnet.experiments.prepare import learned_shares, prepare, read_corpus
from pathosnet.experiments.train import train
from pathosnet.features.table import FeatureTable
from pathosnet.targets import ClassTarget
from pathosnet.training.data import EpochShuffle, FeatureDataset, collate
from pathosnet.training.objectives import Objective
from pathosnet.training.optimization import balanced_weights

TARGET = ClassTarget(("a", "b", "c"))
LABELS = ("happiness", "anger", "sadness", "neutral")
WEIGHTS = torch.tensor([0.5, 1.0, 3.0])


def voted(**shares):
    """Columns of votes: for the emotion itself, and for the others."""
    return {
        f"votes_{label}": (lambda i, emotion, label=label: shares["own"] if label == emotion else shares["other"])
        for label in LABELS
    }


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("voted"), per_class=6, **voted(own=6, other=1))


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_shares_of_one_label_give_the_loss_of_its_number_to_the_last_bit(weights, smoothing, kind):
    logits = torch.randn(37, 3, dtype=kind, generator=torch.Generator().manual_seed(0))
    numbers = torch.arange(37) % 3
    weights = None if weights is None else weights.to(kind)
    losses, gradients = [], []
    for targets in (numbers, torch.eye(3, dtype=kind)[numbers]):
        outputs = logits.clone().requires_grad_()
        loss = TARGET.loss(outputs, targets, class_weights=weights, label_smoothing=smoothing)
        loss.backward()
        losses.append(loss.detach())
        gradients.append(outputs.grad)
    assert torch.equal(*losses)
    assert torch.equal(*gradients)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_soft_rows_beside_hard_ones_are_computed_as_those(smoothing):
    """One soft row turns a batch to the other formula, which has to agree with PyTorch's of hard labels."""
    logits = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    numbers, weights = torch.tensor([0, 1, 2, 2, 1]), WEIGHTS.double()
    shares = torch.eye(3, dtype=torch.float64)[numbers]
    shares[0] = torch.tensor([1 - 1e-12, 1e-12, 0])
    soft = TARGET.loss(logits, shares, class_weights=weights, label_smoothing=smoothing)
    hard = TARGET.loss(logits, numbers, class_weights=weights, label_smoothing=smoothing)
    assert soft.item() == pytest.approx(hard.item(), abs=1e-10)


def test_soft_loss_by_hand():
    """Logits of probabilities 1/2, 1/4, 1/4: - log q is log 2, 2 log 2, 2 log 2."""
    logits = torch.tensor([[2.0, 1.0, 1.0]]) * math.log(2)
    shares = torch.tensor([[0.25, 0.25, 0.5]])
    assert TARGET.loss(logits, shares).item() == pytest.approx((0.25 + 0.5 + 1.0) * math.log(2), abs=1e-6)
    weighted = (0.5 * 0.25 * 1 + 1 * 0.25 * 2 + 3 * 0.5 * 2) / (0.5 * 0.25 + 0.25 + 3 * 0.5) * math.log(2)
    assert TARGET.loss(logits, shares, class_weights=WEIGHTS).item() == pytest.approx(weighted, abs=1e-6)
    smooth = 0.7 * shares + 0.1  # a smoothing of 0.3 over three labels
    expected = (smooth * torch.tensor([1.0, 2.0, 2.0])).sum().item() * math.log(2)
    assert TARGET.loss(logits, shares, label_smoothing=0.3).item() == pytest.approx(expected, abs=1e-6)


def test_figures_but_the_loss_are_measured_by_the_labels():
    objective = Objective(TARGET)
    outputs = torch.tensor([[3.0, 0.0, 0.0], [0.0, 3.0, 0.0]])
    shares = torch.tensor([[0.2, 0.8, 0.0], [0.0, 0.4, 0.6]])
    objective.update(outputs, torch.tensor([0, 1]), shares)
    figures = objective.compute()
    assert figures["val_accuracy"] == figures["val_uar"] == 1.0
    assert figures["val_loss"] == pytest.approx(TARGET.loss(outputs, shares).item(), abs=1e-6)


def test_balanced_weights_count_shares_and_hard_ones_are_as_before():
    numbers = torch.tensor([0, 0, 0, 2])
    assert balanced_weights(torch.eye(4)[numbers], 4) == balanced_weights(numbers, 4)
    shares = torch.tensor([[0.5, 0.5], [0.75, 0.25], [0.25, 0.75], [0.5, 0.5]])
    assert balanced_weights(shares, 2) == [1.0, 1.0]
    assert balanced_weights(torch.tensor([[0.75, 0.25], [0.75, 0.25]]), 2) == pytest.approx([2 / 3, 2.0])


def test_balanced_sampling_draws_by_the_labels():
    shares = torch.tensor([[0.1, 0.9]] * 9 + [[0.9, 0.1]])
    table = FeatureTable({"x": [torch.zeros(1, 1)] * 10}, torch.tensor([0] * 9 + [1]), shares=shares)
    drawn = list(EpochShuffle(FeatureDataset(table), balanced=True))
    assert drawn.count(9) == 5


def test_shares_follow_their_utterances():
    shares = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    table = FeatureTable(
        {"x": [torch.full((1, 1), float(i)) for i in range(3)]}, torch.tensor([1, 0, 1]), shares=shares
    )
    dataset = FeatureDataset(table.subset([2, 0]))
    batch = collate([dataset[i] for i in range(2)])
    assert torch.equal(batch.learned, shares[[2, 0]])
    assert torch.equal(batch.targets, torch.tensor([1, 1]))
    assert torch.equal(table.learned, shares)


def test_mixed_is_half_the_votes_and_half_the_label(corpus):
    read = read_corpus(corpus, tiny_config())
    assert learned_shares(read, "hard") is None
    np.testing.assert_allclose(learned_shares(read, "votes")[0], [6 / 9, 1 / 9, 1 / 9, 1 / 9], rtol=1e-6)
    np.testing.assert_allclose(learned_shares(read, "mixed")[0], [15 / 18, 1 / 18, 1 / 18, 1 / 18], rtol=1e-6)


def test_votes_without_columns_are_refused(tmp_path):
    config = tiny_config(labels_from="votes")
    with pytest.raises(InputError, match="has no votes for any of the labels; labels_from votes needs columns votes_"):
        prepare(read_corpus(make_corpus(tmp_path, per_class=2), config), config)


def test_numbers_to_estimate_have_no_votes():
    with pytest.raises(InputError, match="labels_from: is for emotions"):
        tiny_config(labels_from="votes", targets=("valence",))


@pytest.mark.parametrize("further", [{}, {"class_weights": "balanced", "label_smoothing": 0.1, "sampling": "balanced"}])
def test_unanimous_votes_train_the_very_weights_of_hard_labels(tmp_path, further):
    corpus = make_corpus(tmp_path / "corpus", per_class=5, **voted(own=3, other=0))
    runs = {
        kind: train(corpus, tmp_path / kind, tiny_config(labels_from=kind, **further))
        for kind in ("hard", "votes", "mixed")
    }
    weights = runs["hard"].model.network.state_dict()
    for kind in ("votes", "mixed"):
        found = runs[kind].model.network.state_dict()
        assert all(torch.equal(found[name], value) for name, value in weights.items())
        assert runs[kind].metrics == runs["hard"].metrics


def test_votes_change_what_is_learned_and_are_reported(corpus, tmp_path):
    hard = train(corpus, tmp_path / "hard", tiny_config())
    soft = train(corpus, tmp_path / "soft", tiny_config(labels_from="votes", augmentation=("gain",)))
    assert not torch.equal(soft.model.network.classifier.weight, hard.model.network.classifier.weight)
    table = Predictions.read(tmp_path / "soft" / "predictions.csv")
    own = table.votes[np.arange(len(table)), table.truth]
    np.testing.assert_allclose(own, 6 / 9, rtol=1e-6)
    expected = jensen_shannon_divergence(table.votes, table.probabilities)
    assert soft.metrics.jensen_shannon == pytest.approx(expected, abs=1e-6)
    assert json.loads((tmp_path / "soft" / "metrics.json").read_text())["jensen_shannon"] == soft.metrics.jensen_shannon
    assert "divergence from the votes" in soft.metrics.summary()
    metrics, _ = evaluate(tmp_path / "soft", corpus, progress=False)
    assert metrics.jensen_shannon == pytest.approx(soft.metrics.jensen_shannon, abs=1e-5)
    tuned = finetune(soft.model, corpus, tmp_path / "tuned", config=tiny_config(labels_from="mixed"))
    assert tuned.metrics.jensen_shannon is not None


def test_cross_validation_reports_the_divergence(corpus, tmp_path):
    cross_validate([corpus], tmp_path / "cv", tiny_config(labels_from="mixed", num_folds=2, epochs=1))
    (row,) = json.loads((tmp_path / "cv" / "metrics.json").read_text())["rows"]
    (cells,) = read_rows(tmp_path / "cv" / "table2.csv")
    assert float(cells["jensen_shannon"]) == pytest.approx(row["jensen_shannon"], abs=1e-6)
    table = Predictions.read(tmp_path / "cv" / "predictions.csv")
    assert row["jensen_shannon"] == pytest.approx(jensen_shannon_divergence(table.votes, table.probabilities), abs=1e-6)
    assert "divergence from the raters" in (tmp_path / "cv" / "report.html").read_text(encoding="utf-8")


def test_joined_tables_take_the_label_where_nobody_voted():
    rows = ({"seed": "0", "fold": "0", "row": "2"},)
    voted = Predictions(("a", "b"), rows, np.array([0]), np.array([[0.6, 0.4]]), np.array([[0.5, 0.5]]))
    plain = Predictions(("a", "b"), rows, np.array([1]), np.array([[0.6, 0.4]]))
    assert Predictions.join([voted, plain]).votes.tolist() == [[0.5, 0.5], [0.0, 1.0]]
    assert Predictions.join([plain, plain]).votes is None
