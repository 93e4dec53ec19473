import pytest
import torch
from making import random_thin_resnet34, random_vggish, tone

from pathosnet.audio.level import normalize_level
from pathosnet.backbones import fused
from pathosnet.errors import InputError
from pathosnet.features import log_mel_examples, log_mel_frames, spectrogram_windows
from pathosnet.features.acoustic.extractors import (
    AcousticExtractor,
    GhostVLADExtractor,
    LogMelExtractor,
    VGGishExtractor,
    extractor_from_config,
)
from pathosnet.features.acoustic.extractors.base import WINDOWS_AT_ONCE


@pytest.fixture(scope="module")
def vggish() -> VGGishExtractor:
    return VGGishExtractor(random_vggish())


@pytest.fixture(scope="module")
def ghostvlad() -> GhostVLADExtractor:
    return GhostVLADExtractor(random_thin_resnet34())


def speech(seconds: float) -> torch.Tensor:
    return torch.from_numpy(tone(seconds)) + 0.01 * torch.randn(round(seconds * 16_000))


@pytest.mark.parametrize("stack", [1, 3, 4])
def test_log_mel_frames_are_put_side_by_side(stack):
    waveform = speech(0.5)
    frames = log_mel_frames(waveform)  # 48
    features = LogMelExtractor(stack, level="none")(waveform)
    assert features.shape == (48 // stack, 64 * stack)
    assert torch.equal(features[1], frames[stack : 2 * stack].flatten())
    assert torch.equal(features.reshape(-1, 64), frames[: 48 // stack * stack])


@pytest.mark.parametrize("level", ["peak", "rms"])
@pytest.mark.parametrize("gain_db", [-40.0, -20.0, 20.0, 40.0])
def test_level_makes_no_difference_to_log_mel_frames(level, gain_db):
    waveform = 0.02 * speech(0.5)
    extractor = LogMelExtractor(level=level)
    assert torch.allclose(extractor(waveform * 10 ** (gain_db / 20)), extractor(waveform), atol=1e-4)
    assert torch.equal(extractor(waveform), LogMelExtractor(level="none")(normalize_level(waveform, level)))


def test_new_log_mel_extractors_set_the_level_and_those_of_old_models_do_not():
    assert LogMelExtractor().config() == {"stack": 4, "level": "rms"}
    assert LogMelExtractor.from_config({"stack": 3}).config() == {"stack": 3, "level": "none"}
    assert LogMelExtractor.from_config({"stack": 3, "level": "peak"}).level == "peak"
    with pytest.raises(ValueError, match="level: expected none, peak, rms, got 'loud'"):
        LogMelExtractor(level="loud")


def test_log_mel_of_fewer_frames_than_are_stacked_has_no_rows():
    assert LogMelExtractor(4)(speech(0.03)).shape == (0, 256)


@torch.no_grad()
def test_vggish_features_are_the_backbones_of_every_example(vggish):
    waveform = speech(2.1)
    features = vggish(waveform)
    assert features.shape == (2, 512)
    assert torch.allclose(features, vggish.backbone(log_mel_examples(waveform)), atol=1e-5)


@pytest.mark.parametrize(("seconds", "examples"), [(0.974, 0), (0.975, 1), (1.934, 1), (1.935, 2)])
def test_vggish_has_a_vector_for_every_whole_example(vggish, seconds, examples):
    assert vggish(speech(seconds)).shape == (examples, 512)


@torch.no_grad()
def test_ghostvlad_features_are_the_backbones_of_every_window(ghostvlad):
    waveform = speech(0.8)
    windows = spectrogram_windows(waveform)
    features = ghostvlad(waveform)
    assert features.shape == (len(windows), 512)
    assert torch.allclose(features, ghostvlad.backbone(windows), atol=1e-5)


def test_ghostvlad_windows_are_as_asked():
    options = {"window_frames": 20, "hop_frames": 20, "stft_hop": 256, "silence_removal": False, "top_db": 30.0}
    extractor = GhostVLADExtractor(random_thin_resnet34(), **options)
    waveform = speech(0.7)
    assert torch.equal(extractor.front_end(waveform), spectrogram_windows(waveform, **options))


def test_silence_has_no_ghostvlad_vector_of_nothing(ghostvlad):
    assert ghostvlad(speech(0.1)).shape == (0, 512)


@torch.no_grad()
@pytest.mark.parametrize("name", ["vggish", "ghostvlad"])
def test_frozen_and_trainable_part_make_the_features(name, request):
    extractor: AcousticExtractor = request.getfixturevalue(name)
    waveform = speech(1.0)
    hidden = extractor.frozen_part(waveform)
    assert torch.allclose(extractor.backbone.trainable_part(hidden), extractor(waveform), atol=1e-5)


@pytest.mark.parametrize("name", ["vggish", "ghostvlad"])
def test_frozen_part_of_a_short_clip_has_no_rows_but_a_shape(name, request):
    extractor: AcousticExtractor = request.getfixturevalue(name)
    short, long = extractor.frozen_part(speech(0.05)), extractor.frozen_part(speech(1.0))
    assert len(short) == 0
    assert short.shape[1:] == long.shape[1:]


@torch.no_grad()
def test_long_recordings_are_computed_in_pieces(monkeypatch, vggish):
    waveform = speech(3.0)
    whole = vggish(waveform)
    sizes = []
    monkeypatch.setattr("pathosnet.features.acoustic.extractors.base.WINDOWS_AT_ONCE", 2)
    backbone = fused(vggish.backbone).network
    handle = backbone.conv4_2.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    assert torch.allclose(vggish(waveform), whole, atol=1e-5)
    handle.remove()
    assert sizes == [2, 1]
    assert WINDOWS_AT_ONCE == 256


def test_features_need_no_gradient(vggish):
    assert not vggish(speech(1.0)).requires_grad
    assert not vggish.frozen_part(speech(1.0)).requires_grad


@pytest.mark.parametrize(
    "make",
    [
        lambda: LogMelExtractor(3),
        lambda: VGGishExtractor(random_vggish("pool")),
        lambda: GhostVLADExtractor(random_thin_resnet34(), window_frames=20, hop_frames=5, silence_removal=False),
    ],
    ids=["logmel", "vggish", "ghostvlad"],
)
def test_configuration_and_weights_make_the_same_extractor(make):
    extractor = make()
    again = extractor_from_config(extractor.name, extractor.config()).eval()
    again.load_state_dict(extractor.state_dict())
    assert again.config() == extractor.config()
    assert again.feature_dim == extractor.feature_dim
    waveform = speech(1.0)
    assert torch.equal(again(waveform), extractor(waveform))


def test_unknown_extractor():
    with pytest.raises(InputError, match=r"acoustic feature 'mfcc' is not registered; import .*--plugin FILE\.py"):
        extractor_from_config("mfcc", {})
