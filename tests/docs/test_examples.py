"""Every example runs, on the corpus that comes with the package."""

import csv
import io
import os
import runpy
import shutil
import sys
import warnings
from collections import Counter
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from making import write_manifest

from pathosnet.corpora.demo_corpus import demo_manifest
from pathosnet.features.registry import acoustic_features

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def rows():
    """Some of the demo corpus: of each voice and emotion the first clip, of half the voices that are for training."""
    manifest = demo_manifest()
    with manifest.open(encoding="utf-8", newline="") as file:
        first = {(row["speaker"], row["emotion"]): row for row in reversed(list(csv.DictReader(file)))}
    training = sorted({voice for (voice, _), row in first.items() if row["split"] == "train"})
    kept = [row for (voice, _), row in first.items() if voice not in training[::2]]
    return [{**row, "audio": str(manifest.parent / row["audio"])} for row in kept]


@pytest.fixture(scope="module")
def corpus(rows, tmp_path_factory):
    return write_manifest(tmp_path_factory.mktemp("corpus") / "corpus.csv", rows)


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    """The folder of a run, and what the example printed."""
    out = tmp_path_factory.mktemp("runs") / "run"
    return out, run_example("train.py", corpus, out)


def run_example(name, *arguments):
    """Runs an example in this process, as the main module, and returns what it printed."""
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(), redirect_stdout(printed):
        warnings.simplefilter("default")  # Lightning's advice about workers and logging intervals is for people
        patch.setattr(sys, "argv", [name, *map(str, arguments)])
        patch.setattr(
            acoustic_features, "_classes", dict(acoustic_features._classes)
        )  # what an example registers goes with it
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    return printed.getvalue()


def test_train_then_predict(trained):
    out, printed = trained
    assert "accuracy" in printed
    assert "anger:" in printed
    clip = next(demo_manifest().parent.rglob("*.ogg"))
    assert str(clip) in run_example("predict.py", out, clip)


def test_train_on_a_folder(rows, tmp_path):
    for row in rows:
        source = Path(row["audio"])
        (tmp_path / "clips" / row["emotion"]).mkdir(parents=True, exist_ok=True)
        shutil.copy(source, tmp_path / "clips" / row["emotion"] / source.name)
    printed = run_example("train_on_a_folder.py", tmp_path / "clips", tmp_path / "run")
    counts = Counter(row["emotion"] for row in rows)
    assert f"'anger': {counts['anger']}" in printed
    assert "accuracy" in printed
    assert (tmp_path / "run" / "config.json").is_file()


def test_fine_tune(trained, rows, tmp_path):
    own = {"happiness": "delighted", "anger": "anger", "sadness": "gloomy"}
    kept = [{**row, "emotion": own[row["emotion"]]} for row in rows if row["emotion"] in own]
    printed = run_example("fine_tune.py", trained[0], write_manifest(tmp_path / "own.csv", kept), tmp_path / "run")
    assert "before: happiness, anger, sadness, neutral" in printed
    assert "after: anger, delighted, gloomy" in printed
    assert "accuracy" in printed


def test_cross_validate(corpus, rows, tmp_path):
    printed = run_example("cross_validate.py", corpus, tmp_path / "cv")
    assert "leak: 0 of" in printed
    assert "UAR for voices like these: " in printed
    folds = [line.split(": ")[1] for line in printed.splitlines() if line.startswith("fold ")]
    assert sorted(", ".join(folds).split(", ")) == sorted({row["speaker"] for row in rows})
    assert (tmp_path / "cv" / "report.html").is_file()


def test_several_languages(rows, tmp_path):
    paths = [
        write_manifest(tmp_path / f"{language}.csv", [row for row in rows if row["language"] == language])
        for language in ("en", "it")
    ]
    printed = run_example("several_languages.py", tmp_path / "run", *paths)
    assert [line.split(":")[0] for line in printed.splitlines()] == ["en", "it", "all"]


def test_examples_are_short():
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in EXAMPLES.glob("*.py")}
    assert len(lengths) == 8
    assert {name for name, lines in lengths.items() if lines > 60} == set()


def test_lightning_trainer(corpus, tmp_path):
    printed = run_example("lightning_trainer.py", corpus, tmp_path / "model")
    assert "test_uar" in printed
    assert "mean probability" in printed
    assert "which recognizes happiness, anger, sadness, neutral" in printed


def test_own_backbone(corpus, tmp_path):
    printed = run_example("own_backbone.py", corpus, tmp_path / "run")
    assert "accuracy" in printed
    assert "saved and loaded: {'num_coefficients': 13}" in printed


@pytest.mark.skipif(os.system("espeak-ng --version > /dev/null 2>&1") != 0, reason="espeak-ng is not installed")
def test_make_demo_corpus_is_what_comes_with_the_package(tmp_path):
    run_example("../tools/make_demo_corpus.py", tmp_path / "demo")
    assert (tmp_path / "demo" / "manifest.csv").read_bytes() == demo_manifest().read_bytes()
