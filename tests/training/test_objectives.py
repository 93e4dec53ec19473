"""What networks are trained for, against other ways to compute it."""

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, log_loss
from torchmetrics.functional import concordance_corrcoef

from pathosnet.errors import InputError
from pathosnet.evaluation import measure, measure_dimensions
from pathosnet.features.table import join_shares
from pathosnet.targets import ClassTarget, DimensionTarget, MultiTaskTarget, concordance
from pathosnet.training.objectives import Objective, TargetScale

DIMENSIONS = DimensionTarget(("a", "b", "c"))


def some(utterances: int = 40, dimensions: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Estimates that have something to do with the targets."""
    generator = torch.Generator().manual_seed(seed)
    targets = 3 + torch.randn(utterances, dimensions, generator=generator)
    return 0.5 * targets + 2 + 0.4 * torch.randn(utterances, dimensions, generator=generator), targets


def test_concordance_of_a_case_worked_out_by_hand():
    targets = torch.tensor([[1.0], [2.0], [3.0]])
    # Variances 2/3, covariance 2/3, shift 1: 2 · 2/3 / (4/3 + 1) = 4/7.
    assert concordance(targets + 1, targets).item() == pytest.approx(4 / 7)
    assert concordance(targets, targets).item() == pytest.approx(1)
    assert concordance(-targets, targets - 4).item() == pytest.approx(-1)


def test_concordance_is_that_of_torchmetrics_but_for_its_unbiased_variances():
    estimates, targets = some(4000)
    assert concordance(estimates, targets).tolist() == pytest.approx(
        concordance_corrcoef(estimates, targets).tolist(), abs=1e-4
    )
    # Without a shift the factor n / (n - 1) cancels.
    centered = estimates - estimates.mean(0), targets - targets.mean(0)
    assert concordance(*centered).tolist() == pytest.approx(concordance_corrcoef(*centered).tolist(), abs=1e-6)


def test_loss_is_one_less_the_mean_of_the_dimensions():
    estimates, targets = some()
    expected = 1 - measure_dimensions(targets.numpy(), estimates.numpy(), "abc").mean_ccc
    assert Objective(DIMENSIONS)(estimates, targets).item() == pytest.approx(expected, abs=1e-6)


def test_loss_does_not_depend_on_the_units():
    estimates, targets = some()
    loss = Objective(DIMENSIONS)(estimates, targets)
    assert Objective(DIMENSIONS)(10 * estimates - 7, 10 * targets - 7).item() == pytest.approx(loss.item(), abs=1e-5)


@pytest.mark.parametrize(
    ("estimates", "targets"),
    [
        (torch.ones(1, 3), torch.zeros(1, 3)),  # the last batch of an epoch may hold one utterance
        (torch.ones(1, 3), torch.ones(1, 3)),
        (torch.ones(4, 3), torch.ones(4, 3)),
    ],
)
def test_nothing_that_varies_gives_no_direction(estimates, targets):
    estimates.requires_grad_(True)
    loss = Objective(DIMENSIONS)(estimates, targets)
    loss.backward()
    assert loss.item() == pytest.approx(1)
    assert estimates.grad.abs().max() == 0


def test_validation_is_of_the_whole_part_however_it_is_cut():
    estimates, targets = some(41)
    expected = measure_dimensions(targets.numpy(), estimates.numpy(), "abc").mean_ccc
    for size in (41, 8, 1):
        objective = Objective(DIMENSIONS)
        for some_estimates, some_targets in zip(estimates.split(size), targets.split(size), strict=True):
            objective.update(some_estimates, some_targets)
        found = objective.compute()
        assert found["val_ccc"] == pytest.approx(expected, abs=1e-6)
        assert found["val_loss"] == pytest.approx(1 - expected, abs=1e-6)


def test_validation_begins_anew_after_an_epoch():
    objective = Objective(DIMENSIONS)
    objective.update(*some(seed=1))
    objective.compute()
    estimates, targets = some(seed=2)
    objective.update(estimates, targets)
    expected = concordance(estimates, targets).mean().item()
    assert objective.compute()["val_ccc"] == pytest.approx(expected, abs=1e-6)


def test_diverged_estimates_show():
    objective = Objective(DIMENSIONS)
    estimates, targets = some()
    estimates[3, 1] = float("nan")
    objective.update(estimates, targets)
    assert all(np.isnan(value) for value in objective.compute().values())


def test_classes_are_validated_as_they_are_measured():
    generator = torch.Generator().manual_seed(0)
    logits, targets = torch.randn(50, 4, generator=generator), torch.randint(0, 4, (50,), generator=generator)
    objective = Objective(ClassTarget(tuple("abcd")))
    for some_logits, some_targets in zip(logits.split(8), targets.split(8), strict=True):
        objective.update(some_logits, some_targets)
    expected = measure(targets.numpy(), objective.target.decode(logits).numpy(), "abcd")
    found = objective.compute()
    assert found["val_accuracy"] == pytest.approx(expected.accuracy, abs=1e-6)
    assert found["val_uar"] == pytest.approx(expected.uar, abs=1e-6)
    assert found["val_loss"] == pytest.approx(torch.nn.functional.cross_entropy(logits, targets).item(), abs=1e-6)


def test_scale_is_that_of_the_training_part():
    targets = torch.tensor([[1.0, 10.0], [3.0, 30.0]])
    scale = TargetScale.of(targets, ["a", "b"])
    assert scale.standardized(targets).tolist() == [[-1, -1], [1, 1]]


def test_layer_with_the_scale_in_it_answers_in_the_units_of_the_targets():
    torch.manual_seed(0)
    _, targets = some()
    scale, layer = TargetScale.of(targets, "abc"), torch.nn.Linear(5, 3)
    features = torch.randn(4, 5)
    before = layer(features).detach()
    scale.put_into(layer)
    np.testing.assert_allclose(layer(features).detach(), before * scale.deviation + scale.mean, rtol=1e-5, atol=1e-6)
    scale.take_out_of(layer, torch.ones(3, dtype=torch.bool))
    np.testing.assert_allclose(layer(features).detach(), before, rtol=1e-5, atol=1e-5)


def test_rows_without_units_stay_when_the_scale_is_taken_out():
    torch.manual_seed(0)
    _, targets = some()
    scale, layer = TargetScale.of(targets, "abc"), torch.nn.Linear(5, 3)
    before = layer.weight.clone(), layer.bias.clone()
    scale.take_out_of(layer, torch.tensor([True, False, True]))
    assert torch.equal(layer.weight[1], before[0][1])
    assert layer.bias[1] == before[1][1]
    assert not torch.equal(layer.weight[0], before[0][0])


BOTH = MultiTaskTarget.of(("x", "y", "z"), ("a", "b"), dimension_weight=0.5)


def both(utterances: int = 30) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs and truth of which every fifth label, and every seventh value of each dimension, is not known."""
    generator = torch.Generator().manual_seed(3)
    outputs = torch.randn(utterances, 5, generator=generator)
    truth = torch.cat([torch.arange(utterances)[:, None] % 3.0, torch.randn(utterances, 2, generator=generator)], dim=1)
    truth[::5, 0], truth[::7, 1], truth[3::7, 2] = torch.nan, torch.nan, torch.nan
    return outputs, truth


def expected_loss(outputs: torch.Tensor, truth: torch.Tensor, weights: list[float] | None = None) -> float:
    labeled = truth[:, 0].isfinite().numpy()
    numbers = truth[:, 0].numpy()[labeled].astype(int)
    probabilities = outputs[:, :3].softmax(dim=1).numpy()[labeled]
    entropy = log_loss(numbers, probabilities, labels=[0, 1, 2], sample_weight=weights and np.take(weights, numbers))
    known = truth[:, 1:].isfinite().numpy()
    cccs = [
        measure_dimensions(truth[known[:, i], 1 + i : 2 + i].numpy(), outputs[known[:, i], 3 + i : 4 + i].numpy(), "v")
        for i in range(2)
    ]
    return entropy + 0.5 * (1 - np.mean([one.mean_ccc for one in cccs]))


@pytest.mark.parametrize("weights", [None, [0.5, 1.0, 2.0]])
def test_loss_of_both_is_the_sum_over_what_is_known(weights):
    outputs, truth = both()
    found = Objective(BOTH, weights)(outputs, truth).item()
    assert found == pytest.approx(expected_loss(outputs, truth, weights), abs=1e-5)


def test_shares_take_the_place_of_the_label_in_the_loss_of_both():
    outputs, truth = both()
    shares = torch.eye(3)[truth[:, 0].nan_to_num().long()]
    shares[truth[:, 0].isnan()] = torch.nan
    found = BOTH.loss(outputs, join_shares(truth, shares))
    assert found.item() == pytest.approx(BOTH.loss(outputs, truth).item(), abs=1e-6)


def test_what_is_not_known_has_no_gradient():
    outputs, truth = both()
    outputs.requires_grad_(True)
    BOTH.loss(outputs, truth).backward()
    assert outputs.grad.isfinite().all()
    assert (outputs.grad[::5, :3] == 0).all()
    assert (outputs.grad[::7, 3] == 0).all()
    outputs.grad = None
    BOTH.loss(outputs, torch.full_like(truth, torch.nan)).backward()
    assert (outputs.grad == 0).all()


def test_both_are_validated_as_they_are_measured():
    outputs, truth = both()
    objective = Objective(BOTH)
    for some_outputs, some_truth in zip(outputs.split(8), truth.split(8), strict=True):
        objective.update(some_outputs, some_truth)
    found, labeled = objective.compute(), truth[:, 0].isfinite()
    recall = balanced_accuracy_score(truth[labeled, 0].numpy(), outputs[labeled, :3].argmax(dim=1).numpy())
    assert found["val_uar"] == pytest.approx(recall)
    assert found["val_loss"] == pytest.approx(expected_loss(outputs, truth), abs=1e-5)
    assert found["val_uar_ccc"] == pytest.approx((found["val_uar"] + found["val_ccc"]) / 2)


def test_probabilities_and_estimates_are_decoded_side_by_side():
    outputs, _ = both()
    found = BOTH.decode(outputs, temperature=2.0)
    assert torch.equal(found[:, 3:], outputs[:, 3:])
    assert torch.equal(found[:, :3], (outputs[:, :3] / 2).softmax(dim=1))


def test_scale_is_of_the_known_values_and_leaves_classes_alone():
    _, truth = both()
    scale, layer = TargetScale.of(truth, "ab"), torch.nn.Linear(4, 5)
    assert scale.mean.tolist() == pytest.approx(truth[:, 1:].nanmean(dim=0).tolist(), abs=1e-6)
    standardized = scale.standardized(truth)
    assert torch.equal(standardized[:, 0].nan_to_num(-1), truth[:, 0].nan_to_num(-1))
    assert standardized[:, 1:].nanmean(dim=0).tolist() == pytest.approx([0, 0], abs=1e-6)
    before = layer.weight.clone()
    scale.put_into(layer)
    assert torch.equal(layer.weight[:3], before[:3])
    assert not torch.equal(layer.weight[3:], before[3:])
    with pytest.raises(InputError, match="b: no row of the training part has a number in this column"):
        TargetScale.of(truth.index_fill(1, torch.tensor([2]), torch.nan), "ab")
