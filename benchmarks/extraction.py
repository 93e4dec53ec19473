"""Measures feature extraction beside what it is compared with, and prints one row of a Markdown table a measurement.

OMP_NUM_THREADS=2 python benchmarks/extraction.py [vggish | vggish-44k | clip | whole | networks | import | predict |
                                                  memory | workers] [--runs 5]

Without a name, all of them. Weights are random: their values cost nothing. Both sides of a ratio take turns in one
process; each round also times a float32 matrix product, so that absolute figures can be compared between machines.
Times are wall clock; "CPU" is the same ratio in processor time, which other programs on the machine disturb less.
"""

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import soundfile
import torch
from torch import Tensor

from pathosnet import PathosNet
from pathosnet.audio.reading import load_audio
from pathosnet.backbones import ThinResNet34, VGGish, fused
from pathosnet.corpora import Utterance
from pathosnet.features import HashedWords, TextEmbedder, log_mel_examples, spectrogram_windows
from pathosnet.features.acoustic.extractors import (
    AcousticExtractor,
    GhostVLADExtractor,
    LogMelExtractor,
    VGGishExtractor,
    extract_together,
)
from pathosnet.features.acoustic.silence import remove_silence
from pathosnet.features.acoustic.spectrogram import normalized_spectrogram
from pathosnet.features.extract import extract
from pathosnet.models import EmotionNetwork, Ensemble

RATE = 16_000
MATRIX = 2048
Times = dict[str, list[tuple[float, float]]]


