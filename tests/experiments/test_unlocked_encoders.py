"""The second stage for speech encoders: their top layers learn, the rest is computed once."""

import json
import sys

import pytest
import torch
from commands import error_of
from making import make_corpus, tone
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from speech_encoders import whisper_folder

from pathosnet import InputError, PathosNet, TrainConfig, cli, finetune, train
from pathosnet.backbones import UnlockedLayers, compute_features
from pathosnet.features.acoustic.extractors.speech_encoder import make_encoder_extractor
from pathosnet.training import NetworkModule, Optimization

OPTIONS = {
    "text": "none",
    "network": "linear",
    "epochs": 2,
    "batch_size": 4,
    "encoder_rate": 0.0,
    "encoder_learning_rate": 1e-3,
    "accelerator": "cpu",
    "logger": "none",
    "progress": False,
    "feature_store": "none",
    "calibration": "none",
}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """Three random layers."""
    from pathosnet.backbones.speech_encoder import WhisperShape

    shape = WhisperShape(num_bands=80, dim=16, num_layers=3, num_heads=2, hidden_dim=24, num_positions=100)
    return whisper_folder(tmp_path_factory.mktemp("encoder") / "whisper", shape=shape)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("corpus"), per_class=5, num_speakers=4)


def config(encoder, **options):
    return TrainConfig(**{**OPTIONS, "acoustic": f"hf:{encoder}", "encoder_layers": "1,2,3", "unlock": 2, **options})


@pytest.mark.parametrize("layers", ["2", "1-2", "1,3", "0,1,2,3", "learned"])
@pytest.mark.parametrize("rate", [0.0, 10.0, 50.0])
@pytest.mark.parametrize("unlocked", [1, 2, 9])
def test_the_layers_go_on_to_the_same_features(encoder, layers, rate, unlocked):
    extractor = make_encoder_extractor(f"hf:{encoder}", layers=layers, rate=rate, unlocked=unlocked)
    clips = [torch.from_numpy(tone(seconds, hertz)) for seconds, hertz in ((0.5, 200.0), (1.3, 300.0), (0.02, 200.0))]
    clips[1] += 0.1 * torch.randn(len(clips[1]), generator=torch.Generator().manual_seed(0))
    hidden = extractor.extract(clips, "frozen")
    assert isinstance(extractor.unlockable, UnlockedLayers)
    with torch.no_grad():
        found = compute_features(extractor.unlockable, hidden)
    for one, expected in zip(found, extractor.extract(clips), strict=True):
        torch.testing.assert_close(one, expected, atol=1e-5, rtol=1e-5)
    assert len(found[2]) == 0  # too short


def test_a_recording_longer_than_the_window_passes_in_pieces(encoder):
    extractor = make_encoder_extractor(f"hf:{encoder}", layers="3", rate=50.0, unlocked=1)
    clip = torch.from_numpy(tone(5.0))
    hidden = extractor.extract([clip], "frozen")[0]
    with torch.no_grad():
        together = compute_features(extractor.unlockable, [hidden])[0]
        pieces = [compute_features(extractor.unlockable, [piece])[0] for piece in hidden.split(100)]
    torch.testing.assert_close(together, torch.cat(pieces))


def test_nothing_but_the_unlocked_layers_learns_and_each_at_its_rate(encoder):
    from pathosnet.models import BranchOptions, EmotionNetwork

    extractor = make_encoder_extractor(f"hf:{encoder}", layers="1,3", rate=0.0, unlocked=2)
    network = EmotionNetwork({"x": extractor.feature_dim}, 4, options=BranchOptions(network="linear"))
    optimization = Optimization(
        optimizer="Adam", optimizer_options={"weight_decay": 0.3}, encoder_learning_rate=0.01, encoder_layer_decay=0.5
    )
    module = NetworkModule(network, None, optimization, unlocked={"x": extractor.unlockable})
    whisper = extractor.encoder.network
    trained = {name for name, value in whisper.named_parameters() if value.requires_grad}
    assert {name.split(".")[1] for name in trained if name.startswith("layers.")} == {"1", "2"}
    assert {name for name in trained if not name.startswith("layers.")} == {"layer_norm.weight", "layer_norm.bias"}
    optimizer = module.configure_optimizers()["optimizer"]
    groups = [(group["lr"], group["weight_decay"], len(group["params"])) for group in optimizer.param_groups]
    of_layer = len(list(whisper.layers[2].parameters()))
    assert groups == [(1e-3, 0.3, 2), (0.01, 0.0, of_layer + 2), (0.005, 0.0, of_layer)]


@pytest.fixture(scope="module")
def run(encoder, corpus, tmp_path_factory):
    return train(corpus, tmp_path_factory.mktemp("runs") / "unlocked", config(encoder))


