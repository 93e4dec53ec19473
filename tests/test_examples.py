"""Every example runs, on the corpus that comes with the package."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pathosnet.corpora.demo_corpus import demo_manifest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Some of the demo corpus: of each voice and emotion, the first clip."""
    manifest = demo_manifest()
    with manifest.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    first = {(row["speaker"], row["emotion"]): row for row in reversed(rows)}
    path = tmp_path_factory.mktemp("corpus") / "corpus.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows({**row, "audio": manifest.parent / row["audio"]} for row in first.values())
    return path


def run_example(name, *arguments):
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_train_then_predict(corpus, tmp_path):
    printed = run_example("train.py", corpus, tmp_path / "run")
    assert "accuracy" in printed
    assert "anger:" in printed

    clip = next(demo_manifest().parent.rglob("*.ogg"))
    assert str(clip) in run_example("predict.py", tmp_path / "run", clip)


def test_lightning_trainer(corpus):
    assert "val_uar" in run_example("lightning_trainer.py", corpus)


def test_own_backbone(corpus, tmp_path):
    printed = run_example("own_backbone.py", corpus, tmp_path / "run")
    assert "accuracy" in printed
    assert "saved and loaded: {'num_coefficients': 13}" in printed


@pytest.mark.skipif(os.system("espeak-ng --version > /dev/null 2>&1") != 0, reason="espeak-ng is not installed")
def test_make_demo_corpus_is_what_comes_with_the_package(tmp_path):
    run_example("make_demo_corpus.py", tmp_path / "demo")
    assert (tmp_path / "demo" / "manifest.csv").read_bytes() == demo_manifest().read_bytes()
