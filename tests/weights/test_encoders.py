import pytest
from speech_encoders import whisper_folder

from pathosnet import cli
from pathosnet.errors import InputError
from pathosnet.features.acoustic.encoders import known as catalogue
from pathosnet.features.acoustic.encoders.opening import fetch, open_speech_encoder
from pathosnet.weights.encoders import add_encoder, get_encoder, verify_encoder


@pytest.fixture(autouse=True)
def offline(tmp_path, monkeypatch):
    monkeypatch.setenv("PATHOSNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def test_a_folder_is_put_where_the_download_would_go(tmp_path):
    folder = whisper_folder(tmp_path / "mine")
    target = add_encoder("whisper-small", folder)
    assert target == tmp_path / "cache" / "weights" / "whisper-small"
    assert {file.name for file in target.iterdir()} == {"config.json", "model.safetensors"}
    assert get_encoder("whisper-small") == target
    assert "3 layers of 16" in verify_encoder("whisper-small")
    assert open_speech_encoder("whisper-small").source.name == "whisper-small"
    with pytest.raises(InputError, match="whisper-small: "):
        add_encoder("whisper-small", folder)
    add_encoder("whisper-small", folder, overwrite=True)


def test_another_encoder_does_not_get_the_name(tmp_path):
    folder = whisper_folder(tmp_path / "mine")
    with pytest.raises(InputError, match=r"is not whisper-base \(tensors of sha256 .*; use it by its folder"):
        add_encoder("whisper-base", folder)
    assert len(catalogue.KNOWN_ENCODERS["whisper-base"].sha256) == 64


def test_what_is_not_here_and_cannot_be_fetched(tmp_path):
    with pytest.raises(InputError, match=r"whisper-small: cannot be fetched, .*: pathosnet weights add whisper-small"):
        get_encoder("whisper-small")
    with pytest.raises(InputError, match="whisper-small: is not here; get it with"):
        verify_encoder("whisper-small")
    with pytest.raises(InputError, match="no known speech encoder is called 'whisper'"):
        get_encoder("whisper")
    with pytest.raises(InputError, match="no such folder"):
        add_encoder("whisper-small", tmp_path / "nothing")


def test_where_there_is_no_network_nothing_is_tried_again_and_again(monkeypatch, connect):
    connect("http://127.0.0.1:9")  # nobody answers there
    tried = []

    def download(*arguments, local_files_only=False, **options):
        if local_files_only:
            raise FileNotFoundError
        tried.append(arguments)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    with pytest.raises(InputError, match=r"hf:somebody/small: cannot be fetched, .*; check the name and the network"):
        fetch("somebody/small", None)
    assert tried == []


def test_copies_of_a_known_encoder_go_by_its_name(tmp_path, monkeypatch):
    folder = whisper_folder(tmp_path / "mine")
    sha256 = open_speech_encoder(f"hf:{folder}").source.sha256
    known = catalogue.KnownEncoder("tiny", "somebody/tiny", "MIT", size=1, about="", revision="0" * 40, sha256=sha256)
    monkeypatch.setitem(catalogue.KNOWN_ENCODERS, "tiny", known)
    assert open_speech_encoder(f"hf:{folder}").source.name == "tiny"


def test_the_command_adds_lists_and_verifies(tmp_path, capsys):
    folder = whisper_folder(tmp_path / "mine")

    def said(*arguments) -> str:
        cli.main(["weights", *map(str, arguments)])
        return capsys.readouterr().out

    assert "whisper-small: " in said("add", "whisper-small", folder)
    assert "* whisper-small: speech encoder" in said("list")
    assert '"repository": "openai/whisper-small"' in said("list", "--json")
    assert "tensors of sha256" in said("verify", "whisper-small")
    assert str(tmp_path) in said("get", "whisper-small")
