"""The models of the package: which one answers, and what is said where none can.

What needs the real encoder is skipped unless PATHOSNET_TEST_WHISPER names a folder that holds Whisper-base.
"""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import error_of, shell
from making import tone
from speech_encoders import whisper_folder

from pathosnet import InputError, PathosNet, cli
from pathosnet.audio.reading import read_recording
from pathosnet.corpora.demo_corpus import demo_manifest
from pathosnet.features.acoustic.extractors.speech_encoder import make_encoder_extractor
from pathosnet.models import BranchOptions, EmotionNetwork
from pathosnet.recognizer import shipped

WHISPER = os.environ.get("PATHOSNET_TEST_WHISPER")
needs_whisper = pytest.mark.skipif(WHISPER is None, reason="PATHOSNET_TEST_WHISPER names no folder of Whisper-base")
NO_SOCKETS = """
import socket
def refuse(*_): raise OSError("no network in tests")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
"""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of its own, with nothing in it, and a home that cannot be written to."""
    monkeypatch.setenv("PATHOSNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", "/proc/home")
    monkeypatch.setenv("HF_HUB_CACHE", "/proc/hub")
    return tmp_path / "cache"


@pytest.fixture
def tiny(cache):
    """An encoder where Whisper-base's is looked for."""
    return whisper_folder(cache / "weights" / "whisper-base")


@pytest.fixture
def stand_in(tiny, tmp_path, monkeypatch):
    """A model in the place of base, made with the tiny encoder."""
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "shipped")
    extractor = make_encoder_extractor("whisper-base", layers="1,2", rate=0.0)
    options = BranchOptions(audio_width=4, network="mlp", pooling="mean", standardize=True)
    network = EmotionNetwork({"whisper-base": extractor.feature_dim}, 4, options=options)
    (tmp_path / "shipped").mkdir()
    PathosNet(network, {"whisper-base": extractor}, None).save_pretrained(tmp_path / "shipped" / "base")
    return tmp_path / "shipped" / "base"


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """The package's models, to be damaged."""
    shutil.copytree(shipped.FOLDER, tmp_path / "shipped")
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "shipped")
    return tmp_path / "shipped" / "base"


def test_default_is_base_where_its_encoder_is_and_says_so(stand_in, capsys):
    default, base = PathosNet.from_pretrained(), PathosNet.from_pretrained("base")
    assert capsys.readouterr().err == f"model: base. Card: {stand_in / 'README.md'}\n"
    assert default.origin == base.origin == "base"
    assert default.predict(tone(1.0), sample_rate=16_000) == base.predict(tone(1.0), sample_rate=16_000)


def test_commands_take_the_default_model(stand_in, tmp_path, capsys):
    import soundfile

    soundfile.write(tmp_path / "clip.wav", tone(1.0), 16_000)
    cli.main(["predict", str(tmp_path / "clip.wav")])
    answer = PathosNet.from_pretrained("base").predict(tmp_path / "clip.wav")
    assert f"clip.wav: {answer.label} (" in capsys.readouterr().out


def test_nothing_is_written_beside_the_encoder_or_into_a_home(stand_in, cache):
    before = sorted(cache.rglob("*"))
    PathosNet.from_pretrained("base").predict(tone(1.0), sample_rate=16_000)
    assert sorted(cache.rglob("*")) == before


@pytest.mark.parametrize("name", ["base", "default"])
def test_another_encoder_is_refused_by_its_tensors(tiny, name, capsys):
    with pytest.raises(InputError, match=r"^whisper-base: is another encoder than the one that the model was trained"):
        PathosNet.from_pretrained(name)


