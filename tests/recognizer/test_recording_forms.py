"""Recordings in the forms that people have them; recordings in which nothing is heard; answers that are no numbers."""

import io
import json

import numpy as np
import pytest
import soundfile
import torch
from making import random_model, random_vggish, tone, write_tone

from pathosnet import InputError, PathosNet, Prediction
from pathosnet.audio.reading import read_recording
from pathosnet.audio.voice import STEADY
from pathosnet.features.acoustic.extractors import VGGishExtractor
from pathosnet.models import BranchOptions, EmotionNetwork

RATE = 16_000
SAMPLES = tone(0.6, 333.0)
INTEGERS = np.round(SAMPLES * 32768).astype(np.int16)


@pytest.fixture(scope="module")
def model() -> PathosNet:
    return random_model()


@pytest.fixture(scope="module")
def voice() -> PathosNet:
    return random_model(text=False)


def content() -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, SAMPLES, RATE, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


FORMS = {
    "bytes": content(),
    "bytearray": bytearray(content()),
    "datasets": {"path": "x.wav", "array": SAMPLES, "sampling_rate": RATE},
    "datasets undecoded": {"bytes": content(), "path": None},
    "pipeline": {"raw": SAMPLES, "sampling_rate": RATE},
    "gradio": (RATE, INTEGERS),
    "torchaudio": (torch.from_numpy(SAMPLES)[None], RATE),
    "channels first": (RATE, np.stack([SAMPLES, SAMPLES])),
    "channels last": (RATE, np.stack([SAMPLES, SAMPLES], axis=1)),
    "list": (RATE, SAMPLES.tolist()),
    "list of channels": (RATE, [SAMPLES.tolist(), SAMPLES.tolist()]),
    "int16 tensor": (RATE, torch.from_numpy(INTEGERS)),
    "int32": (RATE, INTEGERS.astype(np.int32) << 16),
    "float64": (np.int64(RATE), SAMPLES.astype(np.float64)),
    "float16": (RATE, SAMPLES.astype(np.float16)),
    "bfloat16": (RATE, torch.from_numpy(SAMPLES).bfloat16()),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_recording(form):
    found = read_recording(FORMS[form]).waveform
    error = float((found - torch.from_numpy(SAMPLES)).abs().max())
    assert error <= {"bfloat16": 2e-3, "float16": 2e-4}.get(form, 2e-5)


def test_a_model_takes_every_form(model, tmp_path):
    expected = model.predict(SAMPLES, "ciao", sample_rate=RATE)
    assert model.predict(io.BytesIO(content()), "ciao") == expected
    (tmp_path / "a.wav").write_bytes(content())
    with (tmp_path / "a.wav").open("rb") as file:
        assert model.predict(file, "ciao") == expected
    for answer in model.predict_batch([FORMS["datasets"], FORMS["bytes"]], ["ciao", "ciao"]):
        assert answer.probabilities == pytest.approx(expected.probabilities, abs=1e-6)


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (b"RIFF nothing", r"audio: cannot be read as audio"),
        (io.StringIO("text"), "open as text"),
        ({"samples": SAMPLES}, "expected the keys array and sampling_rate, got samples"),
        ({"array": SAMPLES}, "without their rate"),
        ((RATE, np.arange(9600)), "got int64"),
        (object(), "expected samples|without their rate"),
    ],
)
def test_other_things_are_no_recordings(model, audio, message):
    with pytest.raises(InputError, match=message):
        model.predict(audio, "ciao")


def test_an_open_file_is_named_in_errors(model, tmp_path):
    (tmp_path / "bad.wav").write_text("no audio")
    with (tmp_path / "bad.wav").open("rb") as file, pytest.raises(InputError, match=r"bad\.wav: cannot be read"):
        model.predict(file)


def test_rates_must_agree(model):
    with pytest.raises(InputError, match="comes with a rate of 16000 Hz, but sample_rate is 8000"):
        model.predict((RATE, SAMPLES), sample_rate=8000)


def test_one_recording_is_not_a_batch(model):
    with pytest.raises(InputError, match="expected a list of recordings, got str; predict takes one"):
        model.predict_batch("clip.wav")


