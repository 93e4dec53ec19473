"""Timelines of several speakers: turns, words, profiles, sums and pictures."""

import itertools
import json
import xml.etree.ElementTree as ElementTree

import matplotlib
import numpy as np
import pytest
import soundfile
import torch
from making import random_model, read_rows, tone

from pathosnet import PathosNet, Prediction
from pathosnet.cli import main
from pathosnet.errors import InputError
from pathosnet.features.acoustic.extractors import LogMelExtractor
from pathosnet.models import BranchOptions, EmotionNetwork
from pathosnet.prediction.captions import Cue
from pathosnet.prediction.segmentation import Cutting
from pathosnet.prediction.timeline import Segment, overview, predict_timeline
from pathosnet.prediction.timeline_plot import plot_timeline
from pathosnet.prediction.turns import join_turns, speakers_by_interval

TURNS = [(0.2, 1.0, "anna"), (1.1, 2.0, "anna"), (2.0, 3.5, "ben"), (4.0, 5.0, "ben"), (4.8, 6.0, "anna")]
JOINED = [(0.2, 2.0, "anna"), (2.0, 3.5, "ben"), (4.0, 5.0, "ben"), (4.8, 6.0, "anna")]
SRT = "1\n00:00:00,200 --> 00:00:01,000\nhello\n\n2\n00:00:02,100 --> 00:00:03,400\ngood day\n"


@pytest.fixture(scope="module")
def model():
    return random_model()


@pytest.fixture(scope="module")
def voice_model():
    """One that can adapt."""
    torch.manual_seed(0)
    options = BranchOptions(audio_width=6, network="linear", standardize=True)
    network = EmotionNetwork({"logmel": 256}, 4, options=options).eval()
    torch.nn.init.xavier_uniform_(network.classifier.weight)
    return PathosNet(network, {"logmel": LogMelExtractor()}, None, calibration_temperature=20.0)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """talk.wav, 6 s of tones that rise, talk.rttm and talk.srt; the folder is the current one."""
    monkeypatch.chdir(tmp_path)
    soundfile.write("talk.wav", np.concatenate([tone(1.0, 200 + 150 * i) for i in range(6)]), 16_000)
    lines = [f"SPEAKER talk 1 {start} {end - start:.3f} <NA> <NA> {name} <NA> <NA>\n" for start, end, name in TURNS]
    (tmp_path / "talk.rttm").write_text("".join(lines))
    (tmp_path / "talk.srt").write_text(SRT)
    return tmp_path


def rows(segments):
    return [(pytest.approx(one.start), pytest.approx(one.end), one.speaker) for one in segments]


def test_a_row_is_a_turn(model, here):
    segments = list(predict_timeline(model, "talk.wav", transcript="talk.rttm"))
    assert rows(segments) == JOINED
    samples, _ = soundfile.read("talk.wav", dtype="float32")
    expected = model.predict(samples[32_000:56_000], sample_rate=16_000).probabilities
    assert segments[1].prediction.probabilities == pytest.approx(expected, abs=1e-4)


def test_long_pauses_begin_a_new_turn_of_the_same_speaker(model, here):
    cutting = Cutting(pause_seconds=0.05)
    assert rows(predict_timeline(model, "talk.wav", cutting, transcript="talk.rttm")) == TURNS


def test_words_of_one_file_and_speakers_of_another(model, here):
    segments = list(predict_timeline(model, "talk.wav", transcript="talk.srt", speakers="talk.rttm"))
    assert rows(segments) == JOINED
    assert [segment.text for segment in segments] == ["hello", "good day", "", ""]


def test_other_segments_have_the_speaker_who_speaks_longest_in_them(model, here):
    cutting = Cutting("windows", window_seconds=2.0)
    segments = list(predict_timeline(model, "talk.wav", cutting, speakers="talk.rttm"))
    assert [segment.speaker for segment in segments] == ["anna", "ben", "anna"]
    cues = list(predict_timeline(model, "talk.wav", Cutting("cues"), transcript="talk.srt", speakers="talk.rttm"))
    assert [(cue.text, cue.speaker) for cue in cues] == [("hello", "anna"), ("good day", "ben")]


def test_words_with_times_go_to_the_segment_that_holds_them(model, here):
    words = [{"word": "late", "start": 2.2, "end": 2.6}, {"word": "later", "start": 2.6, "end": 2.9}]
    content = {"segments": [{"start": 0.0, "end": 3.0, "text": "late later", "words": words}]}
    (here / "talk.json").write_text(json.dumps(content))
    cutting = Cutting("windows", window_seconds=2.0)
    segments = list(predict_timeline(model, "talk.wav", cutting, transcript="talk.json"))
    assert [segment.text for segment in segments] == ["", "late later", ""]  # by letters, "late" would be in the first


def test_without_speakers_pauses_are_where_it_is_cut(model, here):
    (segment,) = predict_timeline(model, "talk.wav", transcript="talk.srt")
    assert (segment.start, segment.speaker) == (0.0, "")
    for options in ({"cutting": Cutting("turns")}, {"adapt": "speaker"}, {"speakers": "talk.srt"}):
        with pytest.raises(InputError, match=r"expected to learn who speaks, \.rttm, \.vtt with <v Name>"):
            list(predict_timeline(model, "talk.wav", transcript="talk.srt", **options))


def test_a_turn_after_the_end_is_an_error_that_names_the_line(model, here):
    (here / "talk.rttm").write_text("SPEAKER talk 1 7.0 1.0 <NA> <NA> anna <NA> <NA>\n")
    with pytest.raises(
        InputError, match=r"talk\.rttm, line 1: begins at 7\.0 s, after the end of talk\.wav \(6\.0 s\)"
    ):
        list(predict_timeline(model, "talk.wav", speakers="talk.rttm"))


