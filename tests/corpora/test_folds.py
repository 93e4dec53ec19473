from collections import Counter

import pytest
from sklearn.model_selection import GroupKFold
from utterances import LABELS, assert_partition, balanced, corpus_of, emotions_of, speakers_of

from pathosnet.corpora import Corpus, split_corpus
from pathosnet.corpora.splits import describe_leak
from pathosnet.errors import InputError

# Random


def test_random_parts_are_disjoint_and_cover_the_corpus():
    corpus = balanced()
    split = split_corpus(corpus, "random")
    assert_partition(corpus, split)
    assert (len(split.train), len(split.validation), len(split.test)) == (51, 13, 16)
    assert split.strategy == "random"


def test_random_parts_have_the_corpus_shares_of_emotions():
    sizes = {"happiness": 50, "anger": 25, "sadness": 15, "neutral": 10}
    corpus = corpus_of(*({"emotion": label} for label, size in sizes.items() for _ in range(size)))
    split = split_corpus(corpus, "random")
    assert emotions_of(corpus, split.test) == {"happiness": 10, "anger": 5, "sadness": 3, "neutral": 2}
    for label, size in sizes.items():
        assert emotions_of(corpus, split.validation)[label] == pytest.approx(size * 0.8 * 0.2, abs=1)


def test_random_parts_have_each_corpus_and_language_in_them():
    """The paper splits corpus-wise, stratified by corpus and class."""
    rows = [
        {"emotion": label, "corpus": name, "language": language}
        for name, language, size in (("iemocap", "en", 40), ("emofilm", "en", 10), ("emofilm", "it", 20))
        for label in LABELS
        for _ in range(size)
    ]
    corpus = corpus_of(*rows)
    split = split_corpus(corpus, "random")
    tested = Counter((corpus.utterances[i].corpus, corpus.utterances[i].language) for i in split.test)
    assert tested == {("iemocap", "en"): 32, ("emofilm", "en"): 8, ("emofilm", "it"): 16}


def test_small_corpora_among_others_can_be_split():
    rows = [{"emotion": label, "corpus": "large"} for label in LABELS for _ in range(20)]
    rows += [{"emotion": label, "corpus": "small"} for label in LABELS[:2]]
    corpus = corpus_of(*rows)
    assert_partition(corpus, split_corpus(corpus, "random"))


@pytest.mark.parametrize("strategy", ["random", "speaker"])
def test_test_parts_of_the_folds_partition_the_corpus(strategy):
    corpus = balanced()
    tested = [split_corpus(corpus, strategy, fold=fold).test for fold in range(5)]
    assert sorted(i for part in tested for i in part) == list(range(len(corpus)))
    assert all(tested)


def test_seed_decides_random_parts():
    corpus = balanced()
    assert split_corpus(corpus, "random", seed=1) == split_corpus(corpus, "random", seed=1)
    assert split_corpus(corpus, "random", seed=1).test != split_corpus(corpus, "random", seed=2).test


@pytest.mark.parametrize("num_folds", [2, 4, 10])
def test_number_of_folds_decides_the_size_of_the_test_part(num_folds):
    corpus = balanced()
    assert len(split_corpus(corpus, "random", num_folds=num_folds).test) == pytest.approx(80 / num_folds, abs=1)


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.25, 0.3, 0.4, 0.5])
def test_validation_fraction_decides_the_size_of_the_validation_part(fraction):
    split = split_corpus(balanced(100), "random", validation_fraction=fraction)
    assert len(split.validation) == pytest.approx(320 * fraction, abs=4)


@pytest.mark.parametrize("per_class", [5, 6])
def test_the_smallest_classes_that_are_allowed_can_be_split(per_class):
    corpus = corpus_of(*({"emotion": label} for label in LABELS for _ in range(per_class)))
    for fold in range(5):
        split = split_corpus(corpus, "random", fold=fold)
        assert_partition(corpus, split)
        assert set(emotions_of(corpus, split.train)) == set(LABELS)
        assert split.validation


# By speaker


@pytest.mark.parametrize("fold", range(5))
def test_speaker_parts_share_no_speaker(fold):
    corpus = balanced()
    split = split_corpus(corpus, "speaker", fold=fold)
    assert_partition(corpus, split)
    train, validation, test = (speakers_of(corpus, part) for part in split.parts().values())
    assert train
    assert validation
    assert test
    assert not train & validation
    assert not train & test
    assert not validation & test


