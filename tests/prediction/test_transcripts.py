import json

import pytest

from pathosnet.errors import InputError
from pathosnet.prediction.transcripts import read_transcript

RTTM = """;; made by hand
SPKR-INFO talk 1 <NA> <NA> <NA> adult_female anna <NA>
SPEAKER talk 1 2.50 1.25 <NA> <NA> ben <NA> <NA>
SPEAKER talk 1 0.5 2 <NA> <NA> anna <NA>
"""


def write(tmp_path, content, name):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def told(path, recording=""):
    return [(cue.start, cue.end, cue.text, cue.speaker) for cue in read_transcript(path, recording)]


def test_turns_of_an_rttm_file(tmp_path):
    path = write(tmp_path, RTTM, "talk.rttm")
    assert told(path) == [(0.5, 2.5, "", "anna"), (2.5, 3.75, "", "ben")]
    assert [cue.place for cue in read_transcript(path)] == [f"{path}, line 4", f"{path}, line 3"]


def test_of_an_rttm_file_about_several_recordings_the_turns_of_one_are_taken(tmp_path):
    path = write(tmp_path, RTTM + "SPEAKER other 1 7 1 <NA> <NA> cleo <NA> <NA>\n", "all.rttm")
    assert told(path, "other") == [(7, 8, "", "cleo")]
    with pytest.raises(InputError, match=r"all\.rttm: is about 2 recordings, talk, other; none of them is 'clip'"):
        read_transcript(path, "clip")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "SPEAKER talk 1 0.5",
            r"line 1: expected SPEAKER file channel start duration <NA> <NA> name, got 'SPEAKER talk",
        ),
        ("SPEAKER talk 1 soon 1 <NA> <NA> anna", "line 1: expected SPEAKER file channel start"),
        ("SPEAKER talk 1 1 -1 <NA> <NA> anna", "line 1: expected times from 0, the end behind the start, got 1 to 0"),
        ("SPEAKER talk 1 nan 1 <NA> <NA> anna", "line 1: expected times from 0"),
        ("hello there", "line 1: expected a type such as SPEAKER, got 'hello'"),
        ("", "holds no turns; expected lines that begin with SPEAKER"),
    ],
)
def test_mistakes_in_an_rttm_file_name_the_line(tmp_path, line, message):
    with pytest.raises(InputError, match=rf"talk\.rttm(, |: ){message}"):
        read_transcript(write(tmp_path, line, "talk.rttm"))


def test_voices_of_webvtt_are_speakers_and_share_a_cue_by_their_letters(tmp_path):
    content = (
        "WEBVTT\n\n00:00.000 --> 00:10.000\n<v.loud Anna B.>Well, <c>yes</c></v> <v Ben &amp; Co>no no no no</v>\n\n"
        "00:11.000 --> 00:12.000\nnobody\n"
    )
    # 9 letters with the space of Anna, 11 of Ben
    assert told(write(tmp_path, content, "talk.vtt")) == [
        (0.0, pytest.approx(4.5), "Well, yes", "Anna B."),
        (pytest.approx(4.5), 10.0, "no no no no", "Ben & Co"),
        (11.0, 12.0, "nobody", ""),
    ]


def test_speakers_in_brackets_as_whisperx_writes_them(tmp_path):
    content = (
        "1\n00:00:01,000 --> 00:00:02,000\n[SPEAKER_00]: hello\n\n2\n00:00:03,000 --> 00:00:04,000\n[laughs] oh: no\n"
    )
    assert told(write(tmp_path, content, "talk.srt")) == [(1, 2, "hello", "SPEAKER_00"), (3, 4, "[laughs] oh: no", "")]


def segment(start=0.0, end=4.0, **more):
    return {"id": 0, "start": start, "end": end, "text": " Hello there", **more}


WORDS = [{"word": " Hello", "start": 0.0, "end": 1.0}, {"word": " there", "start": 2.0, "end": 4.0}]


@pytest.mark.parametrize(
    "content",
    [
        {"text": " Hello there", "segments": [segment()], "language": "en"},
        [segment()],
        {"transcription": [{"offsets": {"from": 0, "to": 4000}, "text": " Hello there"}]},
        {"text": "", "chunks": [{"timestamp": [0.0, 4.0], "text": " Hello there"}]},
    ],
    ids=["whisper", "a list", "whisper.cpp", "transformers"],
)
def test_segments_of_whispers_json(tmp_path, content):
    assert told(write(tmp_path, content, "talk.json")) == [(0.0, 4.0, "Hello there", "")]


def test_words_of_whispers_json_have_times(tmp_path):
    (cue,) = read_transcript(write(tmp_path, {"segments": [segment(words=WORDS)]}, "talk.json"))
    assert cue.words == ((0.5, "Hello"), (3.0, "there"))
    words = [(cue.start, cue.end, cue.text) for cue in read_transcript(write(tmp_path, {"words": WORDS}, "words.json"))]
    assert words == [(0.0, 1.0, "Hello"), (2.0, 4.0, "there")]


def test_a_word_without_times_is_said_where_the_one_before_it_ends(tmp_path):
    words = [*WORDS, {"word": "42"}]
    (cue,) = read_transcript(write(tmp_path, {"segments": [segment(words=words)]}, "talk.json"))
    assert cue.words[-1] == (4.0, "42")


def test_speakers_of_words_divide_a_segment(tmp_path):
    words = [{**WORDS[0], "speaker": "A"}, {"word": "7"}, {**WORDS[1], "speaker": "B"}]
    path = write(
        tmp_path, {"segments": [segment(words=words, speaker="B"), segment(5.0, 6.0, speaker="A")]}, "talk.json"
    )
    assert told(path) == [(0.0, 1.0, "Hello 7", "A"), (2.0, 4.0, "there", "B"), (5.0, 6.0, "Hello there", "A")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not valid JSON"),
        ({"results": []}, "expected Whisper's JSON, with one of segments, transcription, chunks, words, got results"),
        ("3", "expected Whisper's JSON, .* got int"),
        ({"segments": ["hello"]}, "expected Whisper's JSON"),
        ({"segments": []}, "holds no words"),
        ({"segments": [segment(), segment(end=None)]}, "segment 2: expected start and end in seconds, got None"),
        ({"segments": [segment(3.0, 1.0)]}, "segment 1: expected times from 0, the end behind the start, got 3 to 1"),
        ({"segments": [segment(words=[{"word": "a", "start": "0", "end": 1}])]}, "segment 1, word 1: expected start"),
        ({"segments": [segment(words=["a"])]}, "segment 1, word 1: expected a word with start and end, got 'a'"),
    ],
)
def test_mistakes_in_whispers_json_name_the_segment(tmp_path, content, message):
    with pytest.raises(InputError, match=rf"talk\.json(, |: ){message}"):
        read_transcript(write(tmp_path, content, "talk.json"))
