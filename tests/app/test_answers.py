import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import soundfile
from making import random_model, tone

from pathosnet import PathosNet, Prediction
from pathosnet.app.answers import Asked, _part, _summary, answer, compare, draw, parts_header
from pathosnet.audio.reading import read_recording
from pathosnet.errors import InputError
from pathosnet.features.acoustic.extractors import LogMelExtractor
from pathosnet.models import BranchOptions, EmotionNetwork
from pathosnet.prediction.timeline import Segment, predict_timeline


@pytest.fixture(scope="module")
def model():
    return random_model()


@pytest.fixture
def talk(tmp_path):
    """Two tones with a pause between them."""
    path = tmp_path / "talk.wav"
    soundfile.write(path, np.concatenate([tone(1.0), np.zeros(16_000, np.float32), tone(1.5, 700)]), 16_000)
    return path


def test_numbers_are_those_of_the_model_and_of_the_timeline(model, talk):
    found = answer(model, talk, "hello")
    assert found.values == model.predict(talk, "hello").probabilities
    label = model.predict(talk, "hello").label
    assert found.summary.startswith(f"### {label}, {found.values[label]:.0%}\n\nValence: positive ")
    segments = list(predict_timeline(model, talk))
    assert found.parts == [_part(segment) for segment in segments]
    assert [row[0] for row in found.parts] == [f"{one.start:.1f}–{one.end:.1f} s" for one in segments]
    assert len(found.parts[0]) == len(parts_header(model))


def test_a_profile_counts_for_the_whole_and_for_the_parts(talk):
    network = EmotionNetwork(
        {"logmel": 256}, 4, options=BranchOptions(audio_width=6, network="linear", standardize=True)
    ).eval()
    network.classifier.weight.data.normal_()
    model = PathosNet(network, {"logmel": LogMelExtractor()}, None, calibration_temperature=100.0)
    profile = model.profile([tone(1.0, 500)], sample_rate=16_000)
    alone, adapted = answer(model, talk), answer(model, talk, profile=profile)
    assert adapted.values == model.predict(talk, profile=profile).probabilities
    assert adapted.values != pytest.approx(alone.values, abs=1e-3)
    assert adapted.parts != alone.parts


def test_words_alone_are_answered_by_a_model_that_reads_them(model):
    found = answer(model, None, "what a day")
    assert found.values == model.predict(text="what a day").probabilities
    assert (found.parts, found.picture) == ([], "")
    for text in ("", "  "):
        with pytest.raises(InputError, match="Record something, choose a file or write what is said first"):
            answer(model, None, text)
    with pytest.raises(InputError, match=r"Record something, choose a file first\."):
        answer(random_model(text=False), None, "words")


def test_silence_is_answered_with_a_warning_and_without_parts(model, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(16_000), 16_000)
    found = answer(model, tmp_path / "a.wav")
    assert found.summary == (
        "### no answer\n\n**Do not rely on it:** silent.\n\n**Do not rely on it:** nothing to answer from."
    )
    assert found.parts == []
    assert "<svg" in found.picture


def test_a_long_recording_is_said_to_have_more_than_one_answer():
    prediction = Prediction.of_probabilities({"anger": 0.9, "joy": 0.1})
    segments = [Segment(0, 10, prediction), Segment(12, 42, Prediction.of_probabilities({"anger": 0.2, "joy": 0.8}))]
    assert "Of the time that is heard: anger 25%, joy 75%." in _summary(prediction, 42.0, segments)
    assert "means little" not in _summary(prediction, 20.0, segments)


def test_labels_are_no_markup():
    prediction = Prediction.of_probabilities({"<b>*a*": 0.9, "b": 0.1})
    assert r"\<b\>\*a\*" in _summary(prediction, 1.0, [])
    recording = read_recording(tone(1.0), 16_000)
    assert "<b>" not in draw(recording, [Segment(0, 1, prediction)])


def test_the_picture_takes_the_color_of_the_page_and_tells_in_words_what_it_shows():
    prediction = Prediction.of_probabilities({"anger": 0.9, "joy": 0.1})
    drawn = draw(read_recording(tone(70.0), 16_000), [Segment(0, 5, prediction), Segment(61, 70, prediction)])
    svg = ElementTree.fromstring(drawn[drawn.index("<svg") : drawn.index("</svg>") + 6])
    assert svg.get("role") == "img"
    assert svg.get("aria-label") == "Waveform of 70.0 seconds. 00:00 anger, 01:01 anger"
    assert "width" not in svg.attrib
    assert "currentColor" in drawn
    colors = set(re.findall(r"#[0-9a-f]{6}", drawn))
    assert "#d1495b" in colors  # anger's
    assert colors & {"#000000", "#123457"} == set()  # nothing would vanish on a dark page


def test_estimates_are_columns_of_the_parts():
    segment = Segment(1.0, 2.0, Prediction(dimensions={"valence": 1.5}, warnings=("silent",)))
    assert _part(segment) == ["1.0–2.0 s", "1.50", "silent"]
    assert _summary(segment.prediction, 40.0, [segment]).startswith("### estimates\n\n**Do not rely on it:** silent.")


def test_other_words_are_compared_with_the_last_ones_of_the_same_recording():
    before = Asked("a.wav", "", {"anger": 0.2, "joy": 0.6, "calm": 0.2})
    told = compare(before, Asked("a.wav", "no *way*", {"anger": 0.7, "joy": 0.3, "calm": 0.0}))
    assert told.startswith("**What the words change.** “no \\*way\\*” instead of no words changes most: anger (+0.50).")
    assert "| anger | 0.20 | 0.70 | +0.50 |\n| joy | 0.60 | 0.30 | -0.30 |" in told
    assert "changes nothing." in compare(before, Asked("a.wav", "no", before.values))
    assert compare(None, before) == compare(before, before) == compare(before, Asked("b.wav", "no", {})) == ""
