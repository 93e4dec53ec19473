import numpy as np
import pytest
import soundfile
from making import random_model, tone

from pathosnet import LiveTimeline, PathosNet
from pathosnet.errors import InputError
from pathosnet.features.acoustic.extractors import LogMelExtractor
from pathosnet.models import BranchOptions, EmotionNetwork
from pathosnet.prediction.segmentation import Cutting, windows
from pathosnet.prediction.timeline import predict_timeline


@pytest.fixture(scope="module")
def model():
    model = random_model()
    model.calibration_temperature = 20.0  # so that it is sure of nothing
    return model


def speech(seconds, rate):
    """Tones that differ from window to window."""
    time = np.arange(round(seconds * rate)) / rate
    return (8000 * np.sin(2 * np.pi * (300 + 100 * np.floor(time / 1.5)) * time)).astype(np.int16)


def times(segments):
    return [(segment.start, segment.end) for segment in segments]


@pytest.mark.parametrize(("rate", "size"), [(16_000, 160), (16_000, 100_000), (44_100, 1000), (8000, 777)])
def test_numbers_are_those_of_the_files_timeline(model, tmp_path, rate, size):
    samples = speech(8.3, rate)
    soundfile.write(tmp_path / "talk.wav", samples, rate)
    expected = list(predict_timeline(model, tmp_path / "talk.wav", Cutting("windows", window_seconds=2, hop_seconds=1)))
    chunks = [samples[start : start + size] for start in range(0, len(samples), size)]
    found = list(model.stream(rate, window_seconds=2, hop_seconds=1).of(chunks))
    assert times(found) == times(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.prediction.probabilities == pytest.approx(other.prediction.probabilities, abs=1e-5)
        assert (one.prediction.label, one.prediction.warnings) == (other.prediction.label, other.prediction.warnings)
    assert len({round(one.prediction.probabilities["anger"], 3) for one in found}) > 5  # they do differ


@pytest.mark.parametrize(("window", "hop"), [(2.0, None), (2.0, 0.7), (1.0, 1.9), (0.3, None), (0.5, 0.5)])
def test_windows_are_those_of_a_whole_recording_of_any_length(model, monkeypatch, window, hop):
    monkeypatch.setattr(
        "pathosnet.prediction.live.predict_stream", lambda model, utterances: [None for _ in utterances]
    )
    for samples in (400, 4000, 8000, 31_999, 32_000, 32_001, 41_000, 64_000, 71_234):
        stream = LiveTimeline(model, 16_000, window_seconds=window, hop_seconds=hop)
        found = list(stream.of(np.split(np.zeros(samples), range(1000, samples, 1000))))
        cutting = Cutting("windows", window_seconds=window, hop_seconds=hop)
        assert times(found) == windows(samples / 16_000, cutting)


def test_an_answer_comes_with_the_last_sample_of_its_window(model):
    stream = model.stream(16_000, window_seconds=1, hop_seconds=0.5)
    sound = tone(2.0)
    assert stream.feed(sound[:15_999]) == []
    assert times(stream.feed(sound[15_999:16_000])) == [(0, 1)]
    assert stream.feed(sound[16_000:23_999]) == []
    assert times(stream.feed(sound[23_999:])) == [(0.5, 1.5), (1, 2)]
    assert stream.finish() == []
    assert stream.seconds == 2.0


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000])
def test_changing_the_rate_holds_less_than_fifteen_hundredths_of_a_second_back(model, rate):
    stream = model.stream(rate, window_seconds=1)
    sound = tone(1.15, rate=rate)
    assert stream.feed(sound[: rate - 1]) == []
    assert times(stream.feed(sound[rate - 1 :])) == [(0, 1)]


def test_what_was_answered_is_not_kept(model):
    stream = model.stream(16_000, window_seconds=1, hop_seconds=0.5)
    for _ in range(60):
        stream.feed(tone(0.1))
        assert sum(map(len, stream._held)) <= 16_000


def test_chunks_may_tell_their_rate(model):
    sound = tone(1.0, rate=8000)
    known = list(model.stream(8000, window_seconds=1).of([sound]))
    for chunk in ((8000, sound), {"array": sound, "sampling_rate": 8000}):
        assert list(model.stream(window_seconds=1).of([chunk])) == known
    with pytest.raises(InputError, match=r"without their rate; call model\.stream\(sample_rate=16000\)"):
        model.stream().feed(sound)
    with pytest.raises(InputError, match="comes with a rate of 8000 Hz, but sample_rate is 16000"):
        model.stream(16_000).feed((8000, sound))


def test_nothing_but_the_end_of_the_stream_is_lost_when_computing_is_interrupted(model, monkeypatch):
    stream, sound = model.stream(16_000, window_seconds=1), tone(1.0)
    with monkeypatch.context() as patch:
        patch.setattr(PathosNet, "predict_batch", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            stream.feed(sound)
    assert stream.finish() == list(model.stream(16_000, window_seconds=1).of([sound]))


def test_a_stream_that_has_ended_takes_nothing_more(model):
    stream = model.stream(16_000)
    assert stream.finish() == stream.finish() == []
    with pytest.raises(InputError, match="this stream has ended"):
        stream.feed(tone())


def test_silence_has_no_label(model):
    (segment,) = model.stream(16_000, window_seconds=1).feed(np.zeros(16_000, np.int16))
    assert (segment.prediction.label, segment.prediction.warnings) == ("", ("silent", "nothing to answer from"))


def test_mistakes(model):
    with pytest.raises(InputError, match="this model reads text alone"):
        random_model(audio=False).stream(16_000)
    with pytest.raises(InputError, match=r"window_seconds: expected at least 0\.025"):
        model.stream(16_000, window_seconds=0)
    broken = random_model()
    broken.network.classifier.bias.data.fill_(np.nan)
    with pytest.raises(InputError, match=r"live, 0\.0–1\.0 s: .*NaN"):
        broken.stream(16_000, window_seconds=1).feed(tone(1.0))


def test_a_profile_of_the_speaker_is_taken_away():
    options = BranchOptions(audio_width=6, network="linear", standardize=True)
    network = EmotionNetwork({"logmel": 256}, 4, options=options).eval()
    network.classifier.weight.data.normal_()
    model = PathosNet(network, {"logmel": LogMelExtractor()}, None, calibration_temperature=100.0)
    profile, sound = model.profile([tone(1.0, 700)], sample_rate=16_000), tone(1.0)
    (segment,) = model.stream(16_000, window_seconds=1, profile=profile).feed(sound)
    expected = model.predict(sound, sample_rate=16_000, profile=profile).probabilities
    assert segment.prediction.probabilities == pytest.approx(expected, abs=1e-6)
    assert expected != pytest.approx(model.predict(sound, sample_rate=16_000).probabilities, abs=1e-3)
