import json
import os
import subprocess
import sys

import pytest
from making import contents, tone, write_vectors
from serving import hub_server

from pathosnet import PathosNet
from pathosnet.errors import InputError
from pathosnet.features import TextEmbedder, WordVectors
from pathosnet.features.acoustic.extractors import LogMelExtractor
from pathosnet.models import BranchOptions, EmotionNetwork

NARROW = BranchOptions(text_width=4, audio_width=4, num_blocks=1)
TEMPTING = dict.fromkeys(("pytorch_model.bin", "modeling.py", "text/evil.py", "text/0.pt", "big.safetensors"), b"x")


@pytest.fixture
def model(tmp_path) -> PathosNet:
    text = TextEmbedder({"it": WordVectors.load(write_vectors(tmp_path / "it.vec", ["ciao", "mondo"], 8))})
    return PathosNet(EmotionNetwork({"logmel": 64, "text": 8}, 4, options=NARROW), {"logmel": LogMelExtractor(1)}, text)


@pytest.fixture
def files(model, tmp_path) -> dict[str, bytes]:
    """A saved model's files as a hub has them: path → content."""
    folder = tmp_path / "saved"
    model.save_pretrained(folder)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def says(model: PathosNet) -> object:
    return model.predict(tone(0.5), "ciao mondo", sample_rate=16_000)


def test_model_is_fetched_and_then_comes_from_the_cache(model, files, connect):
    """Only a model's own files are fetched; with the server gone the second time needs nothing of it."""
    with hub_server(anna__small={**files, **TEMPTING}) as server:
        connect(server.url)
        assert says(PathosNet.from_pretrained("anna/small")) == says(model)
        assert says(PathosNet.from_pretrained("anna/small", revision="v1")) == says(model)
        fetched = {path.split("/resolve/")[1].partition("/")[2] for _, path in server.requests if "/resolve/" in path}
        assert fetched == set(files)
        url = server.url
    assert says(PathosNet.from_pretrained("anna/small")) == says(model)  # not reached any more
    assert says(PathosNet.from_pretrained("anna/small", local_files_only=True)) == says(model)
    connect(url, offline=True)
    assert says(PathosNet.from_pretrained("anna/small")) == says(model)


def test_folder_goes_before_the_hub(model, connect, tmp_path, monkeypatch):
    with hub_server() as server:
        connect(server.url)
        model.save_pretrained(tmp_path / "anna" / "small")
        monkeypatch.chdir(tmp_path)
        assert says(PathosNet.from_pretrained("anna/small")) == says(model)
        assert server.requests == []


@pytest.mark.parametrize("name", ["./runs/x", "runs/deep/x", "/runs/x", "x", "../x", "~nobody/x", ""])
def test_what_is_no_name_of_a_model_is_a_folder(name, connect):
    with hub_server() as server:
        connect(server.url)
        with pytest.raises(InputError, match="holds no model"):
            PathosNet.from_pretrained(name)
        assert server.requests == []


