import json
import shutil

import pytest
import safetensors.torch
import torch
from commands import error_of
from making import read_rows, write_tone

from pathosnet import PathosNet, cli
from pathosnet.recognizer.hub import MODEL_FILES
from pathosnet.recognizer.training_examples import EXAMPLES_FILE


def test_an_answer_is_explained_and_drawn(run, tmp_path, capsys):
    clip = write_tone(tmp_path / "clip.wav", 1.0)
    capsys.readouterr()
    arguments = ["explain", str(run), str(clip), "--text", "go away now"]
    cli.main([*arguments, "--plot", str(tmp_path / "why.svg")])
    captured = capsys.readouterr()
    assert "of the voice alone" in captured.out
    assert captured.out.endswith(f"written: {tmp_path / 'why.svg'}\n")
    assert "a steady sound" in captured.err
    cli.main([*arguments, "--json", "--label", "anger"])
    found = json.loads(capsys.readouterr().out)
    assert (found["label"], [one["word"] for one in found["words"]]) == ("anger", ["go", "away", "now"])
    assert len(found["stretches"]) == 7


def test_the_nearest_training_utterances_are_named_where_the_run_kept_them(run, model, corpus, tmp_path, capsys):
    trained = next(row for row in read_rows(run / "split.csv") if row["part"] == "train")
    row = next(row for row in read_rows(corpus) if row["audio"] == trained["audio"])
    clip = corpus.parent / row["audio"]
    capsys.readouterr()
    cli.main(["explain", str(run), str(clip), "--text", row["text"], "--json"])
    nearest = json.loads(capsys.readouterr().out)["nearest"]
    assert len(nearest) == 5
    assert [one["distance"] for one in nearest] == sorted(one["distance"] for one in nearest)
    first = {"audio": str(clip), "text": row["text"], "label": row["emotion"], "speaker": row["speaker"]}
    assert nearest[0] == {**first, "distance": pytest.approx(0.0, abs=1e-3)}
    cli.main(["explain", str(run), str(clip), "--text", row["text"], "--plot", str(tmp_path / "why.svg")])
    assert f"  {clip}, {row['emotion']}, speaker {row['speaker']}, 0.000\n" in capsys.readouterr().out
    cli.main(["explain", str(model), str(clip)])
    assert "nearest training utterances: none were kept beside this model\n" in capsys.readouterr().out


def test_kept_utterances_of_another_model_or_damaged_are_errors(run, model, corpus, tmp_path, capsys):
    clip = corpus.parent / "anger_0.wav"
    shutil.copytree(model, tmp_path / "model")
    shutil.copy(run / EXAMPLES_FILE, tmp_path / "model")
    told = error_of(capsys, "explain", tmp_path / "model", clip)
    assert "expected embeddings (" in told
    safetensors.torch.save_file({"embeddings": torch.zeros(1, 2)}, tmp_path / "model" / EXAMPLES_FILE)
    assert "is damaged, or no file of embeddings" in error_of(capsys, "explain", tmp_path / "model", clip)


def test_a_model_that_is_saved_again_leaves_the_training_utterances_behind(run, tmp_path):
    PathosNet.from_pretrained(run).save_pretrained(tmp_path / "again")
    assert (run / EXAMPLES_FILE).is_file()
    assert not list((tmp_path / "again").rglob(EXAMPLES_FILE))
    assert EXAMPLES_FILE not in MODEL_FILES


def test_explanations_that_cannot_be_made(run, tmp_path, capsys):
    clip = write_tone(tmp_path / "clip.wav", 1.0)
    assert "expected one recording, or --text, got 2" in error_of(capsys, "explain", run, clip, clip)
    assert "expected one recording, or --text, got 0" in error_of(capsys, "explain", run)
    assert "label: expected one of" in error_of(capsys, "explain", run, clip, "--label", "joy")
    assert "expected a picture ending in" in error_of(capsys, "explain", run, clip, "--plot", tmp_path / "x.doc")
    assert "absent.wav" in error_of(capsys, "explain", run, tmp_path / "absent.wav")
