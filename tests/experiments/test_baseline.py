import numpy as np
import pytest
import torch
from making import make_corpus, tiny_config
from sklearn.preprocessing import StandardScaler

from pathosnet import cli
from pathosnet.errors import InputError
from pathosnet.evaluation import Predictions
from pathosnet.evaluation.comparison import compare
from pathosnet.experiments.baseline import CLASSIFIERS, baseline, pool
from pathosnet.experiments.prepare import prepare, read_corpus
from pathosnet.features.table import FeatureTable


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("corpus"))


def options(**changes):
    return tiny_config(acoustic="logmel", text="none", split="random", num_folds=2, **changes)


def test_sequences_are_averaged_and_put_side_by_side():
    table = FeatureTable(
        {"a": [torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.zeros(0, 2)], "b": [torch.ones(1, 1), torch.ones(2, 1)]},
        torch.zeros(2),
    )
    assert pool(table).tolist() == [[2.0, 3.0, 1.0], [0.0, 0.0, 1.0]]


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_predictions_are_scikit_learns(tmp_path, corpus, classifier):
    run = baseline([corpus], tmp_path / "run", options(), classifier=classifier)
    prepared = prepare(read_corpus([corpus], options()), options())
    features, truth = pool(prepared.table), prepared.table.targets.numpy()
    for fold in "01":
        tested = run.predictions.where(lambda row, fold=fold: row["fold"] == fold)
        rows = [int(row) - 2 for row in tested.column("row")]
        rest = np.setdiff1d(np.arange(len(truth)), rows)
        scaler = StandardScaler().fit(features[rest])
        model = CLASSIFIERS[classifier].make(CLASSIFIERS[classifier].strength)
        expected = model.fit(scaler.transform(features[rest]), truth[rest]).predict(scaler.transform(features[rows]))
        assert tested.outputs.argmax(axis=1).tolist() == expected.tolist()
        assert tested.truth.tolist() == truth[rows].tolist()


def test_runs_are_paired_with_others_on_the_same_folds(tmp_path, corpus):
    first = baseline([corpus], tmp_path / "first", options())
    second = baseline([corpus], tmp_path / "second", options(), classifier="logistic")
    assert (tmp_path / "first" / "report.html").is_file()
    assert compare(Predictions.read(first.folder / "predictions.csv"), second.predictions).utterances == len(
        first.predictions
    )


def test_a_finished_run_is_not_done_again_and_another_is_not_overwritten(tmp_path, corpus):
    baseline([corpus], tmp_path / "run", options())
    marked = tmp_path / "run" / "seed0" / "fold0" / "mark"
    marked.touch()
    baseline([corpus], tmp_path / "run", options())
    assert marked.exists()
    with pytest.raises(InputError, match="holds a run with other strength; choose another folder"):
        baseline([corpus], tmp_path / "run", options(), strength=2.0)
    baseline([corpus], tmp_path / "run", options(), strength=2.0, overwrite=True)
    assert not marked.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classifier": "forest"}, "classifier: expected svm, linear-svm, logistic, got 'forest'"),
        ({"strength": 0.0}, "strength: expected a number above 0"),
    ],
)
def test_what_cannot_be_used(tmp_path, corpus, changes, message):
    with pytest.raises(InputError, match=message):
        baseline([corpus], tmp_path / "run", options(), **changes)


def test_command(tmp_path, corpus, capsys):
    arguments = ["--acoustic", "logmel", "--folds", "random", "--num-folds", "2", "--classifier", "logistic"]
    cli.main(["baseline", str(corpus), "--out", str(tmp_path / "run"), *arguments])
    said = capsys.readouterr().out
    assert "UAR" in said
    assert "report:" in said
