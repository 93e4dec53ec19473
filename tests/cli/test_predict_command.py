"""``pathosnet predict`` of one recording or a few; many files and timelines have their own tests."""

import json

import numpy as np
import pytest
import soundfile
from commands import error_of
from making import read_rows, tone, write_tone, write_vectors

from pathosnet import PathosNet, cli


def test_predictions_are_one_json_object_a_line(run, corpus, tmp_path, capsys):
    stereo = tmp_path / "stereo.flac"
    soundfile.write(stereo, np.stack([tone(0.5, rate=44_100)] * 2, axis=1), 44_100)
    clips = [str(corpus.parent / "anger_0.wav"), str(stereo), str(corpus.parent / "neutral_1.wav")]
    capsys.readouterr()
    cli.main(["predict", str(run), *clips, "--text", "go away", "--json"])
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = [json.loads(line) for line in captured.out.splitlines()]
    assert [line["audio"] for line in lines] == clips
    model = PathosNet.from_pretrained(run)
    for line, clip in zip(lines, clips, strict=True):
        assert [name for name in line if name != "warnings"] == ["audio", "label", "probabilities", "valence"]
        alone = model.predict(clip, "go away")
        assert line["label"] == alone.label
        assert line["probabilities"] == pytest.approx(alone.probabilities, abs=1e-5)  # they were predicted together
        assert line["valence"] == pytest.approx(alone.valence, abs=1e-5)


def test_predictions_for_a_person_name_file_label_and_probabilities(run, corpus, capsys):
    clip = str(corpus.parent / "anger_0.wav")
    capsys.readouterr()
    cli.main(["predict", str(run), clip])
    prediction = PathosNet.from_pretrained(run).predict(clip)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{clip}: {prediction.label} (")
    for label, value in prediction.probabilities.items():
        assert f"{label} {value:.2f}" in line


def test_prediction_from_text_alone(run, capsys):
    capsys.readouterr()
    cli.main(["predict", str(run), "--text", "go away", "--json"])
    report = json.loads(capsys.readouterr().out)
    expected = PathosNet.from_pretrained(run).predict(text="go away")
    assert report == {"audio": None, **expected.to_dict()}


def test_language_chooses_the_words(tmp_path, capsys):
    from pathosnet.features import TextEmbedder, WordVectors
    from pathosnet.models import EmotionNetwork

    tables = {
        code: WordVectors.load(write_vectors(tmp_path / f"{code}.vec", ["no"], seed=seed))
        for seed, code in enumerate(("en", "it"))
    }
    PathosNet(EmotionNetwork({"text": 300}, 4), {}, TextEmbedder(tables)).save_pretrained(tmp_path / "model")
    reports = {}
    for code in ("en", "it"):
        capsys.readouterr()
        cli.main(["predict", str(tmp_path / "model"), "--text", "no", "--language", code, "--json"])
        reports[code] = json.loads(capsys.readouterr().out)["probabilities"]
    assert reports["en"] != reports["it"]
    message = error_of(capsys, "predict", tmp_path / "model", "--text", "no", "--language", "pl", code=1)
    assert "no word vectors for the language 'pl', only for en, it" in message


@pytest.mark.parametrize("arguments", [[], ["--text", ""]])
def test_prediction_from_nothing(run, capsys, arguments):
    error_of(capsys, "predict", run, *arguments)


def test_warnings_are_printed_for_a_person_and_are_in_the_json(run, tmp_path, capsys):
    clip = tmp_path / "silent.wav"
    soundfile.write(clip, np.zeros(16_000), 16_000)
    capsys.readouterr()
    cli.main(["predict", str(run), str(clip)])
    said = capsys.readouterr()
    assert said.err.startswith(f"warning: {clip}: ")
    assert said.out.startswith(f"{clip}: no answer (")
    cli.main(["predict", str(run), str(clip), "--json"])
    said = capsys.readouterr()
    assert said.err == ""
    assert json.loads(said.out)["warnings"]


def test_labels_below_the_bound_are_left_out(run, corpus, tmp_path, capsys):
    clips = [str(corpus.parent / f"{name}_0.wav") for name in ("anger", "neutral")]
    answers = [PathosNet.from_pretrained(run).predict(clip) for clip in clips]
    low, high = sorted(answer.confidence for answer in answers)
    bound = (low + high) / 2
    capsys.readouterr()
    cli.main(["predict", str(run), *clips, "--abstain", str(bound), "--json"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for line, answer in zip(lines, answers, strict=True):
        assert line["label"] == (answer.label if answer.confidence > bound else "")
        assert line["probabilities"] == pytest.approx(answer.probabilities, abs=1e-5)
    cli.main(["predict", str(run), clips[0], "--abstain", "1"])
    assert f"{clips[0]}: no answer (" in capsys.readouterr().out
    long = str(write_tone(tmp_path / "long.wav", 2.0))
    cli.main(["predict", str(run), long, "--timeline", str(tmp_path / "timeline.csv"), "--abstain", "1"])
    assert {row["label"] for row in read_rows(tmp_path / "timeline.csv")} == {""}


def test_the_bound_is_a_probability(run, corpus, capsys):
    clip = corpus.parent / "anger_0.wav"
    assert "abstain: expected a probability from 0 to 1, got 60.0" in error_of(
        capsys, "predict", run, clip, "--abstain", "60"
    )
