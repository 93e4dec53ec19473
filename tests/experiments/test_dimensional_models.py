"""Numbers such as valence go the way that emotions go: training, testing, saving, fine-tuning, cross-validation."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from making import PITCH, make_corpus, read_rows, tiny_config

from pathosnet import PathosNet
from pathosnet.audio.voice import STEADY
from pathosnet.errors import InputError
from pathosnet.evaluation import Estimates, measure_dimensions
from pathosnet.evaluation.comparison import Predictions
from pathosnet.experiments.config import FINETUNE_DEFAULTS
from pathosnet.experiments.cross_validate import cross_validate
from pathosnet.experiments.evaluate import evaluate
from pathosnet.experiments.finetune import finetune
from pathosnet.experiments.robustness import measure_robustness
from pathosnet.experiments.train import train
from pathosnet.recognizer.export import check, export
from pathosnet.targets import ClassTarget, DimensionTarget

TARGETS = ("valence", "activation")
VALENCE = {"happiness": 70.0, "anger": 20.0, "sadness": 10.0, "neutral": 50.0}


def config(**changes):
    return tiny_config(**{"targets": TARGETS, "epochs": 2, **changes})


def noise(number: int) -> float:
    return 0.3 * ((number * 7) % 5 - 2)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """Valence, about 10 to 70, follows the words, activation the pitch."""
    return make_corpus(
        tmp_path_factory.mktemp("corpus"),
        language="en",
        valence=lambda number, emotion: VALENCE[emotion] + noise(number),
        activation=lambda number, emotion: PITCH[emotion] / 400 + noise(number) / 10,
    )


@pytest.fixture(scope="module")
def run(corpus, tmp_path_factory):
    """Trained long enough to have learned it."""
    pace = {"epochs": 40, "learning_rate": 3e-3, "learning_rate_decay": 0.03, "dropout": 0.2}
    widths = {"audio_width": 16, "text_width": 16, "batch_norm_momentum": 0.1}
    return train(corpus, tmp_path_factory.mktemp("runs") / "run", config(**pace, **widths, patience=40))


def test_what_is_in_the_recordings_is_learnt_in_the_units_of_the_corpus(run):
    assert run.metrics.mean_ccc > 0.8
    assert run.metrics.rmse["valence"] < 15
    assert run.metrics.rmse["activation"] < 0.6
    assert run.calibration is None


def test_folder_holds_what_a_run_of_emotions_holds(run):
    files = {path.name for path in run.folder.iterdir()}
    assert {"config.json", "README.md", "run.json", "split.csv", "metrics.json", "predictions.csv"} <= files
    assert "estimates.png" in files
    assert "confusion_matrix.png" not in files
    card = (run.folder / "README.md").read_text()
    assert "Estimates valence, activation in speech as numbers." in card
    assert "concordance correlation coefficient of valence | 0." in card
    stage = json.loads((run.folder / "run.json").read_text())["stages"][0]
    assert set(stage["best"]) == {"train_loss", "val_loss", "val_ccc"}


def test_estimates_are_read_as_they_were_written(run, corpus):
    estimates = Estimates.read(run.folder / "predictions.csv")
    assert estimates.labels == TARGETS
    ratings = {row["audio"]: float(row["valence"]) for row in read_rows(corpus)}
    assert estimates.truth[:, 0].tolist() == [ratings[Path(name).name] for name in estimates.column("audio")]
    metrics = measure_dimensions(estimates.truth, estimates.outputs, TARGETS)
    assert metrics.ccc == pytest.approx(run.metrics.ccc, abs=1e-6)


def test_saved_model_estimates_the_same(run, corpus):
    model = PathosNet.from_pretrained(run.folder)
    assert isinstance(model.target, DimensionTarget)
    assert model.labels == TARGETS
    metrics, what = evaluate(run.folder, corpus, progress=False)
    assert metrics.ccc == pytest.approx(run.metrics.ccc, abs=1e-5)
    assert what.startswith("the test part")
    row = Estimates.read(run.folder / "predictions.csv")
    prediction = model.predict(row.rows[0]["audio"], row.rows[0]["text"], "en")
    assert list(prediction.dimensions.values()) == pytest.approx(row.outputs[0].tolist(), rel=1e-4)
    assert (prediction.label, prediction.probabilities, prediction.valence) == ("", {}, {})
    assert prediction.to_dict() == {"dimensions": prediction.dimensions, "warnings": [STEADY]}  # a tone


def test_units_of_the_ratings_do_not_change_what_is_learnt(corpus, tmp_path):
    rows = read_rows(corpus)
    other = corpus.with_name("other_units.csv")
    other.write_text(
        "audio,text,speaker,valence,activation\n"
        + "".join(
            f"{row['audio']},{row['text']},{row['speaker']},{float(row['valence']) / 10 - 4},{row['activation']}\n"
            for row in rows
        )
    )
    found = [train(path, tmp_path / path.stem, config(text_width=8)).metrics.ccc["valence"] for path in (corpus, other)]
    assert found[0] == pytest.approx(found[1], abs=1e-3)


def test_target_that_does_not_vary_cannot_be_learnt(tmp_path):
    path = make_corpus(tmp_path / "c", valence=3, activation=lambda number, emotion: number)
    with pytest.raises(InputError, match="valence: is 3 in every utterance of the training part"):
        train(path, tmp_path / "run", config())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_weights": "balanced"}, "class_weights: is for emotions; with targets expected none"),
        ({"sampling": "balanced"}, "sampling: is for emotions; with targets expected natural"),
        ({"label_smoothing": 0.1}, "label_smoothing: is for emotions"),
        ({"drop_labels": "fear"}, "drop_labels: is for emotions"),
        ({"early_stopping_metric": "uar"}, "uar is for emotions; with targets expected loss or ccc"),
        ({"targets": "a,A"}, "targets: expected each column once, got a,A"),
        ({"targets": "", "early_stopping_metric": "ccc"}, "ccc is for --targets"),
    ],
)
def test_options_for_emotions_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        config(**options)


def test_all_augmentation_and_dropout_is_there_for_numbers_too(corpus, tmp_path):
    changes = {"augmentation": "masks,words,gain", "modality_dropout": 0.3, "early_stopping_metric": "ccc"}
    assert train(corpus, tmp_path / "run", config(epochs=1, **changes)).metrics.utterances == 7


def test_ensemble_and_unlocked_layer_learn_numbers(tmp_path):
    from making import random_vggish, save_weights

    path = make_corpus(
        tmp_path / "c", per_class=4, seconds=(1.0, 1.2), valence=lambda number, emotion: VALENCE[emotion] + number
    )
    vggish = save_weights(tmp_path / "vggish.safetensors", random_vggish())
    options = {"targets": "valence", "acoustic": "vggish,logmel", "vggish": str(vggish), "vggish_output": "pool"}
    found = train(path, tmp_path / "run", config(epochs=1, num_folds=2, text="none", **options))
    stages = [stage["name"] for stage in json.loads((found.folder / "run.json").read_text())["stages"]]
    assert stages == ["vggish-1-branches", "vggish-2-unlocked", "logmel-1-branches", "ensemble-3-classifier"]
    again, _ = evaluate(found.folder, path, progress=False)
    assert again.rmse == pytest.approx(found.metrics.rmse, rel=1e-4)


def test_cross_validation_reports_numbers(corpus, tmp_path):
    out = tmp_path / "cv"
    result = cross_validate([corpus], out, config(num_folds=3, split="speaker"), seeds=(0, 1))
    estimates = Estimates.read(out / "predictions.csv")
    assert len(estimates) == 2 * 32
    written = json.loads((out / "metrics.json").read_text())
    (row,) = written["rows"]
    assert row["utterances"] == 32
    expected = measure_dimensions(estimates.truth, estimates.outputs, TARGETS)
    assert row["pooled"]["ccc"] == pytest.approx(expected.ccc, abs=1e-5)
    folds = [
        measure_dimensions(fold.truth, fold.outputs, TARGETS).ccc["valence"] or 0.0
        for fold in estimates.groups("seed", "fold").values()
    ]
    assert len(folds) == 6
    assert row["ccc"]["valence"]["mean"] == pytest.approx(np.mean(folds), abs=1e-5)
    assert row["ccc"]["valence"]["sd"] == pytest.approx(np.std(folds, ddof=1), abs=1e-5)
    assert set(written["intervals"]) == {"utterances", "speakers"}
    low, high = written["intervals"]["utterances"]["mean"]
    assert low < high
    assert "CCC valence" in result.table
    page = (out / "report.html").read_text()
    for part in ("Estimates over the truth", "Largest errors", "Learning curves", "95 % over speakers"):
        assert part in page
    assert {"table.md", "table.csv", "table.tex", "estimates.png", "curves.svg"} <= {p.name for p in out.iterdir()}
    before = (out / "predictions.csv").read_bytes()
    (out / "seed0" / "fold1" / "predictions.csv").unlink()
    (out / "seed0" / "fold1").rename(out / "lost")
    cross_validate([corpus], out, config(num_folds=3, split="speaker"), seeds=(0, 1))
    assert (out / "predictions.csv").read_bytes() == before


def test_several_corpora_have_a_row_each(corpus, tmp_path):
    other = make_corpus(
        tmp_path / "other",
        per_class=4,
        seed=1,
        language="it",
        valence=lambda n, _: 5 + n,
        activation=lambda n, _: n % 5,
    ).rename(tmp_path / "other" / "second.csv")
    result = cross_validate([corpus, other], tmp_path / "cv", config(num_folds=2, epochs=1))
    assert [line.split("  ")[0] for line in result.table.splitlines()] == [
        "corpus",
        "corpus (en)",
        "second (it)",
        "cumulative",
    ]


@pytest.fixture(scope="module")
def emotions(corpus, tmp_path_factory):
    return train(corpus, tmp_path_factory.mktemp("emotions") / "run", tiny_config(epochs=1)).folder


@pytest.mark.parametrize("part", ["classifier", "branches"])
def test_model_of_emotions_becomes_one_of_numbers_and_back(emotions, corpus, tmp_path, part):
    options = {**FINETUNE_DEFAULTS, "epochs": 1}
    numbers = finetune(emotions, corpus, tmp_path / "numbers", config=config(**options | {"labels": ""}), train=part)
    assert isinstance(numbers.model.target, DimensionTarget)
    assert numbers.model.labels == TARGETS
    again, _ = evaluate(numbers.folder, corpus, progress=False)
    assert again.rmse == pytest.approx(numbers.metrics.rmse, rel=1e-4)
    back = finetune(numbers.folder, corpus, tmp_path / "back", config=tiny_config(**options), train=part)
    assert isinstance(back.model.target, ClassTarget)
    assert 0 <= back.metrics.accuracy <= 1


def test_dimension_that_stays_keeps_its_weights(run, corpus, tmp_path):
    """With a rate that changes nothing, the model still estimates what it estimated."""
    still = {**FINETUNE_DEFAULTS, "epochs": 1, "learning_rate": 1e-12, "min_learning_rate": 1e-12}
    tuned = finetune(
        run.folder,
        corpus,
        tmp_path / "tuned",
        config=config(**still | {"labels": ""}, targets="activation"),
        train="classifier",
    )
    clip = corpus.parent / "anger_0.wav"
    before = run.model.predict(clip, "go away now").dimensions
    after = tuned.model.predict(clip, "go away now").dimensions
    assert after == pytest.approx({"activation": before["activation"]}, rel=1e-4)


def test_exported_model_estimates_the_same(run, tmp_path):
    model = PathosNet.from_pretrained(run.folder)
    export(model, tmp_path / "model.pt2")
    about = json.loads((tmp_path / "model.pt2.json").read_text())
    assert about["network"]["outputs"] == {"estimates": ["batch", 2]}
    assert max(check(model, tmp_path / "model.pt2").values()) < 1e-2  # of numbers up to 70


def test_what_is_for_emotions_alone_says_so(run, corpus):
    with pytest.raises(InputError, match="estimates valence, activation; robustness is measured of emotions"):
        measure_robustness(run.folder, corpus, progress=False)
    with pytest.raises(InputError, match="it holds estimates, not classes"):
        Predictions.read(run.folder / "predictions.csv")


def test_single_dimension_is_enough(corpus, tmp_path):
    found = train(corpus, tmp_path / "run", config(targets="valence", epochs=1))
    assert list(found.metrics.ccc) == ["valence"]
    prediction = PathosNet.from_pretrained(found.folder).predict(torch.zeros(16_000), "now", sample_rate=16_000)
    assert list(prediction.dimensions) == ["valence"]
