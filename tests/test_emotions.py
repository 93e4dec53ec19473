import pytest

from pathosnet.emotions import ALIASES, PAPER_EMOTIONS, VALENCE, check_labels, normalize_label, valence_of
from pathosnet.errors import InputError


def test_the_papers_emotions_are_in_the_authors_order() -> None:
    assert PAPER_EMOTIONS == ("happiness", "anger", "sadness", "neutral")


@pytest.mark.parametrize(
    ("value", "emotion"),
    [
        ("happiness", "happiness"),
        ("Happy", "happiness"),
        (" HAP ", "happiness"),
        ("gioia", "happiness"),
        ("alegría", "happiness"),
        ("χαρά", "happiness"),
        ("ΧΑΡΆ", "happiness"),
        ("radość", "happiness"),
        ("ang", "anger"),
        ("rabbia", "anger"),
        ("enfado", "anger"),
        ("θυμός", "anger"),
        ("wut", "anger"),
        ("sad", "sadness"),
        ("tristezza", "sadness"),
        ("λύπη", "sadness"),
        ("smutek", "sadness"),
        ("neu", "neutral"),
        ("neutrale", "neutral"),
        ("ουδέτερο", "neutral"),
    ],
)
def test_spellings_of_corpora_and_languages_are_known(value: str, emotion: str) -> None:
    assert normalize_label(value, PAPER_EMOTIONS) == emotion


def test_no_alias_is_an_emotion_of_its_own() -> None:
    for alias, emotion in ALIASES.items():
        assert alias == alias.lower()
        assert ALIASES.get(emotion, emotion) == emotion


def test_every_paper_emotion_has_a_valence() -> None:
    assert {emotion: VALENCE[emotion] for emotion in PAPER_EMOTIONS} == {
        "happiness": "positive",
        "anger": "negative",
        "sadness": "negative",
        "neutral": "positive",
    }


def test_a_label_of_ones_own_needs_no_alias() -> None:
    assert normalize_label("bored", ("bored", "awake")) == "bored"
    assert normalize_label("BORED", ("Bored", "Awake")) == "Bored"


def test_a_label_as_it_is_written_goes_before_one_in_another_case() -> None:
    assert normalize_label("A", ("A", "a")) == "A"
    assert normalize_label("a", ("A", "a")) == "a"


def test_the_users_mapping_goes_before_everything_else() -> None:
    assert normalize_label("happy", PAPER_EMOTIONS, {"happy": "sadness"}) == "sadness"
    assert normalize_label("EXC", PAPER_EMOTIONS, {"exc": "happiness"}) == "happiness"
    assert normalize_label("exc", PAPER_EMOTIONS, {"Exc": "hap"}) == "happiness"
    assert normalize_label("sad", PAPER_EMOTIONS, {"happy": "sadness"}) == "sadness"


def test_an_unknown_label_names_the_place_the_labels_and_what_to_do() -> None:
    with pytest.raises(
        InputError,
        match=r"^data\.csv, row 7: expected an emotion out of happiness, anger, sadness, neutral, got 'xxx'; "
        r"map it \(--label xxx=happiness\), leave it out \(--drop-labels xxx\) or name your own --labels$",
    ):
        normalize_label("xxx", PAPER_EMOTIONS, where="data.csv, row 7")


@pytest.mark.parametrize("value", ["", " ", "fear", "excited", "surprise"])
def test_emotions_that_are_no_label_are_an_error(value: str) -> None:
    with pytest.raises(InputError, match="expected an emotion out of"):
        normalize_label(value, PAPER_EMOTIONS)


def test_valence_sums_the_authors_way() -> None:
    probabilities = {"happiness": 0.4, "anger": 0.3, "sadness": 0.1, "neutral": 0.2}
    sums = valence_of(probabilities)
    assert sums.keys() == {"positive", "negative"}
    assert sums["positive"] == pytest.approx(0.6)
    assert sums["negative"] == pytest.approx(0.4)


def test_valence_of_other_spellings_is_known_and_of_other_labels_is_not() -> None:
    sums = valence_of({"Happy": 0.5, "RABBIA": 0.25, "surprise": 0.125, "puzzled": 0.125})
    assert sums == {"positive": 0.5, "negative": 0.25, "unknown": 0.25}


def test_one_label_or_a_repeated_one_cannot_be_classified() -> None:
    check_labels(PAPER_EMOTIONS)
    with pytest.raises(InputError, match=r"at least two, got \['anger'\]"):
        check_labels(["anger"])
    with pytest.raises(InputError, match="each label once"):
        check_labels(["anger", "joy", "anger"])
