"""``--labels`` and ``--targets`` together, in every command."""

import csv
import json
from pathlib import Path

import pytest
from making import TINY, make_corpus, write_tone

from pathosnet import cli
from pathosnet.emotions import PAPER_EMOTIONS

QUICK = [
    *(f"--{name}={value}" for name, value in {**TINY, "progress": "false"}.items() if name != "epochs"),
    "--epochs=1",
]
BOTH = ["--labels", ",".join(PAPER_EMOTIONS), "--targets", "valence,dominance"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return make_corpus(
        tmp_path_factory.mktemp("corpus"),
        sex=lambda number, _: "fm"[number % 2],
        valence=lambda number, _: number % 7,
        dominance=lambda number, _: number,
    )


@pytest.fixture(scope="module")
def model(corpus, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    cli.main(["train", str(corpus), "--out", str(out), *BOTH, *QUICK])
    return out


def run(capsys, *arguments) -> str:
    capsys.readouterr()
    cli.main([str(argument) for argument in arguments])
    return capsys.readouterr().out


def test_evaluation_has_a_block_of_each_kind(model, corpus, tmp_path, capsys):
    said = run(capsys, "evaluate", model, corpus, "--part=all", "--by=sex", "--plot", tmp_path / "both.png")
    assert "UAR" in said.splitlines()[1]
    assert "mean CCC" in said.splitlines()[1]
    for line in ("true \\ predicted", "CCC  Pearson", "UAR % or mean CCC", "mean CCC "):
        assert line in said
    assert (tmp_path / "both.png").read_bytes().startswith(b"\x89PNG")
    found = json.loads(run(capsys, "evaluate", model, corpus, "--json"))
    assert {"uar", "recalls", "mean_ccc", "rmse", "rated"} <= set(found)


def test_prediction_has_label_probabilities_and_numbers(model, corpus, tmp_path, capsys):
    clip, out = corpus.parent / "anger_0.wav", tmp_path / "out.csv"
    answer = json.loads(run(capsys, "predict", model, clip, "--text", "go away", "--json"))
    assert list(answer["probabilities"]) == list(PAPER_EMOTIONS)
    assert list(answer["dimensions"]) == ["valence", "dominance"]
    assert answer["label"] in PAPER_EMOTIONS
    said = run(capsys, "predict", model, clip, "--text", "go away")
    assert said.startswith(f"{clip}: {answer['label']} (")
    assert f"valence {answer['dimensions']['valence']:.2f}" in said
    run(capsys, "predict", model, clip, "--text", "go away", "--out", out)
    (row,) = csv.DictReader(out.read_text(encoding="utf-8").splitlines())
    assert list(row) == ["audio", "label", *PAPER_EMOTIONS, "valence", "dominance", "error"]
    assert float(row["valence"]) == pytest.approx(answer["dimensions"]["valence"], rel=1e-4)


def test_timeline_has_both(model, tmp_path, capsys):
    talk = write_tone(tmp_path / "talk.wav", seconds=3.0)
    out, plot = tmp_path / "out.csv", tmp_path / "out.png"
    cut = ["--segments", "windows", "--window-seconds", "1"]
    said = run(capsys, "predict", model, talk, "--timeline", out, "--plot", plot, *cut)
    assert " of it; means: valence " in said
    assert plot.read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader(out.read_text(encoding="utf-8").splitlines()))
    assert list(rows[0]) == ["start", "end", "label", *PAPER_EMOTIONS, "valence", "dominance", "text"]


def test_explanation_is_of_an_emotion_or_of_a_dimension(model, corpus, tmp_path, capsys):
    for label in ("anger", "valence"):
        plot = tmp_path / f"{label}.png"
        run(
            capsys,
            "explain",
            model,
            corpus.parent / "anger_0.wav",
            "--text=go away",
            f"--label={label}",
            f"--plot={plot}",
        )
        assert plot.read_bytes().startswith(b"\x89PNG")


def test_targets_alone_ask_for_no_labels(corpus, tmp_path, capsys):
    (tmp_path / "labels.yaml").write_text("labels: [happiness, anger, sadness, neutral]\n")
    (tmp_path / "both.yaml").write_text("labels: [happiness, anger]\ntargets: [valence]\n")
    for options, labels, targets in (
        (["--config", tmp_path / "labels.yaml", "--targets=valence"], "[]", "- valence"),
        (["--preset=dimensions", "--labels=anger,neutral"], "- anger", "- valence"),
        (["--config", tmp_path / "both.yaml", "--epochs=1"], "- happiness", "- valence"),
    ):
        said = run(capsys, "train", corpus, "--out", tmp_path / "none", *options, "--print-config")
        assert f"labels: {labels}" in said.replace("labels:\n", "labels: ")
        assert f"targets: {targets}" in said.replace("targets:\n", "targets: ")
