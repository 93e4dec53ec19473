"""Speed of Whisper's encoder on short clips: here, in transformers as its documentation has it, and in CTranslate2.

    python benchmarks/encoders.py FOLDER [--ctranslate2 CONVERTED] [--clips 16] [--threads 1] [--clock cpu]

FOLDER is a Hugging Face folder of a Whisper model, CONVERTED what ``ct2-transformers-converter --quantization float32``
makes of it. All take turns in one process, a large matrix product among them, so that what else a machine does meets
each alike; ``--clock cpu`` counts the processor's time, for one thread on a machine that is not idle.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch

from pathosnet.features.acoustic.encoders.opening import open_speech_encoder
from pathosnet.features.acoustic.whisper_log_mel import whisper_log_mel

SIZE = 2048
PRODUCT = "matrix product"
ALL, CONVERTED, DOCUMENTED = "here, all layers", "CTranslate2, float32", "transformers, as documented"
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
FEW = 2  # clips of those that are padded to 30 s


def take_turns(
    runs: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float]
) -> dict[str, np.ndarray]:
    """Returns the seconds of each run in every round, after a round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 1):
        for name, run in runs.items():
            started = clock()
            run()
            seconds[name].append(clock() - started)
    return {name: np.array(own[1:]) for name, own in seconds.items()}


def operations(vectors: int, dim: int, hidden_dim: int, layers: int, bands: int) -> float:
    """Returns the floating-point operations of an encoder for one clip."""
    convolutions = 2 * vectors * (2 * 3 * bands * dim + 3 * dim * dim)
    layer = 2 * vectors * (4 * dim * dim + 2 * dim * hidden_dim) + 4 * vectors**2 * dim
    return convolutions + layers * layer


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--ctranslate2", type=Path)
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    generator = np.random.default_rng(0)
    lengths = generator.uniform(2.0, 5.0, options.clips)
    waveforms = [torch.from_numpy(0.1 * generator.standard_normal(round(16_000 * s))).float() for s in lengths]
    encoder = open_speech_encoder(f"hf:{options.folder}")
    every = [encoder.num_layers]
    matrix = torch.randn(SIZE, SIZE)

    def here(clips: list[torch.Tensor], precision: torch.dtype = torch.float32) -> list[torch.Tensor]:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
            return encoder(clips, every)

    mels = [whisper_log_mel(waveform) for waveform in waveforms]

    def above_the_front_end() -> None:
        with torch.inference_mode():
            encoder.network(mels, every)

    runs: dict[str, Callable[[], object]] = {
        PRODUCT: lambda: matrix @ matrix,
        ALL: lambda: here(waveforms),
        "here, from mel frames": above_the_front_end,
        "here, one by one": lambda: [here([one]) for one in waveforms],
        "here, bf16": lambda: here(waveforms, torch.bfloat16),
        DOCUMENTED: as_documented(options.folder, waveforms[:FEW]),
    }
    if options.ctranslate2:
        runs |= {f"{CONVERTED}, batches of {n}": converted(options, waveforms, n) for n in (1, 8)}
    seconds = take_turns(runs, options.rounds, CLOCKS[options.clock])
    seconds[DOCUMENTED] *= options.clips / FEW
    rate = 2 * SIZE**3 / seconds.pop(PRODUCT)
    print(f"{options.clips} clips, {sum(lengths):.0f} s in all, threads: {options.threads}, clock: {options.clock}")
    for name, own in seconds.items():
        ratios = own / seconds[ALL]
        print(
            f"{name}: {1000 * np.median(own) / options.clips:.0f} ms a clip, {np.median(ratios):.2f} times the first "
            f"({ratios.min():.2f}-{ratios.max():.2f})"
        )
    shape = encoder.network.shape
    sizes = {"layers": shape.num_layers, "bands": shape.num_bands}
    done = sum(operations(round(50 * s), shape.dim, shape.hidden_dim, **sizes) for s in lengths)
    print(f"share of the matrix product's rate: {100 * np.median(done / seconds[ALL] / rate):.0f} %")
    quarter = waveforms[: max(1, options.clips // 4)]
    growth = {str(n): lambda n=n: here(quarter * n) for n in (1, 4, 16)}
    found = take_turns(growth, max(1, options.rounds // 2), CLOCKS[options.clock])
    print("clips 1x, 4x, 16x:", ", ".join(f"{np.median(own / found['1']):.2f}" for own in found.values()))


def as_documented(folder: Path, waveforms: list[torch.Tensor]) -> Callable[[], object]:
    """Returns transformers as documented: a feature extractor that pads to 30 s, then the encoder."""
    from transformers import WhisperFeatureExtractor, WhisperModel

    model = WhisperModel.from_pretrained(folder, dtype=torch.float32).eval()
    extractor = WhisperFeatureExtractor.from_pretrained(folder)

    def run() -> None:
        for waveform in waveforms:
            inputs = extractor(waveform.numpy(), sampling_rate=16_000, return_tensors="pt")
            with torch.inference_mode():
                model.encoder(inputs.input_features)

    return run


def converted(options: argparse.Namespace, waveforms: list[torch.Tensor], size: int) -> Callable[[], object]:
    """Returns CTranslate2's encoder in float32 on clips in order of length, padded to the longest of a batch.

    It reads mel frames, which have been computed before.
    """
    import ctranslate2

    model = ctranslate2.models.Whisper(
        str(options.ctranslate2), device="cpu", compute_type="float32", intra_threads=options.threads
    )
    mels = sorted((whisper_log_mel(waveform).numpy() for waveform in waveforms), key=lambda mel: mel.shape[1])

    def run() -> None:
        for i in range(0, len(mels), size):
            batch = mels[i : i + size]
            longest = max(mel.shape[1] for mel in batch)
            padded = np.stack([np.pad(mel, ((0, 0), (0, longest - mel.shape[1]))) for mel in batch])
            model.encode(ctranslate2.StorageView.from_array(np.ascontiguousarray(padded)))

    return run


if __name__ == "__main__":
    main()
