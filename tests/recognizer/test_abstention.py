import pytest

from pathosnet import InputError
from pathosnet.recognizer.prediction import Prediction

SURE = Prediction.of_probabilities({"happiness": 0.25, "anger": 0.75}, ("shorter than half a second",))


def test_an_answer_below_the_bound_loses_its_label_and_nothing_else():
    found = SURE.abstain(0.8)
    assert found.label == ""
    assert (found.probabilities, found.valence, found.warnings) == (SURE.probabilities, SURE.valence, SURE.warnings)
    assert found.to_dict()["label"] == ""
    assert found.confidence == 0.75


def test_an_answer_at_the_bound_stays():
    assert SURE.abstain(0.75) is SURE
    assert SURE.abstain(0) is SURE


@pytest.mark.parametrize("below", [-0.1, 1.5, float("nan")])
def test_bounds_are_probabilities(below):
    with pytest.raises(InputError, match="abstain: expected a probability from 0 to 1, got"):
        SURE.abstain(below)


def test_numbers_have_no_probability():
    with pytest.raises(InputError, match="estimates numbers"):
        Prediction(dimensions={"valence": 2.0}).abstain(0.5)
