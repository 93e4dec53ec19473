import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
from commands import error_of
from making import tone

from pathosnet import cli


@pytest.fixture
def talk(tmp_path, monkeypatch):
    """2.6 s of two tones and silence, the current folder's talk.wav."""
    monkeypatch.chdir(tmp_path)
    soundfile.write("talk.wav", np.concatenate([tone(1.0), tone(1.0, 700), np.zeros(9600, np.float32)]), 16_000)
    return tmp_path / "talk.wav"


def test_a_recording_is_told_window_by_window(model, talk, capsys):
    cli.main(["listen", str(model), "talk.wav", "--window-seconds", "1"])
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["0.0–1.0 s", "1.0–2.0 s", "2.0–2.6 s"]
    assert lines[2].startswith("2.0–2.6 s: no answer (")
    assert lines[2].endswith("; silent; nothing to answer from")
    told = printed.err.splitlines()
    assert told[0] == "listening to talk.wav; Ctrl-C ends it"
    assert told[1].startswith("3 segments, 2.6 s (")
    assert told[2].startswith("computing a window took ")


def test_json_lines_are_the_rows_of_the_timeline(model, talk, capsys):
    windows = ["--window-seconds", "1", "--hop-seconds", "0.5"]
    cli.main(["predict", str(model), "talk.wav", "--timeline", "talk.jsonl", "--segments", "windows", *windows])
    capsys.readouterr()
    cli.main(["listen", str(model), "talk.wav", "--json", *windows])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    expected = [json.loads(line) for line in (talk.parent / "talk.jsonl").read_text().splitlines()]
    assert [list(row) for row in rows] == [list(row) for row in expected]
    for row, other in zip(rows, expected, strict=True):
        assert (row["start"], row["end"], row["label"]) == (other["start"], other["end"], other["label"])
        assert row["probabilities"] == pytest.approx(other["probabilities"], abs=1e-5)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_told_before_it_ends_and_ctrl_c_ends_it_calmly(model, talk):
    """A subprocess, since only there the signal comes as it does on a terminal."""
    options = ["--encoding", "s16le", "--window-seconds", "1", "--json"]
    program = subprocess.Popen(
        [sys.executable, "-m", "pathosnet", "listen", str(model), "-", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    program.stdin.write((tone(1.6) * 2**15).astype("<i2").tobytes())
    program.stdin.flush()
    first = json.loads(program.stdout.readline())  # the pipe is open still
    time.sleep(1.0)  # the rest of what was written is heard
    program.send_signal(signal.SIGINT)
    out, err = program.communicate(timeout=60)
    rows = [first, *map(json.loads, out.splitlines())]
    assert [(row["start"], row["end"]) for row in rows] == [(0, 1), (1, pytest.approx(1.6, abs=0.11))]
    assert program.returncode == 0
    assert b"2 segments, 1." in err
    assert b"Traceback" not in err


def test_what_goes_wrong_while_listening_is_not_said_to_be_the_file(model, talk, monkeypatch):
    monkeypatch.setattr("pathosnet.cli.listen._line", lambda segment: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.main(["listen", str(model), "talk.wav"])


def test_a_window_that_takes_longer_than_its_hop_is_a_warning(model, talk, capsys, monkeypatch):
    clock = iter(range(0, 1000, 3))
    monkeypatch.setattr("time.perf_counter", lambda: float(next(clock)))
    cli.main(["listen", str(model), "talk.wav", "--window-seconds", "1"])
    assert "warning: computing took 3.0 s, but a window comes every 1 s: answers fall behind" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.wav"], "absent.wav: no such audio file"),
        (["talk.wav", "talk.wav"], "listen: expected one recording, or - for stdin, got 2"),
        (["talk.wav", "--microphone", "1"], "microphone: expected no recording beside it"),
        (["talk.wav", "--encoding", "s16le"], "encoding: is for samples on stdin"),
        (["talk.wav", "--abstain", "2"], "abstain: expected a probability"),
        (["talk.wav", "--window-seconds", "0"], "window_seconds: expected at least"),
        (["talk.wav", "--profile", "talk.wav"], "talk.wav: expected a profile"),
        (["-", "--rate", "8000"], "rate, channels: are for samples without a header"),
    ],
)
def test_mistakes_are_one_line(model, talk, capsys, arguments, message):
    assert error_of(capsys, "listen", model, *arguments).startswith(f"error: {message}")


def test_a_microphone_that_cannot_be_had_is_one_line(model, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert "pip install 'pathosnet[listen]'; or name a file" in error_of(capsys, "listen", model)
