"""The commands and snippets of docs/text-features.md and docs/own-features.md work, with tiny encoders of the names."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from encoders import write_bert
from making import TINY, make_corpus

from pathosnet import cli
from pathosnet.features import registry as features
from pathosnet.features.registry import acoustic_features, text_embeddings

ROOT = Path(__file__).resolve().parents[2]
CHEAP = [f"--{name}={value}" for name, value in TINY.items()] + ["--workers=0"]


@pytest.fixture(autouse=True)
def _forgetting(monkeypatch):
    """What a page registers is forgotten afterwards."""
    monkeypatch.setattr(features, "_loaded", {})
    for registry in (acoustic_features, text_embeddings):
        monkeypatch.setattr(registry, "_classes", dict(registry._classes))


@pytest.mark.parametrize("page", ["text-features.md", "own-features.md"])
def test_page(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_corpus(tmp_path, per_class=5, language=lambda i, emotion: ("en", "it")[i % 2])
    (tmp_path / "clips").mkdir()
    shutil.copy(tmp_path / "anger_0.wav", tmp_path / "clips" / "001.wav")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    if page == "text-features.md":
        pytest.importorskip("transformers")
        for name in ("xlm-roberta-base", "bert-base-cased", "dbmdz/bert-base-italian-cased"):
            write_bert(tmp_path / name, positions=40)
    names = {"__name__": "page"}
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.S | re.M)
    assert len(blocks) >= 3
    for language, text in blocks:
        if language == "python":  # as on the page, but for the cost of training
            exec(text.replace("TrainConfig(", "TrainConfig(epochs=1, progress=False, accelerator='cpu', "), names)
            continue
        for line in text.splitlines():
            program, *arguments = shlex.split(line)
            assert program == "pathosnet"
            cli.main(arguments + (CHEAP if arguments[0] == "train" else []))
