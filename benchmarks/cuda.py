"""Speed of the networks on a CUDA device beside the device's own matrix product, and of the package's small model.

python benchmarks/cuda.py [--runs 20]

Weights and inputs are random. A network's rate is its floating-point operations, as PyTorch counts them, over the
median time between two CUDA events; the share is that of a bfloat16 product of 8192 × 8192 matrices in this process.
Training: python benchmarks/training.py stages --accelerator gpu --precision bf16-mixed.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from pathosnet import PathosNet
from pathosnet.backbones import ThinResNet34, VGGish, fused
from pathosnet.backbones.speech_encoder import WhisperEncoder, WhisperShape

MATRIX = 8192
FRAMES_A_SECOND = 100


def milliseconds(run: Callable[[], object], runs: int) -> float:
    """Returns the median time of a run on the device, after three to warm up."""
    times = []
    for number in range(runs + 3):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        torch.cuda.synchronize()
        if number >= 3:
            times.append(start.elapsed_time(end))
    return median(times)


def product_rate(dtype: torch.dtype, runs: int) -> float:
    """Returns floating-point operations a second of a large matrix product."""
    a, b = (torch.randn(MATRIX, MATRIX, device="cuda", dtype=dtype) for _ in range(2))
    return 2 * MATRIX**3 / milliseconds(lambda: a @ b, runs) * 1000


def measure_networks(runs: int) -> None:
    """Prints a row a network: its rate in float32 and bfloat16."""
    full = product_rate(torch.bfloat16, runs)
    print(f"products of {MATRIX} × {MATRIX}: bfloat16 {full / 1e12:.0f} TFLOP/s, "
          f"float32 {product_rate(torch.float32, runs) / 1e12:.0f} TFLOP/s\n")  # fmt: skip
    print("| network | precision | ms | audio s/s | TFLOP/s | of the bfloat16 product |")
    print("|---|---|---|---|---|---|")
    vggish, resnet = VGGish().eval().cuda(), ThinResNet34().eval().cuda()
    whisper = WhisperEncoder(WhisperShape()).eval().cuda()
    examples = torch.randn(2048, 96, 64, device="cuda")
    windows = torch.randn(256, 257, 251, device="cuda")
    lengths = np.random.default_rng(0).uniform(2.0, 5.0, 256)
    clips = [torch.randn(round(FRAMES_A_SECOND * s), 80, device="cuda").mT for s in lengths]
    long = [torch.randn(FRAMES_A_SECOND * 30, 80, device="cuda").mT for _ in range(32)]
    layers = [whisper.shape.num_layers]
    cases: list[tuple[str, float, Callable[[torch.dtype | None], object]]] = [
        ("VGGish, 2,048 examples", 2048 * 0.96, lambda dtype: fused(vggish, dtype)(examples)),
        ("Thin ResNet-34, 256 clips of 2.5 s", 256 * 2.5, lambda dtype: fused(resnet, dtype)(windows)),
        ("Whisper-base's encoder, 256 clips of 2–5 s", sum(lengths), lambda dtype: whisper(clips, layers)),
        ("Whisper-base's encoder, 32 recordings of 30 s", 32 * 30.0, lambda dtype: whisper(long, layers)),
    ]
    for name, seconds, run in cases:
        for dtype in (None, torch.bfloat16):

            def once(run: Callable = run, dtype: torch.dtype | None = dtype) -> None:
                with torch.autocast("cuda", torch.bfloat16, enabled=dtype is not None):
                    run(dtype)

            with torch.inference_mode():
                with FlopCounterMode(display=False) as counter:
                    once()
                taken = milliseconds(once, runs)
            rate = counter.get_total_flops() / taken * 1000
            print(f"| {name} | {'bfloat16' if dtype else 'float32'} | {taken:.1f} | {1000 * seconds / taken:,.0f} | "
                  f"{rate / 1e12:.0f} | {rate / full:.0%} |", flush=True)  # fmt: skip


def measure_small(clips: int = 1000) -> None:
    """Prints how many seconds of sound a second the package's small model answers, from samples in memory."""
    rng = np.random.default_rng(0)
    waves = [0.1 * rng.standard_normal(round(16_000 * s)).astype(np.float32) for s in rng.uniform(2.0, 5.0, clips)]
    seconds = sum(map(len, waves)) / 16_000
    model = PathosNet.from_pretrained("small")
    for device in ("cpu", "cuda"):
        model.to(device)
        model.predict_batch(waves[:64], sample_rate=16_000)
        started = time.perf_counter()
        model.predict_batch(waves, sample_rate=16_000)
        print(f"small, {clips:,} clips of 2–5 s on {device}: {seconds / (time.perf_counter() - started):,.0f} s/s")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("needs a CUDA device")
    torch.manual_seed(0)
    print(f"{time.strftime('%Y-%m-%d')}, {torch.cuda.get_device_name()}, torch {torch.__version__}, "
          f"{torch.get_num_threads()} threads")  # fmt: skip
    measure_networks(options.runs)
    print()
    measure_small()


if __name__ == "__main__":
    main()
