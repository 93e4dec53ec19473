import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pathosnet.errors import InputError
from pathosnet.files import (
    file_written_aside,
    importing_from_here,
    make_folder,
    read_csv,
    read_json,
    to_path,
    write_json,
    written_aside,
)


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def existing(tmp_path: Path) -> Path:
    target = tmp_path / "model"
    (target / "text").mkdir(parents=True)
    (target / "config.json").write_text("old")
    (target / "text" / "words").write_text("old words")
    return target


def write(target: Path, content: Callable[[Path], None], overwrite: bool = False) -> None:
    with written_aside(target, overwrite) as folder:
        content(folder)


OLD = {"config.json": "old", "text/words": "old words"}


def test_a_folder_appears_with_all_its_files(tmp_path: Path) -> None:
    target = tmp_path / "runs" / "deep" / "model"
    with written_aside(target) as folder:
        (folder / "a").write_text("1")
        (folder / "b").mkdir()
        (folder / "b" / "c").write_text("2")
        assert not target.exists()
        assert folder.parent == target.parent, "another file system could not rename it"
    assert contents(target) == {"a": "1", "b/c": "2"}
    assert [path.name for path in target.parent.iterdir()] == ["model"]


def test_others_may_read_the_folder(tmp_path: Path) -> None:
    with written_aside(tmp_path / "model"):
        pass
    assert stat.S_IMODE((tmp_path / "model").stat().st_mode) == 0o755


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, MemoryError, GeneratorExit])
@pytest.mark.parametrize("overwrite", [False, True])
def test_nothing_appears_if_the_block_fails(tmp_path: Path, error: type[BaseException], overwrite: bool) -> None:
    def half(folder: Path) -> None:
        (folder / "half").write_text("1")
        raise error

    with pytest.raises(error):
        write(tmp_path / "model", half, overwrite)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_what_was_there_stays_as_it_was_if_the_block_fails(existing: Path, error: type[BaseException]) -> None:
    def half(folder: Path) -> None:
        (folder / "config.json").write_text("new")
        raise error

    with pytest.raises(error):
        write(existing, half, overwrite=True)
    assert contents(existing) == OLD
    assert list(existing.parent.iterdir()) == [existing]


def test_overwriting_leaves_nothing_of_the_old_folder(existing: Path) -> None:
    with written_aside(existing, overwrite=True) as folder:
        (folder / "config.json").write_text("new")
        assert contents(existing) == OLD
    assert contents(existing) == {"config.json": "new"}
    assert list(existing.parent.iterdir()) == [existing]


def fail_at_call(function: Callable[..., object], number: int, error: BaseException) -> Callable[..., object]:
    calls = 0

    def failing(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls == number:
            raise error
        return function(*arguments)

    return failing


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("error", [OSError("disk gone"), KeyboardInterrupt()])
def test_what_was_there_stays_as_it_was_if_the_exchange_fails(
    existing: Path, monkeypatch: pytest.MonkeyPatch, number: int, error: BaseException
) -> None:
    def whole(folder: Path) -> None:
        (folder / "config.json").write_text("new")
        monkeypatch.setattr(os, "rename", fail_at_call(os.rename, number, error))

    with pytest.raises(type(error)):
        write(existing, whole, overwrite=True)
    assert existing.is_dir()
    assert contents(existing) == OLD


def test_an_existing_folder_is_not_replaced_unasked(existing: Path) -> None:
    with (
        pytest.raises(
            InputError, match=r"model: exists already; choose another folder, or replace it with --overwrite"
        ),
        written_aside(existing),
    ):
        pytest.fail("the block is not entered")
    assert contents(existing) == OLD
    assert list(existing.parent.iterdir()) == [existing]


def test_a_folder_that_appeared_in_the_meantime_is_not_replaced_unasked(tmp_path: Path) -> None:
    target = tmp_path / "model"

    def meanwhile(folder: Path) -> None:
        (folder / "config.json").write_text("mine")
        target.mkdir()
        (target / "config.json").write_text("another's")

    with pytest.raises(InputError, match="model: exists already"):
        write(target, meanwhile)
    assert contents(target) == {"config.json": "another's"}
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_is_never_replaced_by_a_folder(tmp_path: Path, overwrite: bool) -> None:
    target = tmp_path / "model"
    target.write_text("a file")
    with (
        pytest.raises(InputError, match=r"exists already|is a file, expected a folder"),
        written_aside(target, overwrite),
    ):
        pytest.fail("the block is not entered")
    assert target.read_text() == "a file"


def test_a_parent_that_cannot_be_made_is_an_error_that_names_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match=r"model: cannot be written \(.+\)"),
        written_aside(tmp_path / "file" / "model"),
    ):
        pytest.fail("the block is not entered")


