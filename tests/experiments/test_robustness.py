import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from making import contents, make_corpus, read_rows, tiny_config, tone, write_manifest

from pathosnet import PathosNet, cli
from pathosnet.audio import degradation, read_ahead
from pathosnet.errors import InputError
from pathosnet.experiments.evaluate import evaluate
from pathosnet.experiments.robustness import Robustness, measure_robustness
from pathosnet.experiments.run_folder import Run
from pathosnet.experiments.train import train
from pathosnet.features import HashedWords, TextEmbedder
from pathosnet.features.acoustic.extractors import LogMelExtractor
from pathosnet.models import EmotionNetwork


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"), language=lambda i, emotion: ("en", "it")[i % 2])


@pytest.fixture(scope="module")
def finished(corpus, tmp_path_factory) -> Run:
    return train(
        corpus, tmp_path_factory.mktemp("runs") / "run", tiny_config(epochs=15, patience=15, learning_rate=5e-3)
    )


def measured(finished: Run, corpus: Path, **options) -> Robustness:
    return measure_robustness(finished.folder, corpus, progress=False, **options)


def save(folder: Path, inputs: dict[str, int]) -> Path:
    """A model with random weights that reads some inputs."""
    text = TextEmbedder({"*": HashedWords(300)}) if "text" in inputs else None
    acoustic = {"logmel": LogMelExtractor()} if "logmel" in inputs else {}
    PathosNet(EmotionNetwork(inputs, 4), acoustic, text).save_pretrained(folder)
    return folder


# What is measured


def test_clean_figures_are_those_of_the_evaluation(finished, corpus):
    result = measured(finished, corpus, wer=[0.5], seeds=[0])
    expected, what = evaluate(finished.folder, corpus, progress=False)
    clean = result.points[0]
    assert (clean.condition, clean.target, clean.reached) == ("clean", None, None)
    assert (clean.mean("accuracy"), clean.mean("uar")) == (expected.accuracy, expected.uar)
    assert (result.what, result.utterances) == (what, expected.utterances)


def test_word_error_rate_of_0_changes_nothing(finished, corpus):
    clean, point = measured(finished, corpus, wer=[0.0], seeds=[0, 1], part="all").points
    assert point.reached == 0.0
    assert [trial.accuracy for trial in point.trials] == [clean.mean("accuracy")] * 2
    assert point.sd("accuracy") == 0.0


def test_reached_word_error_rate_is_measured(finished, corpus):
    points = measured(finished, corpus, wer=[0.2, 0.6], seeds=range(4), part="all").points[1:]
    for point in points:
        assert point.reached == pytest.approx(point.target, rel=0.35)
        assert len({trial.reached for trial in point.trials}) > 1
    assert points[0].reached < points[1].reached


def test_without_any_words_the_figures_are_those_without_text(finished, corpus, monkeypatch):
    monkeypatch.setattr(degradation, "corrupt_words", lambda *arguments, **options: [])
    point = measured(finished, corpus, wer=[1.0], seeds=[0], part="all").points[1]
    expected, _ = evaluate(finished.folder, corpus, "all", use_text=False, progress=False)
    assert point.reached == 1.0
    assert (point.mean("accuracy"), point.mean("uar")) == (expected.accuracy, expected.uar)


def test_words_come_from_the_texts_of_the_same_language(finished, tmp_path, monkeypatch):
    corpus = make_corpus(
        tmp_path / "corpus",
        per_class=2,
        language=lambda i, emotion: ("en", "it")[i % 2],
        text=lambda i, emotion: ("Go, go away", "lasciami stare")[i % 2],
    )
    vocabularies = []
    monkeypatch.setattr(
        degradation,
        "corrupt_words",
        lambda words, rate, vocabulary, generator: vocabularies.append((words, sorted(set(vocabulary)))) or words,
    )
    measured(finished, corpus, wer=[0.5], seeds=[0])
    assert vocabularies[:2] == [
        (["Go", "go", "away"], ["Go", "away", "go"]),
        (["lasciami", "stare"], ["lasciami", "stare"]),
    ]


def test_noise_reaches_its_level_and_does_harm(finished, corpus):
    clean, quiet, loud = measured(finished, corpus, snr=[60, -20], seeds=[0, 1], part="all").points
    assert quiet.reached == pytest.approx(60, abs=0.5)
    assert loud.reached == pytest.approx(-20, abs=0.5)
    assert loud.mean("uar") < clean.mean("uar")