def test_the_model_predicts_with_what_was_learned_before_and_after_saving(run, encoder, corpus):
    frozen = make_encoder_extractor(f"hf:{encoder}", layers="1,2,3", rate=0.0)
    (name,) = run.model.extractors
    clip = corpus.parent / "anger_0.wav"
    tuned = run.model.extractors[name].encoder.network
    assert not torch.equal(tuned.layers[2].fc1.weight, frozen.encoder.network.layers[2].fc1.weight)
    assert torch.equal(tuned.layers[0].fc1.weight, frozen.encoder.network.layers[0].fc1.weight)
    again = PathosNet.from_pretrained(run.folder)
    assert again.predict(clip) == run.model.predict(clip)
    with safe_open(run.folder / "model.safetensors", "pt") as file:
        kept = {key.split(".backbone.")[1].split(".")[0] for key in file.keys() if ".backbone." in key}  # noqa: SIM118
    assert kept == {"layers", "norm"}
    stages = json.loads((run.folder / "run.json").read_text())["stages"]
    assert [one["name"] for one in stages] == [f"{name}-1-branches", f"{name}-2-unlocked"]


def test_a_refitted_stage_has_no_figures_to_name(encoder, corpus, tmp_path):
    run = train(corpus, tmp_path / "run", config(encoder, refit=True, epochs=1))
    (name,) = run.model.extractors
    assert run.kept().endswith(f"{name}-1-branches-refit: epoch 1 of 1; {name}-2-unlocked-refit: epoch 1 of 1")


def test_the_figures_of_training_are_those_of_the_saved_model(run, corpus):
    from pathosnet import evaluate

    metrics, _ = evaluate(run.folder, corpus, progress=False)
    assert metrics.accuracy == run.metrics.accuracy
    assert metrics.uar == run.metrics.uar


def test_a_model_that_holds_its_tuned_encoder_needs_no_other(run, corpus, tmp_path):
    run.model.save_pretrained(tmp_path / "held", hold_encoders=True)
    held = PathosNet.from_pretrained(tmp_path / "held")
    expected = run.model.predict(corpus.parent / "anger_0.wav").probabilities
    found = held.predict(corpus.parent / "anger_0.wav").probabilities
    assert list(found.values()) == pytest.approx(list(expected.values()), abs=1e-5)


def test_damaged_layers_are_one_line_that_names_the_file(run, tmp_path):
    import shutil

    shutil.copytree(run.folder, tmp_path / "copy")
    path = tmp_path / "copy" / "model.safetensors"
    state = load_file(path)
    lost = next(key for key in state if ".backbone.layers.0." in key)
    save_file({key: value for key, value in state.items() if key != lost}, path)
    with pytest.raises(InputError, match=r"model\.safetensors: does not fit its config\.json — missing: layers\.0\."):
        PathosNet.from_pretrained(tmp_path / "copy")
    save_file({**state, f"{lost}.more": torch.zeros(1)}, path)
    with pytest.raises(InputError, match="surplus: layers"):
        PathosNet.from_pretrained(tmp_path / "copy")


def test_without_a_step_the_model_is_the_frozen_one(encoder, corpus, tmp_path):
    still = config(encoder, encoder_learning_rate=1e-30, learning_rate=1e-30, min_learning_rate=1e-30)
    one = train(corpus, tmp_path / "unlocked", still)
    other = train(corpus, tmp_path / "frozen", still.replace(unlock=0))
    clip = corpus.parent / "sadness_1.wav"
    found, expected = (list(run.model.predict(clip).probabilities.values()) for run in (one, other))
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.fixture(scope="module")
def low_rank_run(encoder, corpus, tmp_path_factory):
    pytest.importorskip("peft")
    return train(corpus, tmp_path_factory.mktemp("runs") / "lora", config(encoder, lora=2, refit=True))


def test_low_rank_changes_end_up_in_plain_layers(low_rank_run, run, encoder, corpus, monkeypatch):
    frozen = make_encoder_extractor(f"hf:{encoder}", layers="1,2,3", rate=0.0).encoder.network
    (extractor,) = low_rank_run.model.extractors.values()
    tuned = extractor.encoder.network
    assert tuned.state_dict().keys() == frozen.state_dict().keys()
    for part in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj", "fc1", "fc2"):
        change = (tuned.layers[1].get_submodule(part).weight - frozen.layers[1].get_submodule(part).weight).detach()
        assert change.abs().max() > 1e-4
        assert torch.linalg.matrix_rank(change, atol=1e-6) == 2
    assert torch.equal(tuned.layers[1].fc1.bias, frozen.layers[1].fc1.bias)
    assert torch.equal(tuned.layer_norm.weight, frozen.layer_norm.weight)
    assert torch.equal(tuned.layers[0].fc1.weight, frozen.layers[0].fc1.weight)
    saved, unlocked = (load_file(one.folder / "model.safetensors").keys() for one in (low_rank_run, run))
    assert saved == unlocked
    monkeypatch.setitem(sys.modules, "peft", None)
    clip = corpus.parent / "anger_0.wav"
    assert PathosNet.from_pretrained(low_rank_run.folder).predict(clip) == low_rank_run.model.predict(clip)


