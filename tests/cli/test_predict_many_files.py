import json
import os
import struct
import subprocess
import sys

import pytest
from making import read_rows, write_manifest, write_tone

from pathosnet.audio.voice import STEADY
from pathosnet.cli import main
from pathosnet.emotions import PAPER_EMOTIONS


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder of clips, one of them broken, and a table; it is the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clips").mkdir()
    for i, name in enumerate("abc"):
        write_tone(tmp_path / "clips" / f"{name}.wav", 0.6 + 0.1 * i, 200.0 * (i + 1))
    (tmp_path / "clips" / "b.wav").write_text("broken")
    write_manifest(
        tmp_path / "rows.csv",
        [
            {"id": "1", "audio": "clips/a.wav", "text": "hello, you", "valence": "3.5"},
            {"id": "2", "audio": "clips/b.wav", "text": "", "valence": "1"},
            {"id": "3", "audio": "", "text": "bye", "valence": ""},
        ],
    )
    return tmp_path


def run(model, *arguments):
    """Runs the command and returns its exit code."""
    try:
        main(["predict", str(model), *map(str, arguments)])
    except SystemExit as stopped:
        return stopped.code
    return 0


def test_one_bad_file_is_told_and_the_rest_goes_on(model, here, capsys):
    assert run(model, "clips") == 1
    printed = capsys.readouterr()
    assert [line.partition(":")[0] for line in printed.out.splitlines()] == ["clips/a.wav", "clips/c.wav"]
    first, error, third = printed.err.splitlines()
    assert [first, third] == [f"warning: clips/{name}.wav: {STEADY}" for name in "ac"]  # they are tones
    assert error.startswith("error: clips/b.wav: cannot be read as audio")


def test_json_lines_hold_the_error(model, here, capsys):
    assert run(model, "clips/*.wav", "--json") == 1
    first, second, third = map(json.loads, capsys.readouterr().out.splitlines())
    assert list(first) == list(third) == ["audio", "label", "probabilities", "valence", "warnings"]
    assert (second["audio"], second["label"]) == ("clips/b.wav", None)
    assert second["error"].startswith("clips/b.wav: cannot be read as audio")


def test_a_table_keeps_its_columns(model, here, capsys):
    assert run(model, "rows.csv", "--out", "out/found.csv") == 1
    assert capsys.readouterr().out == "out/found.csv: 2 predicted, 1 failed\n"
    first, second, third = read_rows(here / "out" / "found.csv")
    assert list(first) == ["audio", "id", "text", "valence", "label", *PAPER_EMOTIONS, "error"]
    assert (first["audio"], first["text"], first["valence"]) == ("../clips/a.wav", "hello, you", "3.5")
    assert sum(float(first[label]) for label in PAPER_EMOTIONS) == pytest.approx(1, abs=1e-5)
    assert first["label"] == max(PAPER_EMOTIONS, key=lambda label: float(first[label]))
    assert (second["label"], second["anger"], second["id"]) == ("", "", "2")
    assert second["error"].startswith("rows.csv, row 3: clips/b.wav: cannot be read")
    assert (third["audio"], third["text"], third["error"]) == ("", "bye", "")


def test_tables_and_files_can_be_mixed_in_json_lines(model, here, capsys):
    assert run(model, "clips/c.wav", "rows.csv", "--out", "found.jsonl", "--json") == 1
    assert json.loads(capsys.readouterr().out) == {"out": "found.jsonl", "predicted": 3, "failed": 1}
    rows = [json.loads(line) for line in (here / "found.jsonl").read_text().splitlines()]
    assert [row["audio"] for row in rows] == ["clips/c.wav", "clips/a.wav", "clips/b.wav", None]
    assert rows[1]["columns"] == {"id": "1", "text": "hello, you", "valence": "3.5"}
    assert set(rows[1]["valence"]) == {"positive", "negative"}
    assert "columns" not in rows[0]


def test_what_was_written_can_be_predicted_again_once_the_columns_are_renamed(model, here, capsys):
    run(model, "clips/a.wav", "--out", "found.csv")
    capsys.readouterr()
    assert run(model, "found.csv", "--out", "again.csv") == 2
    assert "again.csv: would have several columns 'anger', 'error'," in capsys.readouterr().err
    assert not (here / "again.csv").exists()
    assert run(model, "found.csv", "--json") == 0


def test_a_file_that_exists_is_replaced_only_if_asked(model, here, capsys):
    (here / "found.csv").write_text("mine")
    assert run(model, "clips/a.wav", "--out", "found.csv") == 2
    assert "found.csv: exists already" in capsys.readouterr().err
    assert (here / "found.csv").read_text() == "mine"
    assert run(model, "clips/a.wav", "--out", "found.csv", "--overwrite") == 0
    assert read_rows(here / "found.csv")[0]["audio"] == "clips/a.wav"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["clips/*.mp3"], "clips/*.mp3: no recordings found"),
        (["clips", "--out", "found.txt"], "found.txt: expected a file ending in .csv or .jsonl"),
        (["clips", "--workers", "-1"], "workers: expected 0 or more, got -1"),
        (["clips", "--window-seconds", "3"], "options for segments need --timeline FILE or --plot FILE"),
        ([], "expected at least one recording, folder or CSV file, or --text"),
    ],
)
def test_wrong_usage_exits_with_2(model, here, capsys, arguments, message):
    assert run(model, *arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"error: {message}" in printed.err


def test_worker_processes_give_the_same(model, here, capsys):
    run(model, "clips", "rows.csv", "--json")
    alone = capsys.readouterr().out
    run(model, "clips", "rows.csv", "--json", "--workers", "2")
    assert capsys.readouterr().out == alone


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_progress_is_shown_on_a_terminal_only(model, here):
    import fcntl
    import pty
    import termios

    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("4H", 24, 120, 0, 0))  # without a width, there is no bar
    os.set_blocking(leader, False)
    command = [sys.executable, "-m", "pathosnet", "predict", str(model), "clips/a.wav", "clips/c.wav", "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=follower, text=True, timeout=120, check=True)
    shown = os.read(leader, 65_536).decode()
    os.close(follower)
    os.close(leader)
    assert "predictions:" in shown
    assert len([json.loads(line) for line in done.stdout.splitlines()]) == 2
