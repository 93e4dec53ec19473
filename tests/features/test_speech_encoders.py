"""Speech encoders as acoustic features: options, windows, pooling, and the encoder that a saved model refers to."""

import json
import os
from itertools import pairwise

import pytest
import safetensors.torch
import torch
from making import tiny_config
from speech_encoders import SHAPE, random_whisper, whisper_folder

from pathosnet import PathosNet
from pathosnet.errors import InputError
from pathosnet.features.acoustic.encoders.base import join_windows, parse_layers, plan_windows
from pathosnet.features.acoustic.encoders.opening import encoder_folder, find_encoder, hash_tensors, open_speech_encoder
from pathosnet.features.acoustic.encoders.whisper import Whisper
from pathosnet.features.acoustic.extractors.speech_encoder import SpeechEncoderExtractor, make_encoder_extractor
from pathosnet.features.acoustic.whisper_log_mel import whisper_log_mel
from pathosnet.features.registry import feature_name
from pathosnet.models import EmotionNetwork


@pytest.fixture
def folder(tmp_path):
    return whisper_folder(tmp_path / "tiny-whisper")


def noise(*seconds: float) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return [0.1 * torch.randn(round(16_000 * one), generator=generator) for one in seconds]


def saved(model_folder, encoder_folder, **options):
    extractor = make_encoder_extractor(f"hf:{encoder_folder}")
    torch.manual_seed(0)
    model = PathosNet(EmotionNetwork({extractor.name: extractor.feature_dim}, 4), {extractor.name: extractor}, None)
    model.save_pretrained(model_folder, **options)
    return model


def test_features_are_the_mean_of_hidden_states_over_layers_and_time(folder):
    (waveform,) = noise(1.0)
    leveled = 0.5 * (waveform - waveform.mean()) / (waveform - waveform.mean()).abs().max()
    (states,) = random_whisper()([whisper_log_mel(leveled)], (1, 2))
    extractor = make_encoder_extractor(f"hf:{folder}", layers="1-2", rate=10)
    expected = states.mean(dim=0).reshape(10, 5, 16).mean(dim=1)
    assert (extractor(waveform) - expected).abs().max() < 1e-5


def test_the_last_stretch_of_time_may_be_shorter(folder):
    (waveform,) = noise(0.46)  # 23 vectors
    fine, coarse = (make_encoder_extractor(f"hf:{folder}", rate=rate)(waveform) for rate in (50, 10))
    assert fine.shape == (23, 16)
    assert coarse.shape == (5, 16)
    assert torch.allclose(coarse[4], fine[20:].mean(dim=0), atol=1e-6)


def test_recordings_have_the_same_features_alone_together_and_in_any_order(folder):
    extractor = make_encoder_extractor(f"hf:{folder}")
    waveforms = noise(0.3, 65.0, 0.02, 2.0, 0.025, 29.9)
    for order in (range(6), (5, 2, 0, 3, 1, 4)):
        found = extractor.extract([waveforms[i] for i in order])
        for place, i in enumerate(order):
            alone = extractor(waveforms[i])
            assert found[place].shape == alone.shape
            assert torch.allclose(found[place], alone, atol=1e-5)


@pytest.mark.parametrize(("samples", "rows"), [(399, 0), (400, 1), (16_000, 10)])
def test_the_shortest_recording_has_25_milliseconds(folder, samples, rows):
    assert make_encoder_extractor(f"hf:{folder}")(torch.randn(samples)).shape == (rows, 16)


def test_no_gain_changes_the_features(folder):
    (waveform,) = noise(1.0)
    extractor = make_encoder_extractor(f"hf:{folder}")
    assert torch.allclose(extractor(waveform), extractor(0.01 * waveform), atol=1e-4)


def test_learned_layers_come_side_by_side(folder):
    (waveform,) = noise(1.0)
    found = make_encoder_extractor(f"hf:{folder}", layers="learned", rate=50)(waveform)
    assert found.shape == (50, 4 * 16)
    for number in range(4):
        one = make_encoder_extractor(f"hf:{folder}", layers=str(number), rate=50)(waveform)
        assert torch.allclose(found[:, 16 * number : 16 * (number + 1)], one, atol=1e-5)


