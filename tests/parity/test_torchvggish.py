"""Ours against torchvggish, with random weights: nothing is downloaded."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from comparison import assert_same

from pathosnet.features import log_mel_examples
from pathosnet.weights import load_vggish


@pytest.fixture(scope="module")
def original() -> Any:
    module = pytest.importorskip("torchvggish.torchvggish")
    torch.manual_seed(0)
    # The constructor under vggish(), without its download and its postprocessor.
    return module.VGG(module.make_layers(), postprocess=False).eval()


@pytest.fixture(scope="module")
def examples() -> torch.Tensor:
    return torch.randn(3, 96, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def release(original: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file like the released one, with the postprocessor's keys, which some copies have."""
    path = tmp_path_factory.mktemp("torchvggish") / "vggish-10086976.pth"
    state = dict(original.state_dict())
    state |= {"pproc.pca_eigen_vectors": torch.zeros(128, 128), "pproc.pca_means": torch.zeros(128, 1)}
    torch.save(state, path)
    return path


@torch.no_grad()
def test_torchvggish_release_gives_its_own_embeddings(original: Any, release: Path, examples: torch.Tensor) -> None:
    theirs = original(examples.unsqueeze(1))
    ours = load_vggish(release)(examples)
    assert (theirs == 0).any(), "the last activation is a ReLU"
    assert (theirs > 0).any()
    assert_same(ours, theirs, "torchvggish embedding")


@torch.no_grad()
def test_torchvggish_release_without_postprocessor_keys_gives_the_same(
    original: Any, examples: torch.Tensor, tmp_path: Path
) -> None:
    torch.save(original.state_dict(), tmp_path / "vggish.pth")
    ours = load_vggish(tmp_path / "vggish.pth", output="linear")(examples)
    before_relu = original.embeddings[:-1](_flattened(original, examples))
    assert_same(ours, before_relu, "torchvggish before its ReLU")
    (tmp_path / "vggish.pth").unlink()  # 288 MB


@torch.no_grad()
def test_pooled_features_need_no_dense_layer_of_the_release(
    original: Any, release: Path, examples: torch.Tensor
) -> None:
    ours = load_vggish(release, output="pool")(examples)
    assert_same(ours, original.features(examples.unsqueeze(1)).mean(dim=(2, 3)), "mean of the last feature map")


def test_one_example_keeps_its_axis(release: Path, examples: torch.Tensor) -> None:
    # torchvggish squeezes it away
    assert load_vggish(release, output="pool")(examples[:1]).shape == (1, 512)


@pytest.mark.parametrize("num_samples", [15_599, 15_600, 30_959, 30_960, 47_000])
def test_log_mel_examples_are_googles(rng: np.random.Generator, num_samples: int) -> None:
    mel_features = pytest.importorskip("torchvggish.mel_features")
    params = importlib.import_module("torchvggish.vggish_params")
    waveform = rng.uniform(-1, 1, num_samples) * np.linspace(0, 1, num_samples) ** 3
    log_mel = mel_features.log_mel_spectrogram(
        waveform,
        audio_sample_rate=params.SAMPLE_RATE,
        log_offset=params.LOG_OFFSET,
        window_length_secs=params.STFT_WINDOW_LENGTH_SECONDS,
        hop_length_secs=params.STFT_HOP_LENGTH_SECONDS,
        num_mel_bins=params.NUM_MEL_BINS,
        lower_edge_hertz=params.MEL_MIN_HZ,
        upper_edge_hertz=params.MEL_MAX_HZ,
    )
    theirs = mel_features.frame(log_mel, window_length=96, hop_length=96)
    ours = log_mel_examples(torch.from_numpy(waveform).float())
    assert ours.shape == theirs.shape
    assert_same(ours, theirs, "log_mel")


def _flattened(original: Any, examples: torch.Tensor) -> torch.Tensor:
    return original.features(examples.unsqueeze(1)).permute(0, 2, 3, 1).flatten(1)
