import pytest

from pathosnet.errors import InputError
from pathosnet.prediction.captions import Cue, read_captions, words_by_interval
from pathosnet.prediction.transcripts import read_transcript

SRT = """1
00:00:01,000 --> 00:00:02,500
<i>Well</i>, {\\an8}hello
there

2
01:00:03,25 --> 01:00:04,000 X1:10 X2:20
<font color="red">Fine &amp; 1 < 2</font>
"""
VTT = """WEBVTT - a title
Kind: captions

NOTE a comment
over two lines

STYLE
::cue { color: red }

REGION
id:fred

intro
00:01.000 --> 00:02.500 align:start position:0%
<v Anna>Well, <00:00:01.500><c.loud>hello</c>
there</v>

1:00:03.250 --> 1:00:04.000
Fine &amp; 1 &lt; 2
"""
CUES = [(1.0, 2.5, "Well, hello there"), (3603.25, 3604.0, "Fine & 1 < 2")]


def write(tmp_path, content, name="talk.srt", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def told(path):
    return [(cue.start, cue.end, cue.text) for cue in read_captions(path)]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(("content", "name"), [(SRT, "talk.srt"), (VTT, "talk.VTT"), (VTT, "misnamed.srt")])
def test_both_formats_are_read(tmp_path, content, name, encoding, newline):
    assert told(write(tmp_path, content.replace("\n", newline), name, encoding)) == CUES


def test_lines_are_counted_as_an_editor_counts_them(tmp_path):
    assert [cue.line for cue in read_captions(write(tmp_path, SRT))] == [2, 7]


def test_cues_need_no_blank_line_no_number_no_order_and_no_fraction(tmp_path):
    content = "1\n00:00:05 --> 00:00:06\nlater\n2\n00:01.5 --> 00:02,5\n3 sheep\n00:03.000 --> 00:04.000\nagain"
    assert told(write(tmp_path, content)) == [(1.5, 2.5, "3 sheep"), (3.0, 4.0, "again"), (5.0, 6.0, "later")]


def test_cues_without_words_are_left_out(tmp_path):
    content = "1\n00:01.000 --> 00:02.000\n\n2\n00:02.000 --> 00:03.000\n<i></i>\n\n3\n00:03.000 --> 00:03.000\nyes\n"
    assert told(write(tmp_path, content)) == [(3.0, 3.0, "yes")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1\n00:01 -> 00:02\nhm\n", r"talk\.srt, line 1: expected a cue's times, got '1'"),
        ("\n\n1\n00:01.000 --> soon\nhm\n", r"talk\.srt, line 4: expected times such as .*got '00:01.000 --> soon'"),
        ("1\n00:61.000 --> 00:62.000\nhm\n", r"line 2: expected times"),
        ("1\n00:01.000 --> 00:02.000\nhm\n\nstray words\n", r"line 5: expected a cue's times, got 'stray words'"),
        ("1\n00:03.000 --> 00:02.000\nhm\n", r"line 2: the cue ends before it begins: 00:03.000 --> 00:02.000"),
        ("", "holds no cues"),
        ("WEBVTT\n", "holds no cues"),
        (b"1\n00:01.000 --> 00:02.000\n\xe9t\xe9\n", r"line 3: is not UTF-8 text .*save it as UTF-8"),
    ],
)
def test_errors_name_file_and_line(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        read_captions(write(tmp_path, content))


def test_a_transcript_of_another_kind_or_none_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"talk\.txt: expected a transcript with times, \.srt, .*or \.json"):
        read_transcript(write(tmp_path, SRT, "talk.txt"))
    with pytest.raises(InputError, match=r"absent\.srt: cannot be read"):
        read_transcript(tmp_path / "absent.srt")


def test_words_go_where_the_middle_of_their_share_is():
    # ten letters in ten seconds: "aaaa" is said from 0 to 4, "bb" from 4 to 6, "cccc" from 6 to 10
    cues = [Cue(0.0, 10.0, "aaaa bb cccc", line=1)]
    assert words_by_interval(cues, [(0.0, 5.0), (5.0, 10.0)]) == ["aaaa", "bb cccc"]
    assert words_by_interval(cues, [(0.0, 5.1), (5.1, 10.0)]) == ["aaaa bb", "cccc"]


def test_words_in_a_pause_go_to_the_nearest_segment_that_their_cue_touches():
    cues = [Cue(0.0, 10.0, "aaaa bb cccc", line=1), Cue(20.0, 21.0, "lost", line=5)]
    assert words_by_interval(cues, [(0.0, 1.5), (7.0, 9.0), (30.0, 31.0)]) == ["aaaa", "bb cccc", ""]


def test_words_belong_to_all_windows_that_overlap_there():
    cues = [Cue(4.0, 6.0, "now", line=1)]
    assert words_by_interval(cues, [(0.0, 4.0), (2.0, 6.0), (4.0, 8.0), (6.0, 10.0)]) == ["", "now", "now", ""]


def test_no_word_is_lost_or_said_twice_where_segments_do_not_overlap(rng):
    times = sorted(rng.uniform(0, 100, 40))
    intervals = list(zip(times[::2], times[1::2], strict=True))
    cues = [Cue(s, s + 8.0, f"w{i}a w{i}bb w{i}ccc", line=i) for i, s in enumerate(rng.uniform(0, 90, 30))]
    said = " ".join(words_by_interval(cues, intervals)).split()
    touching = [cue for cue in cues if any(a <= cue.end and b > cue.start for a, b in intervals)]
    assert sorted(said) == sorted(word for cue in touching for word in cue.text.split())


def test_huge_files_are_refused_before_they_are_read(tmp_path):
    path = tmp_path / "huge.vtt"
    with path.open("wb") as file:
        file.truncate(10 << 30)  # holes: they take no space
    with pytest.raises(InputError, match=r"huge\.vtt: is larger than 32 MiB; expected a transcript"):
        read_captions(path)


def test_comments_of_webvtt_are_not_spoken(tmp_path):
    content = "WEBVTT\n\n00:01.000 --> 00:02.000\nyes\n\nNOTE not spoken\n\n00:03.000 --> 00:04.000\nno\n"
    assert told(write(tmp_path, content, "talk.vtt")) == [(1.0, 2.0, "yes"), (3.0, 4.0, "no")]
