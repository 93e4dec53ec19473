"""What commands print stands in nobody's way."""

import io
import json
import shutil
import subprocess
import sys

import pytest

from pathosnet import cli


@pytest.fixture
def printed(monkeypatch):
    """Stdout and stderr of another encoding."""

    def use(encoding: str) -> io.BytesIO:
        raw = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding, write_through=True))
        monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True))
        return raw

    return use


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.parametrize("command", cli.COMMANDS)
def test_help_fits_any_encoding(command, encoding, printed):
    raw = printed(encoding)
    with pytest.raises(SystemExit, match="0"):
        cli.main([command, "--help"])
    assert b"--help" in raw.getvalue()


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_letters_that_cannot_be_printed_are_replaced(encoding, run, corpus, tmp_path, printed):
    clip = tmp_path / "happy-\N{GRINNING FACE}.wav"
    shutil.copy(corpus.parent / "anger_0.wav", clip)
    raw = printed(encoding)
    cli.main(["predict", str(run), str(clip)])
    assert b"happy-?.wav: " in raw.getvalue()


def test_json_is_whole_in_any_encoding(run, corpus, tmp_path, printed):
    clip = tmp_path / "happy-\N{GRINNING FACE}.wav"
    shutil.copy(corpus.parent / "anger_0.wav", clip)
    raw = printed("cp1252")
    cli.main(["predict", str(run), str(clip), "--json"])
    assert json.loads(raw.getvalue())["audio"] == str(clip)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGPIPE and other errors")
def test_a_reader_that_leaves_is_no_error():
    command = [sys.executable, "-m", "pathosnet", "corpora", "list"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    with process.stderr as said:
        assert said.read() == b""
    assert process.wait(60) == 0


def test_evaluation_names_the_picture_that_it_draws(run, corpus, tmp_path, capsys):
    picture = tmp_path / "matrix.png"
    cli.main(["evaluate", str(run), str(corpus), "--plot", str(picture)])
    assert capsys.readouterr().out.splitlines()[-1] == f"written: {picture}"
