"""Emotions and dimensions together in one model: training, testing, saving, fine-tuning, cross-validation."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from making import PITCH, make_corpus, read_rows, tiny_config, write_manifest

from pathosnet import PathosNet
from pathosnet.emotions import PAPER_EMOTIONS
from pathosnet.errors import InputError
from pathosnet.evaluation import MultiTaskPredictions, Predictions, measure, measure_dimensions
from pathosnet.experiments.config import FINETUNE_DEFAULTS
from pathosnet.experiments.cross_validate import cross_validate
from pathosnet.experiments.evaluate import evaluate
from pathosnet.experiments.finetune import finetune
from pathosnet.experiments.robustness import measure_robustness
from pathosnet.experiments.train import train
from pathosnet.recognizer.export import check, export
from pathosnet.targets import ClassTarget, DimensionTarget, MultiTaskTarget

DIMENSIONS = ("valence", "activation")
TARGET = MultiTaskTarget.of(PAPER_EMOTIONS, DIMENSIONS)
VALENCE = {"happiness": 70.0, "anger": 20.0, "sadness": 10.0, "neutral": 50.0}


def config(**changes):
    return tiny_config(**{"labels": PAPER_EMOTIONS, "targets": DIMENSIONS, "epochs": 2, **changes})


def noise(number: int) -> float:
    return 0.3 * ((number * 7) % 5 - 2)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """Emotion and valence follow the words, activation the pitch; of every eighth row one kind is not known."""
    path = make_corpus(
        tmp_path_factory.mktemp("corpus"),
        language="en",
        sex=lambda number, _: "fm"[number % 2],
        valence=lambda number, emotion: "" if number % 8 == 3 else VALENCE[emotion] + noise(number),
        activation=lambda number, emotion: "" if number % 8 == 3 else PITCH[emotion] / 400 + noise(number) / 10,
    )
    rows = [{**row, "emotion": "" if i % 8 == 6 else row["emotion"]} for i, row in enumerate(read_rows(path))]
    return write_manifest(path, rows)


@pytest.fixture(scope="module")
def run(corpus, tmp_path_factory):
    """Trained long enough to have learned it."""
    pace = {"epochs": 40, "learning_rate": 3e-3, "learning_rate_decay": 0.03, "dropout": 0.2, "patience": 40}
    widths = {"audio_width": 16, "text_width": 16, "batch_norm_momentum": 0.1}
    return train(corpus, tmp_path_factory.mktemp("runs") / "run", config(**pace, **widths))


@pytest.fixture(scope="module")
def alone(corpus, tmp_path_factory) -> dict[str, Path]:
    """A model of emotions alone, and one of dimensions alone."""
    place = tmp_path_factory.mktemp("alone")
    full = [row for row in read_rows(corpus) if row["emotion"] and row["valence"]]
    write_manifest(corpus.with_name("full.csv"), full)
    options = {"emotions": {"targets": ""}, "dimensions": {"labels": ""}}
    return {
        name: train(corpus.with_name("full.csv"), place / name, config(epochs=1, **own)).folder
        for name, own in options.items()
    }


def test_both_kinds_are_learned_and_measured_where_they_are_known(run):
    assert run.metrics.uar > 0.7
    assert run.metrics.mean_ccc > 0.7
    assert run.metrics.rmse["valence"] < 20  # in the units of the corpus
    assert run.calibration is not None
    assert run.probe is not None
    assert "UAR" in run.metrics.summary()
    assert "mean CCC" in run.metrics.summary()
    told = MultiTaskPredictions.read(run.folder / "predictions.csv")
    assert run.metrics.utterances == np.isfinite(told.truth[:, 0]).sum()
    assert run.metrics.rated == np.isfinite(told.truth[:, 1:]).all(axis=1).sum()


def test_the_epoch_is_chosen_by_the_mean_of_both_figures(run):
    for stage in json.loads((run.folder / "run.json").read_text())["stages"]:
        best, history = stage["best"], stage["history"]
        assert best["val_uar_ccc"] == pytest.approx((best["val_uar"] + best["val_ccc"]) / 2)
        assert best["val_uar_ccc"] == max(epoch["val_uar_ccc"] for epoch in history)


def test_folder_holds_what_both_kinds_of_runs_hold(run):
    files = {path.name for path in run.folder.iterdir()}
    assert {"confusion_matrix.png", "estimates.png", "predictions.csv", "metrics.json"} <= files
    card = (run.folder / "README.md").read_text()
    assert "Tells 4 emotions in speech apart: happiness, anger, sadness, neutral." in card
    assert "Estimates valence, activation in speech as numbers." in card
    assert "| unweighted average recall | 0." in card or "| unweighted average recall | 1." in card
    assert "concordance correlation coefficient of valence | 0." in card
    found = json.loads((run.folder / "metrics.json").read_text())
    assert {"uar", "recalls", "mean_ccc", "ccc", "rmse", "utterances", "rated"} <= set(found)


def test_tables_are_read_as_they_were_written(run, tmp_path):
    told = MultiTaskPredictions.read(run.folder / "predictions.csv")
    told.write(tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == (run.folder / "predictions.csv").read_bytes()
    assert told.target == TARGET
    (labeled, emotions), (rated, estimates) = told.parts()
    assert emotions.truth.tolist() == told.truth[labeled, 0].tolist()
    assert estimates.truth.tolist() == told.truth[rated, 1:].tolist()
    expected = measure(emotions.truth, emotions.outputs, PAPER_EMOTIONS)
    assert run.metrics.uar == pytest.approx(expected.uar, abs=1e-6)
    assert run.metrics.log_loss == pytest.approx(expected.log_loss, abs=1e-6)
    ccc = measure_dimensions(estimates.truth, estimates.outputs, DIMENSIONS).ccc
    assert run.metrics.ccc == pytest.approx(ccc, abs=1e-6)


def test_table_of_both_is_none_of_emotions_alone(run):
    with pytest.raises(InputError, match="holds estimates of valence, activation as well; expected classes alone"):
        Predictions.read(run.folder / "predictions.csv")


def test_saved_model_answers_the_same(run, corpus):
    model = PathosNet.from_pretrained(run.folder)
    assert model.target == TARGET
    assert "tells apart happiness, anger, sadness, neutral; estimates valence, activation" in repr(model)
    metrics, _ = evaluate(run.folder, corpus, progress=False)
    assert metrics.ccc == pytest.approx(run.metrics.ccc, abs=1e-5)
    assert metrics.uar == pytest.approx(run.metrics.uar)
    told = MultiTaskPredictions.read(run.folder / "predictions.csv")
    answer = model.predict(told.rows[0]["audio"], told.rows[0]["text"], "en")
    assert list(answer.values.values()) == pytest.approx(told.outputs[0].tolist(), rel=1e-4)
    assert answer.label == max(answer.probabilities, key=answer.probabilities.__getitem__)
    assert list(answer.dimensions) == list(DIMENSIONS)
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    silent = model.predict(torch.zeros(16_000), sample_rate=16_000)
    assert (silent.label, set(silent.probabilities.values())) == ("", {0.25})
    assert list(silent.dimensions) == list(DIMENSIONS)


def test_corpus_of_one_kind_is_enough_to_evaluate(run, corpus, tmp_path):
    rows = [row for row in read_rows(corpus) if row["emotion"] and row["valence"]]
    path = write_manifest(corpus.with_name("emotions.csv"), [{k: row[k] for k in ("audio", "emotion")} for row in rows])
    emotions, _ = evaluate(run.folder, path, progress=False)
    assert not hasattr(emotions, "ccc")
    path = write_manifest(
        corpus.with_name("ratings.csv"), [{k: row[k] for k in ("audio", *DIMENSIONS)} for row in rows]
    )
    ratings, _ = evaluate(run.folder, path, progress=False, plot=tmp_path / "picture.png")
    assert not hasattr(ratings, "uar")
    with pytest.raises(InputError, match="expected a column emotion, or valence, activation; it has neither"):
        evaluate(run.folder, write_manifest(corpus.with_name("no.csv"), [{"audio": rows[0]["audio"]}]), progress=False)


def test_row_without_anything_is_refused(corpus):
    rows = read_rows(corpus)
    rows[2] |= {"emotion": "", "valence": "", "activation": ""}
    with pytest.raises(InputError, match=r"row 4: has neither an emotion nor a number"):
        train(write_manifest(corpus.with_name("empty.csv"), rows), corpus.parent / "none", config())


def test_exported_model_answers_the_same(run, tmp_path):
    model = PathosNet.from_pretrained(run.folder)
    export(model, tmp_path / "model.pt2")
    about = json.loads((tmp_path / "model.pt2.json").read_text())
    assert about["network"]["outputs"] == {"answers": ["batch", 6]}
    assert about["labels"] == [*PAPER_EMOTIONS, *DIMENSIONS]
    assert about["dimensions"] == list(DIMENSIONS)
    assert max(check(model, tmp_path / "model.pt2").values()) < 1e-2  # of numbers up to 70


STILL = {**FINETUNE_DEFAULTS, "epochs": 1, "learning_rate": 1e-12, "min_learning_rate": 1e-12}


def test_fine_tuning_to_one_kind_keeps_its_weights(run, corpus, alone, tmp_path):
    """With a rate that changes nothing, the model still answers what it answered."""
    full, clip = corpus.with_name("full.csv"), corpus.parent / "anger_0.wav"
    before = run.model.predict(clip, "go away now")
    numbers = finetune(
        run.folder,
        full,
        tmp_path / "n",
        config=tiny_config(**STILL | {"labels": ""}, targets="activation"),
        train="classifier",
    )
    assert isinstance(numbers.model.target, DimensionTarget)
    after = numbers.model.predict(clip, "go away now")
    assert after.dimensions == pytest.approx({"activation": before.dimensions["activation"]}, rel=1e-4)
    emotions = finetune(
        run.folder, full, tmp_path / "e", config=tiny_config(**STILL, calibration="none"), train="classifier"
    )
    assert isinstance(emotions.model.target, ClassTarget)
    run.model.calibration_temperature, kept = 1.0, run.model.calibration_temperature
    expected = run.model.predict(clip, "go away now").probabilities
    run.model.calibration_temperature = kept
    assert emotions.model.predict(clip, "go away now").probabilities == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("kind", ["emotions", "dimensions"])
def test_model_of_one_kind_becomes_one_of_both(alone, corpus, tmp_path, kind):
    clip = corpus.parent / "anger_0.wav"
    before = PathosNet.from_pretrained(alone[kind])
    before.calibration_temperature = 1.0
    options = {**STILL, "targets": DIMENSIONS, "calibration": "none"}
    both = finetune(alone[kind], corpus, tmp_path / "both", config=tiny_config(**options), train="classifier").model
    assert set(both.target.classes) == set(PAPER_EMOTIONS)
    assert both.target.dimensions == DIMENSIONS
    if kind == "emotions":
        assert both.target == TARGET  # the corpus' emotions, in the order that the model has them
    shared = {"emotions": "probabilities", "dimensions": "dimensions"}[kind]
    answers = [getattr(model.predict(clip, "go away now"), shared) for model in (before, both)]
    assert answers[1] == pytest.approx(answers[0], rel=1e-3)


def test_cross_validation_reports_both(corpus, tmp_path):
    out = tmp_path / "cv"
    result = cross_validate([corpus], out, config(num_folds=2, split="speaker", epochs=1))
    assert "UAR" in result.table
    assert "CCC valence" in result.table
    written = json.loads((out / "metrics.json").read_text())
    assert set(written) == {"emotions", "dimensions"}
    assert written["emotions"]["rows"][0]["utterances"] == 28
    assert written["dimensions"]["rows"][0]["utterances"] == 28
    files = {path.name for path in out.iterdir()}
    assert {"table2.md", "table.md", "confusion.png", "estimates.png", "reliability.svg", "curves.png"} <= files
    page = (out / "report.html").read_text()
    for part in ("Recalls", "Confusions", "Estimates over the truth", "Most confident mistakes", "Largest errors"):
        assert part in page
    assert "UAR % or mean CCC" in page  # by sex


def test_robustness_is_measured_of_the_emotions(run, corpus, alone):
    found = measure_robustness(run.folder, corpus.with_name("full.csv"), wer=(0.0,), seeds=(0,), progress=False)
    assert 0 <= found.points[0].trials[0].uar <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": "", "dimension_weight": 2.0}, "dimension_weight: is for --labels and --targets together"),
        ({"targets": "", "early_stopping_metric": "uar_ccc"}, "uar_ccc is for --labels and --targets together"),
        ({"dimension_weight": 0.0}, "dimension_weight: expected a number above 0"),
    ],
)
def test_options_for_both_are_refused_elsewhere(options, message):
    with pytest.raises(InputError, match=message):
        config(**options)


def test_options_for_classes_are_there_for_both(corpus, tmp_path):
    options = {"class_weights": "balanced", "sampling": "balanced", "label_smoothing": 0.1, "dimension_weight": 0.5}
    found = train(corpus, tmp_path / "run", config(epochs=1, early_stopping_metric="ccc", **options))
    assert found.model.target.dimension_weight == 0.5


def test_column_of_a_group_is_never_read_as_input(corpus, tmp_path):
    """Sex and age stand beside every utterance for figures by group; what they say changes no answer and no weight."""
    rows = read_rows(corpus)
    runs = []
    for name, cells in (("one", ("f", "m")), ("other", ("m", "f")), ("none", ())):
        changed = [{k: v for k, v in row.items() if k != "sex"} for row in rows]
        for i, row in enumerate(changed):
            row.update({"sex": cells[i % 2], "age": str(20 + 7 * i % 60)} if cells else {})
        path = write_manifest(corpus.with_name(f"{name}.csv"), changed).rename(corpus.with_name("people.csv"))
        runs.append(train(path, tmp_path / name, config(epochs=1)))
    weights = [run.model.network.state_dict() for run in runs]
    for other in weights[1:]:
        assert all(torch.equal(value, other[key]) for key, value in weights[0].items())
    assert set(runs[0].model.network.input_dims) == {"logmel", "text"}
    answers = [(run.folder / "predictions.csv").read_text() for run in runs]
    assert answers[0] == answers[1] == answers[2]
