from dataclasses import replace

import numpy as np
import pytest
import torch
from making import make_predictions
from scipy.special import softmax
from torchmetrics.classification import MulticlassCalibrationError

from pathosnet.evaluation.bootstrap import bootstrap_figures, interval, resample_counts
from pathosnet.evaluation.calibration import (
    HIGHEST_TEMPERATURE,
    Calibration,
    change_temperature,
    fit_temperature,
    measure_reliability,
)
from pathosnet.evaluation.results import measure_results


def test_error_of_a_hand_computed_case():
    """Bins (0.4, 0.6] and (0.8, 1.0]: half of two right at 0.55, all of one right at 0.9."""
    probabilities = np.array([[0.5, 0.5], [0.6, 0.4], [0.1, 0.9]])
    found = measure_reliability(np.array([0, 1, 1]), probabilities, num_bins=5)
    assert found.counts.tolist() == [0, 0, 2, 0, 1]
    assert found.accuracy[[2, 4]].tolist() == [0.5, 1.0]
    assert found.confidence[[2, 4]] == pytest.approx([0.55, 0.9])
    assert found.expected_calibration_error == pytest.approx((2 * 0.05 + 0.1) / 3)


def test_error_is_the_sum_over_bins():
    predictions = make_predictions(per_group=400)
    confidence = predictions.probabilities.max(axis=1)
    right = predictions.predicted == predictions.truth
    expected = 0.0
    for low in np.linspace(0, 1, 16)[:-1]:
        chosen = (confidence > low) & (confidence <= low + 1 / 15)
        if chosen.any():
            expected += chosen.mean() * abs(confidence[chosen].mean() - right[chosen].mean())
    found = measure_reliability(predictions.truth, predictions.probabilities)
    assert found.expected_calibration_error == pytest.approx(expected, abs=1e-9)


def test_certainty_that_is_right_has_no_error():
    found = measure_reliability(np.array([0, 1]), np.eye(2))
    assert found.expected_calibration_error == 0
    assert found.counts[-1] == 2


def test_groups_are_drawn_whole_and_as_many_as_there_are():
    counts = resample_counts(["ann", "bob", "ann", "cid"], num_resamples=50)
    assert counts.shape == (50, 4)
    assert (counts[:, 0] == counts[:, 2]).all()
    assert (counts[:, [0, 1, 3]].sum(axis=1) == 3).all()
    assert (counts == resample_counts(["ann", "bob", "ann", "cid"], num_resamples=50)).all()


def test_resampled_figures_are_those_of_the_repeated_utterances():
    generator = np.random.default_rng(0)
    truth, right = generator.integers(3, size=40), generator.random(40) < 0.6
    counts = resample_counts(range(40), num_resamples=5)
    figures = bootstrap_figures(truth, right, counts)
    for k in range(5):
        repeated = np.repeat(np.arange(40), counts[k])
        recalls = [right[repeated][truth[repeated] == label].mean() for label in np.unique(truth[repeated])]
        assert figures["accuracy"][k] == pytest.approx(right[repeated].mean())
        assert figures["uar"][k] == pytest.approx(np.mean(recalls))


def test_interval_is_that_of_the_binomial_distribution():
    """95 % of the shares of 400 drawings at 0.7 lie within 1.96 standard errors."""
    right = np.arange(400) < 280
    figures = bootstrap_figures(np.zeros(400, dtype=int), right, resample_counts(range(400), 4000))
    error = np.sqrt(0.7 * 0.3 / 400)
    assert interval(figures["accuracy"]) == pytest.approx((0.7 - 1.96 * error, 0.7 + 1.96 * error), abs=0.006)


def test_speakers_that_differ_widen_the_interval():
    speakers = [f"s{i % 8}" for i in range(400)]
    right = np.array([i % 8 < 5 for i in range(400)])
    widths = [
        np.diff(interval(bootstrap_figures(np.zeros(400, dtype=int), right, resample_counts(groups))["accuracy"]))[0]
        for groups in (range(400), speakers)
    ]
    assert widths[1] > 3 * widths[0]


# Temperature scaling


