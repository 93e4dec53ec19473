"""Manifests as anybody may write them: every row is used or named, and nothing else is raised."""

import codecs
import contextlib
import csv
import io
from pathlib import Path

import pytest
from cases import cases, check_message, count, within_bounds
from hypothesis import given
from hypothesis import strategies as st

from pathosnet.corpora.manifest import read_manifest
from pathosnet.corpora.tables import read_table
from pathosnet.errors import InputError
from pathosnet.prediction.inputs import find_inputs
from pathosnet.targets import DimensionTarget

LABELS = ("happiness", "anger", "sadness", "neutral")
COLUMNS = (
    "audio",
    "emotion",
    "text",
    "speaker",
    "language",
    "corpus",
    "split",
    "fold",
    "votes_anger",
    "note",
    "",
    "Audio",
)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252", "latin-1", "shift-jis", "utf-7")
TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ("", " ", '"', "'", ";", ",", "\t", "|", "\r", "\n", "a\u0301", "\u202eabc", "😀", "=1+1", "../x", "\x1b[31m")
    ),
    st.sampled_from(("anger", "Anger", "sadness", "neutral", "happiness", "a.wav", "nan", "1e999", "-1", "x" * 300)),
)


@st.composite
def tables(draw):
    """The bytes of a table, mostly a proper one."""
    columns = draw(st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=8, unique=draw(st.booleans())))
    if draw(st.integers(0, 3)):
        columns = ["audio", "emotion", *(name for name in columns if name.lower() not in ("audio", "emotion"))]
    rows = draw(st.lists(st.lists(TEXTS, min_size=len(columns), max_size=len(columns)), max_size=5))
    if rows and draw(st.integers(0, 4)) == 0:
        rows[-1] = rows[-1] + draw(st.lists(TEXTS, max_size=2))
    if draw(st.booleans()):
        for row in rows:
            row[0] = "a.wav"
            row[1:2] = [draw(st.sampled_from(LABELS))] * len(row[1:2])
    file = io.StringIO()
    separator = draw(st.sampled_from((",", ",", ";", "\t", "|", "^")))
    quoting = draw(st.sampled_from((csv.QUOTE_MINIMAL, csv.QUOTE_ALL)))
    writer = csv.writer(
        file, delimiter=separator, quoting=quoting, lineterminator=draw(st.sampled_from(("\n", "\r\n", "\r")))
    )
    writer.writerows([columns, *rows])
    text = (
        draw(st.sampled_from(("", "", "", "sep=;\n", "sep=,\n", 'sep="\n', "sep=\\\n", "\n", "# a\n")))
        + file.getvalue()
    )
    content = bytearray(text.encode(draw(st.sampled_from(ENCODINGS)), errors="replace"))
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 3)))):
        if content:
            at = draw(st.integers(0, len(content) - 1))
            content[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(content)


def rows_in(path: Path) -> int:
    """Rows that are not blank, of a table that was accepted."""
    return len(read_table(path, ()).rows)


def read_or_refuse(folder: Path, content: bytes, capsys=None) -> None:
    (folder / "a.wav").touch()
    path = folder / "table.csv"
    path.write_bytes(content)
    with within_bounds(), contextlib.redirect_stderr(io.StringIO()) as said:
        for read in (
            lambda: len(read_manifest(path, LABELS)),
            lambda: len(read_manifest(path, LABELS, needs_audio=False)),
            lambda: len(read_manifest(path, ("corpus",), needs_audio=False)),
            lambda: len(read_manifest(path, DimensionTarget(("votes_anger",)), needs_audio=False)),
            lambda: len(find_inputs([path])),
        ):
            try:
                count = read()
            except InputError as error:
                check_message(" ".join(str(error).split()), "table.csv")
            else:
                assert count == rows_in(path)
    assert all(line.startswith("note: ") for line in said.getvalue().splitlines())


@cases(60)
@given(tables())
def test_tables_are_read_whole_or_refused(tmp_path_factory, content):
    read_or_refuse(tmp_path_factory.getbasetemp(), content)


@cases(60)
@given(st.binary(max_size=400))
def test_bytes_are_read_whole_or_refused(tmp_path_factory, content):
    read_or_refuse(tmp_path_factory.getbasetemp(), content)


CELLS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=30)
MARKS = {"utf-8": b"", "utf-8-sig": b"", "utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}


@cases(50)
@given(
    st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=6),
    st.sampled_from(sorted(MARKS)),
    st.sampled_from(",;\t|"),
    st.sampled_from((csv.QUOTE_MINIMAL, csv.QUOTE_ALL)),
)
def test_what_was_written_is_read(tmp_path_factory, rows, encoding, separator, quoting):
    path = tmp_path_factory.getbasetemp() / "written.csv"
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=separator, quoting=quoting)
    writer.writerows([("audio", "text"), *rows])
    path.write_bytes(MARKS[encoding] + file.getvalue().encode(encoding))
    with contextlib.redirect_stderr(io.StringIO()):
        table = read_table(path, ("audio",))
    expected = [tuple(cell.strip() for cell in row) for row in rows if any(cell.strip() for cell in row)]
    assert [cells for _, cells in table.rows] == expected


def test_many_rows_are_read(tmp_path):
    num_rows = count(5_000, many=100_000)
    (tmp_path / "a.wav").touch()
    (tmp_path / "many.csv").write_text("audio,emotion,text\n" + 'a.wav,anger,"go, away"\n' * num_rows)
    with within_bounds():
        assert len(read_manifest(tmp_path / "many.csv", LABELS)) == num_rows


@pytest.mark.parametrize(
    "name", ["../up.wav", "down/../../up.wav", "/dev/null", "a.wav/../a.wav", "~root/x.wav", "." * 300]
)
def test_odd_paths_are_named_with_their_row(tmp_path, name):
    folder = tmp_path / "corpus"
    folder.mkdir()
    (tmp_path / "up.wav").touch()
    (folder / "corpus.csv").write_text(f"audio,emotion\n{name},anger\n")
    try:
        corpus = read_manifest(folder / "corpus.csv", LABELS)
    except InputError as error:
        check_message(str(error), "corpus.csv, row 2")
    else:
        assert corpus.utterances[0].audio == folder / name


def test_a_name_that_is_too_long_is_refused_with_its_row(tmp_path):
    (tmp_path / "table.csv").write_text(f"audio\n{'x' * 300}\n")
    with pytest.raises(InputError, match=r"table\.csv, row 2: .*too long"):
        find_inputs([tmp_path / "table.csv"])