def test_each_speaker_has_a_profile_of_the_own_turns(voice_model, here):
    segments = list(predict_timeline(voice_model, "talk.wav", transcript="talk.rttm", adapt="speaker"))
    samples, _ = soundfile.read("talk.wav", dtype="float32")
    pieces = [(name, samples[round(start * 16_000) : round(end * 16_000)]) for start, end, name in JOINED]
    profiles = {
        name: voice_model.profile([piece for own, piece in pieces if own == name], sample_rate=16_000)
        for name in ("anna", "ben")
    }
    for segment, (name, piece) in zip(segments, pieces, strict=True):
        expected = voice_model.predict(piece, sample_rate=16_000, profile=profiles[name]).probabilities
        assert segment.prediction.probabilities == pytest.approx(expected, abs=1e-5)
    together = list(predict_timeline(voice_model, "talk.wav", transcript="talk.rttm", adapt="all"))
    assert together[0].prediction.probabilities != pytest.approx(segments[0].prediction.probabilities, abs=1e-4)


def test_who_speaks_longest_is_found_whatever_the_order(rng):
    starts = np.sort(rng.uniform(0, 50, 60))
    cues = [Cue(start, start + rng.uniform(0, 6), "", i, "abc"[i % 3]) for i, start in enumerate(starts)]
    intervals = [(start, start + 3.0) for start in np.sort(rng.uniform(0, 55, 40))]
    found = speakers_by_interval(cues, intervals)
    for (start, end), speaker in zip(intervals, found, strict=True):
        seconds = dict.fromkeys("abc", 0.0)
        for cue in cues:
            seconds[cue.speaker] += max(0.0, min(end, cue.end) - max(start, cue.start))
        assert seconds.get(speaker, 0.0) == max(seconds.values())
    assert len(set(found)) >= 3


def test_joining_turns_loses_no_word():
    cues = [Cue(i, i + 1.0, f"w{i}", i, speaker) for i, speaker in enumerate("aabbbca")]
    turns = join_turns(cues, 0.3)
    assert [(turn.speaker, turn.text) for turn in turns] == [
        ("a", "w0 w1"),
        ("b", "w2 w3 w4"),
        ("c", "w5"),
        ("a", "w6"),
    ]
    assert all(one.end == other.start for one, other in itertools.pairwise(turns))


def spoken(start, end, speaker, anger):
    return Segment(start, end, Prediction.of_probabilities({"anger": anger, "joy": 1 - anger}), speaker=speaker)


SPOKEN = [spoken(0, 2, "Anna", 0.9), spoken(2, 5, "Ben $x$", 0.2), spoken(5, 7, "Anna", 0.4), spoken(7, 8, "", 0.4)]


def test_overview_by_speaker():
    told = overview(SPOKEN)
    assert told["shares"] == {"anger": 0.25, "joy": 0.75}
    assert told["speakers"] == {
        "Anna": {"segments": 2, "seconds": 4, "shares": {"anger": 0.5, "joy": 0.5}},
        "Ben $x$": {"segments": 1, "seconds": 3, "shares": {"anger": 0.0, "joy": 1.0}},
    }
    assert "speakers" not in overview(SPOKEN[3:])


def test_each_speaker_has_a_lane_and_a_bar_in_the_picture(tmp_path):
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        plot_timeline(SPOKEN, tmp_path / "timeline.svg")
    elements = ElementTree.parse(tmp_path / "timeline.svg").iter("{http://www.w3.org/2000/svg}text")
    texts = ["".join(element.itertext()).strip() for element in elements]
    assert {"Anna", "Ben $x$", "not known", "Anna, 4 s", "Ben $x$, 3 s", "not known, 1 s"} <= set(texts)
    assert texts.count("50%") == 2
    assert texts.count("100%") == 2


def test_dimensions_of_several_speakers_have_a_legend(tmp_path):
    segments = [Segment(i, i + 1, Prediction(dimensions={"valence": i}), speaker="AB"[i % 2]) for i in range(4)]
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        plot_timeline(segments, tmp_path / "timeline.svg")
    content = (tmp_path / "timeline.svg").read_text()
    assert ">A<" in content
    assert ">B<" in content


def test_the_command_writes_a_row_a_turn_and_sums_up_by_speaker(voice_model, here, capsys):
    voice_model.save_pretrained("model")
    main(["predict", "model", "talk.wav", "--timeline", "t.csv", "--transcript", "talk.rttm", "--adapt", "speaker"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("talk.wav: 4 segments, 5.3 s (")
    assert lines[1].startswith("  anna: 2 segments, 3.0 s (")
    assert lines[2].startswith("  ben: 2 segments, 2.5 s (")
    table = read_rows(here / "t.csv")
    assert list(table[0])[-2:] == ["text", "speaker"]
    assert [row["speaker"] for row in table] == ["anna", "ben", "ben", "anna"]


def test_a_profile_that_was_made_counts_for_all_segments(voice_model, here, capsys):
    voice_model.save_pretrained("model")
    profile = voice_model.profile([tone(1.0, 900)], sample_rate=16_000)
    profile.save("anna.safetensors")
    main(["predict", "model", "talk.wav", "--timeline", "t.jsonl", "--segments=windows", "--profile=anna.safetensors"])
    row = json.loads((here / "t.jsonl").read_text().splitlines()[0])
    samples, _ = soundfile.read("talk.wav", dtype="float32")
    expected = voice_model.predict(samples[:80_000], sample_rate=16_000, profile=profile).probabilities
    assert row["probabilities"] == pytest.approx(expected, abs=1e-5)
    with pytest.raises(InputError, match="profile is one that was made; expected one of them"):
        list(predict_timeline(voice_model, "talk.wav", profile=profile, adapt="all"))