def speechlike(seconds: float, rate: int = RATE, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Noise whose level changes like that of syllables, ``(samples, channels)``; little of it counts as silence."""
    rng = np.random.default_rng(seed)
    num_samples = round(seconds * rate)
    envelope = 0.2 + 0.8 * np.abs(np.sin(2 * np.pi * 2.0 * np.arange(num_samples) / rate))
    return (0.1 * envelope[:, None] * rng.standard_normal((num_samples, channels))).astype(np.float32)


def write_clips(folder: Path, seconds: list[float], rate: int, channels: int) -> list[Path]:
    """Writes 16-bit clips."""
    paths = [folder / f"{i}.wav" for i in range(len(seconds))]
    for i, path in enumerate(paths):
        soundfile.write(path, speechlike(seconds[i], rate, channels, i), rate, subtype="PCM_16")
    return paths


def take_turns(runs: int, **sides: Callable[[], Any]) -> Times:
    """Runs the sides in turns, after one round to warm up; each round also times a matrix product."""
    left, right = torch.randn(MATRIX, MATRIX), torch.randn(MATRIX, MATRIX)
    sides = {**sides, "product": lambda: left @ right}
    times: Times = {name: [] for name in sides}
    for i in range(runs + 1):
        for name, side in sides.items():
            wall, processor = time.perf_counter(), time.process_time()
            side()
            if i:
                times[name].append((time.perf_counter() - wall, time.process_time() - processor))
    return times


def ratios(times: Times, slow: str, fast: str) -> tuple[list[float], float]:
    """Returns the ratios of the rounds, sorted, and the median ratio in processor time."""
    pairs = list(zip(times[slow], times[fast], strict=True))
    return sorted(a[0] / b[0] for a, b in pairs), median(a[1] / b[1] for a, b in pairs)


def product_rate(times: Times) -> str:
    """Describes the rate of the matrix product: median (maximum)."""
    rates = [2 * MATRIX**3 / wall / 1e9 for wall, _ in times["product"]]
    return f"{median(rates):.0f} ({max(rates):.0f}) GFLOP/s"


def row(*cells: str) -> None:
    """Prints a row."""
    print("| " + " | ".join(cells) + " |", flush=True)


def compare(what: str, against: str, times: Times, *, seconds: float, target: str, theirs: str, ours: str) -> None:
    """Prints the row of a ratio."""
    each, cpu = ratios(times, theirs, ours)
    speeds = [f"{seconds / median(w for w, _ in times[name]):.1f}" for name in (ours, theirs)]
    row(
        what, against, target, f"**{median(each):.2f}×** ({each[0]:.2f}–{each[-1]:.2f}), CPU {cpu:.2f}×",
        f"{speeds[0]} / {speeds[1]} s/s", product_rate(times),
    )  # fmt: skip


def vggish(runs: int, rate: int = RATE, channels: int = 1, target: str = "2.5×") -> None:
    """VGGish embeddings of files: torchvggish as its README uses it, and ours."""
    from torchvggish import torchvggish, vggish_input

    theirs = torchvggish._vgg(postprocess=False).eval()
    model = VGGish().eval()
    seconds = [2.0, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 10.0]
    kind = f"{rate / 1000:g} kHz {'stereo' if channels == 2 else 'mono'} files of 2–10 s"
    with tempfile.TemporaryDirectory() as folder:
        paths = write_clips(Path(folder), seconds, rate, channels)
        sources = [Utterance(path, "", "neutral") for path in paths]
        extractors = {p: {"vggish": VGGishExtractor(model, p)} for p in ("32", "bf16")}  # type: ignore[arg-type]

        def ours(precision: str) -> None:
            for _ in extract(sources, extractors[precision], workers=0, progress=False):
                pass

        times = take_turns(
            runs,
            theirs=lambda: [theirs.forward(vggish_input.wavfile_to_examples(str(path))) for path in paths],
            ours=lambda: ours("32"),
            bf16=lambda: ours("bf16"),
        )
    compare(f"VGGish, {kind}", "torchvggish", times, seconds=sum(seconds), target=target, theirs="theirs", ours="ours")
    compare(
        f"VGGish, {kind}, bf16", "torchvggish", times, seconds=sum(seconds), target="–", theirs="theirs", ours="bf16"
    )


def vggish_44k(runs: int) -> None:
    """The same from 44.1 kHz stereo."""
    vggish(runs, 44_100, 2, "5×")


def clip(runs: int) -> None:
    """Both features of one clip: window by window, and ours."""
    seconds = 7.0
    waveform = torch.from_numpy(speechlike(seconds)[:, 0])
    plain_vggish, plain_thin = VGGish().eval(), ThinResNet34().eval()

    @torch.no_grad()
    def one_by_one() -> None:
        for example in log_mel_examples(waveform):
            plain_vggish(example.unsqueeze(0))
        for window in spectrogram_windows(waveform):
            plain_thin(window.unsqueeze(0))

    def both(precision: Any) -> dict[str, AcousticExtractor]:
        thin = GhostVLADExtractor(ThinResNet34().eval(), precision=precision)
        return {"vggish": VGGishExtractor(VGGish().eval(), precision), "ghostvlad": thin}

    exact, reduced = both("32"), both("bf16")
    times = take_turns(
        runs,
        theirs=one_by_one,
        ours=lambda: list(extract_together([waveform], exact)),
        bf16=lambda: list(extract_together([waveform], reduced)),
    )
    kept = len(remove_silence(waveform)) / len(waveform)
    what = f"VGGish + GhostVLAD of a 7 s clip ({kept:.0%} of it not silent)"
    compare(
        what,
        "window by window, eager",
        times,
        seconds=seconds,
        target="3×; 15 s/s at 200 GFLOP/s",
        theirs="theirs",
        ours="ours",
    )
    compare(
        f"{what}, bf16",
        "window by window, eager",
        times,
        seconds=seconds,
        target="40 s/s at 200 GFLOP/s",
        theirs="theirs",
        ours="bf16",
    )


def whole(runs: int) -> None:
    """Thin ResNet-34 on whole clips: a plain port, and ours."""
    spectrograms = torch.stack([normalized_spectrogram(torch.randn(40_000)) for _ in range(4)])  # 2.5 s
    model = ThinResNet34().eval()

    def run(network: Any) -> None:
        with torch.no_grad():
            for spectrogram in spectrograms:
                network(spectrogram.unsqueeze(0))

    times = take_turns(
        runs, theirs=lambda: run(model), ours=lambda: run(fused(model)), bf16=lambda: run(fused(model, torch.bfloat16))
    )
    what = "Thin ResNet-34, whole clips of 2.5 s"
    compare(what, "plain eager port", times, seconds=10.0, target="2×", theirs="theirs", ours="ours")
    compare(f"{what}, bf16", "plain eager port", times, seconds=10.0, target="–", theirs="theirs", ours="bf16")


def networks(runs: int) -> None:
    """How much of the matrix product's rate the networks reach."""
    from torch.utils.flop_counter import FlopCounterMode

    cases = (
        ("VGGish network, 256 examples", VGGish(), torch.randn(256, 96, 64), "70 %"),
        ("Thin ResNet-34 network, 64 windows of 0.3 s", ThinResNet34(), torch.randn(64, 257, 30), "50 %"),
        ("Thin ResNet-34 network, 8 clips of 2.5 s", ThinResNet34(), torch.randn(8, 257, 251), "50 %"),
    )
    for what, network, inputs, target in cases:
        network.eval()

        @torch.no_grad()
        def run(network: Any = network, inputs: Tensor = inputs) -> None:
            fused(network)(inputs)

        with FlopCounterMode(display=False) as counter:
            run()
        times = take_turns(runs, ours=run)
        flops = counter.get_total_flops()
        product = 2 * MATRIX**3
        shares = sorted(flops / a[0] / (product / b[0]) for a, b in zip(times["ours"], times["product"], strict=True))
        cpu = median(flops / a[1] / (product / b[1]) for a, b in zip(times["ours"], times["product"], strict=True))
        rate = flops / median(w for w, _ in times["ours"]) / 1e9
        row(
            what, "matrix product", target,
            f"**{median(shares):.0%}** ({shares[0]:.0%}–{shares[-1]:.0%}), CPU {cpu:.0%}",
            f"{rate:.0f} GFLOP/s", product_rate(times),
        )  # fmt: skip


def imports(runs: int) -> None:
    """How long importing takes."""
    statements = ("import torch", "import pathosnet", "from pathosnet import PathosNet")
    found: dict[str, list[float]] = {statement: [] for statement in statements}
    for i in range(runs + 1):
        for statement in statements:
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", statement], check=True)
            if i:
                found[statement].append(time.perf_counter() - started)
    torch_alone = median(found["import torch"])
    for statement in statements[1:]:
        seconds = median(found[statement])
        row(f"`{statement}`", "`import torch`", "+ 0.3 s", f"**{seconds - torch_alone:+.2f} s**",
            f"{seconds:.2f} / {torch_alone:.2f} s", "–")  # fmt: skip


def predict(runs: int) -> None:
    """Latency of one prediction, and where the time goes."""
    options = {"vggish": VGGish("softmax").eval(), "ghostvlad": ThinResNet34().eval()}
    acoustic: dict[str, AcousticExtractor] = {
        "vggish": VGGishExtractor(options["vggish"]),  # type: ignore[arg-type]
        "ghostvlad": GhostVLADExtractor(options["ghostvlad"]),  # type: ignore[arg-type]
    }
    parts = {name: EmotionNetwork({name: e.feature_dim, "text": 300}, 4) for name, e in acoustic.items()}
    model = PathosNet(Ensemble(parts, 4), acoustic, TextEmbedder({"*": HashedWords()}))
    text = "I have nothing left to say to you"
    with tempfile.TemporaryDirectory() as folder:
        (path,) = write_clips(Path(folder), [3.0], RATE, 1)
        waveform = load_audio(path)
        audible = remove_silence(waveform)
        examples, windows = log_mel_examples(waveform), spectrogram_windows(waveform)
        features = [model.features(waveform, text)]
        with torch.no_grad():
            times = take_turns(
                runs,
                whole=lambda: model.predict(path, text),
                reading=lambda: load_audio(path),
                log_mel=lambda: log_mel_examples(waveform),
                silence=lambda: remove_silence(waveform),
                spectrogram=lambda: spectrogram_windows(audible, silence_removal=False),
                VGGish=lambda: options["vggish"](examples),
                Thin_ResNet_34=lambda: options["ghostvlad"](windows),
                text=lambda: model.text and model.text.embed(text),
                emotion_network=lambda: model.outputs(features),
            )
    medians = {name: median(w for w, _ in found) for name, found in times.items() if name != "product"}
    total = medians.pop("whole")
    latency = f"**{1000 * total:.0f} ms** (minimum {1000 * min(times['whole'])[0]:.0f})"
    shares = ", ".join(f"{name.replace('_', ' ')} {value / total:.1%}" for name, value in medians.items())
    row("one prediction, warm, 3 s clip, ensemble", "–", "–", latency, shares, product_rate(times))


def memory(runs: int) -> None:
    """The most memory that extracting from one long file takes, in a process of its own."""
    cases = (("logmel", 60), ("vggish", 60), ("logmel,vggish,ghostvlad", 3), ("logmel,vggish,ghostvlad", 12),
             ("logmel,vggish,ghostvlad", 60), ("sparse", 60), ("sparse, 44.1 kHz stereo", 60))  # fmt: skip
    print("| features | length | before | most | of the file's waveform |\n|---|---|---|---|---|")
    for names, minutes in cases:
        command = [sys.executable, __file__, "_memory", names, str(minutes)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        before, most = (float(value) for value in done.stdout.split())
        mono = minutes * 60 * RATE * 4 / 2**20
        row(names, f"{minutes} min", f"{before:.0f} MiB", f"{most:.0f} MiB", f"{mono:.0f} MiB at 16 kHz")


def measure_memory(names: str, minutes: float) -> None:
    """Extracts from a long file and prints this process' memory before, and the most since it began, in MiB."""
    extractors: dict[str, AcousticExtractor] = {
        "logmel": LogMelExtractor(),
        "vggish": VGGishExtractor(VGGish().eval()),
        "ghostvlad": GhostVLADExtractor(ThinResNet34().eval()),
    }
    # the whole hour's spectrogram, but only a window every 3 s of it
    sparse = {"logmel": extractors["logmel"], "ghostvlad": GhostVLADExtractor(ThinResNet34().eval(), hop_frames=300)}
    chosen = sparse if names.startswith("sparse") else {name: extractors[name] for name in names.split(",")}
    rate, channels = (44_100, 2) if "44.1" in names else (RATE, 1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.wav"
        with soundfile.SoundFile(path, "w", rate, channels=channels, subtype="PCM_16") as file:
            for i in range(round(minutes)):
                file.write(speechlike(60.0, rate, channels, i))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        for _ in extract([Utterance(path, "", "neutral")], chosen, workers=0, progress=False):
            pass
    print(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def workers(runs: int) -> None:
    """What reading in other processes gains."""
    seconds = [4.0] * 150
    with tempfile.TemporaryDirectory() as folder:
        sources = [Utterance(path, "", "neutral") for path in write_clips(Path(folder), seconds, 48_000, 2)]

        def run(name: str, extractor: AcousticExtractor, num: int) -> None:
            for _ in extract(sources, {name: extractor}, workers=num, progress=False):
                pass

        for name, extractor in (("logmel", LogMelExtractor()), ("vggish", VGGishExtractor(VGGish().eval(), "bf16"))):
            sides = {f"w{num}": (lambda n=num, e=extractor, m=name: run(m, e, n)) for num in (0, 1, 2)}
            times = take_turns(runs, **sides)
            for num in (1, 2):
                compare(
                    f"{name}, 48 kHz stereo files, {num} worker(s)",
                    "no workers",
                    times,
                    seconds=sum(seconds),
                    target="–",
                    theirs="w0",
                    ours=f"w{num}",
                )


MEASUREMENTS = {
    "vggish": vggish,
    "vggish-44k": vggish_44k,
    "clip": clip,
    "whole": whole,
    "networks": networks,
    "import": imports,
    "predict": predict,
    "workers": workers,
    "memory": memory,
}


def main() -> None:
    """Runs measurements."""
    if sys.argv[1:2] == ["_memory"]:
        measure_memory(sys.argv[2], float(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=", ".join(MEASUREMENTS))
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    for name in arguments.names:
        if name not in MEASUREMENTS:
            parser.error(f"expected {', '.join(MEASUREMENTS)}, got {name!r}")
    load = f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "load unknown"
    print(f"{time.strftime('%Y-%m-%d')}, {platform.processor() or platform.machine()}, {os.cpu_count()} processors, "
          f"{torch.get_num_threads()} threads, {load} before, torch {torch.__version__}\n")  # fmt: skip
    print("| what | against | at least | median (min–max) | audio s/s or time, ours / theirs | product |")
    print("|---|---|---|---|---|---|")
    torch.manual_seed(0)
    for name in arguments.names or MEASUREMENTS:
        MEASUREMENTS[name](arguments.runs)


if __name__ == "__main__":
    main()