def test_without_an_encoder_base_says_in_one_line_what_to_fetch(cache, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(NO_SOCKETS)
    paths = os.pathsep.join([str(tmp_path), str(Path(shipped.__file__).parents[2])])
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": paths}
    done = shell("predict", "base", "clip.wav", env=environment, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: whisper-base: cannot be fetched, and was not fetched before")
    assert "pathosnet weights add whisper-base FOLDER" in done.stderr


def test_without_an_encoder_small_answers_and_says_why(cache, monkeypatch, capsys):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    model = PathosNet.from_pretrained()
    assert model.origin == "small"
    assert model.predict(tone(1.0), sample_rate=16_000).label
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("model: small, since base cannot hear: whisper-base: cannot be fetched")
    assert said.endswith(f"Card: {shipped.FOLDER / 'small' / 'README.md'}\n")


def test_without_an_encoder_and_without_small_one_line_says_what_to_fetch(cache, copy, monkeypatch, capsys):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    shutil.rmtree(copy.parent / "small")
    said = error_of(capsys, "predict", "clip.wav")
    assert said.startswith("error: default: the model base needs the encoder whisper-base: cannot be fetched")
    assert said.endswith("pathosnet weights add whisper-base FOLDER")


def test_a_model_that_is_not_in_the_package_is_one_line(copy, capsys):
    shutil.rmtree(copy)
    for name in ("base", "small"):
        shutil.rmtree(copy.parent / name, ignore_errors=True)
        said = error_of(capsys, "predict", name, "clip.wav")
        assert said.startswith(f"error: {name}: this installation of pathosnet holds no such model")


@pytest.mark.parametrize("keep", [0, 1000, 2_000_000])
def test_damaged_weights_are_one_line_that_names_the_file(copy, keep, capsys):
    path = copy / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    said = error_of(capsys, "predict", "base", "clip.wav")
    assert str(path) in said
    assert "incomplete or damaged" in said


def test_a_missing_weights_file_is_one_line(copy, capsys):
    (copy / "model.safetensors").unlink()
    assert str(copy / "model.safetensors") in error_of(capsys, "predict", "base", "clip.wav")


def test_damaged_configuration_is_one_line(copy, capsys):
    (copy / "config.json").write_text('{"format": 1')
    assert str(copy / "config.json") in error_of(capsys, "predict", "base", "clip.wav")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The real thing."""
    folder = tmp_path_factory.mktemp("cache")
    (folder / "weights").mkdir()
    (folder / "weights" / "whisper-base").symlink_to(Path(WHISPER).resolve())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATHOSNET_CACHE", str(folder))
        return PathosNet.from_pretrained("base")


def clips():
    return [demo_manifest().parent / "audio" / f"{name}.ogg" for name in ANSWERS]


ANSWERS = {
    "en-f1-anger-1": [0.620698, 0.098879, 0.030766, 0.249657],
    "en-m1-sadness-1": [0.02691, 0.106587, 0.224817, 0.641686],
    "it-f2-happiness-2": [0.412763, 0.17077, 0.186362, 0.230105],
    "el-f1-anger-1": [0.3898, 0.218411, 0.076433, 0.315356],
}
"""Of clips of the demo corpus, in the order of the labels."""


@needs_whisper
def test_known_answers(base):
    for name, clip in zip(ANSWERS, clips(), strict=True):
        assert list(base.predict(clip).probabilities.values()) == pytest.approx(ANSWERS[name], abs=1e-4), name


@needs_whisper
def test_twenty_decibels_change_nothing(base):
    for clip in clips():
        samples = read_recording(clip).waveform.numpy()
        loud, quiet = (base.predict(samples * gain, sample_rate=16_000).probabilities for gain in (0.9, 0.09))
        assert list(loud.values()) == pytest.approx(list(quiet.values()), abs=1e-4)


@needs_whisper
def test_order_and_batch_change_nothing(base):
    alone = [base.predict(clip).probabilities for clip in clips()]
    there = base.predict_batch(clips())
    back = base.predict_batch(clips()[::-1], batch_size=2)[::-1]
    for one, *others in zip(alone, there, back, strict=True):
        for other in others:
            assert list(other.probabilities.values()) == pytest.approx(list(one.values()), abs=1e-4)


@needs_whisper
def test_half_precision_copies_of_the_encoder_count_as_the_same(base, tmp_path, monkeypatch):
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "weights" / "whisper-base"
    shutil.copytree(WHISPER, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    state = {name: value.half() for name, value in load_file(Path(WHISPER) / "model.safetensors").items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    monkeypatch.setenv("PATHOSNET_CACHE", str(tmp_path))
    found = PathosNet.from_pretrained("base").predict(clips()[0]).probabilities
    assert list(found.values()) == pytest.approx(list(base.predict(clips()[0]).probabilities.values()), abs=2e-2)


@needs_whisper
def test_silence_has_no_label(base):
    answer = base.predict(np.zeros(16_000), sample_rate=16_000)
    assert answer.label == ""
    assert "silent" in answer.warnings


@needs_whisper
def test_profiles_make_answers_surer(base):
    profile = base.profile(clips())
    assert base.temperature_with(None) == pytest.approx(1.508)
    assert base.temperature_with(profile) == pytest.approx(0.752 + 0.756 / (1 + len(clips()) / 1.166))
    assert torch.isfinite(torch.tensor(list(base.predict(clips()[0], profile=profile).probabilities.values()))).all()
