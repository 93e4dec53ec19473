from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold

from pathosnet.corpora import Corpus, Split, Utterance, make_folds, split_corpus
from pathosnet.corpora.splits import describe_leak, describe_split, groups_of, read_folds, write_folds
from pathosnet.errors import InputError
from pathosnet.targets import ClassTarget

LABELS = ("happiness", "anger", "sadness", "neutral")


def corpus_of(*utterances: dict, labels: tuple[str, ...] = LABELS) -> Corpus:
    made = [Utterance(None, "", row=row, **utterance) for row, utterance in enumerate(utterances, start=2)]
    return Corpus((Path("corpus.csv"),), tuple(made), ClassTarget(labels))


def balanced(per_class: int = 20, num_speakers: int = 8, **columns: str) -> Corpus:
    """Labels in turn; the speakers' shares are uneven."""
    generator = np.random.default_rng(3)
    return corpus_of(
        *(
            {"emotion": LABELS[i % 4], "speaker": f"s{min(generator.integers(num_speakers, size=2))}", **columns}
            for i in range(4 * per_class)
        )
    )


def speakers_of(corpus: Corpus, positions: tuple[int, ...]) -> set[str]:
    return {corpus.utterances[i].speaker for i in positions}


def emotions_of(corpus: Corpus, positions: tuple[int, ...]) -> Counter:
    return Counter(corpus.utterances[i].emotion for i in positions)


def assert_partition(corpus: Corpus, split: Split) -> None:
    joined = [*split.train, *split.validation, *split.test]
    assert sorted(joined) == list(range(len(corpus)))
    for part in split.parts().values():
        assert list(part) == sorted(part)


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


# By session, sentence, and both


def crossed(num_speakers: int = 6, num_sentences: int = 8, **columns: str) -> Corpus:
    """Every speaker says every sentence with every emotion."""
    return corpus_of(
        *(
            {"emotion": label, "speaker": f"s{s}", "script": f"t{t}", "session": f"{s // 2}", **columns}
            for s in range(num_speakers)
            for t in range(num_sentences)
            for label in LABELS
        )
    )


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


# Files of folds


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
