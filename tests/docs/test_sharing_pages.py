"""The commands and snippets of docs/sharing.md and docs/weights.md work, on a hub and addresses on this machine."""

import gzip
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from keras_files import thin_resnet_layers, write_keras
from making import TINY, make_corpus, random_vggish, save_weights, tiny_config, write_vectors
from serving import file_server, hub_server

from pathosnet import cli
from pathosnet.experiments.train import train
from pathosnet.weights.catalogue import CATALOGUE

DOCS = Path(__file__).resolve().parents[2] / "docs"
CHEAP = [f"--{name}={value}" for name, value in TINY.items()] + ["--vggish_output=pool", "--workers=0"]


def blocks_of(page: str) -> list[tuple[str, str]]:
    """Language and text of every fenced block."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", (DOCS / page).read_text(encoding="utf-8"), re.S | re.M)


def run_block(language: str, text: str) -> None:
    if language == "python":
        exec(text, {})
        return
    for line in text.splitlines():
        program, *arguments = shlex.split(line)
        assert program == "pathosnet"
        cli.main(arguments + (CHEAP if arguments[0] == "train" else []))


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A working folder with a corpus and an empty cache."""
    corpus = make_corpus(tmp_path / "work", per_class=5, seconds=(1.0, 1.1), language="it")
    (tmp_path / "work" / "clips").mkdir()
    (corpus.parent / "anger_0.wav").rename(tmp_path / "work" / "clips" / "001.wav")
    corpus.write_text(corpus.read_text().replace("anger_0.wav", "clips/001.wav"))
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("PATHOSNET_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "weights").mkdir(parents=True)
    return tmp_path / "work"


@pytest.fixture
def cached_vggish(tmp_path, place) -> Path:
    return save_weights(tmp_path / "cache" / "weights" / CATALOGUE["vggish"].file, random_vggish())


def test_sharing(place, cached_vggish, connect, monkeypatch, capsys):
    train("corpus.csv", "runs/mine", tiny_config())
    options = {"acoustic": "vggish", "vggish": "vggish", "vggish_output": "pool", "workers": 0}
    train("corpus.csv", "runs/vggish", tiny_config(**options))
    (place / "downloads").mkdir()
    (place / "downloads" / cached_vggish.name).write_bytes(cached_vggish.read_bytes())
    with hub_server() as server:
        connect(server.url)
        monkeypatch.setenv("HF_TOKEN", "secret")
        blocks = blocks_of("sharing.md")
        assert [language for language, _ in blocks] == ["sh", "python", "python", "python", "python"]
        for language, text in [blocks[2], *blocks[:2], *blocks[3:]]:  # giving away before fetching
            run_block(language, text)
    assert "license: cc-by-nc-4.0" in (place / "shared" / "README.md").read_text(encoding="utf-8")
    assert (place / "small" / "model.safetensors").stat().st_size < cached_vggish.stat().st_size


def test_weights(place, cached_vggish, tmp_path, monkeypatch, capsys, rng):
    write_keras(place / "weights.h5", thin_resnet_layers(rng))
    vectors = write_vectors(tmp_path / "it.vec", ["wonderful", "day"]).read_bytes()
    with file_server({"/wiki.multi.it.vec": vectors, "/lid.176.ftz": gzip.compress(b"any")}) as server:
        for name in ("muse-it", "lid-ftz"):
            known = replace(CATALOGUE[name], url=f"{server.url}/{CATALOGUE[name].file}", sha256="")
            monkeypatch.setitem(CATALOGUE, name, known)
        for language, text in blocks_of("weights.md"):
            run_block(language, text)
    printed = capsys.readouterr().out
    assert "weights.h5: sha256" in printed
    assert "ghostvlad.safetensors: Thin ResNet-34 + GhostVLAD" in printed
    assert (place / "runs" / "vggish" / "README.md").is_file()


def test_page_names_what_the_catalogue_has():
    shown = set(re.findall(r"`([\w-]+)`", (DOCS / "weights.md").read_text(encoding="utf-8")))
    families = {re.sub(r"-[a-z]{2}(?=$|-vec$)", "-LANGUAGE", name) for name in CATALOGUE}
    assert families <= shown
