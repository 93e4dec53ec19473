"""``--targets`` in every command."""

import csv
import json
from pathlib import Path

import pytest
from making import TINY, make_corpus, write_tone

from pathosnet import cli

QUICK = [
    *(f"--{name}={value}" for name, value in {**TINY, "progress": "false"}.items() if name != "epochs"),
    "--epochs=1",
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return make_corpus(
        tmp_path_factory.mktemp("corpus"), valence=lambda number, _: number % 7, dominance=lambda number, _: number
    )


@pytest.fixture(scope="module")
def model(corpus, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    cli.main(
        ["train", str(corpus), "--out", str(out), "--preset", "dimensions", "--targets", "valence,dominance", *QUICK]
    )
    return out


def run(capsys, *arguments) -> str:
    capsys.readouterr()
    cli.main([str(argument) for argument in arguments])
    return capsys.readouterr().out


def test_training_says_how_near_the_estimates_come(corpus, tmp_path, capsys):
    said = run(capsys, "train", corpus, "--out", tmp_path / "run", "--targets", "valence", *QUICK)
    assert [line.partition(":")[0] for line in said.splitlines()] == ["split", "test", "leak", "kept", "saved"]
    assert "mean CCC" in said


def test_evaluation_has_a_line_for_each_dimension(model, corpus, tmp_path, capsys):
    said = run(capsys, "evaluate", model, corpus, "--plot", tmp_path / "estimates.png").splitlines()
    assert said[0].startswith("the test part")
    assert said[1].startswith("mean CCC")
    assert said[3].split() == ["CCC", "Pearson", "RMSE"]
    assert [line.split()[0] for line in said[4:6]] == ["valence", "dominance"]
    assert said[6:] == [f"written: {tmp_path / 'estimates.png'}"]
    assert (tmp_path / "estimates.png").read_bytes().startswith(b"\x89PNG")
    found = json.loads(run(capsys, "evaluate", model, corpus, "--json"))
    assert set(found) == {"what", "utterances", "mean_ccc", "ccc", "pearson", "rmse"}


def test_prediction_gives_numbers(model, corpus, tmp_path, capsys):
    clip = corpus.parent / "anger_0.wav"
    said = run(capsys, "predict", model, clip, "--text", "go away")
    assert said.startswith(f"{clip}: valence ")
    assert ", dominance " in said
    answer = json.loads(run(capsys, "predict", model, clip, "--text", "go away", "--json"))
    assert set(answer) == {"audio", "dimensions", "warnings"}
    assert answer["warnings"] == ["shorter than half a second"]
    assert f"valence {answer['dimensions']['valence']:.2f}" in said


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_tables_have_numbers_and_what_failed(model, corpus, tmp_path, capsys, suffix):
    out = tmp_path / f"out.{suffix}"
    with pytest.raises(SystemExit) as stopped:
        run(capsys, "predict", model, corpus.parent / "anger_0.wav", tmp_path / "none.wav", "--out", out)
    assert stopped.value.code == 1
    text = out.read_text(encoding="utf-8")
    if suffix == "csv":
        good, bad = csv.DictReader(text.splitlines())
        assert list(good) == ["audio", "valence", "dominance", "error"]
        alone = json.loads(run(capsys, "predict", model, corpus.parent / "anger_0.wav", "--json"))
        for name, value in alone["dimensions"].items():
            assert float(good[name]) == pytest.approx(value, abs=1e-4)
        assert (bad["valence"], bad["dominance"]) == ("", "")
        assert "no such audio file" in bad["error"]
    else:
        good, bad = map(json.loads, text.splitlines())
        assert set(good["dimensions"]) == {"valence", "dominance"}
        assert set(bad) == {"audio", "error"}


def test_timeline_has_numbers_for_each_segment(model, tmp_path, capsys):
    talk = write_tone(tmp_path / "talk.wav", seconds=3.0)
    out, plot = tmp_path / "out.csv", tmp_path / "out.png"
    cut = ["--segments", "windows", "--window-seconds", "1"]
    said = run(capsys, "predict", model, talk, "--timeline", out, "--plot", plot, *cut)
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert list(rows[0]) == ["start", "end", "valence", "dominance", "text"]
    lengths = [float(row["end"]) - float(row["start"]) for row in rows]
    mean = sum(length * float(row["valence"]) for length, row in zip(lengths, rows, strict=True)) / sum(lengths)
    assert f"{len(rows)} segments, 3.0 s (means: valence {mean:.2f}, dominance " in said
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_cross_validation_and_comparison(corpus, tmp_path, capsys):
    out = tmp_path / "cv"
    said = run(capsys, "cross-validate", corpus, "--out", out, "--targets", "valence", "--num-folds", "2", *QUICK)
    assert said.split("\n")[0].split("  ")[-1].strip() == "CCC mean"
    assert f"report: {out / 'report.html'}" in said
    with pytest.raises(SystemExit) as stopped:
        run(capsys, "compare", out, out)
    assert stopped.value.code == 2
    assert "it holds estimates, not classes" in capsys.readouterr().err


def test_fine_tuning_takes_targets(model, corpus, tmp_path, capsys):
    options = [option for option in QUICK if "width" not in option]
    said = run(capsys, "finetune", model, corpus, "--out", tmp_path / "run", "--targets", "dominance", *options)
    assert "mean CCC" in said


def test_search_of_options_takes_targets(corpus, tmp_path, capsys):
    said = run(
        capsys,
        *("tune", corpus, "--out", tmp_path / "search", "--targets", "valence", "--trials", "1"),
        *("--search", "dropout=0.1:0.5", *QUICK),
    )
    assert "best:   validation loss" in said


def test_preset_for_emotions_says_what_is_for_numbers(corpus, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run(capsys, "train", corpus, "--out", tmp_path / "run", "--preset", "offline", "--targets", "valence")
    assert "For numbers there is --preset dimensions" in capsys.readouterr().err
