"""Ours against the outputs of the original Keras code, stage by stage."""

from pathlib import Path

import h5py
import keras_reference
import numpy as np
import pytest
import torch
from comparison import assert_same, assert_same_probabilities
from keras_files import Layers

from pathosnet.audio.reading import load_audio
from pathosnet.backbones import ThinResNet34, VGGish
from pathosnet.backbones.thin_resnet34 import l2_normalize
from pathosnet.features import WordVectors, log_mel_examples, spectrogram_windows
from pathosnet.models import Ensemble
from pathosnet.weights import load_pathosnet, load_thin_resnet34, load_vggish

CLIPS = {
    "speech_it_16k": "Non ci posso credere meraviglioso",
    "speech_en_16k": "I have nothing left to say to you friend please just leave me alonee",
    "speech_es_short_16k": "ya no",
}


def channels_last(x: torch.Tensor) -> torch.Tensor:
    return x.permute(0, 2, 3, 1)


def read_layers(path: Path) -> Layers:
    with h5py.File(path) as file:
        return {
            layer: {
                name.rpartition("/")[2].partition(":")[0]: file[layer][name][()]
                for name in file[layer].attrs["weight_names"]
            }
            for layer in file.attrs["layer_names"]
            if len(file[layer].attrs["weight_names"])
        }


@pytest.fixture(scope="module")
def thin_resnet(oracles: Path) -> ThinResNet34:
    return load_thin_resnet34(oracles / "ghostvlad.h5")


@pytest.fixture(scope="module")
def vggish_pool(oracles: Path) -> VGGish:
    return load_vggish(oracles / "vggish_notop.h5", output="pool")


