import pytest

from pathosnet.recognizer.shipped import names_model, split_model


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    (tmp_path / "clips").mkdir()
    (tmp_path / "a.wav").touch()
    (tmp_path / "noise").touch()
    return tmp_path


@pytest.mark.parametrize("name", ["base", "small", "default", "run", "user/name", "runs/mistyped"])
def test_names_of_models(here, name):
    assert names_model(name)


@pytest.mark.parametrize("name", ["a.wav", "absent.wav", "ABSENT.FLAC", "clips", "table.csv", "clips/*.wav", "noise"])
def test_names_of_what_a_model_reads(here, name):
    assert not names_model(name)


def test_the_first_argument_may_name_the_model(here):
    assert split_model(["run", "a.wav"]) == ("run", ("a.wav",))
    assert split_model(["a.wav", "b.wav"]) == ("default", ("a.wav", "b.wav"))
    assert split_model(["small"]) == ("small", ())
    assert split_model([]) == ("default", ())
