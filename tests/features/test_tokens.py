import unicodedata

import pytest

from pathosnet.features import tokenize


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("  \t\n ", []),
        ("… — !?", []),
        ("[LAUGHTER]", []),
        ("Ciao!", ["Ciao"]),
        ("L'amico c’è", ["L", "amico", "c", "è"]),
        ("well-known, snake_case", ["well", "known", "snake", "case"]),
        ("I [LAUGHTER] know [breathing loudly] it", ["I", "know", "it"]),
        ("half [a tag", ["half", "a", "tag"]),
        ("2 or 3rd", ["2", "or", "3rd"]),
        ("Τι κάνεις;", ["Τι", "κάνεις"]),
        ("¿Qué tal? ¡Ya no!", ["Qué", "tal", "Ya", "no"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("ZAŻÓŁĆ gęślą", ["ZAŻÓŁĆ", "gęślą"]),
        ("nbsp\u00a0between\u2003words", ["nbsp", "between", "words"]),
    ],
)
def test_letters_digits_and_marks_make_words(text: str, words: list[str]) -> None:
    assert tokenize(text) == words


def test_decomposed_letters_are_composed() -> None:
    decomposed = unicodedata.normalize("NFD", "perché così")
    assert decomposed != "perché così"
    assert tokenize(decomposed) == ["perché", "così"]
