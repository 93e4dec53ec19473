"""``pathosnet predict`` of one recording or a few; many files and timelines have their own tests."""

import json

import numpy as np
import pytest
import soundfile
from commands import error_of
from making import tone, write_vectors

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
        assert list(line) == ["audio", "label", "probabilities", "valence"]
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
