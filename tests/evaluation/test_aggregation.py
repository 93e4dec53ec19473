import numpy as np
import pytest
from making import make_predictions
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    precision_recall_fscore_support,
    roc_auc_score,
)

from pathosnet.evaluation import Predictions
from pathosnet.evaluation.aggregation import aggregate
from pathosnet.evaluation.results import measure_results
from pathosnet.evaluation.tables import Table

GROUPS = {("iemocap", "en"): "hasn", ("emofilm", "it"): "has", ("emofilm", "es"): "has", ("angry", "de"): "a"}


def by_fold(predictions: Predictions) -> list[Predictions]:
    return list(predictions.groups("fold").values())


def test_rows_are_by_corpus_and_language_and_cumulative():
    rows = aggregate(make_predictions(GROUPS))
    assert [row.name for row in rows] == ["iemocap (en)", "emofilm (it)", "emofilm (es)", "angry (de)", "cumulative"]
    assert [row.utterances for row in rows] == [60, 60, 60, 60, 240]


def test_one_group_has_no_cumulative_row():
    assert [row.name for row in aggregate(make_predictions({("mine", ""): "hasn"}))] == ["mine"]


def test_figures_are_scikit_learns_weighted_with_samples_per_class():
    """For each fold and class the figure of scikit-learn, and the mean of all with their numbers of samples."""
    predictions = make_predictions(per_group=47)
    (row,) = aggregate(predictions)
    values = {name: [] for name in ("precision", "recall", "f1", "auc")}
    weights = []
    for fold in by_fold(predictions):
        per_class = precision_recall_fscore_support(fold.truth, fold.predicted, labels=range(4), zero_division=0)
        for label in range(4):
            weights.append(per_class[3][label])
            for name, figures in zip(("precision", "recall", "f1"), per_class, strict=False):
                values[name].append(figures[label])
            values["auc"].append(roc_auc_score(fold.truth == label, fold.probabilities[:, label]))
    for name, figures in values.items():
        assert row.figures[name] == pytest.approx(np.average(figures, weights=weights), abs=1e-6)
    assert row.figures["accuracy"] == pytest.approx(accuracy_score(predictions.truth, predictions.predicted), abs=1e-6)


def test_uar_is_the_mean_over_folds():
    predictions = make_predictions()
    (row,) = aggregate(predictions)
    recalls = [balanced_accuracy_score(fold.truth, fold.predicted) for fold in by_fold(predictions)]
    assert row.uar.mean == pytest.approx(np.mean(recalls), abs=1e-6)
    assert row.uar.sd == pytest.approx(np.std(recalls, ddof=1), abs=1e-6)


def test_pooled_uar_is_that_of_all_folds_together():
    """Fold 2 lacks a class: the mean over folds then differs from the figure of all utterances."""
    predictions = make_predictions(per_group=47, num_seeds=2).where(
        lambda row: row["fold"] != "2" or int(row["row"]) % 4 != 2
    )
    (row,) = aggregate(predictions)
    of_seeds = [balanced_accuracy_score(seed.truth, seed.predicted) for seed in predictions.groups("seed").values()]
    assert row.pooled_uar == pytest.approx(np.mean(of_seeds), abs=1e-6)
    assert row.pooled_uar != pytest.approx(row.uar.mean, abs=1e-3)
    assert row.over_seeds["uar"] == pytest.approx(
        np.std([aggregate(seed)[0].uar.mean for seed in predictions.groups("seed").values()], ddof=1), abs=1e-9
    )


def test_seeds_are_averaged():
    predictions = make_predictions(num_seeds=3)
    (row,) = aggregate(predictions)
    alone = [aggregate(seed)[0] for seed in predictions.groups("seed").values()]
    assert row.utterances == alone[0].utterances == 60
    for name, value in row.figures.items():
        assert value == pytest.approx(np.mean([one.figures[name] for one in alone]), abs=1e-9)
        assert row.over_seeds[name] == pytest.approx(np.std([one.figures[name] for one in alone], ddof=1), abs=1e-9)
    assert set(alone[0].over_seeds.values()) == {None}


