"""Whether the files of a run agree with each other."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from making import (
    read_rows,
)
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score, roc_auc_score

from pathosnet import PathosNet
from pathosnet.emotions import PAPER_EMOTIONS
from pathosnet.experiments.evaluate import evaluate
from pathosnet.experiments.run_folder import Run


def assert_consistent(run: Run, corpus_path: Path, labels: tuple[str, ...] = PAPER_EMOTIONS) -> None:
    """The run's files agree with each other, with scikit-learn, and with the saved model."""
    metrics = json.loads((run.folder / "metrics.json").read_text())
    rows = read_rows(run.folder / "predictions.csv")
    split = read_rows(run.folder / "split.csv")
    manifest = read_rows(corpus_path)

    assert [row["row"] for row in rows] == [row["row"] for row in split if row["part"] == "test"]
    assert {row["part"] for row in split} == {"train", "validation", "test"}
    assert len(split) == len(manifest)
    for row in [*rows, *split]:
        assert row["emotion"] == manifest[int(row["row"]) - 2]["emotion"]
        assert row["speaker"] == manifest[int(row["row"]) - 2]["speaker"]

    probabilities = np.array([[float(row[label]) for label in labels] for row in rows])
    truth = np.array([labels.index(row["emotion"]) for row in rows])
    predicted = np.array([labels.index(row["predicted"]) for row in rows])
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert (probabilities.argmax(axis=1) == predicted).all()
    present = sorted(set(truth))
    expected = {
        "utterances": len(rows),
        "accuracy": accuracy_score(truth, predicted),
        "uar": recall_score(truth, predicted, labels=present, average="macro", zero_division=0),
        "f1": f1_score(truth, predicted, average="weighted", zero_division=0),
    }
    if len(present) == len(labels):
        expected["auc"] = roc_auc_score(truth, probabilities, multi_class="ovr", average="weighted", labels=present)
    assert {name: metrics[name] for name in expected} == pytest.approx(expected, abs=1e-6)
    assert metrics["confusion"] == confusion_matrix(truth, predicted, labels=range(len(labels))).tolist()
    assert dataclasses.asdict(run.metrics) == metrics

    measured, what = evaluate(run.folder, corpus_path, progress=False)
    assert what.startswith("the test part")
    again = dataclasses.asdict(measured)
    assert again.pop("confusion") == metrics["confusion"]
    assert again.pop("recalls") == pytest.approx(metrics["recalls"])
    # A logarithm is steep where a probability is small: what rounding changes by 1e-6 there, it changes by more here.
    assert again.pop("log_loss") == pytest.approx(metrics["log_loss"], abs=2e-5)
    assert again == pytest.approx({name: metrics[name] for name in again}, abs=1e-6)

    model = PathosNet.from_pretrained(run.folder)
    assert model.labels == labels
    for row, given in zip(rows[:3], probabilities[:3], strict=True):
        prediction = model.predict(row["audio"] or None, row["text"] or None, row["language"] or None)
        assert list(prediction.probabilities.values()) == pytest.approx(given.tolist(), abs=1e-5)
