import itertools

import numpy as np
import pytest
import soundfile
import torch
from making import random_model, tone

from pathosnet import PathosNet
from pathosnet.audio.reading import load_audio
from pathosnet.errors import InputError
from pathosnet.features.acoustic.extractors import LogMelExtractor
from pathosnet.models import BranchOptions, EmotionNetwork
from pathosnet.models.inputs import Inputs
from pathosnet.prediction.segmentation import Cutting
from pathosnet.prediction.timeline import _cut, overview, predict_timeline

TRUTH = [(0.7, 2.2), (3.0, 5.5), (6.4, 7.1), (8.3, 10.0)]
SECONDS = 11.0
LEVELS = (0.5, 0.02, 0.1, 0.3)  # some are quiet


def burst(kind: str, seconds: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    return tone(seconds, 300.0, rate, 1.0) if kind == "tones" else rng.uniform(-1, 1, round(seconds * rate))


def write_bursts(path, kind="tones", rate=16_000, noise=0.0, channels=1):
    """Bursts of sound at known times."""
    rng = np.random.default_rng(0)
    samples = noise * rng.normal(size=round(SECONDS * rate))
    for (start, end), level in zip(TRUTH, LEVELS, strict=True):
        sound = level * burst(kind, end - start, rate, rng)
        samples[round(start * rate) : round(start * rate) + len(sound)] += sound
    soundfile.write(path, np.stack([samples] * channels, axis=1), rate)
    return path


@pytest.fixture(scope="module")
def model():
    return random_model()


@pytest.fixture(scope="module")
def precise_model():
    """A network in double precision, whose answers show what it read and not how convolutions round.

    In float32 the order of their sums depends on the batch and on the number of threads: from the same features come
    activations that differ by 10 roundings or so of 2^-24, probabilities by 1e-5. In double precision it is 1e-14.
    """
    model = random_model()
    classify = model.network.double().classify

    def classify_precisely(inputs: Inputs) -> torch.Tensor:
        return classify(Inputs({name: value.double() for name, value in inputs.features.items()}, inputs.masks))

    model.network.classify = classify_precisely
    return model


@pytest.fixture
def talk(tmp_path):
    return write_bursts(tmp_path / "talk.wav")


def times(segments):
    return [(segment.start, segment.end) for segment in segments]


@pytest.mark.parametrize("kind", ["tones", "noise"])
@pytest.mark.parametrize(("rate", "noise", "channels"), [(16_000, 0.0, 1), (44_100, 1e-3, 2), (8000, 1e-4, 1)])
def test_segments_begin_and_end_where_the_sound_does(model, tmp_path, kind, rate, noise, channels):
    path = write_bursts(tmp_path / "talk.wav", kind, rate, noise, channels)
    found = times(predict_timeline(model, path))
    assert len(found) == len(TRUTH)
    assert np.abs(np.array(found) - TRUTH).max() < 0.1


def test_each_segment_is_predicted_as_if_it_were_alone(precise_model, talk, monkeypatch):
    monkeypatch.setattr("pathosnet.audio.decoding.BLOCK_SAMPLES", 4000)  # segments reach over blocks
    waveform = load_audio(talk)
    segments = list(predict_timeline(precise_model, talk))
    for segment in segments:
        piece = waveform[round(segment.start * 16_000) : round(segment.end * 16_000)]
        alone = precise_model.predict(piece, sample_rate=16_000)
        assert segment.prediction.probabilities == pytest.approx(alone.probabilities, abs=1e-12)
        assert segment.prediction.label == alone.label
    spread = np.ptp([list(segment.prediction.probabilities.values()) for segment in segments], axis=0)
    assert spread.max() > 0.01  # they do differ


def test_pieces_may_overlap_and_leave_gaps():
    waveform = torch.arange(100.0)
    bounds = [(0, 10), (5, 12), (5, 30), (60, 61), (70, 100)]
    for size in (1, 7, 200):
        pieces = list(_cut(iter(waveform.split(size)), bounds))
        assert [piece.tolist() for piece in pieces] == [waveform[a:b].tolist() for a, b in bounds]


def test_nothing_is_read_before_it_is_needed():
    read = []

    def blocks():
        for i in range(50):
            read.append(i)
            yield torch.zeros(1000)

    bounds = [(i * 2000, i * 2000 + 500) for i in range(20)]
    for (_, end), _piece in zip(bounds, _cut(blocks(), bounds), strict=False):
        assert len(read) == end // 1000 + 1


def test_windows(model, talk):
    segments = list(predict_timeline(model, talk, Cutting("windows", window_seconds=4, hop_seconds=3)))
    assert times(segments) == [(0, 4), (3, 7), (6, 10), (9, 11)]


def write_srt(path):
    path.write_text(
        "1\n00:00:00,500 --> 00:00:02,300\nhello there\n\n2\n00:00:03,000 --> 00:00:07,000\nfine wonderful thanks\n",
        encoding="utf-8",
    )
    return path


def test_words_of_the_transcript_are_heard_with_their_segment(precise_model, talk, tmp_path):
    segments = list(predict_timeline(precise_model, talk, transcript=write_srt(tmp_path / "talk.srt")))
    # 19 letters from 3 s to 7 s: "fine" around 3.4, "wonderful" around 4.8, "thanks" around 6.4
    assert [segment.text for segment in segments] == ["hello there", "fine wonderful", "thanks", ""]
    waveform = load_audio(talk)[round(segments[1].start * 16_000) : round(segments[1].end * 16_000)]
    expected = precise_model.predict(waveform, "fine wonderful", sample_rate=16_000).probabilities
    assert segments[1].prediction.probabilities == pytest.approx(expected, abs=1e-12)
    assert segments[1].to_dict() == {
        "start": pytest.approx(3.0, abs=0.1),
        "end": pytest.approx(5.5, abs=0.1),
        **segments[1].prediction.to_dict(),
        "text": "fine wonderful",
    }


def test_cues_can_be_the_segments(model, talk, tmp_path):
    segments = list(predict_timeline(model, talk, Cutting("cues"), transcript=write_srt(tmp_path / "talk.srt")))
    assert times(segments) == [(0.5, 2.3), (3.0, 7.0)]
    assert [segment.text for segment in segments] == ["hello there", "fine wonderful thanks"]


def test_a_model_of_text_alone_needs_the_transcript_and_takes_segments_with_words(talk, tmp_path):
    model = random_model(audio=False)
    segments = list(predict_timeline(model, talk, transcript=write_srt(tmp_path / "talk.srt")))
    assert [segment.text for segment in segments] == ["hello there", "fine wonderful", "thanks"]
    assert segments[0].prediction.probabilities == pytest.approx(model.predict(text="hello there").probabilities)
    with pytest.raises(InputError, match="reads text alone: expected a transcript with times"):
        list(predict_timeline(model, talk))


def test_cues_without_a_transcript_are_an_error(model, talk):
    with pytest.raises(InputError, match="segments: cues: expected a transcript"):
        list(predict_timeline(model, talk, Cutting("cues")))


def test_a_transcript_that_is_longer_than_the_recording_is_an_error(model, talk, tmp_path):
    path = tmp_path / "other.vtt"
    path.write_text("WEBVTT\n\n00:01.000 --> 00:02.000\nhm\n\n01:00.000 --> 01:01.000\nyes\n")
    with pytest.raises(InputError, match=r"other\.vtt, line 6: begins at 60\.0 s, after the end of .*\(11\.0 s\)"):
        list(predict_timeline(model, talk, transcript=path))


@pytest.mark.parametrize("level", [0.0, 1e-6])
def test_silence_has_no_segments(model, tmp_path, level):
    soundfile.write(tmp_path / "silence.wav", np.full(32_000, level), 16_000, subtype="FLOAT")
    with pytest.raises(InputError, match=r"silence\.wav: no segments found"):
        list(predict_timeline(model, tmp_path / "silence.wav"))


def test_sound_without_a_pause_is_cut_at_the_longest_length(model, tmp_path):
    soundfile.write(tmp_path / "tone.wav", tone(20.0), 16_000)
    found = times(predict_timeline(model, tmp_path / "tone.wav", Cutting(max_seconds=6)))
    assert (found[0][0], found[-1][1]) == (0.0, 20.0)
    assert max(end - start for start, end in found) <= 6
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(found))


