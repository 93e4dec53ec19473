import sys

import pytest

from pathosnet.errors import InputError
from pathosnet.features import registry
from pathosnet.features.registry import load_plugins, loaded_plugins


@pytest.fixture(autouse=True)
def _forgetting(monkeypatch):
    monkeypatch.setattr(registry, "_loaded", {})
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))


def test_a_file_is_run_once(tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text("print('hello from', __name__)\n")
    load_plugins([str(path), str(tmp_path / "." / "mine.py")])
    load_plugins([str(path)])
    assert capsys.readouterr().out == "hello from pathosnet_plugin_mine\n"
    assert loaded_plugins() == (str(path),)


def test_relative_files_are_loaded_again_from_anywhere(tmp_path, monkeypatch, capsys):
    (tmp_path / "mine.py").write_text("print('hello')\n")
    monkeypatch.chdir(tmp_path)
    load_plugins(["mine.py"])
    assert loaded_plugins() == (str(tmp_path / "mine.py"),)


def test_a_module_of_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "of_mine").mkdir()
    (tmp_path / "of_mine" / "features.py").write_text("ANSWER = 42\n")
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    load_plugins(["of_mine.features"])
    assert sys.modules["of_mine.features"].ANSWER == 42
    assert sys.path == before


def test_classes_of_a_file_can_be_pickled(tmp_path):
    (tmp_path / "mine.py").write_text("class Mine:\n    pass\n")
    load_plugins([str(tmp_path / "mine.py")])
    made = sys.modules["pathosnet_plugin_mine"].Mine
    assert made.__module__ == "pathosnet_plugin_mine"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1 / 0", r"mine\.py: cannot be imported \(ZeroDivisionError: division by zero\)"),
        ("def", r"mine\.py: cannot be imported \(SyntaxError"),
        (
            "from pathosnet.errors import InputError\nraise InputError('vectors.txt: no such file')",
            r"^vectors\.txt: no",
        ),
    ],
)
def test_a_plug_in_that_fails_is_named_and_can_be_tried_again(content, message, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        load_plugins([str(path)])
    assert "pathosnet_plugin_mine" not in sys.modules
    path.write_text("DONE = True")
    load_plugins([str(path)])


@pytest.mark.parametrize(
    ("name", "message"),
    [("no.py", r"no\.py: no such file"), ("no.such.module", r"no\.such\.module: cannot be imported \(ModuleNotFound")],
)
def test_a_plug_in_that_is_not_there(name, message):
    with pytest.raises(InputError, match=f"--plugin .*{message}"):
        load_plugins([name])
