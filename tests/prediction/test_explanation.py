"""Explanations by occlusion: they point to what was planted."""

import json
import math
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from making import random_model, tone

from pathosnet import InputError, PathosNet, Prediction
from pathosnet.audio.reading import Recording
from pathosnet.prediction import explanation
from pathosnet.prediction.explanation import explain
from pathosnet.prediction.explanation_plot import plot_explanation

CLIPS = int(os.environ.get("PATHOSNET_PLANTED_CLIPS", "20"))
"""Clips with a planted cue; ``tools/check_explanations.py --clips 200`` does it with more."""
TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture(scope="module")
def model() -> PathosNet:
    return random_model()


def test_explanations_point_to_planted_sounds_and_words(tmp_path, monkeypatch, rng):
    monkeypatch.syspath_prepend(str(TOOLS))
    import check_explanations

    stretches, words = check_explanations.count_found(check_explanations.train_on_cues(tmp_path, rng), CLIPS, rng)
    assert stretches >= check_explanations.PASS * CLIPS
    assert words >= check_explanations.PASS * CLIPS
    sys.modules.pop("check_explanations")


def test_effects_are_what_is_lost_in_log_odds(model):
    samples = np.concatenate([tone(0.5, 300.0), tone(0.5, 900.0)])
    found = explain(model, samples, "a wonderful day", sample_rate=16_000)
    p = found.prediction.probabilities[found.label]
    without = model.predict(samples, "a day", sample_rate=16_000).probabilities[found.label]
    expected = math.log(p / (1 - p)) - math.log(without / (1 - without))
    assert found.words[1].word == "wonderful"
    assert found.words[1].effect == pytest.approx(expected, abs=1e-4)
    assert found.prediction == model.predict(samples, "a wonderful day", sample_rate=16_000)
    voice = model.predict(samples, sample_rate=16_000)
    assert found.voice_alone.probabilities == pytest.approx(voice.probabilities, abs=1e-5)
    text = model.predict(text="a wonderful day")
    assert found.text_alone.probabilities == pytest.approx(text.probabilities, abs=1e-5)


def test_stretches_cover_the_clip_evenly_and_overlap_by_half(model):
    found = explain(model, tone(2.0), sample_rate=16_000, seconds=0.5).stretches
    assert [(one.start, one.end) for one in found] == [(i / 4, i / 4 + 0.5) for i in range(7)]
    assert len(explain(model, tone(0.7), sample_rate=16_000).stretches) == 5


def test_a_long_recording_is_not_cut_into_more_than_so_many():
    cuts = explanation._cuts(16_000 * 3600, None)
    assert len(cuts) <= explanation.MOST_STRETCHES
    assert (cuts[0][0], cuts[-1][1]) == (0, 16_000 * 3600)


def test_cutting_out_leaves_the_rest_and_no_click():
    ramp = Recording(torch.linspace(-1.0, 1.0, 16_000))
    cut = explanation._without(ramp, 4_000, 8_000).waveform
    assert len(cut) == 12_000 - explanation.FADE_SAMPLES
    assert torch.equal(cut[:3_000], ramp.waveform[:3_000])
    assert torch.equal(cut[-7_000:], ramp.waveform[-7_000:])
    assert cut.diff().abs().max() < 0.01


def test_sure_answers_have_effects():
    sure, surer = (Prediction.of_probabilities({"anger": 1.0, "joy": joy}) for joy in (1e-12, 1e-15))
    assert explanation._score(surer, "anger") - explanation._score(sure, "anger") == pytest.approx(math.log(1000.0))


def test_another_label_is_explained_on_demand(model):
    found = explain(model, tone(1.0), label="sadness", sample_rate=16_000)
    assert (found.label, found.voice_alone, found.words) == ("sadness", None, ())
    assert json.loads(json.dumps(found.to_dict()))["label"] == "sadness"
    assert found.text().splitlines()[1].startswith(("most in the sound", "no stretch"))


def test_what_cannot_be_explained_says_why(model):
    with pytest.raises(InputError, match="label: expected one of happiness"):
        explain(model, tone(1.0), label="joy", sample_rate=16_000)
    with pytest.raises(InputError, match="seconds: expected more than 0"):
        explain(model, tone(1.0), seconds=0.0, sample_rate=16_000)
    with pytest.raises(InputError, match="expected at least one of its inputs"):
        explain(model)
    assert "too short to take anything away" in " ".join(explain(model, tone(0.2), sample_rate=16_000).warnings)
    assert explain(model, None, "day").warnings == ("there is a single word, and nothing without it",)


def test_what_a_model_does_not_read_is_said():
    found = explain(random_model(text=False), tone(1.0), "a day", sample_rate=16_000)
    assert "this model reads no text" in found.warnings
    found = explain(random_model(audio=False), tone(1.0), "a day", sample_rate=16_000)
    assert "this model hears no sound" in found.warnings
    assert found.stretches == ()


@pytest.mark.parametrize(("audio", "text"), [(True, True), (True, False), (False, True)])
def test_pictures_are_drawn_of_what_there_is(model, tmp_path, audio, text):
    samples = tone(1.0) if audio else None
    found = explain(model, samples, "a wonderful day" if text else None, sample_rate=16_000)
    plot_explanation(found, tmp_path / "x.png", samples, sample_rate=16_000)
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_to_draw_is_said(model, tmp_path):
    with pytest.raises(InputError, match="nothing to draw"):
        plot_explanation(explain(model, None, "day"), tmp_path / "x.png")
