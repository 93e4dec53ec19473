"""Makes ``fixture.npz``: what the original computations give for seeded networks and synthetic recordings.

librosa and torchvggish (both in the ``dev`` extra) compute the features, ``keras_reference`` the networks in NumPy and
float64. Weights and recordings are drawn from seeds again wherever they are needed, so the file holds outputs alone;
``weights`` are sums that tell whether the draws are still the same. Large arrays are kept in part, see ``sample``.

Run: ``python tests/parity/make_fixture.py``
"""

import importlib
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import keras_reference
from keras_files import MULTIMODAL, VOICE, Layers, pathosnet_layers, thin_resnet_layers, vggish_layers

FIXTURE = Path(__file__).with_name("fixture.npz")
RATE = 16_000
CLIPS = {"long": 2.05, "medium": 1.2, "short": 0.6}
"""Seconds; the short one is below the 0.975 s of an example."""
WORDS = {"long": ["non", "ci", "posso", "credere"], "medium": ["leave", "me", "alone"], "short": ["ya"]}
ORDERS = {"multimodal": MULTIMODAL, "voice": VOICE}


def waveform(clip: str) -> np.ndarray:
    """Syllables with harmonics, a little noise and pauses, float32 ``(samples,)``."""
    rng = np.random.default_rng(list(CLIPS).index(clip))
    time = np.arange(round(CLIPS[clip] * RATE)) / RATE
    pitch = 140 + 40 * np.sin(2 * np.pi * 0.7 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    voice = sum(np.sin(k * phase) / k for k in range(1, 12))
    syllables = np.maximum(np.sin(2 * np.pi * 2.3 * time + 0.4), 0.0) ** 2
    return (0.25 * syllables * voice + 1e-4 * rng.standard_normal(len(time))).astype(np.float32)


def networks() -> dict[str, Layers]:
    """Random weights of all networks, by the names of the tests."""
    rng = np.random.default_rng(2021)
    layers = {"vggish": vggish_layers(rng), "ghostvlad": thin_resnet_layers(rng)}
    return {**layers, **{kind: pathosnet_layers(rng, order) for kind, order in ORDERS.items()}}


def word_vectors() -> dict[str, np.ndarray]:
    """A table of random vectors ``(300,)``."""
    rng = np.random.default_rng(300)
    return {word: rng.standard_normal(300).round(4) for words in WORDS.values() for word in words}


def sample(name: str, values: np.ndarray) -> np.ndarray:
    """Keeps every nth value along the last axes of large arrays."""
    kind = name.rpartition("/")[2]
    steps = {"log_mel": (1, 3, 2), "windows": (1, 8, 5), "pool4": (1, 1, 1, 4), "mpool2": (1, 1, 1, 2)}
    return values[tuple(slice(None, None, step) for step in steps.get(kind, ()))]


def sums(layers: Layers) -> np.ndarray:
    """Tells other weights apart: the sum of all values, and of their absolute values."""
    values = [array.astype(np.float64) for variables in layers.values() for array in variables.values()]
    return np.array([sum(v.sum() for v in values), sum(np.abs(v).sum() for v in values)])


def log_mel(samples: np.ndarray) -> np.ndarray:
    """VGGish's examples by torchvggish's copy of Google's code, ``(examples, 96, 64)``."""
    mel_features = importlib.import_module("torchvggish.mel_features")
    params = importlib.import_module("torchvggish.vggish_params")
    frames = mel_features.log_mel_spectrogram(
        samples.astype(np.float64),
        audio_sample_rate=params.SAMPLE_RATE,
        log_offset=params.LOG_OFFSET,
        window_length_secs=params.STFT_WINDOW_LENGTH_SECONDS,
        hop_length_secs=params.STFT_HOP_LENGTH_SECONDS,
        num_mel_bins=params.NUM_MEL_BINS,
        lower_edge_hertz=params.MEL_MIN_HZ,
        upper_edge_hertz=params.MEL_MAX_HZ,
    )
    return np.asarray(mel_features.frame(frames, window_length=96, hop_length=96))


def windows(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is heard by librosa, ``(intervals, 2)``, and windows of its spectrogram, ``(windows, 257, 30)``."""
    librosa = importlib.import_module("librosa")
    intervals = librosa.effects.split(samples, top_db=20)
    loud = np.concatenate([samples[start:end] for start, end in intervals]).astype(np.float64)
    magnitudes = np.abs(librosa.stft(loud, n_fft=512, win_length=400, hop_length=160))
    normalized = (magnitudes - magnitudes.mean(axis=0)) / (magnitudes.std(axis=0) + 1e-5)
    starts = range(0, normalized.shape[1] - 29, 15)
    return intervals, np.stack([normalized[:, start : start + 30] for start in starts])


def make() -> dict[str, np.ndarray]:
    """Computes everything that is kept."""
    layers, vectors = networks(), word_vectors()
    kept = {f"{name}/weights": sums(of) for name, of in layers.items()}
    for clip in CLIPS:
        samples = waveform(clip)
        examples = log_mel(samples)
        kept[f"{clip}/intervals"], spectrogram = windows(samples)
        kept |= {f"{clip}/log_mel": examples, f"{clip}/windows": spectrogram}
        inputs = {"text": np.stack([vectors[word] for word in WORDS[clip]]), "vggish": np.zeros((1, 128))}
        if len(examples):
            stages = keras_reference.vggish(layers["vggish"], examples)
            inputs["vggish"] = stages["softmax"]
            kept |= {f"{clip}/vggish/{stage}": values for stage, values in stages.items() if clip == "medium"}
        stages = keras_reference.thin_resnet34(layers["ghostvlad"], spectrogram)
        inputs["ghostvlad"] = kept[f"{clip}/ghostvlad"] = stages["fc6"]
        if clip == "short":
            kept |= {f"{clip}/ghostvlad/{stage}": values for stage, values in stages.items()}
        for kind, order in ORDERS.items():
            sequences = [inputs[name][None] for name in order]
            branches = keras_reference.pathosnet_branches(layers[kind], sequences)
            kept[f"{clip}/{kind}/features"] = np.concatenate(branches, axis=1)[0]
            kept[f"{clip}/{kind}/probabilities"] = keras_reference.pathosnet(layers[kind], sequences)[0]
    return {
        name: values
        if values.dtype.kind == "i" or name.endswith("weights")
        else sample(name, values.astype(np.float32))
        for name, values in kept.items()
    }


if __name__ == "__main__":
    np.savez_compressed(FIXTURE, **make())
    print(f"{FIXTURE}: {FIXTURE.stat().st_size / 1000:.0f} kB")
