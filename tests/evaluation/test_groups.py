"""Figures by group, and tests of whether groups differ beyond chance."""

import numpy as np
import pytest
from scipy.stats import hypergeom

from pathosnet.evaluation import Estimates, Predictions
from pathosnet.evaluation.groups import correct_p_values, describe_differences, groups_table, measure_groups
from pathosnet.evaluation.predictions import ROW

LABELS = ("anger", "joy")


def predictions_of(truth: list[int], right: list[bool], speakers: list[str]) -> Predictions:
    rows = tuple(
        {**dict.fromkeys(ROW, ""), "row": str(i), "corpus": "c", "speaker": speaker}
        for i, speaker in enumerate(speakers)
    )
    predicted = np.where(right, truth, 1 - np.array(truth))
    return Predictions(LABELS, rows, np.array(truth), outputs=np.eye(2)[predicted])


def by_sex(right_of_f: float, right_of_m: float, rng: np.random.Generator, utterances: int = 30):
    """Ten speakers of either sex, with a share of right answers each."""
    speakers = [f"{sex}{i}" for sex in "fm" for i in range(10) for _ in range(utterances)]
    right = [rng.random() < (right_of_f if name[0] == "f" else right_of_m) for name in speakers]
    found = predictions_of([i % 2 for i in range(len(speakers))], right, speakers)
    return measure_groups(found, {"sex": [name[0] for name in speakers]})


def test_figures_of_a_group_are_those_of_its_utterances_alone():
    found = predictions_of([0, 0, 1, 1, 0], [True, False, True, True, False], ["a", "a", "a", "b", "b"])
    first, second = measure_groups(found, {"speaker": ["a", "a", "a", "b", "b"]})
    assert (first.group, first.utterances, first.speakers, first.value) == ("a", 3, 1, pytest.approx(0.75))
    assert (second.value, second.difference) == (pytest.approx(0.5), pytest.approx(-0.25))


def test_a_planted_difference_is_found_and_equal_groups_are_not(rng):
    worse, better = by_sex(0.6, 0.9, rng)
    assert worse.differs
    assert better.differs
    assert "sex f (worse), sex m (better)" in describe_differences([worse, better])
    assert worse.interval[0] < worse.value < worse.interval[1]
    same = by_sex(0.75, 0.75, rng)
    assert not any(one.differs for one in same)
    assert describe_differences(same).startswith("no group differs beyond chance")


def test_few_voices_are_no_evidence_however_much_they_speak():
    speakers = [name for name in ("f1", "f2", "f3", "m1", "m2", "m3") for _ in range(50)]
    truth = [i % 2 for i in range(len(speakers))]
    found = predictions_of(truth, [name[0] == "f" for name in speakers], speakers)
    one, two = measure_groups(found, {"sex": [name[0] for name in speakers]})
    # Of the 20 ways to deal 3 of 6 speakers, 2 differ as much: p = 0.1, times 2 tests.
    assert one.p_value == pytest.approx(0.2, abs=0.03)
    assert two.p_value == pytest.approx(0.2, abs=0.03)


def test_equal_groups_are_told_apart_in_at_most_one_of_twenty_trials():
    rng = np.random.default_rng(7)
    warned = sum(any(one.differs for one in by_sex(0.7, 0.7, rng, utterances=4)) for _ in range(40))
    assert warned <= 4


def test_p_values_are_corrected_as_holm_did():
    assert correct_p_values([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert correct_p_values([0.9, 0.8]) == [1.0, 1.0]


def test_utterances_are_dealt_as_the_hypergeometric_distribution_says():
    truth, right = [0] * 20, [i in (0, 1, 2, 3, 4, 5, 10, 11) for i in range(20)]
    first, _ = measure_groups(predictions_of(truth, right, [""] * 20), {"x": ["a"] * 10 + ["b"] * 10})
    hits = np.arange(9)
    as_large = np.abs(hits / 10 - (8 - hits) / 10) >= 0.4 - 1e-9
    exact = hypergeom(20, 8, 10).pmf(hits)[as_large].sum()
    assert first.difference == pytest.approx(0.4)
    assert first.p_value == pytest.approx(min(1.0, 2 * exact), abs=0.04)


def test_a_group_without_others_is_not_tested():
    (only,) = measure_groups(predictions_of([0, 1], [True, True], ["a", "b"]), {"language": ["", ""]})
    assert (only.group, only.difference, only.p_value, only.differs) == ("(not given)", None, None, False)
    assert groups_table([only]).rows[0][-2:] == ("–", "–")


def test_groups_of_estimates_have_concordances(rng):
    truth = rng.normal(size=(80, 2))
    outputs = truth + np.where(np.arange(80)[:, None] < 40, 0.1, 3.0) * rng.normal(size=(80, 2))
    rows = tuple({**dict.fromkeys(ROW, ""), "row": str(i)} for i in range(80))
    found = Estimates(("valence", "activation"), rows, truth, outputs=outputs)
    good, bad = measure_groups(found, {"room": ["a"] * 40 + ["b"] * 40})
    assert (good.figure, good.speakers) == ("mean_ccc", 0)
    assert good.value == pytest.approx(found.take(range(40)).measure().mean_ccc)
    assert good.value > 0.9 > bad.value
    assert bad.differs
