"""Predictions as a frame of pandas."""

import sys

import pytest

from pathosnet import InputError, Prediction, predictions_to_frame
from pathosnet.targets import ClassTarget


def test_a_frame_has_a_row_a_prediction_and_a_column_a_label():
    answers = [
        Prediction.of_probabilities({"anger": 0.75, "joy": 0.25}, ("short",)),
        InputError("b.wav: no such file"),
        Prediction.of_nothing(ClassTarget(("anger", "joy")), [0.5, 0.5]),
    ]
    frame = predictions_to_frame(answers, ["a", "b", "c"])
    assert list(frame.columns) == ["label", "confidence", "anger", "joy", "warnings", "error"]
    assert frame.loc["a"].tolist()[:5] == ["anger", 0.75, 0.75, 0.25, "short"]
    assert frame["label"].isna().tolist() == [False, True, False]
    assert frame.loc["b", "error"] == "b.wav: no such file"


def test_estimates_have_no_label():
    frame = predictions_to_frame([Prediction(dimensions={"valence": 2.5})])
    assert list(frame.columns) == ["valence", "warnings"]
    assert list(predictions_to_frame([]).columns) == []


def test_frames_that_cannot_be_made_say_why(monkeypatch):
    with pytest.raises(InputError, match="one for each of 0 predictions, got 1"):
        predictions_to_frame([], ["a"])
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match=r"pip install 'pathosnet\[pandas\]'"):
        predictions_to_frame([])
