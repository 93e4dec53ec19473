"""Word vectors that need no file: sums of pseudo-random vectors, one for each piece of the word."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pathosnet.features.text.tokens import check_words

LONGEST_WORD = 1000
"""Letters of a word that count; no language has longer ones, and a text without blanks would take gigabytes."""
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FNV_OFFSET, _FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3


class HashedWords:
    """Deterministic subword-hash embedding.

    A word's pieces are its character n-grams with the word's ends marked (``<no``, ``non``, ``on>``) and the whole
    word. Each piece's hash seeds a vector of uniform numbers; a word's vector is their sum, scaled to length 1. Words
    that share pieces (inflections, misspellings) are close; nothing else is known about meaning.

    The n-grams are fastText's (Bojanowski et al., 2017), without its training.

    Args:
        dim: length of a vector.
        min_chars: shortest n-gram.
        max_chars: longest n-gram.

    >>> HashedWords().embed(["ciao", "CIAO"]).shape
    torch.Size([2, 300])
    """

    def __init__(self, dim: int = 300, min_chars: int = 3, max_chars: int = 5) -> None:
        self.dim = dim
        self.min_chars = min_chars
        self.max_chars = max_chars
        self._vectors: dict[str, np.ndarray] = {}

    def embed(self, words: Sequence[str]) -> Tensor:
        """Embeds words in any script; the case does not matter.

        Args:
            words: the words of a sentence.

        Returns:
            ``(tokens, dim)`` float32, each row of length 1.
        """
        check_words(words)
        if not words:
            return torch.zeros(0, self.dim)
        return torch.from_numpy(np.stack([self._vector(word.lower()) for word in words]))

    def count_known(self, words: Sequence[str]) -> int:
        """Returns how many of the words have a vector: all of them."""
        return len(words)

    def config(self) -> dict[str, int]:
        """Returns the constructor's arguments."""
        return {"dim": self.dim, "min_chars": self.min_chars, "max_chars": self.max_chars}

    def _vector(self, word: str) -> np.ndarray:
        if word not in self._vectors:
            seeds = np.array([_fnv1a(piece) for piece in self._pieces(word)], dtype=np.uint64)
            counters = np.arange(1, self.dim + 1, dtype=np.uint64) * _GOLDEN
            uniform = _splitmix64(seeds[:, None] + counters) / 2.0**63 - 1.0  # (pieces, dim) in [-1, 1)
            total = uniform.sum(axis=0)
            self._vectors[word] = (total / np.linalg.norm(total)).astype(np.float32)
        return self._vectors[word]

    def _pieces(self, word: str) -> list[str]:
        marked = f"<{word[:LONGEST_WORD]}>"
        lengths = range(self.min_chars, min(self.max_chars, len(marked) - 1) + 1)
        return [marked] + [marked[i : i + n] for n in lengths for i in range(len(marked) - n + 1)]


def _fnv1a(text: str) -> int:
    value = _FNV_OFFSET
    for byte in text.encode("utf-8"):
        value = ((value ^ byte) * _FNV_PRIME) & 0xFFFFFFFFFFFFFFFF
    return value


def _splitmix64(state: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
