"""Tables of word vectors: text files (MUSE, GloVe, fastText .vec) and fastText's binary models."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from pathosnet.errors import InputError
from pathosnet.features.store import FeatureStore
from pathosnet.features.text.fasttext_files import load_fasttext_model
from pathosnet.features.text.tokens import check_words
from pathosnet.features.text.vector_files import read_vectors
from pathosnet.files import to_path

OutOfVocabulary = Literal["prefix", "unknown", "zeros", "skip"]
"""Substitute for a word that the table does not have.

``prefix``: the longest beginning of the word that the table has, else the vector of the word ``unknown`` (the
authors' code); ``unknown``: the vector of the word ``unknown``; ``zeros``: a row of zeros; ``skip``: no row.
Where the table has no word ``unknown`` either, a row of zeros stands for it.
"""

UNKNOWN_WORD = "unknown"

# MUSE saves its maps as NumPy arrays. Rebuilding one calls nothing but these.
_NUMPY_GLOBALS: list[Any] = [
    np.ndarray,
    np.dtype,
    type(np.dtype(np.float32)),
    type(np.dtype(np.float64)),
    *((np.array(0).__reduce__()[0], f"{module}.multiarray._reconstruct") for module in ("numpy.core", "numpy._core")),
]


class WordVectors:
    """A table of words and their vectors.

    Args:
        words: in the order of the rows; if a word comes twice, the first counts.
        vectors: ``(words, dim)``.
        oov: what stands for a word that the table does not have.
    """

    def __init__(self, words: Sequence[str], vectors: Tensor, oov: OutOfVocabulary = "prefix") -> None:
        if len(words) != len(vectors):
            raise ValueError(f"expected one vector a word, got {len(words)} words and {len(vectors)} vectors")
        if oov not in get_args(OutOfVocabulary):
            raise InputError(f"oov: expected one of {', '.join(get_args(OutOfVocabulary))}, got {oov!r}")
        self.words = list(words)
        self.vectors = vectors
        self.oov = oov
        self._rows: dict[str, int] = {}
        for row, word in enumerate(self.words):
            self._rows.setdefault(word, row)
        self._longest = max(map(len, self._rows), default=0)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.vectors.shape[1]

    def __len__(self) -> int:
        return len(self._rows)

    @classmethod
    def load(
        cls,
        path: str | Path,
        max_words: int = 50_000,
        oov: OutOfVocabulary = "prefix",
        *,
        dim: int | None = None,
        store: FeatureStore | None = None,
    ) -> "WordVectors":
        """Reads a text file of one word and its numbers a line, with or without a first line ``count dim``.

        Args:
            path: a ``.vec`` file (MUSE, fastText) or GloVe's ``.txt``, UTF-8, perhaps packed with gzip. Words may hold
                spaces and may be repeated; the count in the first line may be wrong.
            max_words: how many lines to read; the files have frequent words first. The authors' code reads 50,000.
            oov: what stands for a word that the table does not have.
            dim: the dimension that is expected; any if None.
            store: keeps what was read, so that a large file is read once.

        Raises:
            InputError: the file is missing, empty or damaged (naming the line), or of another dimension.
        """
        path = to_path(path)
        if max_words < 1:
            raise InputError(f"{path}: max_words: expected 1 or more, got {max_words}")
        try:
            words, vectors = read_vectors(path, max_words, store)
        except OSError as error:
            raise InputError(f"{path}: cannot be read as word vectors ({error.strerror})") from error
        if dim is not None and vectors.shape[1] != dim:
            raise InputError(
                f"{path}: holds vectors of dimension {vectors.shape[1]}, expected {dim}; "
                "take a file of that dimension (all tables of a model share one)"
            )
        return cls(words, vectors, oov)

    def embed(self, words: Sequence[str]) -> Tensor:
        """Looks words up, in lower case.

        Args:
            words: the words of a sentence.

        Returns:
            ``(tokens, dim)`` float32; fewer rows than words only with the policy ``skip``.
        """
        check_words(words)
        rows = [self._find(word.lower()) for word in words]
        if self.oov == "skip":
            rows = [row for row in rows if row is not None]
        result = torch.zeros(len(rows), self.dim)
        for i, row in enumerate(rows):
            if row is not None:
                result[i] = self.vectors[row]
        return result

    def count_known(self, words: Sequence[str]) -> int:
        """Returns how many of the words the table has as they are (in lower case)."""
        return sum(word.lower() in self._rows for word in words)

    def _find(self, word: str) -> int | None:
        if word in self._rows:
            return self._rows[word]
        if self.oov == "prefix":
            for end in range(min(len(word) - 1, self._longest), 0, -1):
                if word[:end] in self._rows:
                    return self._rows[word[:end]]
        return self._rows.get(UNKNOWN_WORD) if self.oov in ("prefix", "unknown") else None


class FastTextVectors:
    """A fastText binary model: vectors for every word, unseen ones from their character n-grams.

    The models live in their own language's space. To enter a space that several languages share, a language's map is
    needed.

    Args:
        path: a ``.bin`` or ``.ftz`` model.
        mapping: ``(dim, dim)``, multiplied from the right: ``vector @ mapping``.
        dim: the dimension that is expected; any if None.

    Raises:
        InputError: the file is missing or damaged, of another dimension, or fasttext is not installed.
    """

    def __init__(self, path: str | Path, mapping: Tensor | None = None, dim: int | None = None) -> None:
        self.path = to_path(path)
        self.mapping = mapping
        self._model = load_fasttext_model(self.path)
        self.dim: int = self._model.get_dimension()
        if dim is not None and self.dim != dim:
            raise InputError(f"{path}: holds vectors of dimension {self.dim}, expected {dim}")
        if mapping is not None and tuple(mapping.shape) != (self.dim, self.dim):
            raise InputError(
                f"{path}: expected a map of shape ({self.dim}, {self.dim}), got one of {tuple(mapping.shape)}"
            )

    def embed(self, words: Sequence[str]) -> Tensor:
        """Embeds words, in lower case: ``(tokens, dim)`` float32."""
        check_words(words)
        if not words:
            return torch.zeros(0, self.dim)
        vectors = torch.from_numpy(np.stack([self._model.get_word_vector(word.lower()) for word in words]))
        return vectors if self.mapping is None else vectors @ self.mapping

    def count_known(self, words: Sequence[str]) -> int:
        """Returns how many of the words were in the model's training text."""
        return sum(self._model.get_word_id(word.lower()) >= 0 for word in words)


def load_language_map(path: str | Path) -> Tensor:
    """Reads the matrix that takes one language's fastText vectors into the common space.

    Args:
        path: ``.txt`` or ``.npy`` (multiplied from the right, as fastText_multilingual publishes them), or ``.pth``
            (MUSE's ``best_mapping.pth``, multiplied from the left: it is transposed here).

    Returns:
        ``(dim, dim)`` float32, for ``vector @ map``.

    Raises:
        InputError: the file is missing or no square matrix.
    """
    path = to_path(path)
    try:
        if path.suffix == ".pth":
            with torch.serialization.safe_globals(_NUMPY_GLOBALS):
                matrix = torch.as_tensor(torch.load(path, weights_only=True, map_location="cpu")).T
        elif path.suffix == ".npy":
            matrix = torch.from_numpy(np.load(path, allow_pickle=False))
        else:
            matrix = torch.from_numpy(np.loadtxt(path, ndmin=2))
    except Exception as error:  # every reader has its own exceptions for damaged files
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: cannot be read as a language map ({reason})") from error
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InputError(f"{path}: expected a square matrix, got shape {tuple(matrix.shape)}")
    return matrix.float().contiguous()
