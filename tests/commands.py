"""What tests of the command line need: quick options, a shell, and what a command says."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from making import TINY

from pathosnet import cli

QUICK = [f"--{name}={value}" for name, value in TINY.items()]  # --epochs=2 …


def config_of(folder: Path) -> dict:
    return json.loads((folder / "run.json").read_text())["config"]


def error_of(capsys, *arguments: object, code: int = 2) -> str:
    """What a command that cannot be done says: one line on stderr, the exit code, nothing on stdout."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        cli.main([str(argument) for argument in arguments])
    assert caught.value.code == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("error: ")
    assert "\r" not in captured.err
    assert "Traceback" not in captured.err
    return captured.err.strip()


def help_of(capsys, *arguments: str) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        cli.main([*arguments, "--help"])
    assert caught.value.code == 0
    return " ".join(capsys.readouterr().out.split())


def shell(*arguments: object, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "pathosnet", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )
