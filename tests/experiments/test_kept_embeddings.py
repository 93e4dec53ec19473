"""What the classifier reads: drawn of test utterances, kept of training utterances."""

import json

import pytest
from making import make_corpus, tiny_config

from pathosnet import PathosNet, cli
from pathosnet.experiments.cross_validate import cross_validate
from pathosnet.experiments.train import train
from pathosnet.recognizer.training_examples import EXAMPLES_FILE, TrainingExamples


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("corpus"), sex=lambda i, _: "fm"[i % 2])


def test_a_cross_validation_draws_fold_0_and_its_models_know_groups_and_neighbors(corpus, tmp_path, capsys):
    out = tmp_path / "cv"
    cross_validate([corpus], out, tiny_config(num_folds=2, epochs=1, plot_embeddings=True), keep_models=True)
    assert sorted(str(path.relative_to(out)) for path in out.rglob("embeddings.png")) == [
        "embeddings.png",
        "seed0/fold0/embeddings.png",
    ]
    assert "What the classifier reads" in (out / "report.html").read_text()
    model = PathosNet.from_pretrained(out / "seed0" / "fold1")
    assert [one["group"] for one in model.facts.metrics["groups"] if one["column"] == "sex"] == ["f", "m"]
    assert "sex" in (out / "seed0" / "fold1" / "README.md").read_text()
    assert TrainingExamples.beside(model) is not None


def test_without_being_asked_nothing_is_drawn_and_later_it_is_said(corpus, tmp_path, capsys):
    out, config = tmp_path / "cv", tiny_config(num_folds=2, epochs=1)
    cross_validate([corpus], out, config)
    assert "What the classifier reads" not in (out / "report.html").read_text()
    assert not list(out.rglob(EXAMPLES_FILE))
    cross_validate([corpus], out, config.replace(plot_embeddings=True))
    assert "no picture of embeddings: fold 0 was trained before it was asked for" in capsys.readouterr().err


def test_a_run_of_dimensions_keeps_their_values(corpus, tmp_path):
    rated = make_corpus(tmp_path / "rated", valence=lambda i, _: i % 5, arousal=lambda i, _: i % 3)
    config = tiny_config(targets=("valence", "arousal"), epochs=1, plot_embeddings=True)
    run = train(rated, tmp_path / "run", config)
    assert (run.folder / "embeddings.png").is_file()
    kept = TrainingExamples.beside(PathosNet.from_pretrained(run.folder))
    assert len(kept.rows) == len(run.split.train)
    assert kept.rows[0]["label"].startswith("valence ")


def test_evaluate_draws_them_and_names_the_file_beside_json(corpus, tmp_path, capsys):
    run = train(corpus, tmp_path / "run", tiny_config(epochs=1))
    capsys.readouterr()
    picture = tmp_path / "what.svg"
    cli.main(["evaluate", str(run.folder), str(corpus), "--part", "all", "--plot-embeddings", str(picture), "--json"])
    captured = capsys.readouterr()
    assert "accuracy" in json.loads(captured.out)
    assert f"written: {picture}" in captured.err
    assert picture.read_text().startswith("<?xml")
