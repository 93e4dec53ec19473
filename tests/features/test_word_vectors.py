"""Tables of word vectors from text files."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from making import write_vectors

from pathosnet.errors import InputError
from pathosnet.features import WordVectors
from pathosnet.features.store import FeatureStore
from pathosnet.features.text.word_vectors import load_language_map


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "words.vec"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


def table(oov: str = "prefix", unknown: bool = True) -> WordVectors:
    words = ["ciao", "mondo", "cia"] + ["unknown"] * unknown
    return WordVectors(words, torch.eye(4)[: len(words)], oov=oov)


@pytest.mark.parametrize(
    "text",
    [
        "2 3\nciao 1 2 3\nmondo 4 5 6\n",
        "ciao 1 2 3\nmondo 4 5 6\n",  # GloVe
        "2 3\nciao 1 2 3 \nmondo 4 5 6 \n",  # fastText ends its lines with a space
        "2 3\r\nciao 1 2 3\r\nmondo 4 5 6\r\n",
        "2 3\nciao 1 2 3\nmondo 4 5 6",
        "999999 3\nciao 1 2 3\nmondo 4 5 6\n",  # a wrong count
        "1 3\nciao 1 2 3\nmondo 4 5 6\n",
        "2 3\nciao 1.0 2e0 +3\nmondo 0.4e1 5.000 6\n",
    ],
)
def test_each_variety_of_the_format_is_read(tmp_path: Path, text: str) -> None:
    table = WordVectors.load(write(tmp_path, text))
    assert table.words == ["ciao", "mondo"]
    assert table.vectors.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert table.vectors.dtype == torch.float32
    assert table.dim == 3
    assert len(table) == 2


@pytest.mark.parametrize(
    "word",
    [
        "new york",
        ". . .",
        "route 66",
        "a\u0085b",
        "a\u2028b",
        "a\u2029b",
        "a\u00a0b",
        "a\x1cb",
        "a\rb",
        "a\x0bb",
        "\u00a0",
        "\u0085",
        "a\u3000",
        "12",
        "χαρά",
        "😀",
    ],
)
@pytest.mark.parametrize("header", ["3 2\n", ""])
def test_a_word_is_all_that_stands_before_the_numbers(tmp_path: Path, word: str, header: str) -> None:
    table = WordVectors.load(write(tmp_path, f"{header}ciao 1 2\n{word} 3 4\nmondo 5 6\n"))
    assert table.words == ["ciao", word, "mondo"]
    assert table.embed([word]).tolist() == [[3, 4]]


def test_of_a_repeated_word_the_first_counts(tmp_path: Path) -> None:
    table = WordVectors.load(write(tmp_path, "ciao 1 2\nmondo 3 4\nciao 5 6\n"))
    assert table.embed(["ciao"]).tolist() == [[1, 2]]
    assert len(table) == 2


def test_bytes_that_are_not_utf8_spoil_only_their_own_word(tmp_path: Path) -> None:
    table = WordVectors.load(write(tmp_path, b"ciao 1 2\nperch\xe9 3 4\nmondo 5 6\n"))
    assert table.embed(["ciao", "mondo"]).tolist() == [[1, 2], [5, 6]]
    assert len(table) == 3


@pytest.mark.parametrize("header", ["4 2\n", ""])
@pytest.mark.parametrize("max_words", [1, 3, 4, 100])
def test_only_the_first_words_are_read(tmp_path: Path, header: str, max_words: int) -> None:
    path = write(tmp_path, f"{header}a 1 2\nb 3 4\nc 5 6\nd 7 8\n")
    assert WordVectors.load(path, max_words=max_words).words == list("abcd")[:max_words]


def test_what_comes_after_the_first_words_is_not_even_looked_at(tmp_path: Path) -> None:
    path = write(tmp_path, "a 1 2\nb 3 4\ndamaged\n")
    assert WordVectors.load(path, max_words=2).words == ["a", "b"]
    with pytest.raises(InputError, match="line 3"):
        WordVectors.load(path, max_words=3)


@pytest.mark.parametrize("max_words", [0, -1])
def test_fewer_than_one_word_is_an_error(tmp_path: Path, max_words: int) -> None:
    with pytest.raises(ValueError, match="max_words"):
        WordVectors.load(write(tmp_path, "a 1 2\nb 3 4\n"), max_words=max_words)


@pytest.mark.parametrize(
    ("text", "line", "numbers"),
    [
        ("2 3\nciao 1 2 3\nmondo 4 5\n", 3, 3),  # cut off
        ("ciao 1 2 3\nmondo 4 five 6\n", 2, 3),
        ("3 3\nciao 1 2 nan\n", 2, 3),
        ("ciao 1 2 3\nmondo 1 2 inf\n", 2, 3),
        ("ciao 1 2 3\nmondo 1 2 1e39\n", 2, 3),  # no float32
        ("2 4\nciao 1 2 3\n", 2, 4),  # the first line is not true
        ("2 3\n3\n", 2, 3),
        ("ciao\nmondo\n", 1, "its"),
        ("ciao 1\nmondo 2\n", 1, "its"),
        ("<html><body>Not found</body></html>\n", 1, 1),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, text: str, line: int, numbers: int | str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InputError, match=rf"words\.vec: line {line}: expected a word and .* numbers, got ") as caught:
        WordVectors.load(path)
    assert f"a word and {numbers} numbers" in str(caught.value) or line == 1
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "2 3\n"])
def test_a_file_without_words_is_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"words\.vec: holds no word vectors"):
        WordVectors.load(write(tmp_path, text))


def test_a_missing_file_and_a_folder_are_errors_that_name_them(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.vec: cannot be read"):
        WordVectors.load(tmp_path / "nowhere.vec")
    with pytest.raises(InputError, match="cannot be read"):
        WordVectors.load(tmp_path)


@pytest.mark.parametrize("header", ["2 3\n", ""])
def test_another_dimension_is_an_error(tmp_path: Path, header: str) -> None:
    path = write(tmp_path, f"{header}ciao 1 2 3\nmondo 4 5 6\n")
    assert WordVectors.load(path, dim=3).dim == 3
    with pytest.raises(InputError, match=r"words\.vec: holds vectors of dimension 3, expected 300"):
        WordVectors.load(path, dim=300)


def test_words_are_looked_up_in_lower_case() -> None:
    assert torch.equal(table().embed(["CIAO", "Mondo"]), torch.eye(4)[:2])


CIAO, MONDO, CIA, UNKNOWN = torch.eye(4).tolist()
ZEROS = [0.0] * 4


@pytest.mark.parametrize(
    ("oov", "word", "row"),
    [
        ("prefix", "mondo", MONDO),
        ("prefix", "mondone", MONDO),
        ("prefix", "ciaone", CIAO),  # the longest beginning, not "cia"
        ("prefix", "cianfrusaglia", CIA),
        ("prefix", "xyz", UNKNOWN),
        ("prefix", "", UNKNOWN),
        ("unknown", "mondone", UNKNOWN),
        ("unknown", "mondo", MONDO),
        ("zeros", "mondone", ZEROS),
        ("zeros", "unknown", UNKNOWN),
    ],
)
def test_each_policy_for_unknown_words(oov: str, word: str, row: list[float]) -> None:
    assert table(oov).embed(["ciao", word, "mondo"]).tolist() == [CIAO, row, MONDO]


def test_skipped_words_leave_no_row() -> None:
    assert table("skip").embed(["xyz", "mondo", "mondone", "ciao"]).tolist() == [MONDO, CIAO]
    assert table("skip").embed(["xyz"]).shape == (0, 4)


@pytest.mark.parametrize("oov", ["prefix", "unknown"])
def test_without_the_word_unknown_zeros_stand_for_it(oov: str) -> None:
    assert table(oov, unknown=False).embed(["xyz"]).tolist() == [ZEROS]


def test_no_words_have_no_rows() -> None:
    assert table().embed([]).shape == (0, 4)


def test_an_unknown_policy_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="expected one of prefix, unknown, zeros, skip, got 'guess'"):
        table("guess")


def test_a_string_in_place_of_a_list_is_an_error() -> None:
    with pytest.raises(TypeError, match="got the string 'ciao mondo'; split it with tokenize"):
        table().embed("ciao mondo")


def test_as_many_vectors_as_words_are_expected() -> None:
    with pytest.raises(ValueError, match="got 1 words and 2 vectors"):
        WordVectors(["a"], torch.eye(2))


def test_only_words_that_are_there_as_they_are_count_as_known() -> None:
    assert table().count_known(["Ciao", "mondone", "xyz", "ciao"]) == 2


def test_changing_what_was_looked_up_leaves_the_table_alone() -> None:
    words = table()
    words.embed(["ciao"]).add_(1)
    assert words.embed(["ciao"]).tolist() == [CIAO]


@pytest.mark.parametrize("language", ["en", "es", "it", "de", "pl"])
def test_real_muse_vectors_are_read(shared_data: Path, language: str) -> None:
    path = shared_data / "vectors" / f"wiki.multi.{language}.top1000.vec"
    table = WordVectors.load(path, dim=300)
    lines = path.read_bytes().decode("utf-8").split("\n")
    word, *numbers = lines[500].split(" ")
    assert len(table.words) == 999
    assert table.words[499] == word
    np.testing.assert_array_equal(table.vectors[499].numpy(), np.array(numbers[:300], np.float32))


MAP = np.arange(9, dtype=np.float64).reshape(3, 3)


def test_maps_are_read_for_multiplication_from_the_right(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "it.txt", MAP)
    np.save(tmp_path / "it.npy", MAP)
    torch.save(torch.from_numpy(MAP.T.copy()), tmp_path / "tensor.pth")  # MUSE multiplies from the left
    for path in sorted(tmp_path.iterdir()):
        loaded = load_language_map(path)
        assert loaded.dtype == torch.float32
        np.testing.assert_array_equal(loaded.numpy(), MAP, err_msg=path.name)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("zipped", [True, False])
def test_muses_best_mapping_is_read_though_it_is_a_numpy_array(tmp_path: Path, dtype: type, zipped: bool) -> None:
    """MUSE's trainer saves ``mapping.weight.data.cpu().numpy()`` with torch.save; old PyTorch did not zip."""
    torch.save(MAP.T.astype(dtype), tmp_path / "best_mapping.pth", _use_new_zipfile_serialization=zipped)
    np.testing.assert_array_equal(load_language_map(tmp_path / "best_mapping.pth").numpy(), MAP)