@pytest.mark.parametrize("num_folds", [3, 5])
def test_speaker_test_parts_are_those_of_group_k_fold(num_folds):
    corpus = balanced()
    speakers = [utterance.speaker for utterance in corpus.utterances]
    expected = list(GroupKFold(num_folds).split(speakers, groups=speakers))
    for fold, (_, chosen) in enumerate(expected):
        assert split_corpus(corpus, "speaker", num_folds, fold=fold).test == tuple(sorted(chosen))


def test_seed_moves_speakers_between_training_and_validation_only():
    corpus = corpus_of(*({"emotion": LABELS[i % 4], "speaker": f"s{i // 4 % 10}"} for i in range(80)))
    splits = [split_corpus(corpus, "speaker", seed=seed) for seed in range(6)]
    assert len({split.test for split in splits}) == 1
    assert len({split.validation for split in splits}) > 1


def test_speakers_of_two_corpora_are_two_people():
    rows = [
        {"emotion": label, "speaker": speaker, "corpus": name}
        for name in ("a", "b")
        for speaker in ("1", "2", "3")
        for label in LABELS
        for _ in range(5)
    ]
    corpus = corpus_of(*rows)
    tested = set()
    for fold in range(6):
        split = split_corpus(corpus, "speaker", num_folds=6, fold=fold)
        (person,) = {(corpus.utterances[i].corpus, corpus.utterances[i].speaker) for i in split.test}
        tested.add(person)
    assert len(tested) == 6


def test_three_speakers_make_three_parts():
    corpus = corpus_of(
        *({"emotion": label, "speaker": s} for s in ("x", "y", "z") for label in LABELS for _ in range(3))
    )
    split = split_corpus(corpus, "speaker", num_folds=3)
    parts = [speakers_of(corpus, part) for part in split.parts().values()]
    assert sorted(map(len, parts)) == [1, 1, 1]
    assert set().union(*parts) == {"x", "y", "z"}


def test_of_two_speakers_one_is_only_tested():
    corpus = corpus_of(*({"emotion": label, "speaker": s} for s in ("x", "y") for label in LABELS for _ in range(10)))
    for fold in range(2):
        split = split_corpus(corpus, "speaker", num_folds=2, fold=fold)
        assert_partition(corpus, split)
        assert len(speakers_of(corpus, split.test)) == 1
        assert not speakers_of(corpus, split.test) & speakers_of(corpus, (*split.train, *split.validation))


def test_too_few_speakers():
    with pytest.raises(InputError, match=r"corpus.csv: has 3 speakers, expected at least 5 .*--num-folds"):
        split_corpus(balanced(num_speakers=3), "speaker")


def test_row_without_speaker_is_named():
    rows = [{"emotion": LABELS[i % 4], "speaker": "" if i == 7 else f"s{i % 6}"} for i in range(40)]
    with pytest.raises(InputError, match=r"corpus.csv, row 9: has no speaker; .*--split random"):
        split_corpus(corpus_of(*rows), "speaker")


def test_many_speakers_of_few_utterances_can_be_split():
    corpus = corpus_of(*({"emotion": LABELS[i % 2], "speaker": f"s{i}"} for i in range(10)))
    split = split_corpus(corpus, "speaker")
    assert_partition(corpus, split)
    assert split.validation


# By column


def column_rows(*parts: str, per_part: int = 2) -> Corpus:
    return corpus_of(*({"emotion": label, "split": part} for part in parts for label in LABELS * per_part))


def test_column_decides_the_parts():
    corpus = column_rows("train", "validation", "test")
    split = split_corpus(corpus, "column")
    assert (split.train, split.validation, split.test) == (tuple(range(8)), tuple(range(8, 16)), tuple(range(16, 24)))
    assert split.strategy == "column"


@pytest.mark.parametrize("train", ["train", "Train", "TRAINING"])
@pytest.mark.parametrize("validation", ["validation", "valid", "val", "dev", "Dev"])
def test_parts_have_synonyms(train, validation):
    split = split_corpus(column_rows(train, validation, "Test"), "column")
    assert [len(part) for part in split.parts().values()] == [8, 8, 8]


