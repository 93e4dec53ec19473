"""Sessions, sentences, speakers and corpora that are in one part only, and what is said of it."""

from pathlib import Path

import pytest
from utterances import LABELS, assert_partition, balanced, corpus_of, crossed, emotions_of

from pathosnet.corpora import Corpus, Split, Utterance, make_folds, split_corpus
from pathosnet.corpora.splits import describe_split, groups_of
from pathosnet.errors import InputError
from pathosnet.targets import ClassTarget

# By session, sentence, and both


def values(corpus: Corpus, positions: tuple[int, ...], name: str) -> set[str]:
    return {getattr(corpus.utterances[i], name) for i in positions}


def assert_apart(corpus: Corpus, split: Split, name: str) -> None:
    train, validation, test = (values(corpus, part, name) for part in split.parts().values())
    assert train
    assert validation
    assert test
    assert not train & validation
    assert not train & test
    assert not validation & test


@pytest.mark.parametrize("strategy", ["session", "script"])
def test_sessions_and_sentences_can_be_kept_apart(strategy):
    corpus = crossed()
    for split in make_folds(corpus, strategy, num_folds=3):
        assert_partition(corpus, split)
        assert_apart(corpus, split, strategy)


def test_as_many_folds_as_sessions_leave_one_out():
    corpus = crossed(num_speakers=10)
    tested = [values(corpus, split.test, "session") for split in make_folds(corpus, "session", num_folds=5)]
    assert sorted(tested, key=min) == [{"0"}, {"1"}, {"2"}, {"3"}, {"4"}]


def test_without_scripts_the_words_tell_sentences_apart():
    texts = ["Good morning!", "good morning", "Bye.", "bye", "Yes?", "No."]
    rows = [{"emotion": label, "speaker": ""} for label in LABELS for _ in texts]
    made = [Utterance(None, texts[i % 6], row=i + 2, **row) for i, row in enumerate(rows)]
    corpus = Corpus((Path("corpus.csv"),), tuple(made), ClassTarget(LABELS))
    for split in make_folds(corpus, "script", num_folds=4):
        said = [{u.text.lower().strip("!.?") for u in (made[i] for i in part)} for part in split.parts().values()]
        assert not said[0] & said[2]
        assert not said[1] & said[2]


def test_neither_speakers_nor_sentences_are_in_two_parts():
    corpus = crossed()
    for split in make_folds(corpus, "speaker+script", num_folds=3):
        assert_apart(corpus, split, "speaker")
        assert_apart(corpus, split, "script")
        left_out = len(corpus) - sum(map(len, split.parts().values()))
        assert left_out > 0
        assert f"{left_out} utterances are in no part" in describe_split(corpus, split)


def test_corpora_are_divided_one_by_one():
    first, second = crossed(corpus="a").utterances, crossed(num_speakers=2, corpus="b").utterances
    corpus = Corpus((Path("corpus.csv"),), first + second, ClassTarget(LABELS))
    folds = make_folds(corpus, "speaker", num_folds=3)
    assert [len(groups_of(corpus, split.test, "speaker") & {("a", f"s{s}") for s in range(6)}) for split in folds] == [
        2
    ] * 3
    of_b = [{s for c, s in groups_of(corpus, split.test, "speaker") if c == "b"} for split in folds]
    assert sorted(map(len, of_b)) == [0, 1, 1]
    assert set().union(*of_b) == {"s0", "s1"}
    untested = folds[of_b.index(set())]
    assert "not tested: b" in describe_split(corpus, untested)


@pytest.mark.parametrize(("strategy", "kind"), [("session", "sessions"), ("script", "sentences")])
def test_fewer_groups_than_folds(strategy, kind):
    with pytest.raises(InputError, match=f"corpus.csv: has [38] {kind}, expected at least 10 .*--num-folds"):
        make_folds(crossed(num_speakers=6), strategy, num_folds=10)


def test_class_that_is_absent_from_a_test_part():
    rows = [{"emotion": label, "speaker": f"s{s}"} for s in range(5) for label in LABELS if (s, label) != (2, "anger")]
    with pytest.raises(InputError, match="the emotion 'anger' does not occur in the test part"):
        make_folds(corpus_of(*rows * 2), "speaker")