def test_macro_f1_and_log_loss_are_those_of_all_folds_together():
    predictions = make_predictions(num_seeds=2)
    (row,) = aggregate(predictions)
    seeds = list(predictions.groups("seed").values())
    f1s = [f1_score(seed.truth, seed.predicted, average="macro") for seed in seeds]
    assert row.macro_f1 == pytest.approx(np.mean(f1s), abs=1e-9)
    losses = [log_loss(seed.truth, seed.probabilities) for seed in seeds]
    assert row.log_loss == pytest.approx(np.mean(losses), abs=1e-9)


def test_single_class_has_no_figures():
    row = next(row for row in aggregate(make_predictions(GROUPS)) if row.name == "angry (de)")
    assert set(row.figures.values()) == {None}
    assert row.uar is row.accuracy is row.pooled_uar is row.macro_f1 is None
    assert set(row.over_seeds.values()) == {None}
    assert row.recalls["anger"] is not None


def test_confusions_are_averaged_over_folds():
    """Of fold 0, one of two angry utterances is right, of fold 1 the only one: the mean is 0.75, not 2/3."""
    rows = tuple(
        {**dict.fromkeys(("manifest", "row", "audio", "text", "speaker", "session", "script", "language"), "")}
        | {"corpus": "a", "seed": "0", "fold": fold}
        for fold in "0011"
    )
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.8, 0.2], [0.3, 0.7]])
    (row,) = aggregate(Predictions(("anger", "joy"), rows, np.array([0, 0, 0, 1]), probabilities))
    assert row.confusion == [[0.75, 0.25], [0.0, 1.0]]


def test_class_that_does_not_occur_has_no_confusion():
    row = aggregate(make_predictions({("emofilm", "it"): "has"}))[0]
    assert row.confusion[3] == [None] * 4
    assert sum(row.confusion[0]) == pytest.approx(1)


# Tables


def table_of(*arguments, **options) -> Table:
    return measure_results(make_predictions(*arguments, **options)).table()


def test_table_shows_per_cent_and_dashes():
    lines = table_of(GROUPS).markdown().splitlines()
    assert lines[0] == "| corpus | utterances | Acc. | Prec. | Rec. | F1 | AUC | UAR |"
    assert lines[5] == "| angry (de) | 60 | – | – | – | – | – | – |"
    accuracy = aggregate(make_predictions(GROUPS))[0].figures["accuracy"]
    assert lines[2].startswith(f"| iemocap (en) | 60 | {100 * accuracy:.1f} |")


def test_csv_has_all_digits_and_empty_cells():
    predictions = make_predictions(GROUPS)
    rows = aggregate(predictions)
    lines = [line.split(",") for line in measure_results(predictions).precise_table().csv().splitlines()]
    metrics = ["accuracy", "precision", "recall", "f1", "auc", "uar"]
    sds = [f"{metric}_sd_over_seeds" for metric in metrics]
    assert lines[0] == ["corpus", "utterances", *metrics, "uar_sd", "pooled_uar", *sds, "macro_f1", "log_loss"]
    assert float(lines[1][6]) == pytest.approx(rows[0].figures["auc"], abs=1e-6)
    assert lines[1][10:16] == [""] * 6  # of a single seed
    assert lines[4][:-1] == ["angry (de)", "60", *[""] * 15]


def test_csv_has_deviations_of_several_seeds():
    predictions = make_predictions(num_seeds=2)
    rows = aggregate(predictions)
    values = measure_results(predictions).precise_table().csv().splitlines()[1].split(",")
    expected = [rows[0].over_seeds[metric] for metric in ("accuracy", "precision", "recall", "f1", "auc", "uar")]
    assert [float(value) for value in values[10:16]] == pytest.approx(expected, abs=1e-6)


def test_latex_escapes_what_it_must():
    text = table_of({("my_corpus & 50%", "en"): "hasn"}).latex()
    assert r"my\_corpus \& 50\% (en) & 60 & " in text
    assert r"$\pm$" in text
    assert text.count(r"\\") == 2


def test_terminal_table_is_aligned():
    assert len({len(line) for line in table_of(GROUPS).text().splitlines()}) == 1