def test_gain_changes_the_level_alone(finished, corpus, monkeypatch):
    given = []
    monkeypatch.setattr(degradation, "change_gain", lambda waveform, gain: given.append(gain) or waveform)
    clean, quiet, loud = measured(finished, corpus, gain=[-20.0, 6.0], part="all").points
    assert [(p.condition, p.target) for p in (quiet, loud)] == [("gain", -20.0), ("gain", 6.0)]
    assert quiet.mean("uar") == loud.mean("uar") == clean.mean("uar")
    assert given == [-20.0] * 32 + [6.0] * 32


def test_gain_scales_samples_and_clips_them():
    waveform = torch.tensor([0.5, -0.1])
    assert degradation.change_gain(waveform, -20.0).tolist() == pytest.approx([0.05, -0.01])
    assert degradation.change_gain(waveform, 20.0).tolist() == pytest.approx([1.0, -1.0])


def test_telephone_changes_the_voice_alone(finished, corpus, monkeypatch):
    sine = torch.from_numpy(tone(1.0, hertz=1200.0))
    monkeypatch.setattr(degradation, "telephone", lambda waveform: sine[: len(waveform)])
    clean, telephone = measured(finished, corpus, telephone=True, part="all").points
    rows = read_rows(corpus)
    heard = [sine[: soundfile.info(corpus.parent / row["audio"]).frames].numpy() for row in rows]
    predicted = finished.model.predict_batch(
        heard, [row["text"] for row in rows], [row["language"] for row in rows], sample_rate=16_000
    )
    expected = np.mean([p.label == row["emotion"] for p, row in zip(predicted, rows, strict=True)])
    assert (telephone.reached, telephone.sd("uar")) == (None, None)
    assert telephone.mean("accuracy") == pytest.approx(expected)
    assert telephone.mean("accuracy") != clean.mean("accuracy")


def test_seeds_decide_everything(finished, corpus):
    options = {"wer": [0.5], "snr": [5.0], "part": "all"}
    first = measured(finished, corpus, seeds=[3, 4], **options)
    assert measured(finished, corpus, seeds=[3, 4], **options) == first
    assert measured(finished, corpus, seeds=[4], **options).points[1].trials == first.points[1].trials[1:]
    assert first.points[1].trials[0].reached != first.points[1].trials[1].reached


def test_mean_and_deviation_over_the_seeds(finished, corpus):
    point = measured(finished, corpus, wer=[0.6], seeds=range(3), part="all").points[1]
    values = [trial.accuracy for trial in point.trials]
    assert point.mean("accuracy") == pytest.approx(np.mean(values))
    assert point.sd("accuracy") == pytest.approx(np.std(values, ddof=1))


