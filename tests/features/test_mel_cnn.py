import pytest
import torch
from making import tone

from pathosnet import InputError, PathosNet
from pathosnet.backbones import MelCNN
from pathosnet.features.acoustic.extractors import MelCNNExtractor, extractor_from_config
from pathosnet.features.acoustic.extractors.mel_cnn import PIECE_FRAMES
from pathosnet.features.acoustic.relative_mel import cut_edges, mel_bands, mel_decibels, relative, relative_mel
from pathosnet.features.profile import Profile
from pathosnet.models import EmotionNetwork
from pathosnet.models.network import BranchOptions
from pathosnet.recognizer.export import export

RATE = 16_000


@pytest.fixture(scope="module")
def extractor() -> MelCNNExtractor:
    torch.manual_seed(0)
    network = MelCNN(width=4, feature_dim=12)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return MelCNNExtractor(network.eval())


def speech(seconds: float, seed: int = 0) -> torch.Tensor:
    made = torch.Generator().manual_seed(seed)
    samples = round(seconds * RATE)
    return 0.3 * torch.from_numpy(tone(seconds)).float() + 0.01 * torch.randn(samples, generator=made)


def test_shapes_of_the_network():
    network = MelCNN(width=4, feature_dim=12).eval()
    spectrograms = torch.randn(3, 2, 80, 101)
    assert network.vectors(spectrograms).shape == (3, 12, 13)
    assert network(spectrograms).shape == (3, 12)
    assert torch.allclose(network(spectrograms), network.vectors(spectrograms).mean(dim=2))


def test_size_of_the_network_by_default():
    assert sum(parameter.numel() for parameter in MelCNN().parameters()) < 1_400_000
    assert MelCNN().eval().vectors(torch.zeros(1, 2, 80, 8)).shape == (1, 256, 1)


def test_bands_sum_to_one_and_peak_in_order():
    bands = mel_bands()
    assert bands.shape == (80, 513)
    assert torch.allclose(bands.sum(dim=1), torch.ones(80))
    assert (bands.argmax(dim=1).diff() >= 0).all()


def test_a_tone_is_loudest_in_its_band():
    decibels = mel_decibels(torch.sin(2 * torch.pi * 1000 * torch.arange(RATE) / RATE))
    assert decibels.shape == (80, 51)
    loudest = int(decibels[:, 25].argmax())
    assert mel_bands()[loudest, 64] > 0  # 1,000 Hz is bin 64 of 15.625 Hz


def test_silence_around_speech_makes_no_difference():
    inner = speech(1.0)
    quiet = torch.zeros(RATE // 2 // 320 * 320)
    around = torch.cat([quiet, inner, quiet])
    bare, padded = relative_mel(inner), relative_mel(around)
    assert abs(padded.shape[2] - bare.shape[2]) <= 12
    assert relative_mel(torch.cat([around, quiet, quiet])).shape == padded.shape


def test_the_floor_hides_what_lies_far_below_the_loudest_cell():
    decibels = torch.full((80, 30), -20.0)
    decibels[10, 5:20] = 40.0
    deeper = decibels.clone()
    deeper[decibels < 0] = -90.0
    assert torch.allclose(relative(decibels), relative(deeper), atol=1e-3)
    assert torch.allclose(relative(decibels), relative(decibels + 33), atol=1e-4)


def test_edges_are_cut_at_loud_frames():
    decibels = torch.full((80, 60), -60.0)
    decibels[:, 20:40] = 0.0
    assert cut_edges(decibels).shape == (80, 30)
    assert cut_edges(torch.zeros(80, 7)).shape == (80, 7)


@pytest.mark.parametrize("gain_db", [-20.0, 20.0])
def test_a_gain_changes_nothing(extractor, gain_db):
    waveform = 0.05 * speech(1.3)
    louder = waveform * 10 ** (gain_db / 20)
    assert torch.allclose(extractor(louder), extractor(waveform), atol=1e-4)


def test_recordings_do_not_depend_on_each_other(extractor):
    waveforms = [speech(seconds, seed) for seed, seconds in enumerate((0.7, 2.1, 0.3))]
    together = extractor.extract(waveforms)
    for waveform, features in zip(waveforms, together, strict=True):
        assert features.shape == (1, 12)
        assert torch.equal(features, extractor(waveform))


@pytest.mark.parametrize("samples", [1, 2, 400, 1199, 1200])
def test_very_short_recordings_have_a_vector(extractor, samples):
    assert extractor(speech(1.0)[:samples]).isfinite().all()


def test_silence_and_nothing(extractor):
    assert extractor(torch.zeros(RATE)).isfinite().all()
    assert extractor(torch.zeros(0)).shape == (0, 12)


def test_long_recordings_are_computed_in_pieces(extractor):
    long = speech((PIECE_FRAMES + 200) * 0.02)
    whole = extractor.backbone(extractor.front_end(long))
    assert torch.allclose(extractor(long), whole, atol=0.02 * whole.abs().max().item())


def test_there_is_no_part_to_unlock(extractor):
    with pytest.raises(ValueError, match="mel-cnn: expected the part 'features', got 'frozen'"):
        extractor.extract([speech(0.5)], "frozen")


def test_config_makes_the_same_extractor(extractor):
    config = extractor.config()
    assert config == {"extractor": "mel-cnn", "width": 4, "feature_dim": 12}
    again = extractor_from_config("mel-cnn", config).eval()
    again.load_state_dict(extractor.state_dict())
    assert torch.equal(again(speech(0.5)), extractor(speech(0.5)))


@pytest.fixture(scope="module")
def model(extractor) -> PathosNet:
    options = BranchOptions(network="mlp", audio_width=8, pooling="mean", standardize=True)
    return PathosNet(EmotionNetwork({"mel-cnn": 12}, 4, options=options), {"mel-cnn": extractor}, None)


def test_a_saved_model_holds_the_weights(model, tmp_path):
    model.save_pretrained(tmp_path / "model")
    again = PathosNet.from_pretrained(tmp_path / "model")
    waveform = speech(0.8).numpy()
    expected = model.predict(waveform, sample_rate=RATE)
    found = again.predict(waveform, sample_rate=RATE)
    assert found.probabilities == expected.probabilities


def test_profiles_apply(model):
    clips = [(RATE, speech(0.5, seed).numpy()) for seed in range(3)]
    profile = model.profile(clips)
    assert isinstance(profile, Profile)
    assert profile.means["mel-cnn"].shape == (12,)
    assert model.predict(clips[0], profile=profile).probabilities


def test_it_says_that_it_cannot_be_exported(model, tmp_path):
    with pytest.raises(InputError, match="mel-cnn: cannot be exported"):
        export(model, tmp_path / "model.onnx")
