"""Folds that are written into a file and read again."""

import pytest
from utterances import corpus_of, crossed

from pathosnet.corpora import make_folds, split_corpus
from pathosnet.corpora.splits import read_folds, write_folds
from pathosnet.errors import InputError


@pytest.mark.parametrize("strategy", ["random", "speaker", "speaker+script"])
def test_folds_are_read_as_they_were_written(tmp_path, strategy):
    corpus = crossed()
    folds = make_folds(corpus, strategy, num_folds=3)
    write_folds(tmp_path / "folds.csv", corpus, {f"fold{k}": split for k, split in enumerate(folds)})
    read = make_folds(corpus, str(tmp_path / "folds.csv"))
    assert [split.parts() for split in read] == [split.parts() for split in folds]
    assert split_corpus(corpus, str(tmp_path / "folds.csv"), fold=2).parts() == folds[2].parts()
    with pytest.raises(InputError, match=r"folds.csv: expected a fold from 0 to 2, got 3"):
        split_corpus(corpus, str(tmp_path / "folds.csv"), fold=3)


def test_folds_of_another_corpus_are_refused(tmp_path):
    write_folds(tmp_path / "folds.csv", crossed(), {"fold0": split_corpus(crossed(), "random")})
    with pytest.raises(InputError, match=r"folds.csv, row 3: does not fit corpus.csv, row 3 .*, happiness\)"):
        read_folds(tmp_path / "folds.csv", corpus_of(*({"emotion": "happiness"} for _ in range(9))))
    with pytest.raises(InputError, match=r"folds.csv: does not fit corpus.csv, row 194"):
        read_folds(tmp_path / "folds.csv", crossed(num_speakers=7))


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "manifest,row,corpus,audio,emotion,speaker,script\n"])
def test_file_that_holds_no_folds(tmp_path, content):
    (tmp_path / "folds.csv").write_text(content)
    with pytest.raises(InputError, match=r"folds.csv: expected the columns manifest, row, .* and one for each fold"):
        read_folds(tmp_path / "folds.csv", crossed())


def test_unknown_part_in_a_file_of_folds(tmp_path):
    corpus = crossed()
    path = tmp_path / "folds.csv"
    write_folds(path, corpus, {"fold0": split_corpus(corpus, "random")})
    path.write_text(path.read_text().replace(",train", ",training", 1))
    with pytest.raises(InputError, match=r"row \d+: expected train, validation, test or nothing in fold0, got 'train"):
        read_folds(path, corpus)


def test_row_of_a_file_of_folds_that_was_cut_off(tmp_path):
    corpus = crossed()
    path = tmp_path / "folds.csv"
    write_folds(path, corpus, {"fold0": split_corpus(corpus, "random")})
    path.write_text(path.read_text().rstrip().rpartition(",")[0])
    with pytest.raises(InputError, match=rf"folds.csv, row {len(corpus) + 1}: expected 9 cells, got 8"):
        read_folds(path, corpus)