def test_auto_takes_the_column_where_there_is_one():
    assert split_corpus(column_rows("train", "dev", "test")).strategy == "column"
    assert split_corpus(balanced()).strategy == "random"


def test_column_can_be_disregarded():
    assert split_corpus(column_rows("train", "dev", "test"), "random").strategy == "random"


def test_validation_part_is_taken_from_training_if_there_is_none():
    corpus = column_rows("train", "test", per_part=5)
    split = split_corpus(corpus, "column")
    assert_partition(corpus, split)
    assert split.test == tuple(range(20, 40))
    assert emotions_of(corpus, split.validation) == dict.fromkeys(LABELS, 1)


@pytest.mark.parametrize("per_part", [3, 4])
def test_validation_part_is_taken_from_small_training_parts(per_part):
    corpus = column_rows("train", "test", per_part=per_part)
    split = split_corpus(corpus, "column")
    assert_partition(corpus, split)
    assert split.validation
    assert set(emotions_of(corpus, split.train)) == set(LABELS)


def test_test_part_may_be_absent():
    assert split_corpus(column_rows("train", "validation"), "column").test == ()


@pytest.mark.parametrize(("value", "shown"), [("holdout", "'holdout'"), ("", "''")])
def test_unknown_part_names_the_row(value, shown):
    rows = [{"emotion": label, "split": "train"} for label in LABELS] + [{"emotion": "anger", "split": value}]
    with pytest.raises(
        InputError, match=f"corpus.csv, row 6: expected a split out of train, validation, test, got {shown}"
    ):
        split_corpus(corpus_of(*rows), "column")


def test_empty_training_part():
    with pytest.raises(InputError, match=r"corpus.csv: the train part is empty"):
        split_corpus(column_rows("validation", "test"), "column")


# Classes


def test_class_with_one_example_names_its_row():
    rows = [{"emotion": label} for label in LABELS[:3] for _ in range(10)] + [{"emotion": "neutral"}]
    with pytest.raises(
        InputError, match=r"corpus.csv, row 32: the emotion 'neutral' has 1 example, expected at least 5"
    ):
        split_corpus(corpus_of(*rows), "random")


def test_class_with_fewer_examples_than_folds_says_what_to_do():
    rows = [{"emotion": label} for label in LABELS[:3] for _ in range(10)] + [{"emotion": "neutral"}] * 4
    corpus = corpus_of(*rows)
    with pytest.raises(InputError, match=r"rows 32, 33, 34, 35: .* has 4 examples.*--num-folds.*--drop-labels neutral"):
        split_corpus(corpus, "random")
    assert_partition(corpus, split_corpus(corpus, "random", num_folds=4))


def test_label_without_any_example_is_allowed():
    rows = [{"emotion": label} for label in LABELS[:3] for _ in range(10)]
    assert split_corpus(corpus_of(*rows), "random").test


@pytest.mark.parametrize("parts", [("test",), ("validation", "test")])
def test_class_that_is_absent_from_training_names_its_rows(parts):
    rows = [{"emotion": label, "split": part} for part in ("train", "validation", "test") for label in LABELS[:3]]
    rows += [{"emotion": "neutral", "split": part} for part in parts]
    listed = ", ".join(str(11 + i) for i in range(len(parts)))
    with pytest.raises(
        InputError, match=f"corpus.csv, rows? {listed}: the emotion 'neutral' does not occur in the training"
    ):
        split_corpus(corpus_of(*rows), "column")


def test_class_that_only_the_tested_speaker_has():
    rows = [{"emotion": LABELS[i % 3], "speaker": f"s{i % 5}"} for i in range(60)]
    rows += [{"emotion": "neutral", "speaker": "s0"}] * 5
    with pytest.raises(InputError, match="'neutral' does not occur in the training part"):
        split_corpus(corpus_of(*rows), "speaker")


def test_leak_is_described_in_words():
    leak = {"test_speakers": 4, "test_speakers_in_training": 3, "test_sentences": 0, "test_sentences_in_training": 0}
    assert describe_leak(leak) == "3 of 4 test speakers also occur in training"
    assert "neither speakers nor texts" in describe_leak(dict.fromkeys(leak, 0))
