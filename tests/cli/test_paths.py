"""Paths: the home folder, names that are too long, what is locked, and a recording where a model should be."""

import errno
import os
from pathlib import Path

import pytest
from commands import QUICK, error_of
from making import write_tone

from pathosnet import cli
from pathosnet.recognizer.recognizer import PathosNet

LONG = "a long sentence " * 30


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A home folder; the working folder is another."""
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "home"


def test_the_home_folder_is_known_in_options_and_arguments(home, corpus, capsys):
    cli.main(["train", str(corpus), "--out=~/runs/x", *QUICK])
    assert (home / "runs" / "x" / "config.json").is_file()
    write_tone(home / "clip.wav")
    cli.main(["predict", "~/runs/x", "~/clip.wav", "--out=~/answers.csv"])
    assert (home / "answers.csv").is_file()
    assert os.listdir(".") == []


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("acoustic: vggish\nvggish: ~/weights.h5\n", "weights.h5"),
        ("acoustic: ghostvlad\nghostvlad: ~/weights.h5\n", "weights.h5"),
        ("text: ~/words.vec\n", "words.vec"),
        ("text: [en=~/words.vec]\n", "words.vec"),
        ("split: ~/folds.csv\n", "folds.csv"),
    ],
    ids=lambda value: value.split()[0],
)
def test_the_home_folder_is_known_in_yaml(options, named, home, corpus, capsys):
    (home / "options.yaml").write_text(options)
    said = error_of(capsys, "train", corpus, "--out", home / "x", *QUICK, "--config", "~/options.yaml")
    assert said.startswith(f"error: {home / named}: ")


def test_a_recording_where_a_model_should_be_is_recognized(run, corpus, capsys):
    """``predict`` has a model of its own; a corpus is measured, or trained on, by one that is named before it."""
    clips = [str(corpus.parent / name) for name in ("anger_0.wav", "anger_1.wav")]
    cli.main(["predict", *clips])
    assert [line.partition(": ")[0] for line in capsys.readouterr().out.splitlines()] == clips
    is_recording = f"error: {clips[0]}: is a recording; expected "
    for command in (["evaluate"], ["finetune", "--out", "x"]):
        assert error_of(capsys, *command, clips[0], corpus) == f"{is_recording}a model before {corpus}"
        assert error_of(capsys, *command, run, clips[0]) == f"{is_recording}a CSV file as for training"
        assert error_of(capsys, *command, corpus, clips[0]) == f"{is_recording}a CSV file as for training"
        said = error_of(capsys, *command, corpus.parent, corpus)
        assert said == f"error: {corpus.parent}: is a folder; expected a model before {corpus}"
    assert error_of(capsys, "robustness", clips[0], corpus) == f"{is_recording}the folder of a model"
    assert error_of(capsys, "export", clips[0], "--out", "x.onnx") == f"{is_recording}the folder of a model"
    assert error_of(capsys, "evaluate", corpus, corpus) == "error: expected one CSV file to measure on, got 2"


def test_a_model_behind_what_it_should_predict_is_recognized(run, corpus, capsys):
    said = f"error: {run}: is a model; expected it first, and only one"
    assert error_of(capsys, "predict", corpus.parent / "anger_0.wav", run) == said
    assert error_of(capsys, "predict", run, run) == said
    assert error_of(capsys, "evaluate", corpus, run) == said


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "{run}", LONG],
        ["predict", LONG, "{clip}"],
        ["train", LONG, "--out", "x"],
        ["train", "{corpus}", "--out", LONG],
        ["evaluate", "{run}", LONG],
    ],
    ids=lambda arguments: " ".join(arguments)[:20],
)
def test_a_name_that_is_too_long_is_one_line(arguments, run, corpus, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    clip = corpus.parent / "anger_0.wav"
    given = [argument.format(run=run, corpus=corpus, clip=clip) for argument in arguments]
    code = 1 if arguments[:2] == ["predict", "{run}"] else 2
    with pytest.raises(SystemExit) as caught:
        cli.main(given)
    said = capsys.readouterr().err
    assert caught.value.code in (code, 2)
    assert said.count("\n") == 1
    assert "too long" in said


def test_what_the_system_refuses_is_one_line_with_path_and_reason(monkeypatch, capsys):
    def refuse(*arguments, **options):
        raise PermissionError(errno.EACCES, "Permission denied", "locked/run")

    monkeypatch.setattr(PathosNet, "from_pretrained", refuse)
    assert error_of(capsys, "predict", "locked/run", "a.wav") == "error: locked/run: Permission denied"
