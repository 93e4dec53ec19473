import csv
import subprocess
import sys
import time
from collections import Counter

import soundfile

from pathosnet.corpora.demo_corpus import demo_manifest


def read_rows():
    with demo_manifest().open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_demo_corpus_keeps_its_promises():
    rows = read_rows()
    files = [demo_manifest().parent / row["audio"] for row in rows]
    assert sum(file.stat().st_size for file in demo_manifest().parent.rglob("*") if file.is_file()) <= 4_000_000
    assert {row["language"] for row in rows} == {"en", "it", "es", "el"}
    assert {row["emotion"] for row in rows} == {"happiness", "anger", "sadness", "neutral"}
    assert len(set(Counter(row["emotion"] for row in rows).values())) == 1
    speakers = {part: {row["speaker"] for row in rows if row["split"] == part} for part in ("train", "test")}
    assert speakers["test"]
    assert not speakers["train"] & speakers["test"]
    for file in files[::20]:
        samples, rate = soundfile.read(file)
        assert rate == 16_000
        assert 0.05 < abs(samples).max() < 1.0


def test_the_demo_trains_tests_and_predicts_in_two_minutes(tmp_path):
    started = time.monotonic()
    command = [sys.executable, "-m", "pathosnet", "demo", "--out", str(tmp_path / "demo")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    seconds = time.monotonic() - started
    assert result.returncode == 0, result.stderr
    assert "The model small, which comes with the package, on a clip of the demo" in result.stdout
    assert "of 64 clips of synthetic speech, which it never heard" in result.stdout
    assert "Voices that the training never heard: accuracy" in result.stdout
    assert "PathosNet.from_pretrained" in result.stdout
    assert (tmp_path / "demo" / "confusion_matrix.png").stat().st_size > 10_000
    assert (tmp_path / "demo" / "model.safetensors").is_file()
    assert seconds < 120