def test_some_layers_come_side_by_side(folder):
    (waveform,) = noise(1.0)
    found = make_encoder_extractor(f"hf:{folder}", layers="0,2,3")(waveform)
    every = make_encoder_extractor(f"hf:{folder}", layers="learned")(waveform)
    assert torch.equal(found, torch.cat([every[:, :16], every[:, 32:]], dim=1))


def test_a_rate_of_0_is_the_mean_over_the_whole_recording(folder):
    short, long = noise(0.46, 40.0)
    for waveform in (short, long):
        (one,) = make_encoder_extractor(f"hf:{folder}", rate=0)(waveform)
        assert torch.allclose(one, make_encoder_extractor(f"hf:{folder}", rate=50)(waveform).mean(dim=0), atol=1e-6)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("auto", (1, 2)), ("2", (2,)), ("0-3", (0, 1, 2, 3)), ("1,3", (1, 3)), ("learned", (0, 1, 2, 3))],
)
def test_layers_by_option(value, expected):
    assert parse_layers(value, Whisper(random_whisper())) == expected


@pytest.mark.parametrize("value", ["4", "2-1", "1-9", "-1", "a", "1-2-3", "", "1,,2", "2,1", "1,1", "1,4"])
def test_layers_that_are_not_there(value):
    with pytest.raises(InputError, match="encoder_layers: expected"):
        parse_layers(value, Whisper(random_whisper()))


def test_long_recordings_are_read_in_full_windows_that_overlap():
    encoder = Whisper(random_whisper())
    assert plan_windows(480_000, encoder, 96_000) == [(0, 480_000)]
    for samples in (480_001, 1_000_000, 5_000_123):
        plan = plan_windows(samples, encoder, 96_000)
        assert plan[0][0] == 0
        assert plan[-1][1] == samples
        assert all(start % 320 == 0 and 479_680 < end - start <= 480_000 for start, end in plan)
        assert all(end - following >= 95_000 for (_, end), (following, _) in pairwise(plan))


def test_windows_are_joined_where_each_is_further_from_its_edge():
    first, second = torch.zeros(2, 10, 3), torch.ones(2, 10, 3)
    joined = join_windows([first, second], [0, 6])  # they share vectors 6 to 9
    assert joined.shape == (2, 16, 3)
    assert joined[0, :, 0].tolist() == [0] * 8 + [1] * 8


def test_half_and_single_precision_copies_count_as_one(tmp_path):
    exact = whisper_folder(tmp_path / "single", dtype=torch.float32)
    rounded = whisper_folder(tmp_path / "half", dtype=torch.float16)
    other = whisper_folder(tmp_path / "other", seed=1)
    hashes = [open_speech_encoder(f"hf:{one}").source.sha256 for one in (exact, rounded, other)]
    assert hashes[0] == hashes[1] != hashes[2]
    assert hash_tensors({"a": torch.ones(2)}) != hash_tensors({"b": torch.ones(2)})


def test_a_saved_model_refers_to_its_encoder(tmp_path, folder):
    model = saved(tmp_path / "model", folder)
    state = safetensors.torch.load_file(tmp_path / "model" / "model.safetensors")
    assert not any(name.startswith("acoustic.") for name in state)
    assert f"hf:{folder}" in (tmp_path / "model" / "README.md").read_text()
    again = PathosNet.from_pretrained(tmp_path / "model")
    (waveform,) = noise(1.0)
    assert again.predict(waveform.numpy(), sample_rate=16_000) == model.predict(waveform.numpy(), sample_rate=16_000)
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"hf:.*tiny-whisper"):
        PathosNet.from_pretrained(tmp_path / "model")
    moved = PathosNet.from_pretrained(tmp_path / "model", weights=tmp_path / "elsewhere")
    assert moved.predict(waveform.numpy(), sample_rate=16_000) == model.predict(waveform.numpy(), sample_rate=16_000)


def test_another_encoder_in_its_place_is_refused(tmp_path, folder):
    saved(tmp_path / "model", folder)
    folder.rename(tmp_path / "elsewhere")
    whisper_folder(folder, seed=1)
    with pytest.raises(InputError, match="is another encoder than the one that the model was trained with"):
        PathosNet.from_pretrained(tmp_path / "model")


