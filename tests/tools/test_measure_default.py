"""``tools/measure_default.py``: its profiles are those of the library, of other recordings of the same speaker."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from making import make_corpus

from pathosnet import PathosNet

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    import measure_default

    return measure_default


@pytest.fixture(scope="module")
def small():
    return PathosNet.from_pretrained("small")


@pytest.fixture
def corpus(tmp_path):
    return make_corpus(tmp_path / "corpus", per_class=4, num_speakers=2)


def listen(tool, small, corpus):
    return tool.listen(tool.read_corpus([corpus], [], None), small.extractors)


def test_profiles_are_of_other_recordings_of_the_speaker(tool, small, corpus):
    sample = listen(tool, small, corpus)
    for size, expected in ((0, 0), (3, 3), (20, 7), (tool.ALL, 7)):
        for one, chosen in enumerate(tool.draw_profiles(sample, size, 0)):
            assert len(set(chosen)) == expected
            assert one not in chosen
            assert {sample.speakers[i] for i in chosen} <= {sample.speakers[one]}
    for one, chosen in enumerate(tool.draw_profiles(sample, 10, 0, same_emotion=True)):
        assert {sample.truth[i] for i in chosen} == {sample.truth[one]}


def test_answers_are_those_of_the_model_given_the_same_profile(tool, small, corpus):
    sample = listen(tool, small, corpus)
    drawn = tool.draw_profiles(sample, 3, 0)
    answers = tool.answer(small, sample, drawn)
    paths = [utterance.audio for utterance in sample.corpus.utterances]
    for i in (0, 9):
        profile = small.profile([paths[j] for j in drawn[i]])
        expected = small.predict(paths[i], profile=profile).probabilities.values()
        np.testing.assert_allclose(answers[i], list(expected), atol=1e-5)
    alone = tool.answer(small, sample, tool.draw_profiles(sample, 0, 0))
    np.testing.assert_allclose(alone[0], list(small.predict(paths[0]).probabilities.values()), atol=1e-5)


def test_a_perfect_answer_has_a_recall_of_one_and_no_calibration_error(tool, small, corpus):
    sample = listen(tool, small, corpus)
    answers = np.eye(4)[sample.truth][None]
    assert tool.uar(sample, answers.argmax(2) == sample.truth) == pytest.approx((1, 1, 1))
    assert tool.calibration_error(sample, answers) == 0


def test_it_prints_a_row_for_each_size(tool, small, corpus, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["measure_default.py", "small", str(corpus), "--draws", "1"])
    tool.main()
    printed = capsys.readouterr().out
    assert f"{corpus}: 16 recordings, 2 speakers" in printed
    sizes = [line.split("|")[1].strip() for line in printed.splitlines()[5:12]]
    assert sizes == ["0", "1", "3", "5", "10", "20", "all"]


def test_the_probe_hears_what_it_was_trained_on(tool, small, corpus):
    sample = listen(tool, small, corpus)
    means = torch.eye(4)[torch.from_numpy(sample.truth)] * 50
    probed = tool.Sample(sample.corpus, {tool.PROBE: [one[None] for one in means]}, sample.truth, sample.speakers)
    ask = tool.make_probe(probed)
    for size in (0, 3):
        answers = ask(probed, tool.draw_profiles(probed, size, 0))
        assert answers.argmax(axis=1).tolist() == sample.truth.tolist()
