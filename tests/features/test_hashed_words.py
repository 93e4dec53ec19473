import numpy as np
import pytest
import torch

from pathosnet.features import HashedWords

WORDS = ["ciao", "a", "42", "perché", "σήμερα", "говорить", "你好", "नमस्ते", "مرحبا", "x" * 200]


def cosine(a: str, b: str) -> float:
    first, second = HashedWords().embed([a, b])
    return float(first @ second)


def test_vectors_are_the_same_on_every_platform_and_in_every_version() -> None:
    vectors = HashedWords().embed(["perché", "ciao", "σήμερα"])
    golden = [
        [-0.079693161, 0.011895325, 0.031249756, -0.082738154, -0.0040813060],
        [-0.0043237503, 0.017388003, 0.018201089, 0.024435835, 0.040399648],
        [0.044398956, 0.014134512, -0.089868173, 0.0052139605, -0.017888721],
    ]
    np.testing.assert_allclose(vectors[:, [0, 1, 2, 3, -1]].numpy(), golden, rtol=1e-5)


def test_a_vector_is_the_scaled_sum_of_its_pieces() -> None:
    """FNV-1a of a piece's UTF-8 seeds splitmix64; here in Python's integers."""
    mask = 2**64 - 1

    def uniform(piece: str, dim: int) -> list[float]:
        seed = 0xCBF29CE484222325
        for byte in piece.encode():
            seed = ((seed ^ byte) * 0x100000001B3) & mask
        numbers = []
        for _ in range(dim):
            seed = (seed + 0x9E3779B97F4A7C15) & mask
            mixed = ((seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9) & mask
            mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & mask
            numbers.append((mixed ^ (mixed >> 31)) / 2**63 - 1)
        return numbers

    pieces = ["<né>", "<né", "né>"]
    total = np.sum([uniform(piece, 6) for piece in pieces], axis=0)
    vector = HashedWords(dim=6).embed(["né"])[0]
    np.testing.assert_allclose(vector.numpy(), total / np.linalg.norm(total), rtol=1e-6)


def test_vectors_have_length_1_in_any_script() -> None:
    vectors = HashedWords().embed(WORDS)
    assert vectors.shape == (len(WORDS), 300)
    assert vectors.dtype == torch.float32
    np.testing.assert_allclose(vectors.norm(dim=1).numpy(), 1.0, rtol=1e-6)


def test_different_words_have_different_vectors() -> None:
    vectors = HashedWords().embed(WORDS)
    similarities = vectors @ vectors.T - torch.eye(len(WORDS))
    assert similarities.abs().max() < 0.3


@pytest.mark.parametrize(
    ("word", "inflection", "unrelated"),
    [
        ("parlare", "parlato", "gatto"),
        ("walking", "walked", "cats"),
        ("говорить", "говорил", "кошка"),
        ("χαρούμενος", "χαρούμενη", "γάτα"),
        ("meraviglioso", "meravilgioso", "tavolo"),  # a slip of the pen
    ],
)
def test_inflections_are_closer_than_unrelated_words(word: str, inflection: str, unrelated: str) -> None:
    assert cosine(word, inflection) > cosine(word, unrelated) + 0.1


def test_neither_case_nor_neighbours_nor_instance_matter() -> None:
    together = HashedWords().embed(["Ciao", "mondo"])
    assert torch.equal(together[0], HashedWords().embed(["ciAO"])[0])
    assert torch.equal(together[1], HashedWords().embed(["mondo"])[0])


def test_dimension_and_pieces_are_options() -> None:
    assert HashedWords(dim=7).embed(["ciao"]).shape == (1, 7)
    assert not torch.allclose(HashedWords(max_chars=4).embed(["parlare"]), HashedWords().embed(["parlare"]))


def test_no_words_have_no_rows() -> None:
    assert HashedWords(dim=5).embed([]).shape == (0, 5)


def test_all_words_are_known() -> None:
    assert HashedWords().count_known(["a", "zzzz"]) == 2


def test_a_string_in_place_of_a_list_is_an_error() -> None:
    """Else its letters would be taken for words, as happened in the authors' service."""
    with pytest.raises(TypeError, match="expected a list of words, got the string 'ciao'"):
        HashedWords().embed("ciao")
