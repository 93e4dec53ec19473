"""Figures of estimates, against scipy and scikit-learn."""

from dataclasses import asdict

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import root_mean_squared_error

from pathosnet.evaluation import measure_dimensions, plot_estimates
from pathosnet.evaluation.bootstrap import bootstrap_ccc, resample_counts
from pathosnet.evaluation.plots import DPI

NAMES = ("valence", "activation")


def some(utterances: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    truth = generator.normal(3, 1, (utterances, len(NAMES)))
    return truth, 0.4 * truth + 2 + generator.normal(0, 0.5, truth.shape)


def test_figures_are_those_of_scipy_and_scikit_learn():
    truth, estimates = some()
    metrics = measure_dimensions(truth, estimates, NAMES)
    for i, name in enumerate(NAMES):
        x, y = estimates[:, i], truth[:, i]
        r = pearsonr(x, y).statistic
        assert metrics.pearson[name] == pytest.approx(r)
        assert metrics.rmse[name] == pytest.approx(root_mean_squared_error(y, x))
        # Lin's definition by Pearson's coefficient and standard deviations.
        expected = 2 * r * x.std() * y.std() / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
        assert metrics.ccc[name] == pytest.approx(expected)
    assert metrics.mean_ccc == pytest.approx(np.mean(list(metrics.ccc.values())))
    assert metrics.utterances == 60


def test_constant_estimates_have_no_coefficient_and_count_as_nothing():
    truth, estimates = some()
    estimates[:, 1] = 3.0
    metrics = measure_dimensions(truth, estimates, NAMES)
    assert metrics.ccc["activation"] is metrics.pearson["activation"] is None
    assert metrics.mean_ccc == pytest.approx(metrics.ccc["valence"] / 2)
    assert "activation –" in metrics.summary()


def test_single_utterance_has_an_error_but_no_coefficient():
    metrics = measure_dimensions(np.array([[1.0]]), np.array([[3.0]]), ["valence"])
    assert asdict(metrics) == {
        "utterances": 1,
        "mean_ccc": 0.0,
        "ccc": {"valence": None},
        "pearson": {"valence": None},
        "rmse": {"valence": 2.0},
    }


def test_no_utterances_cannot_be_measured():
    with pytest.raises(ValueError, match="at least one utterance"):
        measure_dimensions(np.zeros((0, 2)), np.zeros((0, 2)), NAMES)


def test_resamples_are_measured_as_if_they_were_written_out():
    truth, estimates = some(20)
    counts = resample_counts(range(20), num_resamples=5)
    found = bootstrap_ccc(truth, estimates, counts)
    for row, count in zip(found, counts, strict=True):
        drawn = np.repeat(np.arange(20), count)
        expected = measure_dimensions(truth[drawn], estimates[drawn], NAMES)
        assert row.tolist() == pytest.approx(list(expected.ccc.values()))


def test_picture_has_a_panel_for_each_dimension(tmp_path):
    from matplotlib.image import imread

    generator = np.random.default_rng(0)
    widths = []
    for number in (1, 3, 6):
        truth = generator.normal(size=(30, number))
        plot_estimates(truth, truth + 0.1, [f"$x_{i}" for i in range(number)], tmp_path / "a.png", tmp_path / "a.svg")
        widths.append(imread(tmp_path / "a.png").shape[1] / DPI)
        assert (tmp_path / "a.svg").read_text(encoding="utf-8").count('id="PathCollection') == number
    assert widths == pytest.approx([3.5, 9.7, 9.7], abs=0.02)
