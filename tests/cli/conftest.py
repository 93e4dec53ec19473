"""A corpus and a run that all tests of commands share; who damages one takes a copy."""

import shutil
from pathlib import Path

import pytest
from commands import QUICK
from making import make_corpus, random_model

from pathosnet import cli


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def run(corpus, tmp_path_factory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    cli.main(["train", str(corpus), "--out", str(folder), *QUICK])
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A saved model with random weights."""
    folder = tmp_path_factory.mktemp("models") / "model"
    random_model().save_pretrained(folder)
    return folder


@pytest.fixture
def copied(corpus, tmp_path) -> Path:
    """A corpus that a test may damage."""
    shutil.copytree(corpus.parent, tmp_path / "corpus")
    return tmp_path / "corpus" / "corpus.csv"
