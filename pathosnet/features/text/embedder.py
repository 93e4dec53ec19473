"""From a transcript in some language to a sequence of vectors, of its words or of what the sentence makes of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

from pathosnet.errors import InputError
from pathosnet.features.registry import text_embeddings
from pathosnet.features.text.fasttext_files import load_fasttext_model
from pathosnet.features.text.hashed_words import HashedWords
from pathosnet.features.text.tokens import plain_text, tokenize
from pathosnet.files import to_path

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


@runtime_checkable
class SentenceEmbedding(Protocol):
    """Anything that gives whole sentences vectors: ContextualEmbedding, or a class of one's own."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    def embed_texts(self, texts: Sequence[str]) -> list[Tensor]:
        """Returns ``(tokens, dim)`` float32 for each text, which has words and no tags."""

    def count_known(self, words: Sequence[str]) -> int:
        """Returns how many of the words it knows; the table that knows most stands in for an unknown language."""


TextTable = WordEmbedding | SentenceEmbedding
Table = TypeVar("Table", bound=type)


def register_text_embedding(name: str, table: Table) -> Table:
    """Lets options (``--text NAME``) and saved models name a class of word or sentence embeddings.

    Its objects need a ``config()`` that returns the constructor's arguments as JSON values; if it is a module, its
    weights are saved along.

    Args:
        name: of small letters, digits, ``-`` and ``_``.
        table: the class: a ``WordEmbedding`` or a ``SentenceEmbedding``.

    Raises:
        InputError: the name cannot be used, or the class is none of these.
    """
    needed: dict[str, Any] = {"config": 0, "count_known": 0}
    lacking = [method for method in needed if not callable(getattr(table, method, None))]
    if not (hasattr(table, "embed") or hasattr(table, "embed_texts")):
        lacking.append("embed or embed_texts")
    if not isinstance(table, type) or lacking:
        raise InputError(f"text embedding {name!r}: expected a class, with {', '.join(lacking)}, got {table!r}")
    text_embeddings.add(name, table)
    return table


register_text_embedding("hashed", HashedWords)


class LanguageIdentifier:
    """fastText's language identifier (``lid.176.bin`` or ``lid.176.ftz``).

    Args:
        path: the model file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = to_path(path)
        self._model = load_fasttext_model(path)

    def identify(self, text: str) -> str | None:
        """Returns the most probable language's code (``"it"``), or None for a text without words."""
        line = " ".join(tokenize(text))
        # The package's own predict() fails under NumPy 2; the function beneath it does not.
        guesses = self._model.f.predict(line + "\n", 1, 0.0, "strict") if line else []
        return guesses[0][1].removeprefix("__label__") if guesses else None


class TextEmbedder:
    """Chooses the table of a transcript's language, and lets it embed the words or the sentence.

    The language is the one that the caller names, else the identifier's guess, else that of the table that knows most
    of the words.

    Args:
        tables: language code → table; ``"*"`` is a table for every language.
        identifier: for transcripts whose language nobody names.

    Raises:
        InputError: no tables, or tables of different dimensions.
    """

    def __init__(self, tables: Mapping[str, TextTable], identifier: LanguageIdentifier | None = None) -> None:
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
        return self.embed_all([text], [self.choose_table(tokenize(text or ""), language)])[0]

    def embed_all(self, texts: Sequence[str | None], keys: Sequence[str]) -> list[Tensor]:
        """Embeds several transcripts, each as it is embedded alone.

        Args:
            texts: see ``embed``.
            keys: of the table of each; see ``choose_table``.

        Returns:
            One ``(tokens, dim)`` a transcript.
        """
        embedded = [torch.zeros(0, self.dim) for _ in texts]
        words = [tokenize(text or "") for text in texts]
        for key, table in self.tables.items():
            own = [i for i, chosen in enumerate(keys) if chosen == key and words[i]]
            if isinstance(table, SentenceEmbedding):
                found = table.embed_texts([plain_text(texts[i] or "") for i in own])
            else:
                found = [table.embed(words[i]) for i in own]
            for i, vectors in zip(own, found, strict=True):
                embedded[i] = vectors
        return embedded

    def to(self, device: str | torch.device) -> "TextEmbedder":
        """Moves tables that are networks to a device, and returns self."""
        for table in self.tables.values():
            if isinstance(table, nn.Module):
                table.to(device)
        return self

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
