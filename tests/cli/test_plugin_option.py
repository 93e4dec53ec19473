"""``--plugin`` before any command."""

import json
import signal

import pytest
import torch
from making import make_corpus, write_tone

from pathosnet.cli import main
from pathosnet.experiments import cross_validate as cross_validation
from pathosnet.features import registry as features
from pathosnet.features.registry import acoustic_features, text_embeddings

PLUGIN = """
import torch
from pathosnet.features.acoustic.extractors import AcousticExtractor, register_extractor
from pathosnet.features import HashedWords, register_text_embedding

@register_extractor
class Loudness(AcousticExtractor):
    name = "loudness"
    def __init__(self, window=400):
        super().__init__(2)
        self.window = window
    def front_end(self, waveform):
        windows = waveform.unfold(0, self.window, self.window)
        return torch.stack([windows.std(1), windows.abs().amax(1)], 1)
    def config(self):
        return {"window": self.window}

class Short(HashedWords):
    def __init__(self, dim=8):
        super().__init__(dim)
    def config(self):
        return {"dim": self.dim}

register_text_embedding("short", Short)
"""
CHEAP = ["--epochs=1", "--text_width=4", "--audio_width=4", "--accelerator=cpu", "--progress=false", "--logger=none"]
OPTIONS = ["--acoustic=loudness", "--text=short", '--feature-options={"loudness": {"window": 800}}', *CHEAP]


@pytest.fixture(autouse=True)
def _forgetting(monkeypatch):
    """What a test loads is forgotten afterwards."""
    monkeypatch.setattr(features, "_loaded", {})
    for registry in (acoustic_features, text_embeddings):
        monkeypatch.setattr(registry, "_classes", dict(registry._classes))


@pytest.fixture
def plugin(tmp_path):
    path = tmp_path / "loudness.py"
    path.write_text(PLUGIN)
    return str(path)


def forget() -> None:
    """As if a new process had begun."""
    features._loaded.clear()
    del acoustic_features._classes["loudness"]
    del text_embeddings._classes["short"]


def test_train_evaluate_and_predict_with_own_features(plugin, tmp_path, capsys):
    corpus, run = str(make_corpus(tmp_path / "corpus")), str(tmp_path / "run")
    main(["--plugin", plugin, "train", corpus, "--out", run, *OPTIONS])
    saved = json.loads((tmp_path / "run" / "config.json").read_text())
    assert saved["acoustic"] == {"loudness": {"window": 800}}
    assert saved["text"]["tables"] == {"*": {"dim": 8, "kind": "short"}}
    clip = str(write_tone(tmp_path / "clip.wav"))
    for arguments in (["evaluate", run, corpus, f"--plugin={plugin}"], ["predict", "--plugin", plugin, run, clip]):
        forget()
        main(arguments)
    assert "clip.wav: " in capsys.readouterr().out
    forget()
    with pytest.raises(SystemExit, match="2"):
        main(["predict", run, clip])
    error = capsys.readouterr().err
    assert "needs the acoustic feature 'loudness', which is not registered" in error
    assert "--plugin FILE.py" in error
    assert error.count("\n") == 1


def test_processes_that_train_folds_load_the_same_plug_ins(plugin, tmp_path, monkeypatch):
    class Started(Exception):
        pass

    def start(workers, context, set_up, arguments):
        forget()
        before = signal.getsignal(signal.SIGINT), torch.get_num_threads()
        set_up(*arguments)
        signal.signal(signal.SIGINT, before[0])
        torch.set_num_threads(before[1])
        raise Started

    monkeypatch.setattr(cross_validation, "ProcessPoolExecutor", start)
    corpus = str(make_corpus(tmp_path / "corpus", per_class=4))
    command = ["cross-validate", corpus, "--plugin", plugin, "--out", str(tmp_path / "cv"), "--fold-workers=2"]
    with pytest.raises(Started):
        main([*command, "--num-folds=2", *OPTIONS])
    assert "loudness" in acoustic_features
    assert features.loaded_plugins() == (plugin,)


@pytest.mark.parametrize("arguments", [["train", "--plugin"], ["--plugin="]])
def test_a_missing_value_is_an_error(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert capsys.readouterr().err.startswith("error: ")


def test_a_plug_in_that_cannot_be_imported_is_one_line(tmp_path, capsys):
    (tmp_path / "broken.py").write_text("import no_such_module\n")
    with pytest.raises(SystemExit, match="2"):
        main(["--plugin", str(tmp_path / "broken.py"), "demo"])
    error = capsys.readouterr().err
    assert error.startswith(f"error: --plugin {tmp_path / 'broken.py'}: cannot be imported (ModuleNotFoundError")
    assert error.count("\n") == 1


def test_help_explains_it(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert "--plugin" in capsys.readouterr().out
