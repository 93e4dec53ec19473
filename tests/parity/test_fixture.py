"""Every stage against ``fixture.npz``: the original computations on small inputs, for anybody, without other packages.

``make_fixture.py`` makes the file, and draws weights and recordings again here.
"""

import keras_reference
import make_fixture
import numpy as np
import pytest
import torch
from comparison import assert_same, assert_same_probabilities
from keras_files import Layers, authors_names, rename, write_keras
from make_fixture import CLIPS, FIXTURE, ORDERS, WORDS, sample, sums, waveform, word_vectors

from pathosnet.backbones import ThinResNet34
from pathosnet.backbones.thin_resnet34 import l2_normalize
from pathosnet.features import WordVectors, log_mel_examples, non_silent_intervals, spectrogram_windows
from pathosnet.models import Ensemble
from pathosnet.weights import load_pathosnet, load_thin_resnet34, load_vggish

VGGISH_STAGES = ("softmax", "linear", "relu", "pool")


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
    with np.load(FIXTURE) as file:
        return dict(file)


@pytest.fixture(scope="module")
def layers() -> dict[str, Layers]:
    return make_fixture.networks()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, layers: dict[str, Layers]):
    folder = tmp_path_factory.mktemp("weights")
    write_keras(folder / "vggish.h5", rename(layers["vggish"], authors_names()))
    for name in ("ghostvlad", *ORDERS):
        write_keras(folder / f"{name}.h5", layers[name])
    vectors = word_vectors()
    lines = [f"{word} {' '.join(f'{value:.4f}' for value in vector)}" for word, vector in vectors.items()]
    (folder / "tiny.vec").write_text("\n".join([f"{len(vectors)} 300", *lines]) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def thin_resnet(folder) -> ThinResNet34:
    return load_thin_resnet34(folder / "ghostvlad.h5")


def samples_of(clip: str) -> torch.Tensor:
    return torch.from_numpy(waveform(clip))


def test_fixture_is_small_and_its_weights_are_drawn_as_they_were(expected, layers) -> None:
    assert FIXTURE.stat().st_size <= 300_000
    for name, of in layers.items():
        np.testing.assert_allclose(sums(of), expected[f"{name}/weights"], rtol=1e-9, err_msg=name)


def test_fixture_is_what_the_reference_gives(expected, layers) -> None:
    inputs = [np.ones((1, 3, {"vggish": 128, "ghostvlad": 512, "text": 300}[name])) for name in ORDERS["voice"]]
    features = np.concatenate(keras_reference.pathosnet_branches(layers["voice"], inputs), axis=1)
    assert features.shape == (1, len(expected["long/voice/features"]))
    for clip in CLIPS:
        together = [expected[f"{clip}/{kind}/probabilities"] for kind in ORDERS]
        assert np.ptp(together, axis=1).min() > 0.05, "four equal probabilities would prove nothing"


@pytest.mark.parametrize("clip", CLIPS)
def test_log_mel_examples_are_googles(expected, clip: str) -> None:
    examples = log_mel_examples(samples_of(clip))
    assert len(examples) == {"long": 2, "medium": 1, "short": 0}[clip]
    assert_same(sample("log_mel", examples.numpy()), expected[f"{clip}/log_mel"], "log_mel")


@pytest.mark.parametrize("clip", CLIPS)
def test_silence_and_windows_are_those_of_librosa(expected, clip: str) -> None:
    np.testing.assert_array_equal(non_silent_intervals(samples_of(clip)), expected[f"{clip}/intervals"])
    assert_same(
        sample("windows", spectrogram_windows(samples_of(clip)).numpy()), expected[f"{clip}/windows"], "windows"
    )


@torch.no_grad()
@pytest.mark.parametrize("stage", VGGISH_STAGES)
def test_every_ending_of_vggish(expected, folder, stage: str) -> None:
    model = load_vggish(folder / "vggish.h5", output=stage)
    examples = log_mel_examples(samples_of("medium"))
    assert_same(model(examples), expected[f"medium/vggish/{stage}"], stage)
    pool4 = model.last_pool(model.frozen_part(examples)).permute(0, 2, 3, 1).numpy()
    assert_same(sample("pool4", pool4), expected["medium/vggish/pool4"], "pool4")


@torch.no_grad()
def test_every_stage_of_thin_resnet34(expected, thin_resnet: ThinResNet34) -> None:
    spectrograms = spectrogram_windows(samples_of("short"))
    hidden = thin_resnet.frozen_part(spectrograms)
    features = torch.relu(thin_resnet.x_fc(hidden))
    scores = thin_resnet.gvlad_center_assignment(hidden)
    fc6 = thin_resnet(spectrograms)
    stages = {
        "mpool2": sample("mpool2", hidden.permute(0, 2, 3, 1).numpy()),
        "x_fc": features.permute(0, 2, 3, 1),
        "gvlad_pool": thin_resnet.gvlad_pool(features.squeeze(2), scores.squeeze(2)),
        "fc6": fc6,
        "embedding": l2_normalize(fc6),
    }
    for stage, ours in stages.items():
        assert_same(ours, expected[f"short/ghostvlad/{stage}"], stage)


@torch.no_grad()
@pytest.mark.parametrize("clip", CLIPS)
def test_ghostvlad_features(expected, thin_resnet: ThinResNet34, clip: str) -> None:
    assert_same(thin_resnet(spectrogram_windows(samples_of(clip))), expected[f"{clip}/ghostvlad"], clip)


@torch.no_grad()
@pytest.mark.parametrize("kind", ORDERS)
def test_branches_and_probabilities_from_the_recordings_one_by_one_and_together(
    expected, folder, thin_resnet: ThinResNet34, kind: str
) -> None:
    vggish = load_vggish(folder / "vggish.h5", output="softmax")
    words = WordVectors.load(folder / "tiny.vec")
    model = load_pathosnet(folder / f"{kind}.h5")
    assert isinstance(model, Ensemble)
    before_classifier: list[torch.Tensor] = []
    model.classifier.register_forward_pre_hook(lambda _, inputs: before_classifier.append(inputs[0]))
    utterances = []
    for clip in CLIPS:
        examples = log_mel_examples(samples_of(clip))
        features = {
            "vggish": vggish(examples) if len(examples) else torch.zeros(0, 128),
            "ghostvlad": thin_resnet(spectrogram_windows(samples_of(clip))),
            "text": words.embed(WORDS[clip]),
        }
        utterance = {name: features[name] for name in model.input_dims}
        alone = model(**{name: value.unsqueeze(0) for name, value in utterance.items()}).softmax(dim=1)
        assert_same(before_classifier.pop()[0] * model.temperature, expected[f"{clip}/{kind}/features"], clip)
        assert_same_probabilities(alone[0], expected[f"{clip}/{kind}/probabilities"])
        utterances.append(utterance)
    batch = {
        name: torch.nn.utils.rnn.pad_sequence([utterance[name] for utterance in utterances], batch_first=True)
        for name in model.input_dims
    }
    lengths = {name: torch.tensor([len(utterance[name]) for utterance in utterances]) for name in batch}
    together = model(**batch, lengths=lengths).softmax(dim=1)
    assert_same_probabilities(together, np.stack([expected[f"{clip}/{kind}/probabilities"] for clip in CLIPS]))
