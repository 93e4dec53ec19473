import numpy as np
import pytest
from making import make_predictions
from scipy.stats import binomtest

from pathosnet import cli
from pathosnet.errors import InputError
from pathosnet.evaluation import Predictions
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
    with pytest.raises(InputError, match=r"^[AB]: did not test row \d+ of a \(\d+.wav\) in fold \d; .* --folds"):
        compare(make_predictions(), make_predictions(num_folds=4))
    with pytest.raises(InputError, match="did not test row 61"):
        compare(make_predictions(), make_predictions(per_group=59))


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
    with pytest.raises(SystemExit) as stopped:
        cli.main(["compare", str(tmp_path / "a"), str(tmp_path / "nowhere")])
    assert stopped.value.code == 2
    assert "nowhere/predictions.csv: cannot be read" in capsys.readouterr().err
