"""Figures of groups of people in a model's card and in a report."""

from making import make_corpus, tiny_config

from pathosnet.experiments.cross_validate import cross_validate
from pathosnet.experiments.train import train


def test_card_and_report_show_groups_of_people(tmp_path):
    path = make_corpus(tmp_path, sex=lambda n, _: "fm"[n % 2])
    run = train(path, tmp_path / "run", tiny_config())
    assert [one["group"] for one in run.model.facts.metrics["groups"]] == ["f", "m"]
    card = (run.folder / "README.md").read_text()
    assert "| sex | f | " in card
    assert "across groups that it does not name" in card
    cross_validate([path], tmp_path / "cv", tiny_config(num_folds=2, epochs=1))
    page = (tmp_path / "cv" / "report.html").read_text()
    assert "<h2>Groups</h2>" in page
    assert "<td>speaker</td><td>s3</td>" in page
    assert "permutation tests against all others" in page