def test_recordings_are_read_once_for_all_word_error_rates(finished, corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("PATHOSNET_CACHE", str(tmp_path))  # an empty store of features
    read = []
    load = read_ahead.read_recording
    monkeypatch.setattr(read_ahead, "read_recording", lambda path: read.append(path) or load(path))
    measured(finished, corpus, wer=[0.1, 0.5, 0.9], seeds=[0, 1])
    assert len(read) == len(set(read)) == 7


def test_texts_are_embedded_once_for_all_noises(finished, corpus, monkeypatch):
    embedded = []
    embed = TextEmbedder.embed_all
    monkeypatch.setattr(
        TextEmbedder, "embed_all", lambda self, texts, keys: embedded.extend(texts) or embed(self, texts, keys)
    )
    measured(finished, corpus, snr=[10, 0], telephone=True, seeds=[0, 1])
    assert len(embedded) == 7


@pytest.mark.parametrize(
    ("inputs", "conditions"),
    [
        ({"text": 300}, {"clean", "words"}),
        ({"logmel": 256}, {"clean", "noise", "gain", "telephone"}),
        ({"logmel": 256, "text": 300}, {"clean", "words", "noise", "gain", "telephone"}),
    ],
)
def test_by_default_all_that_the_model_reads_is_made_worse(inputs, conditions, corpus, tmp_path):
    model = save(tmp_path / "model", inputs)
    result = measure_robustness(model, corpus, seeds=[0], progress=False)
    assert {point.condition for point in result.points} == conditions


# What cannot be measured


def test_model_must_read_what_is_made_worse(corpus, tmp_path):
    text, voice = save(tmp_path / "text", {"text": 300}), save(tmp_path / "voice", {"logmel": 256})
    with pytest.raises(InputError, match="voice: reads no text, so that --wer does not apply to it"):
        measure_robustness(voice, corpus, wer=[0.1])
    for options in ({"snr": [10.0]}, {"gain": [-6.0]}, {"telephone": True}):
        with pytest.raises(InputError, match="text: reads no audio, so that --snr, --gain and --telephone do not"):
            measure_robustness(text, corpus, **options)


def test_errors_need_texts(finished, tmp_path):
    corpus = make_corpus(tmp_path / "corpus", per_class=1, text="")
    with pytest.raises(InputError, match="has no texts to make errors in; fill in the column 'text'"):
        measured(finished, corpus, wer=[0.1])


def test_rates_are_shares(finished, corpus):
    with pytest.raises(InputError, match=r"wer: expected rates between 0 and 1, got 20; 0.2 is 20 %"):
        measured(finished, corpus, wer=[20])


@pytest.mark.parametrize(
    ("seeds", "complaint"),
    [
        ([], "at least one, none below 0, got none"),
        ([-1], "at least one, none below 0"),
        ([0, 0], "each once, got 0, 0"),
    ],
)
def test_seeds_must_be_usable(finished, corpus, seeds, complaint):
    with pytest.raises(InputError, match=f"seeds: expected {complaint}"):
        measured(finished, corpus, seeds=seeds)


# The command line


def command(finished: Run, corpus: Path, *options: object) -> None:
    cli.main(["robustness", str(finished.folder), str(corpus), *map(str, options)])


def test_command_writes_table_picture_and_report(finished, corpus, tmp_path, capsys):
    out = tmp_path / "robust"
    command(finished, corpus, "--wer=0,0.5", "--snr=10", "--telephone", "--seeds=0,1", "--out", out)
    captured = capsys.readouterr()
    assert captured.err == ""
    assert contents(out) == {"robustness.csv", "robustness.json", "robustness.png"}
    assert (out / "robustness.png").read_bytes().startswith(b"\x89PNG")
    with (out / "robustness.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["condition"], row["target"], row["seeds"]) for row in rows] == [
        ("clean", "", "1"),
        ("words", "0.0", "2"),
        ("words", "0.5", "2"),
        ("noise", "10.0", "2"),
        ("telephone", "", "1"),
    ]
    report = json.loads((out / "robustness.json").read_text())
    for row, point in zip(rows, report["points"], strict=True):
        assert float(row["uar"]) == point["uar"] == pytest.approx(np.mean([t["uar"] for t in point["trials"]]))
    lines = captured.out.splitlines()
    assert lines[0].startswith("the test part of")
    shown = [f"{100 * report['points'][2]['reached']:.1f}%", f"{report['points'][2]['accuracy']:.3f}", "±"]
    assert lines[5].split()[:5] == ["words", "50%", *shown]
    assert lines[-1] == f"written: {out}"


def test_command_prints_json_and_draws_a_picture(finished, corpus, tmp_path, capsys):
    capsys.readouterr()
    command(finished, corpus, "--wer=0.5", "--seeds=0", "--part=all", "--json", "--plot", tmp_path / "curve.svg")
    report = json.loads(capsys.readouterr().out)
    assert report["utterances"] == 32
    assert report["points"][1]["accuracy_sd"] is None
    assert "<svg" in (tmp_path / "curve.svg").read_text()


def test_earlier_results_are_replaced_only_if_asked(finished, corpus, tmp_path, capsys):
    options = ["--wer=0.5", "--seeds=0", "--out", tmp_path / "robust"]
    command(finished, corpus, *options)
    with pytest.raises(SystemExit):
        command(finished, corpus, *options)
    assert "exists already" in capsys.readouterr().err
    command(finished, corpus, *options, "--overwrite")
    assert [path.name for path in tmp_path.iterdir()] == ["robust"]


def test_failure_leaves_nothing_behind(finished, corpus, tmp_path, capsys):
    rows = [{**row, "audio": corpus.parent / row["audio"]} for row in read_rows(corpus)]
    rows[3]["audio"] = tmp_path / "bad.wav"
    (tmp_path / "bad.wav").write_text("no sound")
    manifest = write_manifest(tmp_path / "corpus.csv", rows)
    with pytest.raises(SystemExit) as caught:
        command(finished, manifest, "--wer=0.5", "--out", tmp_path / "robust")
    assert caught.value.code == 2
    assert f"{manifest}, row 5: " in capsys.readouterr().err
    assert contents(tmp_path) == {"bad.wav", "corpus.csv"}


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--wer=some", "wer: expected numbers separated by commas, got 'some'"),
        ("--snr=10,loud", "snr: expected numbers separated by commas, got '10,loud'"),
        ("--snr=inf", "snr: expected finite numbers, got 'inf'"),
        ("--seeds=0.5", "seeds: expected whole numbers, got 0.5"),
    ],
)
def test_values_that_are_no_numbers(finished, corpus, capsys, option, message):
    with pytest.raises(SystemExit) as caught:
        command(finished, corpus, option)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
