import json
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from making import make_predictions, write_tone

from pathosnet.evaluation import Predictions, plot_confusion_matrix
from pathosnet.evaluation.report import CrossValidationReport, write_evaluation
from pathosnet.evaluation.results import measure_results

ATTACK = "<script>alert('x')</script> & \"quoted\" <img src=x onerror=alert(1)>"
GROUPS = {("iemocap", "en"): "hasn", ("emofilm", "it"): "has", ("angry", ""): "a"}
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
VOID = {"meta", "img", "link", "br", "hr"}


def experiment(**options: object) -> CrossValidationReport:
    epochs = [{"train_loss": 1.0 / k, "val_loss": 1.2 / k, "val_accuracy": 0.5, "val_uar": 0.4} for k in range(1, 6)]
    known = {
        "predictions": make_predictions(GROUPS),
        "guarantees": ["no test speaker occurs in training"] * 3,
        "leaks": ["0 of 3 test speakers also occur in training"] * 3,
        "histories": {"logmel-1-branches": [epochs, epochs[:3]], "ensemble-3-classifier": [epochs, epochs]},
        "config": {"batch_size": 32},
        "versions": {"torch": "2.11.0"},
        "command": "pathosnet cross-validate a.csv --out runs/x",
    }
    return CrossValidationReport(**{**known, **options})