class Malicious:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple:
        return Path.mkdir, (self.folder,)


@pytest.mark.parametrize("suffix", [".pth", ".npy"])
def test_a_map_that_would_run_code_is_refused(tmp_path: Path, suffix: str) -> None:
    path, made = tmp_path / f"map{suffix}", tmp_path / "made by the pickle"
    if suffix == ".pth":
        torch.save(Malicious(made), path)
    else:
        np.save(path, np.array([Malicious(made)], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=rf"map\{suffix}: cannot be read as a language map") as caught:
        load_language_map(path)
    assert not made.exists()
    assert "\n" not in str(caught.value), "an error for a person is one line"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("map.txt", b"1 2\n3 x\n"),
        ("map.txt", b""),
        ("map.npy", b"no"),
        ("map.pth", b"no"),
        ("map.txt", b"1 2\n3 4 5\n"),
    ],
)
def test_a_damaged_map_is_an_error_of_one_line_that_names_it(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}: ") as caught:
        load_language_map(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_map_that_is_missing_or_not_square_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.txt: cannot be read"):
        load_language_map(tmp_path / "nowhere.txt")
    np.savetxt(tmp_path / "map.txt", MAP[:2])
    with pytest.raises(InputError, match=r"map\.txt: expected a square matrix, got shape \(2, 3\)"):
        load_language_map(tmp_path / "map.txt")


def test_a_large_file_is_parsed_once(tmp_path, monkeypatch):
    monkeypatch.setattr("pathosnet.features.text.vector_files.KEPT_BYTES", 0)
    store = FeatureStore(tmp_path / "store")
    path = write_vectors(tmp_path / "a.vec", ["non", "ci posso", "η", "non"], dim=5)
    first = WordVectors.load(path, store=store)
    with monkeypatch.context() as patch:
        patch.setattr("pathosnet.features.text.vector_files._parse", None)
        second = WordVectors.load(path, store=store)
    assert second.words == first.words == ["non", "ci posso", "η", "non"]
    assert torch.equal(second.vectors, first.vectors)
    assert len(WordVectors.load(path, max_words=2, store=store).words) == 2

    write_vectors(path, ["non", "ci posso", "ηι", "no"], dim=5)
    assert WordVectors.load(path, store=store).words[2] == "ηι"


def test_a_kept_table_that_was_damaged_is_parsed_again(tmp_path, monkeypatch):
    monkeypatch.setattr("pathosnet.features.text.vector_files.KEPT_BYTES", 0)
    store = FeatureStore(tmp_path / "store")
    path = write_vectors(tmp_path / "a.vec", ["a", "b"], dim=3)
    first = WordVectors.load(path, store=store)
    (pack,) = store.folder.rglob("*.safetensors")
    pack.write_bytes(pack.read_bytes()[:-4])
    with pytest.warns(UserWarning, match="damaged"):
        again = WordVectors.load(path, store=store)
    assert torch.equal(again.vectors, first.vectors)


def test_a_small_file_is_not_kept(tmp_path):
    store = FeatureStore(tmp_path / "store")
    WordVectors.load(write_vectors(tmp_path / "a.vec", ["a"]), store=store)
    assert not store.folder.exists()


def test_a_kept_file_of_another_dimension_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("pathosnet.features.text.vector_files.KEPT_BYTES", 0)
    store = FeatureStore(tmp_path / "store")
    path = write_vectors(tmp_path / "a.vec", ["a", "b"], dim=3)
    for _ in range(2):
        with pytest.raises(InputError, match="holds vectors of dimension 3, expected 300"):
            WordVectors.load(path, dim=300, store=store)


# Packed files


def packed(path: Path, text: str) -> Path:
    path.write_bytes(gzip.compress(text.encode()))
    return path


@pytest.mark.parametrize("name", ["x.vec.gz", "x.vec"])
def test_packed_files_are_read_whatever_their_name(tmp_path: Path, name: str) -> None:
    vectors = WordVectors.load(packed(tmp_path / name, "2 3\nciao 1 2 3\nmondo 4 5 6\n"))
    assert vectors.words == ["ciao", "mondo"]
    assert vectors.vectors.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_no_more_of_a_packed_file_is_unpacked_than_needed(tmp_path: Path) -> None:
    """Neither all its lines, nor a line without end: 64 MiB of zeros take 64 KiB."""
    line = "ciao 1 2 3\n"
    assert len(WordVectors.load(packed(tmp_path / "a.gz", line * 2_000_000), 5)) == 1
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"0" * (1 << 26)))
    with pytest.raises(InputError, match=r"b\.gz: line 1: is longer than 131,072 bytes"):
        WordVectors.load(tmp_path / "b.gz")


def test_a_damaged_packed_file_is_an_error(tmp_path: Path) -> None:
    path = packed(tmp_path / "x.gz", "".join(f"w{i} {i} 1 2\n" for i in range(5000)))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"x\.gz: cannot be unpacked .*; get the file again"):
        WordVectors.load(path)
