import json
import shutil

import numpy as np
import pytest
from commands import error_of
from making import make_corpus

from pathosnet import cli
from pathosnet.emotions import PAPER_EMOTIONS


def test_evaluation_repeats_the_metrics_of_the_run(run, corpus, capsys):
    capsys.readouterr()
    cli.main(["evaluate", str(run), str(corpus), "--json"])
    captured = capsys.readouterr()
    assert captured.err == ""
    report = json.loads(captured.out)
    assert report.pop("what").startswith("the test part")
    expected = json.loads((run / "metrics.json").read_text())
    assert report["confusion"] == expected["confusion"]
    for name in ("accuracy", "uar", "precision", "recall", "f1", "auc"):
        assert report[name] == pytest.approx(expected[name], abs=1e-6)


def test_evaluation_prints_a_table(run, corpus, capsys):
    cli.main(["evaluate", str(run), str(corpus), "--part", "all"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("all 32 utterances of")
    assert lines[1].startswith("accuracy ")
    assert [line.split()[0] for line in lines[4:]] == list(PAPER_EMOTIONS)
    counts = np.array([[int(value) for value in line.split()[1:5]] for line in lines[4:]])
    assert counts.sum() == 32
    assert (counts.sum(axis=1) == 8).all()


def test_evaluation_draws_a_picture(run, corpus, tmp_path):
    for name in ("matrix.png", "matrix.svg"):
        cli.main(["evaluate", str(run), str(corpus), "--json", "--plot", str(tmp_path / name)])
    assert (tmp_path / "matrix.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "matrix.svg").read_text()


@pytest.mark.parametrize("plot", ["missing_folder/matrix.png", "matrix.doc"])
def test_picture_that_cannot_be_written(run, corpus, tmp_path, capsys, plot):
    message = error_of(capsys, "evaluate", run, corpus, "--json", "--plot", tmp_path / plot)
    assert str(tmp_path / plot) in message


@pytest.mark.parametrize("without", ["text", "audio"])
def test_evaluation_without_one_input(run, corpus, capsys, without):
    reports = []
    for options in ([], ["--without", without]):
        capsys.readouterr()
        cli.main(["evaluate", str(run), str(corpus), "--part=all", "--json", *options])
        reports.append(json.loads(capsys.readouterr().out))
    assert reports[0]["auc"] != reports[1]["auc"]


def test_evaluation_maps_and_drops_labels(run, tmp_path, capsys):
    other = make_corpus(tmp_path / "other", per_class=2, emotions=("w", "joy", "fear"))
    capsys.readouterr()
    cli.main(["evaluate", str(run), str(other), "--json", "--label", "w=anger", "--drop-labels", "fear"])
    assert json.loads(capsys.readouterr().out)["utterances"] == 4


@pytest.mark.parametrize("content", [b"", b"{", b"{}"])
def test_damaged_run_is_named(content, run, corpus, tmp_path, capsys):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "split.csv").write_bytes(content)
    assert "split.csv" in error_of(capsys, "evaluate", tmp_path / "run", corpus, "--json")


def test_evaluation_by_groups_of_any_column(run, tmp_path, capsys):
    path = make_corpus(tmp_path / "c", sex=lambda n, _: "fm"[n % 2])
    capsys.readouterr()
    cli.main(["evaluate", str(run), str(path), "--part=all", "--by", "sex,speaker", "--json"])
    groups = json.loads(capsys.readouterr().out)["groups"]
    assert [(one["column"], one["group"], one["utterances"]) for one in groups[:3]] == [
        *(("sex", "f", 16), ("sex", "m", 16)),
        ("speaker", "s0", 8),
    ]
    cli.main(["evaluate", str(run), str(path), "--part=all", "--by", "sex"])
    assert "permutation tests against all others" in capsys.readouterr().out
    assert "has no column 'age' to group by, only speaker" in error_of(capsys, "evaluate", run, path, "--by", "age")