# Nothing heard


SILENT = {
    "digital silence": np.zeros(RATE, np.float32),
    "a constant": np.full(RATE, 0.2, np.float32),
    "channels cancel": np.stack([tone(1.0), -tone(1.0)]),
}


@pytest.mark.parametrize("kind", SILENT)
def test_silence_has_no_emotion(voice, kind):
    answer = voice.predict((RATE, SILENT[kind]))
    assert answer.label == ""
    assert set(answer.probabilities.values()) == {0.25}
    assert answer.confidence == 0.25
    assert answer.warnings == ("channels cancel" if kind == "channels cancel" else "silent", "nothing to answer from")
    assert json.loads(answer.json())["label"] == ""


def test_silence_counts_as_a_missing_voice(model):
    answer = model.predict((RATE, SILENT["digital silence"]), "ciao a tutti")
    assert answer.probabilities == pytest.approx(model.predict(text="ciao a tutti").probabilities)
    assert answer.label
    assert answer.warnings == ("silent",)


def test_a_silent_recording_among_others_changes_nothing(voice):
    together = voice.predict_batch([(RATE, SAMPLES), (RATE, SILENT["digital silence"]), (RATE, tone(0.9, 700.0))])
    alone = [voice.predict((RATE, SAMPLES)), voice.predict((RATE, tone(0.9, 700.0)))]
    for found, expected in zip((together[0], together[2]), alone, strict=True):
        assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-6)
    assert together[1].label == ""


def test_a_clip_too_short_for_every_feature_has_no_emotion():
    network = EmotionNetwork({"vggish": 512}, 4, options=BranchOptions(audio_width=4, num_blocks=1))
    answer = PathosNet(network, {"vggish": VGGishExtractor(random_vggish())}, None).predict((RATE, tone(0.7)))
    assert answer.label == ""
    assert answer.warnings == (STEADY, "nothing to answer from")


def test_short_and_loud_recordings_are_said_to_be(voice):
    assert voice.predict((RATE, tone(0.3))).warnings == ("shorter than half a second",)
    assert voice.predict((RATE, 1000 * tone(0.8))).warnings == ("samples outside [-1, 1]", STEADY)
    assert voice.predict((RATE, tone(0.8))).warnings == (STEADY,)
    syllables = np.abs(np.sin(2 * np.pi * 3 * np.arange(RATE) / RATE)).astype(np.float32)
    assert voice.predict((RATE, tone(1.0, 150.0) * syllables)).warnings == ()


def test_a_model_of_text_alone_does_not_care():
    model = random_model(audio=False)
    assert model.predict((RATE, SILENT["digital silence"]), "ciao").warnings == ()


# Answers that are no numbers


def test_an_answer_that_is_not_finite_is_an_error_that_names_the_file(tmp_path):
    model = random_model(text=False)
    with torch.no_grad():
        model.network.classifier.bias[1] = float("nan")
    path = write_tone(tmp_path / "clip.wav")
    with pytest.raises(InputError, match=r"clip\.wav: the model's answer is NaN or infinite"):
        model.predict(path)
    with pytest.raises(InputError, match="utterance 1 of 1: the model's answer"):
        model.outputs([model.features(torch.from_numpy(SAMPLES))])


# Prediction


def test_a_prediction_is_short_to_look_at():
    answer = Prediction.of_probabilities({"happiness": 0.1, "anger": 0.7, "neutral": 0.2}, ("silent",))
    assert repr(answer) == "Prediction(anger 0.70, neutral 0.20, happiness 0.10; silent)"
    assert answer.confidence == 0.7
    assert answer.to_dict()["warnings"] == ["silent"]
    many = Prediction.of_probabilities({f"e{i}": 1 / 9 for i in range(9)})
    assert repr(many).endswith(", …)")
    estimate = Prediction(dimensions={"valence": 2.5, "arousal": 3.0})
    assert repr(estimate) == "Prediction(valence 2.50, arousal 3.00)"
    assert estimate.confidence is None
