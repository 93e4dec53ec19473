"""Speed of Whisper's encoder on short clips: here, in transformers as its documentation has it, and in CTranslate2.

    python benchmarks/encoders.py FOLDER [--ctranslate2 CONVERTED] [--clips 16] [--threads 1]

FOLDER is a Hugging Face folder of a Whisper model, CONVERTED what ``ct2-transformers-converter`` makes of it.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from pathosnet.features.acoustic.encoders.opening import open_speech_encoder
from pathosnet.features.acoustic.whisper_log_mel import whisper_log_mel


def measure(run: Callable[[], object], repetitions: int) -> float:
    """Returns the seconds of the fastest of several runs, after one that does not count."""
    run()
    seconds = []
    for _ in range(repetitions):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def product_rate(size: int = 1024) -> float:
    """Returns floating-point operations a second of a large matrix product."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    return 2 * size**3 / measure(lambda: a @ b, 10)


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
    parser.add_argument("--repetitions", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    generator = np.random.default_rng(0)
    lengths = generator.uniform(2.0, 5.0, options.clips)
    waveforms = [torch.from_numpy(0.1 * generator.standard_normal(round(16_000 * s))).float() for s in lengths]
    encoder = open_speech_encoder(f"hf:{options.folder}")
    shape = encoder.network.shape
    every = [encoder.num_layers]
    print(f"{options.clips} clips, {sum(lengths):.0f} s in all, {options.threads} threads")
    rate = product_rate()

    def report(name: str, seconds: float, layers: int | None = None) -> None:
        line = f"{name}: {1000 * seconds / options.clips:.0f} ms a clip"
        if layers is not None:
            vectors = [round(50 * s) for s in lengths]
            done = sum(
                operations(v, shape.dim, shape.hidden_dim, layers=layers, bands=shape.num_bands) for v in vectors
            )
            line += f", {100 * done / seconds / rate:.0f} % of the rate of a matrix product"
        print(line, flush=True)

    with torch.inference_mode():
        batch = measure(lambda: encoder(waveforms, every), options.repetitions)
        report("here, all layers, together", batch, encoder.num_layers)
        first = measure(lambda: encoder(waveforms, range(3, 6)), options.repetitions)
        report("here, layers 3-5, together", first, 5)
        report("here, all layers, one by one", measure(lambda: [encoder([w], every) for w in waveforms], 1))
        with torch.autocast("cpu", torch.bfloat16):
            report("here, all layers, together, bf16", measure(lambda: encoder(waveforms, every), options.repetitions))
            reduced = encoder(waveforms, range(3, 6))
        exact = encoder(waveforms, range(3, 6))
        errors = [(a.float() - b).norm() / b.norm() for a, b in zip(reduced, exact, strict=True)]
        print(f"bf16: relative error of the layers' states {max(errors):.4f}")
    transformers_seconds(options, waveforms, report)
    if options.ctranslate2:
        ctranslate2_seconds(options, waveforms, report)


def transformers_seconds(
    options: argparse.Namespace, waveforms: list[torch.Tensor], report: Callable[..., None]
) -> None:
    """Measures transformers as documented: a feature extractor that pads to 30 s, then the encoder."""
    from transformers import WhisperFeatureExtractor, WhisperModel

    model = WhisperModel.from_pretrained(options.folder, dtype=torch.float32).eval()
    extractor = WhisperFeatureExtractor.from_pretrained(options.folder)
    few = waveforms[:4]

    def run() -> None:
        for waveform in few:
            inputs = extractor(waveform.numpy(), sampling_rate=16_000, return_tensors="pt")
            model.encoder(inputs.input_features)

    with torch.inference_mode():
        report("transformers, as documented", measure(run, 1) * len(waveforms) / len(few))


def ctranslate2_seconds(
    options: argparse.Namespace, waveforms: list[torch.Tensor], report: Callable[..., None]
) -> None:
    """Measures CTranslate2's encoder in float32, on clips that are not padded, in order of length in batches of 8."""
    import ctranslate2

    model = ctranslate2.models.Whisper(
        str(options.ctranslate2), device="cpu", compute_type="float32", intra_threads=options.threads
    )
    mels = sorted((whisper_log_mel(waveform).numpy() for waveform in waveforms), key=lambda mel: mel.shape[1])

    def encode(batch: list[np.ndarray]) -> None:
        longest = max(mel.shape[1] for mel in batch)
        padded = np.stack([np.pad(mel, ((0, 0), (0, longest - mel.shape[1]))) for mel in batch])
        model.encode(ctranslate2.StorageView.from_array(np.ascontiguousarray(padded)))

    for size in (1, 8):
        batches = [mels[i : i + size] for i in range(0, len(mels), size)]
        seconds = measure(lambda batches=batches: [encode(batch) for batch in batches], options.repetitions)
        report(f"CTranslate2, float32, batches of {size}, without the front end", seconds)


if __name__ == "__main__":
    main()
