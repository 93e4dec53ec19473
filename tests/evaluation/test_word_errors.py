import pytest

from pathosnet.evaluation import measure_word_errors
from pathosnet.evaluation.metrics import normalize_transcript


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I can't BELIEVE it!", "i can t believe it"),
        ("[LAUGHTER] no — no…", "no no"),
        ("ΟΔΟΣ, οδός", "οδοσ οδόσ"),
        ("Straße", "strasse"),
        (" \t\n", ""),
    ],
)
def test_case_punctuation_tags_and_blanks_are_removed(text, expected):
    assert normalize_transcript(text) == expected


def test_errors_by_hand():
    """Three words said: one right, one wrong, one missing, and one too many in the second text."""
    found = measure_word_errors(["Go away now!", "yes"], ["go astray", "Yes, please."])
    assert found is not None
    assert (found.utterances, found.words) == (2, 4)
    assert (found.substitutions, found.deletions, found.insertions) == (1, 1, 1)
    assert found.wer == pytest.approx(3 / 4)


def test_character_error_rate_by_hand():
    found = measure_word_errors(["abcd"], ["abXd"])
    assert found is not None
    assert (found.wer, found.cer) == (1.0, pytest.approx(1 / 4))


def test_equal_texts_have_no_errors():
    found = measure_word_errors(["L'amico!"], ["l’amico"])
    assert found is not None
    assert (found.wer, found.cer) == (0.0, 0.0)


def test_references_without_words_are_left_out():
    found = measure_word_errors(["", "[SIGH]", "yes"], ["something", "else", ""])
    assert found is not None
    assert (found.utterances, found.words, found.wer) == (1, 1, 1.0)
    assert measure_word_errors(["", "…"], ["a", "b"]) is None
    assert measure_word_errors([], []) is None