def test_json_comes_back_as_it_was_and_is_readable(tmp_path: Path) -> None:
    value = {"labels": ["χαρά", "rabbia"], "temperature": 96.0, "text": None}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    assert "χαρά" in (tmp_path / "a.json").read_text(encoding="utf-8")


def test_json_that_is_missing_or_damaged_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.json: cannot be read"):
        read_json(tmp_path / "nowhere.json")
    for content in (b"{", b"", b"\xff\xfe{}"):
        (tmp_path / "bad.json").write_bytes(content)
        with pytest.raises(InputError, match=r"bad\.json: is not valid JSON"):
            read_json(tmp_path / "bad.json")


# Single files


def test_a_file_appears_when_the_block_has_ended(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "table.csv"
    with file_written_aside(target) as aside:
        aside.write_text("new")
        assert not target.exists()
        assert aside.parent == target.parent, "another file system could not rename it"
    assert contents(tmp_path) == {"deep/table.csv": "new"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_file_that_could_not_be_finished_leaves_the_old_one(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "table.csv").write_text("old")

    def half() -> None:
        with file_written_aside(tmp_path / "table.csv", overwrite=True) as aside:
            aside.write_text("half")
            raise error

    with pytest.raises(error):
        half()
    assert contents(tmp_path) == {"table.csv": "old"}


def test_a_file_is_replaced_only_if_asked(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("old")
    with (
        pytest.raises(InputError, match=r"table.csv: exists already; .*--overwrite"),
        file_written_aside(tmp_path / "table.csv"),
    ):
        raise AssertionError("the block must not be entered")
    with file_written_aside(tmp_path / "table.csv", overwrite=True) as aside:
        aside.write_text("new")
    assert contents(tmp_path) == {"table.csv": "new"}


def test_a_folder_is_no_file_to_write(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="is a folder, expected a file to write"),
        file_written_aside(tmp_path, overwrite=True),
    ):
        raise AssertionError("the block must not be entered")


def test_a_folder_is_made_unless_it_is_there(tmp_path: Path) -> None:
    for _ in range(2):
        make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="file: is a file, expected a folder; choose another name"):
        make_folder(tmp_path / "file")
    with pytest.raises(InputError, match=r"file/b: cannot be made \(Not a directory\)"):
        make_folder(tmp_path / "file" / "b")


def test_a_table_is_read_with_or_without_a_byte_order_mark(tmp_path: Path) -> None:
    for mark in (b"", b"\xef\xbb\xbf"):
        (tmp_path / "t.csv").write_bytes(mark + 'a,b\r\n"x,y",è\n'.encode())
        assert read_csv(tmp_path / "t.csv") == [["a", "b"], ["x,y", "è"]]


def test_quotes_are_in_their_places(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('a\n"x"y\n')
    with pytest.raises(InputError, match=r"t.csv: is not a valid CSV file \(.*\); expected a table"):
        read_csv(tmp_path / "t.csv", "a table")


def test_a_table_that_cannot_be_read_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"t.csv: cannot be read \(No such file or directory\); expected a CSV file"):
        read_csv(tmp_path / "t.csv")
    with pytest.raises(InputError, match=r"cannot be read \(Is a directory\); expected a CSV file"):
        read_csv(tmp_path)
    (tmp_path / "t.csv").write_bytes("è".encode("latin-1"))
    with pytest.raises(InputError, match=r"t.csv: is not UTF-8 text \(.*\); save it as CSV in UTF-8"):
        read_csv(tmp_path / "t.csv")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o755), (0o027, 0o750), (0o002, 0o775)])
def test_new_folders_and_files_obey_the_umask(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        with written_aside(tmp_path / "run") as folder:
            (folder / "file").write_text("")
        with file_written_aside(tmp_path / "file") as path:
            path.write_text("")
    finally:
        os.umask(before)
    assert (tmp_path / "run").stat().st_mode & 0o777 == mode
    for path in (tmp_path / "run" / "file", tmp_path / "file"):
        assert path.stat().st_mode & 0o777 == mode & 0o666


def test_paths_begin_at_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert to_path("~/a/b.wav") == tmp_path / "a" / "b.wav"
    assert to_path("a/~b") == Path("a/~b")
    assert to_path(Path("/x")) == Path("/x")


def test_modules_of_this_folder_leave_the_path_as_it_was(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    with importing_from_here():
        assert sys.path[0] == str(tmp_path)
    assert sys.path == before
