"""From a transcript in some language to a sequence of word vectors."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from torch import Tensor

from pathosnet.errors import InputError
from pathosnet.features.fasttext_files import load_fasttext_model
from pathosnet.features.tokens import tokenize

ANY_LANGUAGE = "*"


class WordEmbedding(Protocol):
    """Anything that gives words vectors: WordVectors, FastTextVectors, HashedWords, or a class of one's own."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    def embed(self, words: Sequence[str]) -> Tensor:
        """Returns ``(tokens, dim)`` float32."""

    def count_known(self, words: Sequence[str]) -> int:
        """Returns how many of the words have a vector of their own."""


class LanguageIdentifier:
    """fastText's language identifier (``lid.176.bin`` or ``lid.176.ftz``).

    Args:
        path: the model file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._model = load_fasttext_model(path)

    def identify(self, text: str) -> str | None:
        """Returns the most probable language's code (``"it"``), or None for a text without words."""
        line = " ".join(tokenize(text))
        # The package's own predict() fails under NumPy 2; the function beneath it does not.
        guesses = self._model.f.predict(line + "\n", 1, 0.0, "strict") if line else []
        return guesses[0][1].removeprefix("__label__") if guesses else None


class TextEmbedder:
    """Chooses the table of a transcript's language and looks its words up.

    The language is the one that the caller names, else the identifier's guess, else that of the table that knows most
    of the words.

    Args:
        tables: language code → table; ``"*"`` is a table for every language.
        identifier: for transcripts whose language nobody names.

    Raises:
        InputError: no tables, or tables of different dimensions.
    """

    def __init__(self, tables: Mapping[str, WordEmbedding], identifier: LanguageIdentifier | None = None) -> None:
        if not tables:
            raise InputError("text: expected at least one table of word vectors")
        dims = {language: table.dim for language, table in tables.items()}
        if len(set(dims.values())) > 1:
            listed = ", ".join(f"{language} {dim}" for language, dim in dims.items())
            raise InputError(f"text: expected tables of one dimension, got {listed}")
        self.tables = dict(tables)
        self.identifier = identifier
        self.dim = next(iter(dims.values()))

    def embed(self, text: str | None, language: str | None = None) -> Tensor:
        """Embeds a transcript.

        Args:
            text: one utterance; None or empty if there is none.
            language: its code, ``"it"``; None if unknown.

        Returns:
            ``(tokens, dim)``; no rows for an empty transcript.

        Raises:
            InputError: there is no table for the language.
        """
        words = tokenize(text or "")
        return self.tables[self.choose_table(words, language)].embed(words)

    def choose_table(self, words: Sequence[str], language: str | None = None) -> str:
        """Returns the key of the table for these words."""
        if len(self.tables) == 1 and ANY_LANGUAGE in self.tables:
            return ANY_LANGUAGE
        if language:
            code = language.lower().replace("_", "-").split("-")[0]
            for key in (language, code, ANY_LANGUAGE):
                if key in self.tables:
                    return key
            raise InputError(
                f"text: no word vectors for the language {language!r}, only for {', '.join(self.tables)}; "
                f"add them (--text {code}=FILE.vec)"
            )
        if self.identifier is not None:
            guess = self.identifier.identify(" ".join(words))
            if guess in self.tables:
                return str(guess)
        return max(self.tables, key=lambda key: self.tables[key].count_known(words))
