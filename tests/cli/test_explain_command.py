import json

from commands import error_of
from making import write_tone

from pathosnet import cli


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


def test_explanations_that_cannot_be_made(run, tmp_path, capsys):
    clip = write_tone(tmp_path / "clip.wav", 1.0)
    assert "expected one recording, or --text, got 2" in error_of(capsys, "explain", run, clip, clip)
    assert "expected one recording, or --text, got 0" in error_of(capsys, "explain", run)
    assert "label: expected one of" in error_of(capsys, "explain", run, clip, "--label", "joy")
    assert "expected a picture ending in" in error_of(capsys, "explain", run, clip, "--plot", tmp_path / "x.doc")
    assert "absent.wav" in error_of(capsys, "explain", run, tmp_path / "absent.wav")
