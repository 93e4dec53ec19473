"""Manifests with numbers instead of emotions."""

import numpy as np
import pytest
from making import write_manifest

from pathosnet.corpora import make_folds, read_manifest, split_corpus
from pathosnet.corpora.splits import describe_split, write_folds
from pathosnet.errors import InputError
from pathosnet.targets import DimensionTarget


def write(folder, values=("1", "2.5", "-3e-1"), **columns):
    rows = [{"text": f"t{i}", "Valence": value, **columns} for i, value in enumerate(values)]
    return write_manifest(folder / "ratings.csv", rows)


def many(folder, number=24):
    rows = [
        {"text": f"t{i}", "valence": i / 10, "activation": -i, "speaker": f"s{i % 6}", "script": f"w{i % 4}"}
        for i in range(number)
    ]
    return read_manifest(
        write_manifest(folder / "ratings.csv", rows), DimensionTarget(("valence", "activation")), needs_audio=False
    )


def test_numbers_are_read_and_no_emotion_is_needed(tmp_path):
    corpus = read_manifest(write(tmp_path), DimensionTarget(("valence",)), needs_audio=False)
    assert corpus.target == DimensionTarget(("valence",))
    assert corpus.labels == ("valence",)
    assert [utterance.values for utterance in corpus.utterances] == [(1.0,), (2.5,), (-0.3,)]
    assert corpus.truth([2, 0]).tolist() == [[-0.3], [1.0]]
    assert corpus.counts() == {}


def test_emotions_of_the_same_file_are_not_read(tmp_path):
    path = write(tmp_path, emotion="of no known name")
    assert len(read_manifest(path, DimensionTarget(("valence",)), needs_audio=False)) == 3


@pytest.mark.parametrize(
    ("cell", "advice"), [("", "fill it in"), ("high", "fill it in"), ("nan", ""), ("inf", ""), ("3,5", "write a point")]
)
def test_what_is_no_number_is_named_with_its_row(tmp_path, cell, advice):
    path = write(tmp_path, ["1", cell, "2"])
    with pytest.raises(InputError, match=rf"ratings.csv, row 3: expected a number as valence, got '{cell}'; {advice}"):
        read_manifest(path, DimensionTarget(("valence",)), needs_audio=False)


@pytest.mark.parametrize("name", ["text", "Row", "mean"])
def test_names_that_tables_have_already_are_refused(tmp_path, name):
    path = write_manifest(tmp_path / "ratings.csv", [{"text": "t", "row": "1", "mean": "2"}])
    with pytest.raises(InputError, match=f"targets: '{name}' is what tables call something else; rename the column"):
        read_manifest(path, DimensionTarget((name,)), needs_audio=False)


def test_missing_column_is_named(tmp_path):
    with pytest.raises(InputError, match="has no column 'dominance', only text, valence"):
        read_manifest(write(tmp_path), DimensionTarget(("valence", "dominance")), needs_audio=False)


@pytest.mark.parametrize("strategy", ["random", "speaker", "script", "speaker+script"])
def test_folds_test_every_utterance_or_say_why_not(tmp_path, strategy):
    corpus = many(tmp_path)
    folds = make_folds(corpus, strategy, num_folds=2)
    for fold in folds:
        assert fold.train
        assert fold.validation
        assert not {*fold.train} & {*fold.validation, *fold.test}
        assert "has no" not in describe_split(corpus, fold)
    if strategy != "speaker+script":
        assert sorted(i for fold in folds for i in fold.test) == list(range(24))


def test_folds_of_the_emotions_are_taken_for_the_numbers(tmp_path):
    rows = [{"text": f"t{i}", "emotion": ("anger", "sadness")[i % 2], "valence": i} for i in range(20)]
    path = write_manifest(tmp_path / "both.csv", rows)
    emotions = read_manifest(path, ["anger", "sadness"], needs_audio=False)
    folds = make_folds(emotions, "random", num_folds=2)
    write_folds(tmp_path / "folds.csv", emotions, {f"fold{k}": fold for k, fold in enumerate(folds)})
    numbers = read_manifest(path, DimensionTarget(("valence",)), needs_audio=False)
    again = make_folds(numbers, str(tmp_path / "folds.csv"))
    assert [fold.parts() for fold in again] == [fold.parts() for fold in folds]


def test_fewer_utterances_than_folds_are_too_few(tmp_path):
    with pytest.raises(InputError, match="has 4 utterances, expected at least 5 for 5 folds"):
        split_corpus(many(tmp_path, 4), "random", num_folds=5)


def test_truth_of_emotions_is_their_numbers(tmp_path):
    rows = [{"text": "t", "emotion": emotion} for emotion in ("sadness", "anger", "sadness")]
    corpus = read_manifest(write_manifest(tmp_path / "c.csv", rows), ["anger", "sadness"], needs_audio=False)
    truth = corpus.truth(range(3))
    assert truth.tolist() == [1, 0, 1]
    assert truth.dtype == np.int64