def refusal(*arguments, **options) -> str:
    with pytest.raises(InputError) as caught:
        PathosNet.from_pretrained(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_model_that_does_not_exist(files, connect):
    with hub_server(anna__small=files) as server:
        connect(server.url)
        assert "anna/tiny: is no folder here, and as a model of http" in refusal("anna/tiny")
        assert "anna/small: has no revision 'v7' at http" in refusal("anna/small", revision="v7")


def test_hub_that_cannot_be_reached(connect):
    connect("http://127.0.0.1:9")
    message = refusal("anna/small")
    assert message.startswith(
        "anna/small: is no folder here, and as a model of http://127.0.0.1:9 it is not in the cache"
    )
    assert "hf download anna/small" in message


def test_offline_without_a_cached_model(connect):
    connect("http://127.0.0.1:9", offline=True)
    assert "it is not in the cache (the network is switched off); fetch it once" in refusal("anna/small")


def test_repository_of_something_else(connect):
    with hub_server(anna__notes={"README.md": b"notes"}) as server:
        connect(server.url)
        assert "holds no model (no config.json)" in refusal("anna/notes")


def test_command_line_takes_names_of_the_hub(files, tmp_path):
    """With the variables that people set, in a process of its own."""
    with hub_server(anna__small=files) as server:
        environment = {**os.environ, "HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "0"}
        command = [sys.executable, "-m", "pathosnet", "predict", "anna/small", "--text", "ciao", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["label"] in ("happiness", "anger", "sadness", "neutral")


# Uploads


def test_pushed_model_can_be_fetched(model, connect):
    with hub_server() as server:
        connect(server.url)
        url = model.push_to_hub("anna/mine", token="secret", model_card_kwargs={"license": "cc-by-4.0"})
        assert f"{server.url}/anna/mine/commit/" in url
        uploaded = server.repos["anna/mine"]
        assert set(uploaded) == {
            *("README.md", "config.json", "model.safetensors"),
            *("text/0.safetensors", "text/0.words.txt"),
        }
        assert server.tokens[0] == "Bearer secret"
        card = uploaded["README.md"].decode()
        assert "license: cc-by-4.0" in card
        assert 'PathosNet.from_pretrained("anna/mine")' in card
        assert says(PathosNet.from_pretrained("anna/mine")) == says(model)


def test_saving_can_push_at_once(model, connect, tmp_path):
    with hub_server() as server:
        connect(server.url)
        assert model.save_pretrained(tmp_path / "mine", push_to_hub=True, repo_id="anna/mine", token="t") is not None
        assert set(server.repos["anna/mine"]) >= {"config.json", "model.safetensors"}
    assert contents(tmp_path / "mine") >= {"config.json", "model.safetensors"}


def test_hub_that_does_not_let_you(model, connect):
    with hub_server() as server:
        connect(server.url)
        server.locked = True
        with pytest.raises(InputError, match=r"anna/mine: http.* does not let you; hf auth login"):
            model.push_to_hub("anna/mine", token="wrong")
    connect("http://127.0.0.1:9")
    with pytest.raises(InputError, match="cannot be reached"):
        model.push_to_hub("anna/mine", token="t")


def test_a_model_can_be_pushed_to_a_branch(model, connect):
    with hub_server() as server:
        connect(server.url)
        assert "/commit/" in model.push_to_hub("anna/mine", branch="next", token="t")
        assert ("POST", "/api/models/anna/mine/commit/next") in server.requests


def test_a_folder_needs_nothing_of_the_hub_library(model, tmp_path):
    """Nor of the network: an interpreter in which the library cannot be imported reads it."""
    model.save_pretrained(tmp_path / "model")
    code = (
        "import sys; sys.modules['huggingface_hub'] = None; sys.modules['transformers'] = None\n"
        f"from pathosnet import PathosNet; print(PathosNet.from_pretrained({str(tmp_path / 'model')!r}).labels)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


# Links


def test_links_of_the_cache_are_followed_and_no_others(model, tmp_path):
    """The cache's snapshots are links to blobs beside them."""
    snapshot = tmp_path / "models--anna--small" / "snapshots" / "abc"
    model.save_pretrained(snapshot)
    blobs = tmp_path / "models--anna--small" / "blobs"
    blobs.mkdir()
    for number, path in enumerate(sorted(snapshot.rglob("*"))):
        if path.is_file():
            path.rename(blobs / str(number))
            path.symlink_to(blobs / str(number))
    assert says(PathosNet.from_pretrained(snapshot)) == says(model)
    blobs.rename(tmp_path / "models--anna--small" / "others")
    blobs.symlink_to(tmp_path / "models--anna--small" / "others")  # nor a link instead of the folder of blobs
    assert "outside of the model; it is not followed" in refusal(snapshot)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "text/0.words.txt", "text/0.safetensors"])
def test_links_to_other_places_are_not_followed(name, model, tmp_path):
    model.save_pretrained(tmp_path / "model")
    (tmp_path / "model" / name).rename(tmp_path / "outside")
    (tmp_path / "model" / name).symlink_to(tmp_path / "outside")
    assert f"{tmp_path / 'model' / name}: is a link to {tmp_path / 'outside'}" in refusal(tmp_path / "model")


def test_folder_that_is_a_link_is_a_model(model, tmp_path):
    model.save_pretrained(tmp_path / "model")
    (tmp_path / "latest").symlink_to(tmp_path / "model")
    assert says(PathosNet.from_pretrained(tmp_path / "latest")) == says(model)
