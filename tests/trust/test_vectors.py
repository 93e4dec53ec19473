"""Word vectors and texts of any content: read, or refused in one line."""

import gzip

import pytest
import torch
from cases import cases, check_answer, check_message, within_bounds
from hypothesis import given
from hypothesis import strategies as st
from making import random_model

from pathosnet.errors import InputError
from pathosnet.features import WordVectors

WORDS = st.one_of(
    st.text(min_size=1, max_size=6), st.sampled_from(("unknown", "a b", "\x00", "\u2028", "😀", "é", "e\u0301", "1"))
)
NUMBERS = st.one_of(
    st.floats(-9, 9).map("{:.3f}".format),
    st.sampled_from(("nan", "inf", "-inf", "1e39", "1e-45", "", "x", "0x1", "1,5", "٣", "1_0", "-", "1e", "--1")),
)


@st.composite
def vector_files(draw):
    """The bytes of a file of vectors, most often a proper one."""
    dim = draw(st.integers(0, 5))
    is_proper = draw(st.booleans())
    number = st.floats(-9, 9).map("{:.3f}".format) if is_proper else NUMBERS
    lines = [
        " ".join([draw(WORDS), *(draw(number) for _ in range(dim if is_proper else draw(st.integers(0, 6))))])
        for _ in range(draw(st.integers(0, 6)))
    ]
    header = draw(
        st.sampled_from((None, f"{len(lines)} {dim}", f"7 {dim}", "0 0", "1 99999999999", f"{9**30} {9**30}"))
    )
    content = "\n".join([*([header] if header else []), *lines]).encode("utf-8", "replace")
    content = content + draw(st.sampled_from((b"", b"\n", b"\r\n", b"\n\n\n", b" ", b"\xff")))
    if draw(st.booleans()):
        content = gzip.compress(content, mtime=0)
        at = draw(st.integers(0, len(content)))
        content = draw(st.sampled_from((content, content[:at], content[:at] + b"\0" + content[at + 1 :])))
    return content


def read_or_refuse(path, content: bytes) -> None:
    path.write_bytes(content)
    with within_bounds():
        try:
            vectors = WordVectors.load(path)
        except InputError as error:
            check_message(str(error), str(path))
        else:
            assert vectors.vectors.isfinite().all()
            assert vectors.embed(["unknown", "é", ""]).isfinite().all()


@cases(80)
@given(vector_files())
def test_vector_files_are_read_or_refused(tmp_path_factory, content):
    read_or_refuse(tmp_path_factory.getbasetemp() / "words.vec", content)


@cases(60)
@given(st.binary(max_size=200))
def test_bytes_are_read_as_vectors_or_refused(tmp_path_factory, content):
    read_or_refuse(tmp_path_factory.getbasetemp() / "bytes.vec", content)


BOMBS = {
    "one long line": lambda: b"a " + b"0 " * 30_000_000,
    "blank lines": lambda: b"\n" * 30_000_000,
    "many numbers a line": lambda: (b"a" + b" 1" * 60_000 + b"\n") * 300,
    "no line end": lambda: b"a" * 30_000_000,
}


@pytest.mark.parametrize("kind", BOMBS)
def test_packed_files_that_grow_are_refused(kind, tmp_path):
    path = tmp_path / "bomb.vec.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(BOMBS[kind]())
    assert path.stat().st_size < 5_000_000
    with within_bounds(), pytest.raises(InputError, match=r"bomb\.vec\.gz: line"):
        WordVectors.load(path)


def test_an_enormous_dimension_makes_nothing_of_that_size(tmp_path):
    (tmp_path / "wide.vec").write_text("3 999999999999\na 1 2 3\nb 1 2 3\n")
    with within_bounds(), pytest.raises(InputError, match=r"wide\.vec: line 2: "):
        WordVectors.load(tmp_path / "wide.vec")


PIECES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        (
            "\x00",
            "\u202e",
            "😀👩‍👧",
            "e\u0301" * 50,
            "[",
            "]",
            "[LAUGHTER]",
            "<b>",
            "\ud800",
            "word " * 200,
            "ﷺ",
            "\u200d",
        )
    ),
)
TEXTS = st.lists(PIECES, max_size=6).map("".join)


@pytest.fixture(scope="module")
def reader():
    torch.manual_seed(0)
    return random_model(audio=False)


@cases(80)
@given(TEXTS)
def test_any_text_has_a_finite_answer(reader, text):
    with within_bounds():
        try:
            answer = reader.predict(text=text)
        except InputError as error:
            check_message(str(error))
        else:
            check_answer(answer)


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "\0",
        "😀",
        "שלום עולם",
        "e" + "\u0301" * 10_000,
        "word " * 5_000,
        "x" * 100_000,
        "[" * 100_000,
        "[a" * 50_000,
    ],
)
def test_odd_texts_have_a_finite_answer_in_time(reader, text):
    with within_bounds():
        check_answer(reader.predict(text=text))
