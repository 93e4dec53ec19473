import sys

import numpy as np
import pytest
import soundfile
import torch
from making import random_model, tone

from pathosnet.audio.reading import load_audio
from pathosnet.audio.speech_detection import SpeechDetector
from pathosnet.corpora.demo_corpus import demo_manifest
from pathosnet.errors import InputError
from pathosnet.prediction.segmentation import Cutting
from pathosnet.prediction.timeline import predict_timeline


@pytest.fixture
def detector():
    pytest.importorskip("silero_vad", reason="needs silero-vad: pip install 'pathosnet[silero]'")
    return SpeechDetector()


@pytest.fixture
def mixed():
    """A loud tone, silence, and speech from 3 s to its end."""
    speech = load_audio(demo_manifest().parent / "audio" / "en-f1-neutral-1.ogg").numpy()
    zeros = np.zeros(16_000, np.float32)
    return np.concatenate([tone(1.5, 1000.0, amplitude=0.9), zeros[:8000], zeros, speech, zeros])


def test_speech_is_found_where_it_is_and_a_tone_is_none(detector, mixed):
    blocks = torch.from_numpy(mixed).split(7001)
    passed = list(detector.passing(blocks))
    assert all(one is other for one, other in zip(passed, blocks, strict=True))
    found = detector.speech()
    assert found
    assert found[0][0] > 2.9
    assert found[-1][1] < len(mixed) / 16_000 - 0.8


def test_what_is_found_does_not_depend_on_the_blocks(detector, mixed):
    found = []
    for size in (len(mixed), 100, 512):
        other = SpeechDetector()
        assert sum(map(len, other.passing(torch.from_numpy(mixed).split(size)))) == len(mixed)
        found.append(other.speech())
    assert found[0]
    assert found[0] == found[1] == found[2]


def test_threads_of_pytorch_are_as_many_as_before(detector, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "silero_vad"]:
        monkeypatch.delitem(sys.modules, name)  # it changes them when it is imported
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        SpeechDetector()
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_a_timeline_of_speech_alone(detector, mixed, tmp_path):
    soundfile.write(tmp_path / "mixed.wav", mixed, 16_000)
    model = random_model()
    loud = list(predict_timeline(model, tmp_path / "mixed.wav"))
    spoken = list(predict_timeline(model, tmp_path / "mixed.wav", Cutting(detector="silero")))
    assert loud[0].start == 0.0
    assert spoken[0].start > 2.9


def test_without_the_package_the_message_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "silero_vad", None)
    soundfile.write(tmp_path / "a.wav", tone(1.0), 16_000)
    with pytest.raises(InputError, match=r"pip install 'pathosnet\[silero\]'"):
        list(predict_timeline(random_model(), tmp_path / "a.wav", Cutting(detector="silero")))
