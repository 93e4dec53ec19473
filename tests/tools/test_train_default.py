"""``tools/train_default.py`` on a tiny encoder and a tiny corpus: what it makes is a model of the library."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from making import make_corpus, tone
from safetensors import safe_open
from speech_encoders import whisper_folder
from torch.nn.functional import softmax

from pathosnet import PathosNet
from pathosnet.features.profile import SHRINKAGE, ProfileCalibration

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture
def tools(monkeypatch):
    """The folder of tools as a place to import from."""
    monkeypatch.syspath_prepend(str(TOOLS))


@pytest.fixture
def corpus(tmp_path):
    def votes(name):
        return lambda row, emotion: 3 if emotion == name else 1

    return make_corpus(tmp_path / "corpus", per_class=4, votes_anger=votes("anger"), votes_sadness=votes("sadness"))


def run(monkeypatch, corpus, out, *options):
    import train_default

    encoder = out.parent / "encoder"
    if not encoder.exists():
        whisper_folder(encoder)
    fixed = ["--encoder", f"hf:{encoder}", "--layers", "1,2", "--seeds", "2", "--epochs", "2", "--copies", "2"]
    store = ["--store", str(out.parent / "store")]
    monkeypatch.setattr(sys, "argv", ["train_default.py", str(corpus), "--out", str(out), *fixed, *store, *options])
    train_default.main()


def test_it_makes_a_model_that_predicts(tools, corpus, tmp_path, monkeypatch):
    run(monkeypatch, corpus, tmp_path / "base")
    model = PathosNet.from_pretrained(tmp_path / "base")
    assert model.labels == ("happiness", "anger", "sadness", "neutral")
    assert model.facts.corpora[0].utterances == 16
    assert (model.calibration_temperature, model.profile_calibration) == (1.508, ProfileCalibration(0.752, 1.166))
    answer = model.predict(corpus.parent / "anger_0.wav", profile=model.profile([corpus.parent / "anger_1.wav"]))
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    with safe_open(tmp_path / "base" / "model.safetensors", "pt") as file:
        kinds = {name: file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118  # no mapping
    assert {kind for name, kind in kinds.items() if ".standardize." in name} == {torch.float32}
    assert {kind for name, kind in kinds.items() if ".standardize." not in name} == {torch.float16}


def test_a_second_run_takes_finished_networks_and_makes_the_same_model(tools, corpus, tmp_path, monkeypatch):
    import default_training

    run(monkeypatch, corpus, tmp_path / "base")
    first = (tmp_path / "base" / "model.safetensors").read_bytes()
    monkeypatch.setattr(default_training, "fit_network", lambda *_: pytest.fail("trains anew"))
    run(monkeypatch, corpus, tmp_path / "base")
    assert (tmp_path / "base" / "model.safetensors").read_bytes() == first


def test_temperatures_are_fitted_on_corpora_that_are_named(tools, corpus, tmp_path, monkeypatch):
    other = make_corpus(tmp_path / "other", per_class=3, num_speakers=2, seed=1)
    run(monkeypatch, corpus, tmp_path / "base", "--development", str(other))
    model = PathosNet.from_pretrained(tmp_path / "base")
    assert model.calibration_temperature != 1.508
    assert model.profile_calibration != ProfileCalibration(0.752, 1.166)


def test_every_row_needs_a_speaker(tools, tmp_path, monkeypatch, capsys):
    corpus = make_corpus(tmp_path / "corpus", per_class=1, speaker="")
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, corpus, tmp_path / "base")
    assert caught.value.code == 2
    assert "row 2: has no speaker" in capsys.readouterr().err


def make_table(count=24, variants=2, dim=6):
    from default_training import Table, soft_targets

    truth = np.arange(count) % 4
    features = torch.randn(variants, count, dim)
    return Table(
        features, soft_targets(np.eye(4)[truth], truth), truth, speakers=tuple(f"s{i // 6}" for i in range(count))
    )


def test_the_merged_network_gives_the_mean_of_the_logits(tools, tmp_path):
    from default_training import Recipe, fit_network, fit_networks, logits_with_profiles

    table, recipe = make_table(), Recipe(epochs=2, batch_size=8, width=5)
    state = fit_networks(table, recipe, 3, tmp_path / "networks")
    features = (table.features - state["mean"]) / state["deviation"]
    networks = [fit_network(features, table, recipe, seed) for seed in range(3)]
    with torch.no_grad():
        apart = [network(features[0]) for network in networks]
    np.testing.assert_allclose(logits_with_profiles(state, table, 0), torch.stack(apart).mean(dim=0), atol=1e-6)


def test_profiles_are_of_the_same_speaker_and_channel_and_shrunk(tools):
    from default_training import ALL, Profiles

    table = make_table()
    profiles = Profiles(table.features, table.speakers)
    rows, variants = torch.tensor([0, 7]), torch.tensor([1, 0])
    drawn = profiles.draw(rows, variants, ALL, torch.Generator())
    expected = [table.features[1, :6].sum(dim=0), table.features[0, 6:12].sum(dim=0)]
    torch.testing.assert_close(drawn, torch.stack(expected) / (6 + SHRINKAGE))
    one = profiles.draw(rows, variants, 1, torch.Generator().manual_seed(0)) * (1 + SHRINKAGE)
    for row, members in zip(one, (table.features[1, :6], table.features[0, 6:12]), strict=True):
        assert (members - row).abs().amax(dim=1).min() < 1e-5


def test_targets_are_half_votes_and_classes_count_alike(tools):
    from default_training import balanced_weights, soft_targets

    targets = soft_targets(np.array([[0.5, 0.5], [0.0, 1.0], [0.0, 1.0]]), np.array([0, 1, 1]))
    torch.testing.assert_close(targets, torch.tensor([[0.75, 0.25], [0.0, 1.0], [0.0, 1.0]]))
    weights = balanced_weights(targets)
    mass = (targets * weights.unsqueeze(1)).sum(dim=0)
    assert weights.mean() == pytest.approx(1)
    assert weights[0] > weights[1] == weights[2]
    assert mass[0] / mass[1] > targets.sum(dim=0)[0] / targets.sum(dim=0)[1]


def test_temperatures_follow_overconfidence(tools):
    from default_training import fit_temperatures

    generator = np.random.default_rng(0)
    truth = np.arange(400) % 4
    features = torch.from_numpy(np.eye(4)[truth] + generator.normal(0, 0.7, (400, 4))).float()[None]
    table = make_table()
    table = type(table)(features, torch.eye(4)[truth], truth, tuple(f"s{i // 20}" for i in range(400)))

    def state(scale):
        hidden = torch.cat([torch.eye(4), -torch.eye(4)])
        return {
            "mean": torch.zeros(4),
            "deviation": torch.ones(4),
            "hidden.weight": hidden,
            "hidden.bias": torch.zeros(8),
            "output.weight": scale * hidden.T,
            "output.bias": torch.zeros(4),
        }

    alone, known = fit_temperatures(state(4.0), [table])
    sure, surer = fit_temperatures(state(8.0), [table])
    for count in (0, 3, 10, 20):
        assert surer.temperature_of(sure, count) / known.temperature_of(alone, count) == pytest.approx(2, rel=0.1)
    chances = softmax(torch.from_numpy(4.0 * features[0].numpy() / alone), dim=1)
    assert chances.max(dim=1).values.mean() == pytest.approx((chances.argmax(dim=1).numpy() == truth).mean(), abs=0.06)


def test_channels_follow_their_generator_and_stay_finite(tools):
    from channels import degrade_recording

    clip = torch.from_numpy(tone(0.5))
    for seed in range(40):
        first, again = (degrade_recording(clip, np.random.default_rng(seed)) for _ in range(2))
        assert torch.equal(first, again)
        assert first.dtype == torch.float32
        assert first.isfinite().all()
        assert 0.8 * len(clip) < len(first) < len(clip) * 1.2 + 1.6 * 16_000 + 0.7 * 16_000 / 3
    assert degrade_recording(torch.zeros(4000), np.random.default_rng(0)).isfinite().all()


def test_noise_has_the_ratio_that_is_asked_for(tools):
    from channels import add_noise

    clip = tone(1.0).astype(float)
    for slope in range(3):
        noise = add_noise(clip, np.random.default_rng(0), snr_db=10.0, slope=slope) - clip
        assert 10 * np.log10((clip**2).mean() / noise.var()) == pytest.approx(10, abs=0.3)