class Page(HTMLParser):
    """Collects tags and texts, and checks that every tag is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("run")
    write_evaluation(path, experiment())
    return path


def test_everything_is_written(folder):
    assert {path.name for path in folder.iterdir()} == {
        *("predictions.csv", "metrics.json", "table2.md", "table2.csv", "table2.tex", "report.html"),
        *(f"{name}.{suffix}" for name in ("confusion", "curves", "reliability") for suffix in ("png", "svg")),
    }


def test_metrics_are_those_of_the_predictions(folder):
    results = measure_results(experiment().predictions)
    written = json.loads((folder / "metrics.json").read_text())
    assert [row["figures"] for row in written["rows"]] == [row.figures for row in results.rows]
    assert written["expected_calibration_error"] == pytest.approx(results.reliability.expected_calibration_error)
    low, high = written["intervals"]["speakers"]["uar"]
    assert low < results.rows[-1].pooled_uar < high
    assert [row["pooled_uar"] for row in written["rows"]] == [row.pooled_uar for row in results.rows]


def test_predictions_are_read_as_they_were_written(folder):
    read = Predictions.read(folder / "predictions.csv")
    expected = experiment().predictions
    assert read.rows == expected.rows
    assert read.truth.tolist() == expected.truth.tolist()
    np.testing.assert_allclose(read.probabilities, expected.probabilities, rtol=1e-7)


def test_page_needs_nothing_from_elsewhere(folder):
    page = Page((folder / "report.html").read_text())
    assert "script" not in {tag for tag, _ in page.tags}
    assert "link" not in {tag for tag, _ in page.tags}
    pictures = [attributes["src"] for tag, attributes in page.tags if tag == "img"]
    assert len(pictures) == 3
    assert all(source.startswith("data:image/png;base64,") for source in pictures)
    assert "http" not in (folder / "report.html").read_text().replace("data:image", "")


def test_page_shows_what_was_run_and_found(folder):
    text = " ".join(Page((folder / "report.html").read_text()).texts)
    for shown in (
        *("pathosnet cross-validate a.csv --out runs/x", "batch_size", "torch 2.11.0", "emofilm (it)", "cumulative"),
        *(
            "no test speaker occurs in training",
            "95 % bootstrap interval over 21 speakers",
            "Expected calibration error",
        ),
    ):
        assert shown in text
    accuracy = measure_results(experiment().predictions).rows[0].figures["accuracy"]
    assert f"{100 * accuracy:.1f}" in text


def test_texts_cannot_break_the_page(tmp_path):
    predictions = make_predictions({(ATTACK, "en"): "hasn"}, text=ATTACK)
    write_evaluation(tmp_path, experiment(predictions=predictions, command=ATTACK, config={ATTACK: ATTACK}))
    page = Page((tmp_path / "report.html").read_text())
    assert "script" not in {tag for tag, _ in page.tags}
    assert not any("onerror" in attributes for _, attributes in page.tags)
    assert ATTACK in page.texts


def test_most_confident_mistakes_come_first(folder):
    predictions = experiment().predictions
    wrong = predictions.predicted != predictions.truth
    confidence = np.sort(predictions.probabilities.max(axis=1)[wrong])[::-1]
    text = (folder / "report.html").read_text().partition("Most confident mistakes")[2]
    shown = [float(part.partition("<")[0]) for part in text.split("<td class=number>")[1:]]
    assert shown == pytest.approx((100 * confidence[: len(shown)]).tolist(), abs=0.06)
    assert len(shown) == min(20, wrong.sum())


def test_recordings_can_be_heard_where_they_are(tmp_path):
    (tmp_path / "clips").mkdir()
    clip = write_tone(tmp_path / "clips" / "a b.wav", 0.1)
    predictions = make_predictions(skill=0.0)
    rows = tuple({**row, "audio": str(clip)} for row in predictions.rows)
    (tmp_path / "run").mkdir()
    write_evaluation(tmp_path / "run", experiment(predictions=replace(predictions, rows=rows)))
    page = Page((tmp_path / "run" / "report.html").read_text())
    players = [attributes for tag, attributes in page.tags if tag == "audio"]
    assert len(players) == 20
    assert {attributes["src"] for attributes in players} == {"../clips/a%20b.wav"}


def test_mistake_of_several_seeds_is_shown_once(tmp_path):
    (tmp_path / "run").mkdir()
    predictions = make_predictions(per_group=6, num_seeds=3, skill=0.0)
    wrong = {
        row["row"]
        for row, hit in zip(predictions.rows, predictions.predicted == predictions.truth, strict=True)
        if not hit
    }
    write_evaluation(tmp_path / "run", experiment(predictions=predictions))
    texts = Page((tmp_path / "run" / "report.html").read_text()).texts
    shown = [text.split(",")[1].removeprefix(" row ") for text in texts if text.startswith("a, row ")]
    assert sorted(shown) == sorted(wrong)
    assert "Standard deviations over the seeds" in texts


def test_dollar_signs_are_no_formulas(tmp_path):
    """Matplotlib takes what stands between two for TeX, and fails at commands that it does not know."""
    labels = (r"ha$\x$", "anger", "sadness", "neutral")
    predictions = make_predictions({(r"a$\bad$", "en"): "hasn"}, labels=labels)
    results = write_evaluation(tmp_path, experiment(predictions=predictions))
    plot_confusion_matrix(np.eye(4).tolist(), labels, tmp_path / "one.png")
    assert results.rows[0].name == r"a$\bad$ (en)"
    assert (tmp_path / "one.png").stat().st_size > 5_000


def test_experiment_without_training_has_no_curves(tmp_path):
    write_evaluation(tmp_path, experiment(histories={}))
    assert not (tmp_path / "curves.png").exists()
    assert "Learning curves" not in (tmp_path / "report.html").read_text()


def test_single_speaker_has_no_interval_over_speakers():
    predictions = make_predictions()
    rows = tuple({**row, "speaker": "ann"} for row in predictions.rows)
    assert set(measure_results(replace(predictions, rows=rows)).intervals) == {"utterances"}
    assert set(measure_results(predictions).intervals) == {"utterances", "speakers"}


def test_seeds_that_agree_have_the_intervals_of_one():
    predictions = make_predictions()
    again = replace(predictions, rows=tuple({**row, "seed": "1"} for row in predictions.rows))
    assert measure_results(Predictions.join([predictions, again])).intervals == measure_results(predictions).intervals


def test_perfect_predictions_have_no_mistakes(tmp_path):
    predictions = make_predictions()
    perfect = replace(predictions, outputs=np.eye(4)[predictions.truth])
    write_evaluation(tmp_path, experiment(predictions=perfect))
    assert "There are none." in Page((tmp_path / "report.html").read_text()).texts


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_page_is_drawn_by_a_browser(folder, tmp_path):
    from PIL import Image

    picture = tmp_path / "page.png"
    options = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--window-size=1000,3000",
        f"--user-data-dir={tmp_path}/u",
    )
    subprocess.run(
        [CHROMIUM, *options, f"--screenshot={picture}", (folder / "report.html").as_uri()],
        check=True,
        capture_output=True,
        timeout=120,
    )
    with Image.open(picture) as image:
        drawn = np.asarray(image.convert("L"))
    assert drawn.shape == (3000, 1000)
    inked = (drawn < 128).mean(axis=1) > 0.002
    assert inked.sum() > 500  # lines of text and pictures
    assert inked[1500:].any()
