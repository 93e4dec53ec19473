"""What holds for all commands: help, usage, errors, interruption."""

import json
import signal
import subprocess
import sys
import time

import click
import pytest
from commands import QUICK, error_of, help_of, shell
from making import contents

import pathosnet
from pathosnet import PathosNet, cli
from pathosnet.emotions import PAPER_EMOTIONS
from pathosnet.errors import InputError


def test_module_says_its_version():
    done = shell("--version")
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, f"pathosnet {pathosnet.__version__}", "")


def test_errors_are_one_line_in_a_shell_and_a_traceback_with_debug(tmp_path):
    done = shell("predict", tmp_path / "nowhere", "a.wav")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {tmp_path / 'nowhere'}: holds no model")
    assert done.stderr.count("\n") == 1
    with pytest.raises(InputError, match="holds no model"):  # which a shell shows as a traceback
        cli.main(["--debug", "predict", str(tmp_path / "nowhere"), "a.wav"])


def test_whole_way_in_a_shell(corpus, tmp_path):
    """Training says nothing but its results on stdout; predictions can be piped into other programs."""
    trained = shell("train", corpus.name, "--out", tmp_path / "run", *QUICK, "--progress=true", cwd=corpus.parent)
    assert trained.returncode == 0, trained.stderr
    said = [line.partition(":")[0] for line in trained.stdout.splitlines()]
    assert said == ["split", "test", "leak", "kept", "trust", "probe", "saved"]
    assert "logmel-1-branches: 2 epochs" in trained.stderr
    assert "Warning" not in trained.stderr
    clip = corpus.parent / "anger_0.wav"
    predicted = shell("predict", tmp_path / "run", clip, "--text", "go away now", "--json")
    assert (predicted.returncode, predicted.stderr) == (0, "")
    assert json.loads(predicted.stdout)["label"] in PAPER_EMOTIONS


def wait_for(condition, process: subprocess.Popen, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)


def interrupted(tmp_path, command: str, *arguments: object) -> tuple[int, str, str]:
    """Exit code and output of a command that Ctrl-C reaches once it has trained for an epoch."""
    options = ["--epochs=100000", "--patience=100000", "--accelerator=cpu", "--out", str(tmp_path / "runs" / "run")]
    process = subprocess.Popen(
        [sys.executable, "-m", "pathosnet", command, *map(str, arguments), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell's background jobs ignore Ctrl-C, and their children would, too
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        wait_for(lambda: list(tmp_path.glob("runs/.run.*/logs/*/metrics.csv")), process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    return process.returncode, out, err


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_interrupted_fine_tuning_leaves_nothing_behind(run, corpus, tmp_path):
    returncode, out, err = interrupted(tmp_path, "finetune", run, corpus)
    assert contents(tmp_path / "runs") == set()
    assert (returncode, out) == (130, "")
    assert err.splitlines()[-1].startswith("interrupted; nothing was written")
    assert "Traceback" not in err


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_interrupted_training_ends_with_its_best_weights(corpus, tmp_path):
    returncode, out, err = interrupted(tmp_path, "train", corpus, "--text_width=4", "--audio_width=4")
    assert returncode == 0, err
    assert "kept:" in out
    assert "Traceback" not in err
    assert PathosNet.from_pretrained(tmp_path / "runs" / "run").labels == PAPER_EMOTIONS


def test_help_lists_the_commands(capsys):
    shown = help_of(capsys)
    for command in cli.COMMANDS:
        assert command in shown
    assert "--debug" in shown


def test_without_arguments_the_help_is_shown(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main([])
    assert caught.value.code == 0
    assert "train" in capsys.readouterr().out


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_option_has_a_help_text(command):
    found = cli.find_command(command)
    for one in (found, *getattr(found, "commands", {}).values()):
        assert one.help
        assert one.short_help
        context = click.Context(one)
        for parameter in one.get_params(context):
            _, text = parameter.get_help_record(context)
            assert text, parameter.name


@pytest.mark.parametrize(
    "arguments",
    [
        ["fit"],
        ["train"],
        ["train", "corpus.csv"],
        ["train", "corpus.csv", "--out", "x", "--bogus", "1"],
        ["train", "corpus.csv", "--out", "x", "--epochs", "many"],
        ["train", "corpus.csv", "--out", "x", "--class-weights", "heavy"],
        ["evaluate", "run"],
        ["evaluate", "run", "corpus.csv", "--part", "some"],
        ["predict"],
        ["predict", "run", "a.wav", "--bogus"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_line_and_exits_with_2(arguments, capsys):
    error_of(capsys, *arguments)


def test_unknown_option_is_named(capsys):
    assert "bogus" in error_of(capsys, "train", "corpus.csv", "--out", "x", "--bogus", "1")


def test_debug_shows_the_error_itself(tmp_path):
    with pytest.raises(InputError, match="holds no model"):
        cli.main(["--debug", "predict", str(tmp_path / "nowhere"), "a.wav"])


def test_debug_may_stand_behind_the_command(tmp_path):
    with pytest.raises(InputError):
        cli.main(["predict", str(tmp_path), "a.wav", "--debug"])


def test_mistakes_of_the_library_are_not_hidden(run, corpus, monkeypatch):
    def fail(*arguments, **options):
        raise RuntimeError("a bug")

    monkeypatch.setattr(PathosNet, "predict_batch", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        cli.main(["predict", str(run), str(corpus.parent / "anger_0.wav")])
