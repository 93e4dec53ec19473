"""fastText's binary models, with one that is trained here."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pathosnet.errors import InputError
from pathosnet.features import FastTextVectors
from pathosnet.features.text.embedder import LanguageIdentifier
from pathosnet.features.text.word_vectors import load_fasttext_model

DIM = 8
SENTENCES = ("il gatto dorme sul tetto", "il cane corre nel prato", "la casa rossa")


@pytest.fixture(scope="module")
def fasttext() -> Any:
    return pytest.importorskip("fasttext")


@pytest.fixture(scope="module")
def model_path(fasttext: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fasttext")
    (folder / "text.txt").write_text("\n".join(SENTENCES * 50), encoding="utf-8")
    # t=1: in so short a text every word is frequent, and none may be left out for that.
    # Each thread of fastText 0.9.3 fills a tenth of the table: with fewer than eleven, NaN may be left in the rest.
    model = fasttext.train_unsupervised(
        str(folder / "text.txt"), dim=DIM, epoch=1, minCount=1, bucket=100, minn=2, maxn=3, t=1.0, thread=12, verbose=0
    )
    model.save_model(str(folder / "tiny.bin"))
    return folder / "tiny.bin"


def test_known_words_have_the_models_vectors(fasttext: Any, model_path: Path) -> None:
    vectors = FastTextVectors(model_path)
    model = fasttext.load_model(str(model_path))
    ours = vectors.embed(["gatto", "casa"])
    assert vectors.dim == DIM
    assert ours.dtype == torch.float32
    np.testing.assert_array_equal(ours.numpy(), [model.get_word_vector("gatto"), model.get_word_vector("casa")])
    assert not torch.equal(ours[0], ours[1])


def test_unseen_words_have_the_mean_of_their_ngrams(fasttext: Any, model_path: Path) -> None:
    model = fasttext.load_model(str(model_path))
    _, rows = model.get_subwords("gattone")
    subwords = [model.get_input_vector(int(row)) for row in rows]
    unseen = FastTextVectors(model_path).embed(["gattone"])[0]
    assert len(subwords) > 5
    np.testing.assert_allclose(unseen.numpy(), np.mean(subwords, axis=0), rtol=1e-5, atol=1e-9)
    assert unseen.abs().max() > 0


def test_words_are_looked_up_in_lower_case(model_path: Path) -> None:
    vectors = FastTextVectors(model_path)
    assert torch.equal(vectors.embed(["GATTO"]), vectors.embed(["gatto"]))
    assert vectors.count_known(["Gatto", "gattone", "casa"]) == 2


def test_the_map_is_multiplied_from_the_right(model_path: Path) -> None:
    mapping = torch.randn(DIM, DIM)
    plain = FastTextVectors(model_path).embed(["gatto", "gattone"])
    mapped = FastTextVectors(model_path, mapping).embed(["gatto", "gattone"])
    torch.testing.assert_close(mapped, torch.einsum("ti,ij->tj", plain, mapping))
    assert not torch.allclose(mapped, plain @ mapping.T)


def test_no_words_have_no_rows(model_path: Path) -> None:
    assert FastTextVectors(model_path).embed([]).shape == (0, DIM)


def test_another_dimension_is_an_error(model_path: Path) -> None:
    assert FastTextVectors(model_path, dim=DIM).dim == DIM
    with pytest.raises(InputError, match=r"tiny\.bin: holds vectors of dimension 8, expected 300"):
        FastTextVectors(model_path, dim=300)
    with pytest.raises(InputError, match=r"tiny\.bin: expected a map of shape \(8, 8\), got .*\(3, 3\)"):
        FastTextVectors(model_path, torch.eye(3))


def test_a_string_in_place_of_a_list_is_an_error(model_path: Path) -> None:
    with pytest.raises(TypeError, match="expected a list of words, got the string 'gatto'"):
        FastTextVectors(model_path).embed("gatto")


@pytest.mark.parametrize("content", [b"", b"<html>404 Not Found</html>", b"2 3\nciao 1 2 3\n"])
def test_a_file_of_another_kind_is_an_error_that_names_it(fasttext: Any, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other.bin").write_bytes(content)
    with pytest.raises(InputError, match=r"other\.bin: cannot be read as a fastText model"):
        load_fasttext_model(tmp_path / "other.bin")


def test_a_model_that_was_cut_off_is_an_error(model_path: Path, tmp_path: Path) -> None:
    """fastText itself does not notice: it gives whatever is in memory, or never ends; hence the other process."""
    content = model_path.read_bytes()
    cut = [tmp_path / f"cut{percent}.bin" for percent in (99, 95, 50, 5, 2)]
    for path in cut:
        path.write_bytes(content[: len(content) * int(path.stem[3:]) // 100])
    program = (
        "import sys\n"
        "from pathosnet.errors import InputError\n"
        "from pathosnet.features import FastTextVectors\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n"
        "        FastTextVectors(path)\n"
        "    except InputError as error:\n"
        "        print(error)\n"
        "    else:\n"
        "        print('read without an error:', path)\n"
    )
    try:
        ended = subprocess.run(
            [sys.executable, "-c", program, *map(str, cut)], capture_output=True, text=True, timeout=60
        )
    except subprocess.TimeoutExpired as error:
        pytest.fail(f"reading a model does not end; before it: {error.stdout}")
    lines = ended.stdout.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [str(path) for path in cut], ended.stdout + ended.stderr


def test_a_missing_model_is_an_error_that_names_it(fasttext: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.bin: no such fastText model"):
        FastTextVectors(tmp_path / "nowhere.bin")


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "fasttext", None)
    with pytest.raises(InputError, match=r"needs the fasttext package; pip install 'pathosnet\[fasttext\]'"):
        FastTextVectors(tmp_path / "any.bin")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Non ci posso credere, è meraviglioso!", "it"),
        ("I have nothing left to say to you.", "en"),
        ("No tengo nada más que decirte, déjame en paz", "es"),
        ("Δεν έχω τίποτα να σου πω", "el"),
        ("Nie mam ci nic więcej do powiedzenia", "pl"),
    ],
)
def test_languages_are_identified(fasttext: Any, shared_data: Path, text: str, language: str) -> None:
    assert LanguageIdentifier(shared_data / "vectors" / "lid.176.ftz").identify(text) == language


@pytest.mark.parametrize("text", ["", "  ", "?!", "[LAUGHTER]"])
def test_a_text_without_words_has_no_language(fasttext: Any, shared_data: Path, text: str) -> None:
    assert LanguageIdentifier(shared_data / "vectors" / "lid.176.ftz").identify(text) is None
