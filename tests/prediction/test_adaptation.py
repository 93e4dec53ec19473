import copy
import json

import numpy as np
import pytest
import soundfile
import torch

from pathosnet import PathosNet
from pathosnet.cli import main
from pathosnet.errors import InputError
from pathosnet.features.acoustic.extractors import LogMelExtractor
from pathosnet.features.profile import SHRINKAGE, Profile, ProfileCalibration
from pathosnet.models import BranchOptions, EmotionNetwork

RATE = 16_000


def make_model(standardize: bool = True) -> PathosNet:
    torch.manual_seed(0)
    extractor = LogMelExtractor()
    options = BranchOptions(network="linear", dropout=0.0, standardize=standardize)
    network = EmotionNetwork({"logmel": extractor.feature_dim}, 4, options=options)
    torch.nn.init.xavier_uniform_(network.classifier.weight)  # a linear network begins at zeros
    network.standardize({"logmel": [extractor(torch.from_numpy(voice(i))) for i in range(9)]})
    return PathosNet(network, {"logmel": extractor}, None)


def voice(seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    tone = np.sin(2 * np.pi * (80 + 40 * seed) * np.arange(RATE) / RATE)
    return (0.3 * tone + 0.1 * generator.standard_normal(RATE)).astype(np.float32)


@pytest.fixture(scope="module")
def model() -> PathosNet:
    return make_model()


@pytest.fixture
def clips(tmp_path):
    for speaker, seeds in (("anna", (0, 1, 2)), ("ben", (20, 21))):
        (tmp_path / speaker).mkdir()
        for seed in seeds:
            soundfile.write(tmp_path / speaker / f"{seed}.wav", voice(seed), RATE, subtype="FLOAT")
    return tmp_path


def test_a_profile_takes_the_speakers_mean_away(model):
    heard = [voice(i) for i in (3, 4)]
    profile = model.profile(heard, sample_rate=RATE)
    features = model.features(torch.from_numpy(voice(5)))["logmel"]
    center = model.network.centers["logmel"]
    mean = torch.stack([model.features(torch.from_numpy(one))["logmel"].mean(dim=0) for one in heard]).mean(dim=0)
    offset = 2 / (2 + SHRINKAGE) * (mean - center)
    expected = model.logits([{"logmel": features - offset}]).softmax(dim=1)[0].tolist()
    answer = model.predict(voice(5), sample_rate=RATE, profile=profile)
    assert list(answer.probabilities.values()) == pytest.approx(expected, abs=1e-5)
    assert answer.probabilities != model.predict(voice(5), sample_rate=RATE).probabilities


def test_answers_become_surer_with_the_profile_where_the_model_says_so(model, tmp_path):
    model = copy.deepcopy(model)
    model.calibration_temperature, model.profile_calibration = 2.0, ProfileCalibration(0.5, 1.0)
    model.save_pretrained(tmp_path / "model")
    model = PathosNet.from_pretrained(tmp_path / "model")
    profile = model.profile([voice(3)], sample_rate=RATE)
    cold = model.predict_batch([voice(5)] * 2, sample_rate=RATE, profiles=[profile, None])
    logits = [np.log(list(one.probabilities.values())) for one in cold]
    model.calibration_temperature, model.profile_calibration = 1.0, None
    warm = model.predict_batch([voice(5)] * 2, sample_rate=RATE, profiles=[profile, None])
    for divided, one, temperature in zip(logits, warm, (1.25, 2.0), strict=True):
        whole = np.log(list(one.probabilities.values()))
        assert divided - divided.mean() == pytest.approx((whole - whole.mean()) / temperature, abs=1e-5)


def test_every_utterance_may_have_a_profile_of_its_own(model):
    one, other = (model.profile([voice(i)], sample_rate=RATE) for i in (3, 9))
    audios = [voice(5)] * 3
    together = model.predict_batch(audios, sample_rate=RATE, profiles=[one, None, other])
    alone = [model.predict(voice(5), sample_rate=RATE, profile=profile) for profile in (one, None, other)]
    for a, b in zip(together, alone, strict=True):
        assert list(a.probabilities.values()) == pytest.approx(list(b.probabilities.values()), abs=1e-6)
    with pytest.raises(InputError, match="one for each of 3 utterances, got 2"):
        model.predict_batch(audios, sample_rate=RATE, profiles=[one, other])


def test_a_profile_travels_as_a_file_with_its_model(model, tmp_path):
    model.save_pretrained(tmp_path / "model")
    model.profile([voice(3)], sample_rate=RATE).save(tmp_path / "anna.safetensors")
    read, profile = PathosNet.from_pretrained(tmp_path / "model"), Profile.load(tmp_path / "anna.safetensors")
    expected = model.predict(voice(5), sample_rate=RATE, profile=model.profile([voice(3)], sample_rate=RATE))
    found = read.predict(voice(5), sample_rate=RATE, profile=profile)
    assert list(found.probabilities.values()) == pytest.approx(list(expected.probabilities.values()), abs=1e-6)


def test_a_profile_of_another_model_is_refused(model):
    other = make_model()
    other.network.centers["logmel"].add_(1.0)
    with pytest.raises(InputError, match="made by another model"):
        model.predict(voice(5), sample_rate=RATE, profile=other.profile([voice(3)], sample_rate=RATE))


def test_models_without_standardized_features_have_no_profiles():
    with pytest.raises(InputError, match="standardized in training"):
        make_model(standardize=False).profile([voice(3)], sample_rate=RATE)


def test_silent_recordings_do_not_count(model):
    profile = model.profile([voice(3), np.zeros(RATE, np.float32)], sample_rate=RATE)
    assert profile.num_recordings == 1
    with pytest.raises(InputError, match="at least one recording"):
        model.profile([np.zeros(RATE, np.float32)], sample_rate=RATE)


def predictions(capsys, *arguments: str) -> list[dict]:
    assert main(["predict", *map(str, arguments), "--json"]) in (0, None)
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_folder_or_the_column_names_speakers(model, clips, capsys):
    model.save_pretrained(clips / "model")
    by_folder = predictions(capsys, clips / "model", clips / "anna", clips / "ben", "--adapt", "speaker")
    profile = model.profile([clips / "anna" / f"{seed}.wav" for seed in (0, 1, 2)])
    expected = model.predict(clips / "anna" / "1.wav", profile=profile)
    assert by_folder[1]["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)
    rows = [f"anna/{seed}.wav,A" for seed in (0, 1, 2)] + [f"ben/{seed}.wav,B" for seed in (20, 21)]
    (clips / "clips.csv").write_text("\n".join(["audio,speaker", *rows]))
    by_column = predictions(capsys, clips / "model", clips / "clips.csv", "--adapt", "speaker")
    for one, other in zip(by_folder, by_column, strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-6)
    alone = predictions(capsys, clips / "model", clips / "clips.csv")
    assert alone[0]["probabilities"] != pytest.approx(by_column[0]["probabilities"], abs=1e-3)


def test_a_saved_profile_is_an_option(model, clips, capsys):
    model.save_pretrained(clips / "model")
    profile = model.profile([clips / "anna" / "0.wav"])
    profile.save(clips / "anna.safetensors")
    (found,) = predictions(capsys, clips / "model", clips / "ben" / "20.wav", "--profile", clips / "anna.safetensors")
    expected = model.predict(clips / "ben" / "20.wav", profile=profile)
    assert found["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)