def test_overview_weighs_segments_by_their_length(model, talk):
    segments = list(predict_timeline(model, talk))
    told = overview(segments)
    assert told["segments"] == 4
    assert told["seconds"] == pytest.approx(6.4, abs=0.3)
    assert sum(told["shares"].values()) == pytest.approx(1.0)
    label = segments[0].prediction.label
    seconds = sum(s.end - s.start for s in segments if s.prediction.label == label)
    assert told["shares"][label] == pytest.approx(seconds / told["seconds"], abs=1e-3)


def test_overview_counts_time_that_windows_share_once(model, talk):
    segments = list(predict_timeline(model, talk, Cutting("windows", window_seconds=4, hop_seconds=2)))
    assert sum(segment.end - segment.start for segment in segments) > SECONDS + 4
    assert overview(segments)["seconds"] == pytest.approx(SECONDS, abs=0.05)


def test_timeline_adapts_to_the_recordings_own_segments(tmp_path):
    path = tmp_path / "long.wav"
    write_bursts(path)
    options = BranchOptions(audio_width=6, network="linear", standardize=True)
    network = EmotionNetwork({"logmel": 256}, 4, options=options).eval()
    torch.nn.init.xavier_uniform_(network.classifier.weight)  # a linear network begins at zeros
    model = PathosNet(network, {"logmel": LogMelExtractor()}, None)
    plain = list(predict_timeline(model, path))
    adapted = list(predict_timeline(model, path, adapt="all"))
    pieces = [load_audio(path)[round(one.start * 16_000) : round(one.end * 16_000)] for one in plain]
    profile = model.profile([(16_000, piece.numpy()) for piece in pieces])
    assert profile.num_recordings == len(plain)
    for one, other, piece in zip(plain, adapted, pieces, strict=True):
        expected = model.predict((16_000, piece.numpy()), profile=profile).probabilities
        assert other.prediction.probabilities == pytest.approx(expected, abs=1e-4)
        assert other.prediction.probabilities != pytest.approx(one.prediction.probabilities, abs=1e-6)