def test_low_rank_changes_that_learned_nothing_leave_the_frozen_model(encoder, corpus, tmp_path):
    pytest.importorskip("peft")
    still = config(encoder, lora=2, encoder_learning_rate=1e-30, learning_rate=1e-30, min_learning_rate=1e-30)
    one = train(corpus, tmp_path / "lora", still)
    other = train(corpus, tmp_path / "frozen", still.replace(unlock=0, lora=0))
    clip = corpus.parent / "sadness_1.wav"
    found, expected = (list(run.model.predict(clip).probabilities.values()) for run in (one, other))
    assert found == pytest.approx(expected, abs=1e-6)


def test_fine_tuning_learns_low_rank_changes(encoder, corpus, tmp_path):
    pytest.importorskip("peft")
    plain = train(corpus, tmp_path / "plain", config(encoder, unlock=0))
    options = TrainConfig(**{**OPTIONS, "labels": "corpus", "unlock": 1, "lora": 2})
    tuned = finetune(plain.folder, corpus, tmp_path / "tuned", config=options, train="top-layer")
    before, after = (next(iter(one.model.extractors.values())).encoder.network for one in (plain, tuned))
    change = (after.layers[2].fc1.weight - before.layers[2].fc1.weight).detach()
    assert torch.linalg.matrix_rank(change, atol=1e-6) == 2
    clip = corpus.parent / "anger_0.wav"
    assert PathosNet.from_pretrained(tuned.folder).predict(clip) == tuned.model.predict(clip)


def test_low_rank_changes_need_layers_and_peft(encoder, corpus, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="lora: expected layers that learn so, such as --unlock 2, got unlock 0"):
        config(encoder, unlock=0, lora=2)
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(InputError, match=r"^lora: needs the peft package; pip install 'pathosnet\[lora\]'$"):
        train(corpus, tmp_path / "run", config(encoder, lora=2))


def test_fine_tuning_unlocks_layers_and_keeps_those_that_were_tuned(encoder, corpus, run, tmp_path):
    options = TrainConfig(**{**OPTIONS, "labels": "corpus", "unlock": 1})
    plain = train(corpus, tmp_path / "plain", config(encoder, unlock=0))
    tuned = finetune(plain.folder, corpus, tmp_path / "tuned", config=options, train="top-layer")
    (extractor,) = tuned.model.extractors.values()
    assert extractor.unlocked == 1
    again = finetune(run.folder, corpus, tmp_path / "again", config=options.replace(unlock=0), train="branches")
    clip = corpus.parent / "anger_0.wav"
    assert PathosNet.from_pretrained(again.folder).predict(clip) == again.model.predict(clip)
    assert next(iter(again.model.extractors.values())).unlocked == 2


def test_what_has_no_layers_to_unlock_is_one_line(encoder, corpus, tmp_path, capsys):
    with pytest.raises(InputError, match=r"^unlock: expected a speech encoder, such as --acoustic whisper-base"):
        train(corpus, tmp_path / "run", TrainConfig(unlock=1, text="none"))
    with pytest.raises(InputError, match=r"^unlock: expected a speech encoder.* and --fine-tune true"):
        train(corpus, tmp_path / "run", config(encoder, fine_tune=False))
    with pytest.raises(InputError, match="normalize: speaker is for features that stay as they are"):
        config(encoder, normalize="speaker")
    plain = train(corpus, tmp_path / "plain", config(encoder, unlock=0))
    top = ["--train", "top-layer", "--accelerator", "cpu"]
    said = error_of(capsys, "finetune", str(plain.folder), str(corpus), "--out", str(tmp_path / "x"), *top)
    assert said.endswith("or of its speech encoder --unlock 1 or more")
    with pytest.raises(SystemExit):
        cli.main(["finetune", str(plain.folder), str(corpus), "--out", str(tmp_path / "x"), "--unlock", "1"])


def test_profiles_of_models_that_were_tuned_otherwise_are_refused(run, corpus):
    other = PathosNet.from_pretrained(run.folder)
    (extractor,) = other.extractors.values()
    profile = run.model.profile([corpus.parent / "anger_0.wav"])
    other.predict(corpus.parent / "anger_1.wav", profile=profile)
    with torch.no_grad():
        extractor.encoder.network.layers[2].fc1.weight += 0.01
    with pytest.raises(InputError, match="was made by another model"):
        other.predict(corpus.parent / "anger_1.wav", profile=profile)
