import json

import numpy as np
import pytest
from making import make_predictions
from scipy.stats import binomtest

from pathosnet import cli
from pathosnet.errors import InputError
from pathosnet.evaluation import Predictions
from pathosnet.evaluation.aggregation import aggregate
from pathosnet.evaluation.comparison import compare

WORSE = {"skill": 0.3}


def test_difference_and_its_test():
    better, worse = make_predictions(per_group=200), make_predictions(per_group=200, **WORSE)
    found = compare(worse, better)
    right = [p.predicted == p.truth for p in (worse, better)]
    first, second = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    assert (found.only_first_right, found.only_second_right) == (first, second)
    assert found.p_value == pytest.approx(binomtest(second, first + second).pvalue)
    difference = found.differences["accuracy"]
    assert difference.value == pytest.approx(right[1].mean() - right[0].mean())
    assert difference.low < difference.value < difference.high
    assert difference.low > 0


def test_run_does_not_differ_from_itself():
    predictions = make_predictions()
    found = compare(predictions, predictions)
    assert found.p_value == 1
    assert found.differences["uar"].value == found.differences["uar"].low == found.differences["uar"].high == 0


def test_order_of_the_rows_does_not_matter():
    predictions, other = make_predictions(), make_predictions(**WORSE)
    shuffled = other.take(np.random.default_rng(0).permutation(len(other)))
    assert compare(predictions, shuffled).differences == compare(predictions, other).differences


def test_folders_may_differ():
    predictions = make_predictions()
    moved = tuple({**row, "audio": f"/elsewhere/{row['audio'].rpartition('/')[2]}"} for row in predictions.rows)
    other = Predictions(predictions.labels, moved, predictions.truth, predictions.probabilities)
    assert compare(predictions, other).p_value == 1


def test_seeds_are_averaged_for_each_utterance():
    one, three = make_predictions(), make_predictions(num_seeds=3)
    found = compare(one, three)
    assert found.seeds == (1, 3)
    assert found.utterances == 60
    means = (three.predicted == three.truth).mean() - (one.predicted == one.truth).mean()
    assert found.differences["accuracy"].value == pytest.approx(means)
    assert "an utterance counts with its mean over the seeds" in found.text()


def test_other_folds_cannot_be_compared():
    with pytest.raises(InputError, match=r"^B: did not test row 5 of a \(3.wav\) in fold 0, as A did .* --folds"):
        compare(make_predictions(), make_predictions(num_folds=4))
    with pytest.raises(InputError, match=r"^B: did not test row 61 .*\(1 tests are in A alone, 0 in B alone\)"):
        compare(make_predictions(), make_predictions(per_group=59))
    with pytest.raises(InputError, match=r"^A: did not test row 61 .* as B did"):
        compare(make_predictions(per_group=59), make_predictions())


def test_rows_of_the_same_name_stand_side_by_side():
    """Runs may have read their corpora in another order."""
    groups = {("x", "en"): "hasn", ("y", "it"): "has", ("z", ""): "hasn"}
    first, second = make_predictions(groups), make_predictions(groups, **WORSE)
    found = compare(first, second.take(range(len(second))[::-1]))
    assert [(a.name, b.name) for a, b in found.rows] == [(n, n) for n in ("x (en)", "y (it)", "z", "cumulative")]
    expected = {row.name: row.figures["accuracy"] for row in aggregate(second)}
    assert {b.name: b.figures["accuracy"] for _, b in found.rows} == pytest.approx(expected)


def test_other_languages_cannot_be_compared():
    with pytest.raises(InputError, match=r"^B: has the corpora and languages a \(it\); expected those of A, a \(en\)"):
        compare(make_predictions(), make_predictions({("a", "it"): "hasn"}))


def test_other_emotions_cannot_be_compared():
    predictions = make_predictions()
    truth = np.where(np.arange(60) < 3, (predictions.truth + 1) % 4, predictions.truth)
    other = Predictions(predictions.labels, predictions.rows, truth, predictions.probabilities)
    with pytest.raises(InputError, match=r"^B: has another emotion than A for row \d+ of a .* and 2 other utterances"):
        compare(predictions, other)


def test_utterances_that_look_the_same_are_not_taken_for_seeds():
    predictions = make_predictions()
    twice = Predictions.join([predictions, predictions])
    with pytest.raises(InputError, match=r"^A: tested row 2 of a \(0.wav\) in fold 0 twice; give each corpus a name"):
        compare(twice, twice)


def test_other_labels_cannot_be_compared():
    with pytest.raises(InputError, match="has the labels"):
        compare(make_predictions(), make_predictions(labels=("happiness", "anger", "sadness", "nothing")))


def test_command(tmp_path, capsys):
    for name, options in (("a", WORSE), ("b", {})):
        (tmp_path / name).mkdir()
        make_predictions({("x", "en"): "hasn", ("one", ""): "a"}, **options).write(tmp_path / name / "predictions.csv")
    cli.main(["compare", str(tmp_path / "a"), str(tmp_path / "b")])
    shown = capsys.readouterr().out
    assert "McNemar's exact test p = " in shown
    assert len({len(line) for line in shown.splitlines()[2:6]}) == 1
    assert "–" in shown.splitlines()[4]
    cli.main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--json"])
    read = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in read["rows"][0]] == ["x (en)", "x (en)"]
    assert read["utterances"] == 120
    assert set(read["differences"]) == {"accuracy", "uar"}
    with pytest.raises(SystemExit) as stopped:
        cli.main(["compare", str(tmp_path / "a"), str(tmp_path / "nowhere")])
    assert stopped.value.code == 2
    assert "nowhere/predictions.csv: cannot be read" in capsys.readouterr().err