@pytest.fixture(scope="module")
def end_to_end(oracles: Path) -> dict[str, np.ndarray]:
    with np.load(oracles / "end_to_end.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def multimodal(oracles: Path) -> Ensemble:
    return load_pathosnet(oracles / "pathosnet_multimodal.h5")


@torch.no_grad()
@pytest.mark.parametrize("frames", [16, 100, 250, 375])
def test_every_stage_of_thin_resnet34_is_that_of_keras(oracles: Path, thin_resnet: ThinResNet34, frames: int) -> None:
    with np.load(oracles / "ghostvlad_outputs.npz") as file:
        oracle = {name.rpartition("_")[0]: file[name] for name in file if name.endswith(f"_{frames}")}
    spectrograms = torch.from_numpy(oracle["input"])
    hidden = thin_resnet.frozen_part(spectrograms)
    features = torch.relu(thin_resnet.x_fc(hidden))
    scores = thin_resnet.gvlad_center_assignment(hidden)
    pooled = thin_resnet.gvlad_pool(features.squeeze(2), scores.squeeze(2))
    fc6 = thin_resnet(spectrograms)
    assert_same(channels_last(hidden), oracle["mpool2"], "mpool2")
    assert_same(channels_last(features), oracle["x_fc"], "x_fc")
    assert_same(pooled, oracle["gvlad_pool"], "gvlad_pool")
    assert_same(fc6, oracle["fc6"], "fc6")
    assert_same(l2_normalize(fc6), oracle["embedding"], "embedding")


@torch.no_grad()
def test_a_normalising_thin_resnet34_gives_keras_embedding(oracles: Path) -> None:
    model = load_thin_resnet34(oracles / "ghostvlad.h5", normalize=True)
    with np.load(oracles / "ghostvlad_outputs.npz") as file:
        assert_same(model(torch.from_numpy(file["input_100"])), file["embedding_100"], "embedding")


@torch.no_grad()
@pytest.mark.parametrize("frames", [96, 100, 203])
def test_vggish_without_dense_layers_is_that_of_keras_for_any_length(
    oracles: Path, vggish_pool: VGGish, frames: int
) -> None:
    with np.load(oracles / "vggish_notop_outputs.npz") as file:
        examples, pool4, gap = (file[f"{name}_{frames}"] for name in ("input", "pool4", "gap"))
    hidden = vggish_pool.frozen_part(torch.from_numpy(examples))
    assert_same(channels_last(vggish_pool.last_pool(hidden)), pool4, "pool4")
    assert_same(vggish_pool(torch.from_numpy(examples)), gap, "gap")


@torch.no_grad()
@pytest.mark.parametrize("kind", ["multimodal", "voice"])
@pytest.mark.parametrize("i", range(4))
def test_probabilities_are_those_of_the_authors_network(oracles: Path, kind: str, i: int) -> None:
    model = load_pathosnet(oracles / f"pathosnet_{kind}.h5")
    with np.load(oracles / f"pathosnet_{kind}_outputs.npz") as file:
        oracle = {name: torch.from_numpy(file[name]) for name in file if name.endswith(f"_{i}")}
    probabilities = oracle.pop(f"probabilities_{i}")
    features = {name.rpartition("_")[0]: value for name, value in oracle.items()}
    assert set(features) == set(model.input_dims)
    assert_same_probabilities(model(**features).softmax(dim=1), probabilities)


@pytest.mark.parametrize("clip", CLIPS)
def test_log_mel_examples_are_the_originals(oracles: Path, end_to_end: dict[str, np.ndarray], clip: str) -> None:
    waveform = load_audio(oracles / f"{clip}.wav")
    assert_same(log_mel_examples(waveform), end_to_end[f"{clip}/log_mel"], "log_mel")


@pytest.mark.parametrize("clip", CLIPS)
def test_spectrogram_windows_are_the_originals(oracles: Path, end_to_end: dict[str, np.ndarray], clip: str) -> None:
    waveform = load_audio(oracles / f"{clip}.wav")
    assert_same(spectrogram_windows(waveform), end_to_end[f"{clip}/spectrogram_windows"], "spectrogram_windows")


@pytest.mark.parametrize("clip", CLIPS)
def test_word_vectors_are_the_originals(oracles: Path, end_to_end: dict[str, np.ndarray], clip: str) -> None:
    table = WordVectors.load(oracles / "tiny.vec")
    assert_same(table.embed(CLIPS[clip].split()), end_to_end[f"{clip}/text"], "text")


@torch.no_grad()
@pytest.mark.parametrize(("output", "stage"), [("softmax", "vggish_softmax"), ("linear", "vggish_pre_activation")])
def test_vggish_on_speech_is_the_authors(
    oracles: Path, end_to_end: dict[str, np.ndarray], output: str, stage: str
) -> None:
    model = load_vggish(oracles / "vggish_authors.h5", output=output)
    for clip in ("speech_it_16k", "speech_en_16k"):
        examples = log_mel_examples(load_audio(oracles / f"{clip}.wav"))
        assert_same(model(examples), end_to_end[f"{clip}/{stage}"], f"{clip} {stage}")


@torch.no_grad()
@pytest.mark.parametrize("clip", CLIPS)
def test_ghostvlad_on_speech_is_the_authors(
    oracles: Path, end_to_end: dict[str, np.ndarray], thin_resnet: ThinResNet34, clip: str
) -> None:
    windows = spectrogram_windows(load_audio(oracles / f"{clip}.wav"))
    assert_same(thin_resnet(windows), end_to_end[f"{clip}/ghostvlad"], f"{clip} ghostvlad")


@torch.no_grad()
def test_probabilities_from_the_sound_files_are_the_authors_one_by_one_and_together(
    oracles: Path, end_to_end: dict[str, np.ndarray], thin_resnet: ThinResNet34, multimodal: Ensemble
) -> None:
    vggish = load_vggish(oracles / "vggish_authors.h5", output="softmax")
    table = WordVectors.load(oracles / "tiny.vec")
    utterances = []
    for clip, words in CLIPS.items():
        waveform = load_audio(oracles / f"{clip}.wav")
        examples = log_mel_examples(waveform)
        utterance = {
            "vggish": vggish(examples) if len(examples) else torch.zeros(0, 128),
            "ghostvlad": thin_resnet(spectrogram_windows(waveform)),
            "text": table.embed(words.split()),
        }
        alone = multimodal(**{name: value.unsqueeze(0) for name, value in utterance.items()}).softmax(dim=1)
        assert_same_probabilities(alone[0], end_to_end[f"{clip}/probabilities"])
        utterances.append(utterance)
    batch = {
        name: torch.nn.utils.rnn.pad_sequence([utterance[name] for utterance in utterances], batch_first=True)
        for name in multimodal.input_dims
    }
    lengths = {name: torch.tensor([len(utterance[name]) for utterance in utterances]) for name in batch}
    assert lengths["vggish"].tolist() == [3, 7, 0]
    together = multimodal(**batch, lengths=lengths).softmax(dim=1)
    assert_same_probabilities(together, np.stack([end_to_end[f"{clip}/probabilities"] for clip in CLIPS]))


def test_a_clip_below_0_975_seconds_has_a_row_of_zeros_in_the_authors_features(
    oracles: Path, end_to_end: dict[str, np.ndarray]
) -> None:
    clip = "speech_es_short_16k"
    assert len(load_audio(oracles / f"{clip}.wav")) < 15_600
    np.testing.assert_array_equal(end_to_end[f"{clip}/vggish_softmax"], np.zeros((1, 128)))


@pytest.mark.parametrize("kind", ["multimodal", "voice"])
def test_the_tests_own_reference_of_pathosnet_is_keras(oracles: Path, kind: str) -> None:
    layers = read_layers(oracles / f"pathosnet_{kind}.h5")
    order = {"multimodal": ("vggish", "text", "ghostvlad", "text"), "voice": ("vggish", "ghostvlad")}[kind]
    with np.load(oracles / f"pathosnet_{kind}_outputs.npz") as file:
        probabilities = keras_reference.pathosnet(layers, [file[f"{name}_1"] for name in order])
        assert_same_probabilities(probabilities, file["probabilities_1"])


def test_the_tests_own_reference_of_thin_resnet34_is_keras(oracles: Path) -> None:
    layers = read_layers(oracles / "ghostvlad.h5")
    with np.load(oracles / "ghostvlad_outputs.npz") as file:
        reference = keras_reference.thin_resnet34(layers, file["input_16"])
        for stage in ("mpool2", "x_fc", "gvlad_pool", "fc6", "embedding"):
            assert_same(reference[stage], file[f"{stage}_16"], stage)


def test_the_tests_own_reference_of_vggish_is_keras(oracles: Path) -> None:
    layers = {name.rpartition("/")[2]: v for name, v in read_layers(oracles / "vggish_notop.h5").items()}
    with np.load(oracles / "vggish_notop_outputs.npz") as file:
        reference = keras_reference.vggish(layers, file["input_100"])
        assert_same(reference["pool4"], file["pool4_100"], "pool4")
        assert_same(reference["pool"], file["gap_100"], "gap")
