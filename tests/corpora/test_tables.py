"""Tables as spreadsheets write them, and file names as file systems spell them."""

import os
import shutil
import unicodedata
from pathlib import Path

import pytest
from making import touch

from pathosnet.corpora import read_manifest
from pathosnet.corpora.tables import read_table
from pathosnet.errors import InputError
from pathosnet.files import locate, relative_path, walk_files

ROWS = [("audio", "text", "emotion"), ("a.wav", "perché no, caro; sì|no", "joy"), ("b.wav", "", "anger")]


def content(separator: str = ",") -> str:
    return "\r\n".join(separator.join(f'"{cell}"' for cell in row) for row in ROWS) + "\r\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return touch(tmp_path, "a.wav", "b.wav")


@pytest.mark.parametrize(
    ("separator", "said"), [(",", None), (";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")]
)
@pytest.mark.parametrize(
    ("encoding", "named"),
    [
        ("utf-8", None),
        ("utf-8-sig", None),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16-LE"),
        ("utf-16-be", "UTF-16-BE"),
        ("cp1252", "Windows-1252"),
    ],
)
def test_form_of_a_table_is_recognized_and_said(folder, separator, said, encoding, named, capsys):
    (folder / "corpus.csv").write_bytes(content(separator).encode(encoding))
    table = read_table(folder / "corpus.csv", ["audio", "emotion"])
    assert (table.header, [cells for _, cells in table.rows]) == (ROWS[0], ROWS[1:])
    notes = capsys.readouterr().err.splitlines()
    assert all(note.startswith(f"note: {folder / 'corpus.csv'}: ") for note in notes)
    assert len(notes) == (said is not None) + (named is not None)
    assert (said or "") in " ".join(notes)
    assert (named or "") in " ".join(notes)
    corpus = read_manifest(folder / "corpus.csv", ("joy", "anger"))
    assert capsys.readouterr().err.splitlines() == notes
    assert corpus.utterances[0].text == ROWS[1][1]


def test_line_for_excel_is_no_header(folder):
    (folder / "corpus.csv").write_text("sep=;\naudio;emotion\na.wav;joy\nb.wav;anger\n")
    table = read_table(folder / "corpus.csv", ["audio"])
    assert table.rows == ((3, ("a.wav", "joy")), (4, ("b.wav", "anger")))


def test_commas_in_a_header_of_unknown_names_are_separators(folder):
    (folder / "t.csv").write_text("file,what|else\n1,2\n")
    assert read_table(folder / "t.csv", []).header == ("file", "what|else")


# Letters with accents


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_and_labels_are_the_same_in_every_normal_form(tmp_path, form):
    for other in ("NFC", "NFD"):
        name = unicodedata.normalize(other, f"perché {other}/è.wav")
        touch(tmp_path, name)
        spelled = unicodedata.normalize(form, name)
        assert locate(tmp_path, spelled).samefile(tmp_path / name)
    label = unicodedata.normalize(form, "felicità")
    (tmp_path / "m.csv").write_text(f"audio,emotion,speaker\n{spelled},{label},{unicodedata.normalize('NFD', 'É')}\n")
    for options in ({}, {"label_map": {"felicità": "happiness"}}):
        (found,) = read_manifest(tmp_path / "m.csv", ("happiness", "anger"), **options).utterances
        assert (found.emotion, found.speaker) == ("happiness", "É")
        assert found.audio.is_file()


def test_label_of_two_characters_a_letter(cases, tmp_path):
    shutil.copytree(cases / "nfd-label", tmp_path / "case")
    for labels in ({}, {"label_map": {"felicità": "happiness"}}):
        corpus = read_manifest(tmp_path / "case/m.csv", ("happiness", "anger"), **labels)
        assert corpus.counts() == {"happiness": 1, "anger": 1}


# Paths


def test_backslashes_part_folders(tmp_path):
    touch(tmp_path, "clips/a.wav")
    assert locate(tmp_path, "clips\\a.wav") == tmp_path / "clips/a.wav"
    touch(tmp_path, "b\\c.wav")  # a letter like others, where there is such a file
    assert locate(tmp_path, "b\\c.wav").name == "b\\c.wav"


def test_tilde_is_the_home_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(touch(tmp_path, "a.wav")))
    assert locate(Path("/nowhere"), "~/a.wav") == tmp_path / "a.wav"
    (tmp_path / "corpus.csv").write_text("audio,emotion\n~/a.wav,joy\n")
    corpus = read_manifest("~/corpus.csv", ("joy", "anger"))
    assert corpus.utterances[0].audio.is_file()


def test_name_that_the_file_system_refuses_is_one_line(tmp_path):
    (tmp_path / "corpus.csv").write_text(f"audio,emotion\n{'a' * 5000}.wav,joy\n")
    with pytest.raises(InputError, match=r"corpus.csv, row 2: .*cannot be read \(File name too long\)$"):
        read_manifest(tmp_path / "corpus.csv", ("joy", "anger"))


def test_links_keep_their_names_and_end(tmp_path):
    touch(tmp_path, "blobs/0a1b", "other/b.wav", "clips/.hidden.wav", "clips/.trash/c.wav")
    (tmp_path / "clips/clip_1.wav").symlink_to("../blobs/0a1b")
    (tmp_path / "clips/linked").symlink_to("../other")
    (tmp_path / "other/up").symlink_to("../clips")
    (tmp_path / "clips/broken.wav").symlink_to("nowhere.wav")
    names = [str(path.relative_to(tmp_path)) for path in walk_files(tmp_path / "clips")]
    assert names == ["clips/clip_1.wav", "clips/linked/b.wav"]
    assert relative_path(tmp_path / "clips/clip_1.wav", tmp_path) == "clips/clip_1.wav"
    assert relative_path(tmp_path / "clips/linked/b.wav", tmp_path / "clips") == "linked/b.wav"


def test_way_out_of_a_linked_folder_is_that_of_its_target(tmp_path):
    touch(tmp_path, "clips/a.wav", "deep/er/x")
    (tmp_path / "tables").symlink_to("deep/er")
    way = relative_path(tmp_path / "clips/a.wav", tmp_path / "tables")
    assert (tmp_path / "tables" / way).is_file()


def test_names_from_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(touch(tmp_path, "clips/a.wav"))
    assert relative_path("clips/a.wav", "") == "clips/a.wav"
    assert relative_path(Path("clips/a.wav"), os.path.join("clips")) == "a.wav"
