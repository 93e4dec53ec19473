"""Evaluation with features that are adapted to unlabeled recordings."""

import json

import pytest
from making import make_corpus, tiny_config

from pathosnet import InputError
from pathosnet.experiments.cross_validate import cross_validate
from pathosnet.experiments.evaluate import evaluate
from pathosnet.experiments.train import train

SAID = "features adapted to each speaker's own unlabeled recordings (normalize: speaker)"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def runs(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return {
        kind: train(corpus, folder / kind, tiny_config(normalize=kind, text=("none",))) for kind in ("none", "speaker")
    }


def test_evaluation_adapts_as_the_run_was_trained(runs, corpus):
    metrics, what = evaluate(runs["speaker"].folder, corpus, progress=False)
    assert what.startswith(f"{SAID}; the test part of")
    assert metrics == runs["speaker"].metrics
    plain, what = evaluate(runs["none"].folder, corpus, progress=False)
    assert "adapted" not in what
    assert plain == runs["none"].metrics


def test_option_adapts_any_model_and_switches_it_off(runs, corpus):
    plain, _ = evaluate(runs["none"].folder, corpus, "all", progress=False)
    adapted, what = evaluate(runs["none"].folder, corpus, "all", progress=False, normalize="speaker")
    assert what.startswith(SAID)
    assert adapted.log_loss != pytest.approx(plain.log_loss, abs=1e-6)
    off, what = evaluate(runs["speaker"].folder, corpus, progress=False, normalize="none")
    assert "adapted" not in what
    assert off.log_loss != pytest.approx(runs["speaker"].metrics.log_loss, abs=1e-6)
    _, what = evaluate(runs["none"].folder, corpus, "all", progress=False, normalize="corpus")
    assert what.startswith("features adapted to each corpus's own")


def test_model_that_cannot_adapt_says_so(corpus, tmp_path):
    train(corpus, tmp_path / "text", tiny_config(acoustic=("none",)))
    with pytest.raises(InputError, match="normalize: speaker needs a model with acoustic features"):
        evaluate(tmp_path / "text", corpus, "all", progress=False, normalize="speaker")
    with pytest.raises(InputError, match="normalize: expected none, speaker or corpus, got 'session'"):
        evaluate(tmp_path / "text", corpus, "all", progress=False, normalize="session")


def test_train_and_cross_validation_say_it_first(runs, corpus, tmp_path):
    assert runs["speaker"].adapted == SAID
    assert runs["none"].adapted == ""
    config = tiny_config(normalize="speaker", text=("none",), num_folds=2, epochs=1)
    assert cross_validate([corpus], tmp_path / "cv", config).adapted == SAID
    page = (tmp_path / "cv" / "report.html").read_text(encoding="utf-8")
    assert "<p>Features adapted to each speaker" in page
    assert json.loads((tmp_path / "cv" / "experiment.json").read_text())["run"]["normalize"] == "speaker"
