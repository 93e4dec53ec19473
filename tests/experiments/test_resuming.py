"""A training run that was interrupted goes on, and ends as if it had not been."""

import json

import pytest
import torch
from making import contents, make_corpus, tiny_config

from pathosnet.errors import InputError
from pathosnet.experiments.train import train
from pathosnet.training import trainer


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("corpus"))


def interrupt_after(monkeypatch, epochs: int) -> None:
    """Ctrl-C at the end of an epoch, with a checkpoint of every one."""
    monkeypatch.setattr(trainer, "CHECKPOINT_SECONDS", 0.0)
    ended = trainer.BestWeights.on_train_epoch_end

    def on_train_epoch_end(self, *arguments):
        ended(self, *arguments)
        if len(self.history) > epochs:
            raise KeyboardInterrupt

    monkeypatch.setattr(trainer.BestWeights, "on_train_epoch_end", on_train_epoch_end)


def test_interrupted_run_goes_on_to_the_same_end(corpus, tmp_path, monkeypatch):
    config = tiny_config(epochs=4, seed=5)
    with monkeypatch.context() as patch:
        interrupt_after(patch, epochs=2)
        with pytest.raises(KeyboardInterrupt):
            train(corpus, tmp_path / "run", config)
    assert {name for name in contents(tmp_path) if "/" not in name} == {".run.unfinished"}
    assert any(name.endswith(".ckpt") for name in contents(tmp_path))

    with pytest.raises(InputError, match=r"holds a run with other seed; .*--resume"):
        train(corpus, tmp_path / "run", tiny_config(epochs=4, seed=6), resume=True)
    resumed = train(corpus, tmp_path / "run", config, resume=True)
    assert {name for name in contents(tmp_path) if "/" not in name} == {"run"}

    whole = train(corpus, tmp_path / "whole", config)
    ours, theirs = resumed.model.network.state_dict(), whole.model.network.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert resumed.metrics == whole.metrics
    assert resumed.stages == whole.stages
    assert resumed.kept().startswith(f"logmel-1-branches: epoch {whole.stages[0].best_epoch + 1} of 4, val_loss ")


def test_without_resume_a_run_begins_anew(corpus, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt_after(patch, epochs=2)
        with pytest.raises(KeyboardInterrupt):
            train(corpus, tmp_path / "run", tiny_config(epochs=4))
    run = train(corpus, tmp_path / "run", tiny_config(epochs=1, seed=9))
    assert run.stages[0].epochs == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_resume_with_nothing_to_go_on_with_begins(corpus, tmp_path):
    run = train(corpus, tmp_path / "run", tiny_config(epochs=1), resume=True)
    assert json.loads((run.folder / "run.json").read_text())["stages"][0]["epochs"] == 1
