from collections.abc import Sequence

import pytest
import torch

from pathosnet.errors import InputError
from pathosnet.features import HashedWords, TextEmbedder, WordVectors


class Guess:
    """Stands for a language identifier."""

    def __init__(self, language: str | None) -> None:
        self.language = language
        self.texts: list[str] = []

    def identify(self, text: str) -> str | None:
        self.texts.append(text)
        return self.language


class Constant:
    """A table of one's own: every word is a row of one number."""

    dim = 2

    def __init__(self, number: float) -> None:
        self.number = number

    def embed(self, words: Sequence[str]) -> torch.Tensor:
        return torch.full((len(words), self.dim), self.number)

    def count_known(self, words: Sequence[str]) -> int:
        return 0


def tables() -> dict[str, WordVectors]:
    return {
        "it": WordVectors(["ciao", "no", "unknown"], torch.tensor([[1.0, 1], [1, 2], [1, 3]])),
        "es": WordVectors(["hola", "ya", "no", "unknown"], torch.tensor([[2.0, 1], [2, 2], [2, 3], [2, 4]])),
    }


@pytest.mark.parametrize("language", ["es", "ES", "es-MX", "es_mx"])
def test_the_language_that_is_named_chooses_the_table(language: str) -> None:
    embedder = TextEmbedder(tables(), Guess("it"))  # type: ignore[arg-type]
    assert embedder.embed("ciao no!", language).tolist() == [[2, 4], [2, 3]]


def test_a_language_without_a_table_is_an_error_that_names_the_others() -> None:
    with pytest.raises(
        InputError, match=r"no word vectors for the language 'el', only for it, es; add them \(--text el="
    ):
        TextEmbedder(tables()).embed("γεια", "el")


def test_a_table_for_every_language_steps_in() -> None:
    embedder = TextEmbedder({**tables(), "*": Constant(9)})
    assert embedder.embed("γεια", "el").tolist() == [[9, 9]]
    assert embedder.embed("ciao", "it").tolist() == [[1, 1]]


def test_with_only_a_table_for_every_language_nothing_is_identified() -> None:
    guess = Guess("it")
    embedder = TextEmbedder({"*": Constant(9)}, guess)  # type: ignore[arg-type]
    assert embedder.embed("ciao", "xx").tolist() == [[9, 9]]
    assert embedder.embed("ciao").tolist() == [[9, 9]]
    assert guess.texts == []


def test_without_a_named_language_the_identifier_chooses() -> None:
    guess = Guess("it")
    embedder = TextEmbedder(tables(), guess)  # type: ignore[arg-type]
    assert embedder.embed("ya, no").tolist() == [[1, 3], [1, 2]]
    assert guess.texts == ["ya no"]


@pytest.mark.parametrize("identifier", [None, Guess("fr"), Guess(None)])
def test_without_a_usable_guess_the_table_that_knows_most_words_is_chosen(identifier: Guess | None) -> None:
    embedder = TextEmbedder(tables(), identifier)  # type: ignore[arg-type]
    assert embedder.choose_table(["ya", "no"]) == "es"
    assert embedder.choose_table(["ciao", "no"]) == "it"
    assert embedder.choose_table(["no"]) == "it", "the first of equals"
    assert embedder.embed("ya no").tolist() == [[2, 2], [2, 3]]


@pytest.mark.parametrize("text", [None, "", " ", "[LAUGHTER]", "…"])
@pytest.mark.parametrize("language", [None, "it"])
def test_an_empty_transcript_has_no_rows(text: str | None, language: str | None) -> None:
    assert TextEmbedder(tables()).embed(text, language).shape == (0, 2)


def test_tables_of_different_dimensions_are_an_error() -> None:
    with pytest.raises(InputError, match="expected tables of one dimension, got it 2, en 300"):
        TextEmbedder({"it": tables()["it"], "en": HashedWords()})


def test_no_tables_are_an_error() -> None:
    with pytest.raises(InputError, match="at least one table"):
        TextEmbedder({})


def test_the_dimension_is_the_tables() -> None:
    assert TextEmbedder({"*": HashedWords(dim=17)}).dim == 17
    assert TextEmbedder({"*": HashedWords(dim=17)}).embed("due parole").shape == (2, 17)
