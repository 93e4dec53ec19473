"""What people mistype ends in one line that says so, and exit code 2."""

import pytest
from making import make_corpus

from pathosnet.cli import main

CHEAP = ["--epochs=1", "--audio-width=4", "--text-width=4", "--num-folds=2", "--logger=none", "--accelerator=cpu"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("corpus"), per_class=4)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working folder with a file where a folder is expected."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("something")
    return tmp_path


CROSS_VALIDATE = ["cross-validate", "{corpus}", *CHEAP, "--progress=false"]
TUNE = ["tune", "{corpus}", *CHEAP, "--progress=false", "--search=dropout=0.1:0.5"]
TRAIN = ["train", "{corpus}", *CHEAP, "--progress=false"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*CROSS_VALIDATE, "--out=file"], "file: is a file, expected a folder"),
        ([*CROSS_VALIDATE, "--out=file/run"], "file: is a file, expected a folder"),
        ([*CROSS_VALIDATE, "--out=run", "--seeds=0,0"], "seeds: expected each once, got 0,0"),
        ([*CROSS_VALIDATE, "--out=run", "--seeds=-1"], "seed: expected 0 to 4294967295, got -1"),
        ([*CROSS_VALIDATE, "--out=run", "--seeds=a"], "seeds: expected whole numbers"),
        ([*CROSS_VALIDATE, "--out=run", "--fold-workers=0"], "fold_workers: expected 1 or more, got 0"),
        ([*TRAIN, "--out=run", "--seed=-1"], "seed: expected 0 to 4294967295, got -1"),
        ([*TRAIN, "--out=file/run"], "file/run: cannot be written"),
        (["train", "missing.csv", "--out=run"], "missing.csv: cannot be read"),
        (["train", ".", "--out=run"], ".: cannot be read (Is a directory); expected a CSV file"),
        ([*TUNE, "--out=file"], "file: is a file, expected a folder"),
        ([*TUNE, "--out=run", "--trials=0"], "trials: expected 1 or more, got 0"),
        ([*TUNE, "--out=run", "--storage=nonsense"], "storage: expected the URL of an Optuna storage"),
        (["evaluate", "run", "{corpus}"], "run"),
        (
            ["predict", "run", "clip.wav", "--device=cuda:99"],
            "device: expected one that PyTorch has here, got 'cuda:99'",
        ),
        (["predict", "run", "clip.wav", "--device=meta"], "device: expected one that PyTorch has here, got 'meta'"),
        (["demo", "--out=file"], "file: exists and is no earlier run"),
        (["compare", "run", "other"], "run/predictions.csv: cannot be read"),
    ],
    ids=lambda value: " ".join(value[-2:]) if isinstance(value, list) else "",
)
def test_mistake(corpus, place, capsys, arguments, message):
    with pytest.raises(SystemExit, match="2"):
        main([argument.format(corpus=corpus) for argument in arguments])
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert not (place / "run" / "seed0").exists()


def test_demo_does_not_replace_an_earlier_one_unasked(place, capsys):
    (place / "demo").mkdir()
    (place / "demo" / "run.json").write_text("{}")
    with pytest.raises(SystemExit, match="2"):
        main(["demo", "--out=demo"])
    assert "demo: exists already; choose another folder with --out, or replace it with --overwrite" in (
        capsys.readouterr().err
    )
