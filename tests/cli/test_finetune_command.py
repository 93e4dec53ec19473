import json

import pytest
from making import make_corpus, tiny_config

from pathosnet.cli import main
from pathosnet.experiments.train import train


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def model(corpus, tmp_path_factory):
    return train(corpus, tmp_path_factory.mktemp("runs") / "model", tiny_config(epochs=1)).folder


def test_finetune(model, corpus, tmp_path, capsys):
    out = tmp_path / "run"
    command = ["finetune", str(model), str(corpus), "--out", str(out), "--train", "classifier", "--epochs", "1"]
    main([*command, "--accelerator", "cpu", "--logger", "none", "--progress", "false"])
    printed = capsys.readouterr().out
    assert "test:   accuracy" in printed
    assert f"saved:  {out}" in printed
    described = json.loads((out / "run.json").read_text())
    assert described["config"]["learning_rate"] == 3e-4
    assert described["config"]["labels"] == ["corpus"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing-model", "{corpus}"], "missing-model: "),
        (["{model}", "missing.csv"], "missing.csv: cannot be read"),
        (["{model}", "{corpus}", "--audio-width", "8"], "audio_width"),
        (["{model}", "{corpus}", "--train", "everything"], "everything"),
    ],
)
def test_mistakes_end_in_one_line(model, corpus, tmp_path, capsys, arguments, message):
    given = [argument.format(model=model, corpus=corpus) for argument in arguments]
    with pytest.raises(SystemExit, match="2"):
        main(["finetune", *given, "--out", str(tmp_path / "run")])
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