def test_a_model_that_holds_its_encoder_needs_no_other_folder(tmp_path, folder):
    model = saved(tmp_path / "model", folder, hold_encoders=True)
    folder.rename(tmp_path / "elsewhere")
    (waveform,) = noise(1.0)
    again = PathosNet.from_pretrained(tmp_path / "model")
    assert again.predict(waveform.numpy(), sample_rate=16_000) == model.predict(waveform.numpy(), sample_rate=16_000)


def test_an_encoder_of_the_catalogue_is_found_where_its_download_goes(tmp_path, monkeypatch):
    monkeypatch.setenv("PATHOSNET_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    whisper_folder(encoder_folder("whisper-base"))
    assert find_encoder("whisper-base")[0] == tmp_path / "weights" / "whisper-base"
    assert make_encoder_extractor("whisper-base").name == "whisper-base"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder_layers": 10**6}, "num_layers: expected a whole number from 1 to 100"),
        ({"d_model": 1 << 13}, "has the shape"),
        ({"encoder_layers": 100}, "is missing"),
        ({"model_type": "bert"}, "expected Whisper or one of wav2vec2, .*, got 'bert'"),
        ({"activation_function": "relu"}, "expected a Whisper encoder with GELU"),
        ({"d_model": None}, "dim: expected a whole number"),
    ],
)
def test_configurations_that_ask_for_what_is_not_there_are_refused(folder, change, message):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(InputError, match=message):
        open_speech_encoder(f"hf:{folder}")


@pytest.mark.parametrize("damage", ["missing", "cut", "no config"])
def test_damaged_folders_are_refused(folder, damage):
    weights = folder / "model.safetensors"
    if damage == "missing":
        weights.unlink()
    elif damage == "cut":
        weights.write_bytes(weights.read_bytes()[:1000])
    else:
        (folder / "config.json").unlink()
    with pytest.raises(InputError, match="tiny-whisper"):
        open_speech_encoder(f"hf:{folder}")


def test_options_name_several_features(folder):
    config = tiny_config(acoustic=f"hf:{folder},logmel,torchaudio:WAVLM_BASE,whisper-base")
    assert [feature_name(value) for value in config.acoustic] == [
        *("tiny-whisper", "logmel", "wavlm_base", "whisper-base")
    ]
    with pytest.raises(InputError, match="acoustic: expected each name once"):
        tiny_config(acoustic="whisper-base,hf:openai/whisper-base")
    with pytest.raises(InputError, match="acoustic: expected logmel"):
        tiny_config(acoustic="hf:")
    assert feature_name("hf:somebody/logmel") == "encoder-logmel"


def test_hidden_states_of_the_real_whisper_base_are_those_of_transformers():
    pytest.importorskip("transformers")
    folder = os.environ.get("PATHOSNET_TEST_WHISPER")
    if not folder:
        pytest.skip("set PATHOSNET_TEST_WHISPER to a folder that holds openai/whisper-base")
    from transformers import WhisperModel

    encoder = open_speech_encoder(f"hf:{folder}")
    assert encoder.source.name == "whisper-base"
    theirs = WhisperModel.from_pretrained(folder, dtype=torch.float32).encoder.eval()
    (waveform,) = noise(30.0)
    with torch.no_grad():
        expected = theirs(whisper_log_mel(waveform)[None], output_hidden_states=True).hidden_states
        (states,) = encoder([waveform], range(7))
    for number in range(7):
        assert ((states[number] - expected[number][0]).norm() / expected[number].norm()) < 1e-5


def test_extractors_are_described_by_options_and_source(folder):
    extractor = make_encoder_extractor(f"hf:{folder}", rate=25)
    config = extractor.config()
    assert config["encoder"] == f"hf:{folder}"
    assert config["feature_dim"] == SHAPE.dim
    again = SpeechEncoderExtractor.from_config({**config, "name": extractor.name})
    assert again.backbone is None
    assert again.config() == config
    assert extractor.recipe().keys().isdisjoint({"encoder", "revision"})