def test_fold_column_is_tested_value_by_value():
    corpus = corpus_of(*({"emotion": LABELS[i % 4], "fold": f"{i // 4 % 3 + 8}"} for i in range(48)))
    folds = make_folds(corpus, "auto")
    assert [values(corpus, split.test, "fold") for split in folds] == [{"8"}, {"9"}, {"10"}]
    for split in folds:
        assert_partition(corpus, split)


def test_row_without_fold_is_named():
    rows = [{"emotion": LABELS[i % 4], "fold": "" if i == 3 else str(i % 2)} for i in range(16)]
    with pytest.raises(InputError, match=r"corpus.csv, row 5: has no fold"):
        make_folds(corpus_of(*rows), "column")


def test_unknown_strategy():
    with pytest.raises(InputError, match=r"split: expected auto, random, speaker, .*, got 'speakers'"):
        split_corpus(balanced(), "speakers")


# What a split guarantees


def test_guarantee_of_random_parts_counts_what_they_share():
    corpus = crossed()
    said = describe_split(corpus, split_corpus(corpus, "random"))
    assert "of 6 test speakers, 6 in training and 6 in validation" in said
    assert "of 8 test sentences, 8 in training and 8 in validation" in said


def test_guarantee_of_speakers_apart():
    corpus = crossed()
    said = describe_split(corpus, split_corpus(corpus, "speaker"))
    assert "no test speaker occurs in training or validation" in said
    assert "of 8 test sentences, 8 in training" in said


def test_guarantee_says_when_validation_shares_its_speaker():
    corpus = crossed(num_speakers=2)
    said = describe_split(corpus, split_corpus(corpus, "speaker", num_folds=2))
    assert "no test speaker occurs in training or validation" in said
    assert "validation shares 1 of its speakers with training" in said


def test_nothing_is_guaranteed_of_nameless_utterances():
    corpus = corpus_of(*({"emotion": LABELS[i % 4]} for i in range(40)))
    assert "is not known" in describe_split(corpus, split_corpus(corpus, "random"))


# Corpora


def test_every_corpus_is_tested_by_what_the_others_taught():
    corpora = [{"corpus": name, "emotion": LABELS[i % 4]} for name in ("a", "b", "c") for i in range(16)]
    corpus = corpus_of(*({**one, "speaker": f"s{i % 4}"} for i, one in enumerate(corpora)))
    folds = make_folds(corpus, "corpus", num_folds=7)
    assert len(folds) == 3
    for name, split in zip("abc", folds, strict=True):
        assert_partition(corpus, split)
        assert {corpus.utterances[i].corpus for i in split.test} == {name}
        assert len(split.test) == 16
        assert not groups_of(corpus, split.train, "speaker") & groups_of(corpus, split.validation, "speaker")


def test_corpora_without_some_speakers_validate_at_random():
    corpus = corpus_of(*({"corpus": name, "emotion": LABELS[i % 4]} for name in "ab" for i in range(20)))
    split = split_corpus(corpus, "corpus", fold=1)
    assert {corpus.utterances[i].corpus for i in split.test} == {"b"}
    assert emotions_of(corpus, split.validation) == dict.fromkeys(LABELS, 1)


def test_corpus_that_is_tested_may_lack_emotions_that_the_others_have():
    rows = [{"corpus": "a", "emotion": LABELS[i % 4]} for i in range(20)]
    corpus = corpus_of(*rows, *({"corpus": "b", "emotion": LABELS[i % 2]} for i in range(6)))
    assert "the test part has no sadness, no neutral" in describe_split(corpus, split_corpus(corpus, "corpus", fold=1))
    with pytest.raises(InputError, match="'sadness' does not occur in the training part"):
        split_corpus(corpus, "corpus")


def test_a_single_corpus_cannot_be_kept_apart():
    with pytest.raises(InputError, match="expected at least 2 corpora to keep apart"):
        split_corpus(balanced(corpus="a"), "corpus")
    with pytest.raises(InputError, match="expected more than 2 corpora"):
        split_corpus(
            corpus_of(*({"corpus": n, "emotion": LABELS[i % 4]} for n in "ab" for i in range(8))), "corpus", fold=2
        )
