import json

import matplotlib.image
import numpy as np
import pytest
import soundfile
from making import read_rows, tone

from pathosnet.cli import main
from pathosnet.emotions import PAPER_EMOTIONS


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Two tones, from 0.5 s to 1.5 s and from 2.5 s to 4 s, and what is said; the folder is the current one."""
    monkeypatch.chdir(tmp_path)
    pauses = [np.zeros(samples, np.float32) for samples in (8000, 16_000, 8000)]
    soundfile.write("talk.wav", np.concatenate([pauses[0], tone(1.0), pauses[1], tone(1.5, 600), pauses[2]]), 16_000)
    (tmp_path / "talk.vtt").write_text(
        "WEBVTT\n\n00:00.500 --> 00:01.500\nhello\n\n00:02.500 --> 00:04.000\n<b>bye</b>\n"
    )
    return tmp_path


def run(model, *arguments):
    try:
        main(["predict", str(model), *map(str, arguments)])
    except SystemExit as stopped:
        return stopped.code
    return 0


def test_timeline_as_a_table_and_as_a_picture(model, here, capsys):
    arguments = ("talk.wav", "--timeline", "talk.csv", "--plot", "talk.png", "--transcript", "talk.vtt")
    assert run(model, *arguments) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("talk.wav: 2 segments, 2.")
    assert printed.err == ""
    rows = read_rows(here / "talk.csv")
    assert list(rows[0]) == ["start", "end", "label", *PAPER_EMOTIONS, "text"]
    times = np.array([[float(row["start"]), float(row["end"])] for row in rows])
    assert np.abs(times - [[0.5, 1.5], [2.5, 4.0]]).max() < 0.1
    assert [row["text"] for row in rows] == ["hello", "bye"]
    assert sum(float(rows[0][label]) for label in PAPER_EMOTIONS) == pytest.approx(1, abs=1e-5)
    assert matplotlib.image.imread(here / "talk.png").shape[1] > 1000


def test_timeline_as_json_lines(model, here, capsys):
    arguments = ("--timeline", "talk.jsonl", "--json", "--segments", "windows", "--window-seconds", "2")
    assert run(model, "talk.wav", *arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told) == ["audio", "segments", "seconds", "shares"]
    rows = [json.loads(line) for line in (here / "talk.jsonl").read_text().splitlines()]
    assert [(row["start"], row["end"]) for row in rows] == [(0, 2), (2, 4), (4, 4.5)]
    assert list(rows[0]) == ["start", "end", "label", "probabilities", "valence", "warnings", "text"]


def test_cues_can_be_the_segments(model, here):
    arguments = ("--timeline", "talk.csv", "--segments", "cues", "--transcript", "talk.vtt")
    assert run(model, "talk.wav", *arguments) == 0
    assert [(row["start"], row["end"]) for row in read_rows(here / "talk.csv")] == [("0.5", "1.5"), ("2.5", "4")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["talk.wav", "talk.wav"], "--timeline and --plot take one recording, got 2"),
        ([], "--timeline and --plot take one recording, got 0"),
        (["talk.wav", "--text", "hello"], "--text is for short recordings"),
        (["talk.wav", "--out", "x.csv"], "--out is for several recordings"),
        (["talk.wav", "--segments", "cues"], "segments: cues: expected a transcript"),
        (["talk.wav", "--transcript", "talk.wav"], "talk.wav: expected a transcript with times"),
        (["talk.wav", "--plot", "x.txt"], "x.txt: expected a picture ending in"),
        (["talk.wav", "--max-seconds", "0.1"], "max_seconds: expected at least twice"),
        (["absent.wav"], "absent.wav: no such audio file"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing_behind(model, here, capsys, arguments, message):
    before = sorted(here.iterdir())
    assert run(model, *arguments, "--timeline", "new.csv") == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"error: {message}")
    assert printed.err.count("\n") == 1
    assert sorted(here.iterdir()) == before


def test_the_ending_of_a_timeline_is_checked(model, here, capsys):
    assert run(model, "talk.wav", "--timeline", "talk.xlsx") == 2
    assert "talk.xlsx: expected a file ending in .csv or .jsonl" in capsys.readouterr().err
