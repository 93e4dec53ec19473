"""Measures how cost grows with the work, prints a Markdown table and draws it.

OMP_NUM_THREADS=2 python benchmarks/growth.py [--out benchmarks/growth.svg] [--runs 5]

Features: clips of 5, 20 and 80 s. Training: an epoch of the stages over 308, 1,234 and 4,936 utterances. Storing:
as many utterances put into the store of features, and found there. Every cost is divided by that of the smallest work.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import torch
from extraction import speechlike
from matplotlib.figure import Figure
from training import UTTERANCES, join_networks, lengths, make_network, make_table, seconds_an_epoch

from pathosnet.backbones import ThinResNet34, VGGish
from pathosnet.features.acoustic.extractors import (
    AcousticExtractor,
    GhostVLADExtractor,
    LogMelExtractor,
    VGGishExtractor,
)
from pathosnet.features.store import FeatureStore, Recipe
from pathosnet.models import TEXT
from pathosnet.training import EnsembleModule, NetworkModule

TIMES = (1, 4, 16)
SHORTEST_SECONDS = 5.0
RECIPE = Recipe("growth", "features", {}, weights="0")


def median_of(runs: int, action: Callable[[], object]) -> float:
    """Returns the median time of some runs, after one to warm up."""
    times = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return median(times[1:])


def feature_costs(runs: int) -> dict[str, list[float]]:
    """Measures the extraction of longer and longer clips."""
    extractors: dict[str, AcousticExtractor] = {
        "logmel": LogMelExtractor(),
        "VGGish": VGGishExtractor(VGGish().eval()),
        "GhostVLAD": GhostVLADExtractor(ThinResNet34().eval()),
    }
    waveforms = [torch.from_numpy(speechlike(SHORTEST_SECONDS * factor)[:, 0]) for factor in TIMES]
    return {
        f"features: {name}": [median_of(runs, lambda e=extractor, w=waveform: e(w)) for waveform in waveforms]  # type: ignore[misc]
        for name, extractor in extractors.items()
    }


def training_costs(epochs: int) -> dict[str, list[float]]:
    """Measures epochs over more and more utterances."""
    sizes = [UTTERANCES * factor // TIMES[-1] for factor in TIMES]
    costs: dict[str, list[float]] = {}
    for name in ("vggish", "ghostvlad"):
        costs[f"training: stage 1, {name} + text"] = [
            seconds_an_epoch(NetworkModule(make_network(name)), make_table([name, TEXT], lengths(size)), epochs)
            for size in sizes
        ]
    ensembles = [EnsembleModule({name: make_network(name) for name in ("vggish", "ghostvlad")}, 4) for _ in sizes]
    costs["training: stage 3"] = [
        seconds_an_epoch(e, join_networks(make_table(["vggish", "ghostvlad", TEXT], lengths(size)), e), epochs)
        for e, size in zip(ensembles, sizes, strict=True)
    ]
    return costs


def store_costs(runs: int) -> dict[str, list[float]]:
    """Measures putting features away and finding them."""
    putting, finding = [], []
    for factor in TIMES:
        sequences = {f"{i:064d}": torch.randn(24, 512) for i in range(UTTERANCES * factor // TIMES[-1])}
        with tempfile.TemporaryDirectory() as folder:

            def put(sequences: dict[str, torch.Tensor] = sequences, folder: str = folder) -> None:
                shutil.rmtree(folder)  # what was put there before does not keep the disk busy
                with FeatureStore(folder).shelf(RECIPE).writing() as add:
                    for key, sequence in sequences.items():
                        add(key, sequence)

            def find(keys: Sequence[str] = list(sequences), folder: str = folder) -> None:
                assert len(FeatureStore(folder).shelf(RECIPE).find(keys)) == len(keys)

            putting.append(median_of(runs, put))
            finding.append(median_of(runs, find))
    return {"store: put": putting, "store: find and check": finding}


def draw(costs: dict[str, list[float]], path: Path) -> None:
    """Draws cost against work, both relative, on logarithmic axes."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    axes.loglog(TIMES, TIMES, color="0.7", linewidth=6, label="as much as the work")
    for marker, (name, seconds) in zip("osv^DP*X", costs.items(), strict=False):
        axes.loglog(TIMES, [value / seconds[0] for value in seconds], marker=marker, linewidth=1.2, label=name)
    axes.set_xticks(TIMES, [f"{factor}×" for factor in TIMES], minor=False)
    axes.set_yticks(TIMES, [f"{factor}×" for factor in TIMES], minor=False)
    axes.minorticks_off()
    axes.set_xlabel("work")
    axes.set_ylabel("time")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main() -> None:
    """Measures, prints and draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="Picture to draw: .svg or .png.")
    parser.add_argument("--runs", type=int, default=5, help="Timed runs, or epochs, after one to warm up.")
    options = parser.parse_args()
    costs = {**feature_costs(options.runs), **training_costs(options.runs), **store_costs(options.runs)}
    print("| what | 1× | 4× | 16× | growth |\n|---|---|---|---|---|")
    for name, seconds in costs.items():
        shown = " | ".join(f"{value:.2f} s" if value >= 1 else f"{1000 * value:.0f} ms" for value in seconds)
        growth = " → ".join(f"{value / seconds[0]:.1f}" for value in seconds)
        print(f"| {name} | {shown} | {growth} |")
    if options.out:
        draw(costs, options.out)


if __name__ == "__main__":
    main()
