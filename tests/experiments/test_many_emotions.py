"""More emotions than the paper's four go the same way."""

import json

import pytest
from making import make_corpus, tiny_config

from pathosnet import PathosNet
from pathosnet.evaluation import Predictions
from pathosnet.experiments.cross_validate import cross_validate
from pathosnet.experiments.evaluate import evaluate
from pathosnet.experiments.train import train

EMOTIONS = ("anger", "calm", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
"""RAVDESS' eight, as sorted as labels of a corpus are."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("corpus"), emotions=EMOTIONS, per_class=6)


def test_eight_emotions_are_trained_measured_saved_and_predicted(corpus, tmp_path):
    run = train(corpus, tmp_path / "run", tiny_config(labels="corpus"))
    assert run.model.labels == EMOTIONS
    assert len(run.metrics.confusion) == 8
    again, _ = evaluate(run.folder, corpus, progress=False)
    assert again.confusion == run.metrics.confusion
    prediction = PathosNet.from_pretrained(run.folder).predict(corpus.parent / "fear_0.wav", "something else 0")
    assert tuple(prediction.probabilities) == EMOTIONS
    # Surprise is neither: it is summed apart.
    assert set(prediction.valence) == {"positive", "negative", "unknown"}
    assert sum(prediction.valence.values()) == pytest.approx(1, abs=1e-6)


def test_eight_emotions_are_cross_validated(corpus, tmp_path):
    result = cross_validate([corpus], tmp_path / "cv", tiny_config(labels="corpus", num_folds=2, epochs=1))
    assert Predictions.read(result.folder / "predictions.csv").labels == EMOTIONS
    (row,) = json.loads((result.folder / "metrics.json").read_text())["rows"]
    assert set(row["recalls"]) == set(EMOTIONS)
