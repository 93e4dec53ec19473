import json
from pathlib import Path

import pytest
from commands import error_of, help_of
from making import read_rows, write_tone

from pathosnet import cli


@pytest.fixture
def emovo(tmp_path) -> Path:
    """A folder that looks like EMOVO, with a file that does not."""
    for name in ("f1/gio-f1-b1.wav", "m1/rab-m1-d1.wav", "m1/pau-m1-d1.wav", "notes.wav"):
        path = tmp_path / "emovo" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_tone(path, 1.0)
    return tmp_path / "emovo"


def test_corpora_are_listed(capsys):
    cli.main(["corpora"])
    shown = capsys.readouterr().out
    assert "ravdess: RAVDESS (en), neutral, calm" in shown
    assert "from:    Zenodo, record 1188976; CC BY-NC-SA 4.0" in shown
    cli.main(["corpora", "list"])
    assert capsys.readouterr().out == shown
    cli.main(["corpora", "list", "--json"])
    assert [one["name"] for one in json.loads(capsys.readouterr().out)][:2] == ["iemocap", "emofilm"]


def test_corpus_is_imported_and_counted(emovo, tmp_path, capsys):
    cli.main(["corpora", "import", "emovo", str(emovo), "--out", str(tmp_path / "emovo.csv")])
    captured = capsys.readouterr()
    assert captured.out == f"{tmp_path / 'emovo.csv'}: 3 utterances (happiness 1, anger 1, fear 1)\n"
    assert captured.err == "note: 1 not named like gio-f1-b1.wav: notes.wav\n"
    cli.main(["corpora", "stats", str(tmp_path / "emovo.csv"), "--drop-labels", "fear", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["total"]["counts"] == {"happiness": 1, "anger": 1}
    assert report["corpora"][0]["durations"]["total"] == 2.0
    cli.main(["corpora", "stats", str(tmp_path / "emovo.csv")])
    assert capsys.readouterr().out.splitlines()[1].split() == ["emovo", "it", "1", "1", "1", "3"]


def test_corpus_is_imported_by_a_pattern(emovo, tmp_path, capsys):
    options = ["--pattern", "{emotion}-{speaker}-{script}.wav", "--label", "rab=anger", "--label=gio=happiness"]
    options += ["--emotions=anger,happiness", "--language", "it"]
    cli.main(["corpora", "import", "mine", str(emovo), "--out", str(tmp_path / "mine.csv"), *options])
    capsys.readouterr()
    rows = read_rows(tmp_path / "mine.csv")
    assert [(row["emotion"], row["speaker"], row["script"], row["language"], row["corpus"]) for row in rows] == [
        ("happiness", "f1", "b1", "it", "mine"),
        ("anger", "m1", "d1", "it", "mine"),
    ]


def test_imports_that_cannot_be_done(emovo, tmp_path, capsys):
    out = ["--out", tmp_path / "x.csv"]
    assert "no importer is called 'x', only iemocap" in error_of(capsys, "corpora", "import", "x", emovo, *out)
    assert "expected Actor_01 … Actor_24" in error_of(capsys, "corpora", "import", "ravdess", emovo, *out)
    assert "'--out'; see pathosnet corpora import --help" in error_of(capsys, "corpora", "import", "emovo", emovo)
    assert "'tell'" in error_of(capsys, "corpora", "tell")
    assert "expected KEY=VALUE" in error_of(capsys, "corpora", "import", "emovo", emovo, *out, "--label", "x")
    assert "happiness" in error_of(capsys, "corpora", "import", "iemocap", emovo, *out, "--happiness", "joy")
    assert "No such file" in error_of(capsys, "corpora", "stats", tmp_path / "absent.csv")
    assert not (tmp_path / "x.csv").exists()


def test_help_of_an_import_explains_its_options(capsys):
    shown = help_of(capsys, "corpora", "import", "ravdess")
    assert shown.startswith("Usage: pathosnet corpora import CORPUS FOLDER --out PATH")
    assert "IEMOCAP: excited" in shown
    assert "import" in help_of(capsys, "corpora")