def test_a_temperature_is_found_again():
    """Probabilities that are right as often as they say are made too sure; the fit takes that back."""
    generator = np.random.default_rng(0)
    honest = generator.dirichlet(np.full(4, 0.7), size=20_000)
    truth = np.array([generator.choice(4, p=row) for row in honest])
    assert fit_temperature(truth, np.log(honest)) == pytest.approx(1.0, abs=0.03)
    assert fit_temperature(truth, np.log(change_temperature(honest, 0.4))) == pytest.approx(2.5, abs=0.1)
    assert fit_temperature(truth, np.log(change_temperature(honest, 3.0))) == pytest.approx(1 / 3, abs=0.02)


def test_scaling_divides_logits_and_keeps_the_order():
    logits = np.random.default_rng(1).normal(size=(50, 5)) * 3
    scaled = change_temperature(softmax(logits, axis=1), 2.3)
    np.testing.assert_allclose(scaled, softmax(logits / 2.3, axis=1), atol=1e-12)
    np.testing.assert_allclose(change_temperature(scaled, 1 / 2.3), softmax(logits, axis=1), atol=1e-10)
    assert (scaled.argsort(axis=1) == logits.argsort(axis=1)).all()


def test_certainty_stays_finite():
    """All right: the likelihood grows for ever as the temperature falls; all wrong: as it rises."""
    certain = np.eye(3)[[0, 1, 2, 0]]
    assert fit_temperature(np.array([0, 1, 2, 0]), certain) >= 1 / HIGHEST_TEMPERATURE
    assert fit_temperature(np.array([1, 2, 0, 1]), certain) == pytest.approx(HIGHEST_TEMPERATURE, rel=1e-3)
    assert np.isfinite(change_temperature(certain, 1e-3)).all()


@pytest.mark.parametrize("probabilities", [np.zeros((0, 3)), np.array([[np.nan, 0.5, 0.5]])])
def test_nothing_to_fit(probabilities):
    with pytest.raises(ValueError, match="expected logits of at least one utterance"):
        fit_temperature(np.zeros(len(probabilities), dtype=int), probabilities)


def test_error_is_torchmetrics():
    predictions = make_predictions(per_group=300)
    theirs = MulticlassCalibrationError(num_classes=4, n_bins=15, norm="l1")
    expected = float(theirs(torch.from_numpy(predictions.probabilities), torch.from_numpy(predictions.truth)))
    found = measure_reliability(predictions.truth, predictions.probabilities)
    assert found.expected_calibration_error == pytest.approx(expected, abs=1e-6)


def test_results_know_the_error_before_scaling():
    honest = make_predictions(num_folds=2)
    temperatures = {("0", "0"): 2.0, ("0", "1"): 0.5}
    scaled = [
        change_temperature(row[None], temperatures[about["seed"], about["fold"]])[0]
        for row, about in zip(honest.probabilities, honest.rows, strict=True)
    ]
    results = measure_results(replace(honest, outputs=np.stack(scaled)), temperatures)
    before = measure_reliability(honest.truth, honest.probabilities).expected_calibration_error
    assert results.uncalibrated.expected_calibration_error == pytest.approx(before, abs=1e-9)
    assert measure_results(honest).uncalibrated is None


@pytest.mark.parametrize(
    ("calibration", "said"),
    [
        (
            Calibration(2.0, (0.2, 0.1), (0.3, 0.125), utterances=500),
            "by 2.00, which changes the expected calibration error of the test part from 30.0 % to 12.5 %",
        ),
        (
            Calibration(2.0, (0.2, 0.1), (0.1, 0.3), utterances=500),
            "30.0 %; that is worse (--calibration none leaves them as they are)",
        ),
        (Calibration(2.0, (0.2, 0.1), None, utterances=7), "10.0 %; 7 validation utterances are too few to rely on it"),
        (
            Calibration(0.05, (0.2, 0.1), None, utterances=500),
            "the divisor is at its bound, since the validation part has no or only wrong answers to learn from",
        ),
    ],
)
def test_summary_says_how_far_to_trust_probabilities(calibration, said):
    assert calibration.summary().endswith(said)
