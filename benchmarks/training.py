"""Measures training on features that are cached, and prints Markdown tables.

OMP_NUM_THREADS=2 python benchmarks/training.py [stages | epoch | reading | vectors] [--epochs 3] [--accelerator gpu]

``stages``: seconds per epoch of every stage of the paper's ensemble, for a corpus of 4,936 utterances of IEMOCAP's
lengths (a fold trains on 3,159 and validates on 790), and what 5 folds of 45 + 45 + 45 epochs make of it; the same for
a quarter and a sixteenth of the utterances. ``epoch``: where the time goes. ``reading``: an epoch of reading 5,000
utterances from the store of features. ``vectors``: the first and the second start with 200,000 word vectors.
Features are random numbers: their values cost nothing.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch.profiler import ProfilerActivity, profile

from pathosnet.backbones import ThinResNet34, VGGish
from pathosnet.corpora import Split
from pathosnet.features import WordVectors
from pathosnet.features.store import FeatureStore, Recipe
from pathosnet.models import TEXT, BranchOptions, EmotionNetwork
from pathosnet.training import (
    EmotionModule,
    EnsembleModule,
    FeatureTable,
    Fitting,
    Hardware,
    NetworkModule,
    StageTrainer,
)
from pathosnet.training.data import FeatureDataset, collate
from pathosnet.training.stages import join_networks

UTTERANCES = 4936
FOLDS, EPOCHS = 5, 45
STEPS_A_SECOND = {"vggish": 1 / 0.96, "ghostvlad": 0.8 / 0.15, TEXT: 2.6}  # a fifth of GhostVLAD's is silence
DIMS = {"vggish": 128, "ghostvlad": 512, TEXT: 300}
HIDDEN = {"vggish": (512, 12, 8), "ghostvlad": (512, 7, 2)}


def lengths(count: int) -> np.ndarray:
    """Draws durations like IEMOCAP's in seconds: 4.4 on average, 0.6 to 34."""
    return np.clip(np.random.default_rng(0).lognormal(np.log(3.6), 0.65, count), 0.6, 34.0)


def steps(name: str, seconds: np.ndarray) -> list[int]:
    """Returns how long the sequences of a feature are."""
    return [max(1, int(second * STEPS_A_SECOND[name])) for second in seconds]


def make_table(names: Sequence[str], seconds: np.ndarray, hidden: bool = False) -> FeatureTable:
    """Makes random features; with ``hidden``, of what the unlocked layer of the first name reads."""
    shapes = {name: HIDDEN[name] if hidden and name != TEXT else (DIMS[name],) for name in names}
    sequences = {name: [torch.randn(n, *shapes[name]) for n in steps(name, seconds)] for name in names}
    return FeatureTable(sequences, torch.arange(len(seconds)) % 4)


def make_split(count: int) -> Split:
    """Parts as in the paper: a fifth tests, of the rest a fifth validates."""
    order = np.random.default_rng(1).permutation(count).tolist()
    test, validation = count // 5, round(0.8 * count / 5)
    return Split(
        tuple(sorted(order[test + validation :])),
        tuple(sorted(order[test : test + validation])),
        tuple(order[:test]),
        strategy="random",
    )


class Clock(Callback):
    """Notes when epochs end."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Notes the time; validation is an epoch's last part."""
        self.ends.append(time.perf_counter())


def seconds_an_epoch(module: EmotionModule, table: FeatureTable, epochs: int, hardware: Hardware) -> float:
    """Trains with Lightning as every run does, and takes the median epoch but for the first."""
    clock = Clock()
    trainer = StageTrainer(Fitting(epochs=epochs + 1, patience=epochs + 1), hardware, callbacks=[clock])
    trainer.fit("stage", module, table, parts=make_split(len(table)))
    return median(np.diff(clock.ends).tolist())


def make_network(name: str) -> EmotionNetwork:
    """Makes one network of the paper's ensemble, with standardized inputs as every run has them by default."""
    return EmotionNetwork({name: DIMS[name], TEXT: DIMS[TEXT]}, 4, options=BranchOptions(standardize=True))


def measure_stages(epochs: int, hardware: Hardware) -> None:
    """Prints seconds per epoch of every stage, at three sizes of the corpus."""
    print("| stage | " + " | ".join(f"{UTTERANCES // part:,}" for part in (16, 4, 1)) + " utterances | 5 × 45 epochs |")
    print("|---|---|---|---|---|")
    totals = 0.0
    networks = {name: make_network(name) for name in HIDDEN}

    def report(stage: str, sizes: Sequence[int], run: Callable[[np.ndarray], float], note: str = "") -> None:
        nonlocal totals
        times = [run(lengths(size)) for size in sizes]
        largest = times[-1] * UTTERANCES / sizes[-1]
        totals += largest * FOLDS * EPOCHS
        cells = [f"{seconds:.2f} s" for seconds in times] + ["–"] * (3 - len(times))
        print(f"| {stage} | {' | '.join(cells)} | {largest * FOLDS * EPOCHS / 60:.0f} min{note} |", flush=True)

    sizes = [UTTERANCES // 16, UTTERANCES // 4, UTTERANCES]
    for name in networks:
        report(
            f"1, {name} + text",
            sizes,
            lambda seconds, name=name: seconds_an_epoch(
                NetworkModule(networks[name]), make_table([name, TEXT], seconds), epochs, hardware
            ),
        )
    backbones: dict[str, VGGish | ThinResNet34] = {"vggish": VGGish("relu"), "ghostvlad": ThinResNet34()}
    for name, backbone in backbones.items():
        report(
            f"2, {name} + text",
            sizes[:1],
            lambda seconds, name=name, backbone=backbone: seconds_an_epoch(
                NetworkModule(networks[name], unlocked={name: backbone}),
                make_table([name, TEXT], seconds, True),
                epochs,
                hardware,
            ),
            " ¹",
        )

    def third(seconds: np.ndarray) -> float:
        ensemble = EnsembleModule({name: make_network(name) for name in HIDDEN}, 4)
        return seconds_an_epoch(
            ensemble, join_networks(make_table([*HIDDEN, TEXT], seconds), ensemble), epochs, hardware
        )

    report("3, ensemble", sizes, third)
    print(f"| together | | | | {totals / 60:.0f} min |")


def measure_epoch() -> None:
    """Prints what the processor does in 20 batches of the first stage."""
    table = make_table(["ghostvlad", TEXT], lengths(640))
    dataset = FeatureDataset(table)
    batches = [collate([dataset[i] for i in range(start, start + 32)]) for start in range(0, len(table), 32)]
    module = NetworkModule(make_network("ghostvlad")).train()
    optimizer = torch.optim.RMSprop(module.parameters())

    def step(number: int) -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(module(batches[number].inputs), batches[number].targets).backward()
        optimizer.step()

    step(0)
    with profile(activities=[ProfilerActivity.CPU]) as found:
        for number in range(len(batches)):
            step(number)
    spent = sorted(found.key_averages(), key=lambda one: -one.self_cpu_time_total)
    total = sum(one.self_cpu_time_total for one in spent)
    for one in spent[:8]:
        print(f"| {one.key} | {100 * one.self_cpu_time_total / total:.0f} % |")


def measure_reading() -> None:
    """Prints how long 5,000 utterances take from the store, the first time and in a later epoch."""
    count = 5000
    seconds = lengths(count)
    with tempfile.TemporaryDirectory() as folder:
        shelf = FeatureStore(folder).shelf(Recipe("ghostvlad", "features", {}, weights=""))
        with shelf.writing() as add:
            for i, length in enumerate(steps("ghostvlad", seconds)):
                add(f"{i:064d}", torch.randn(length, DIMS["ghostvlad"]))
        started = time.perf_counter()
        found = FeatureStore(folder).shelf(shelf.recipe).find([f"{i:064d}" for i in range(count)])
        opened = time.perf_counter() - started
        dataset = FeatureDataset(
            FeatureTable({"ghostvlad": list(found.values())}, torch.zeros(count, dtype=torch.long))
        )
        size = sum(sequence.nbytes for sequence in found.values())
        times = [_read(dataset) for _ in range(5)]
    print(f"| opening and checking {count:,} utterances, {size / 1e6:.0f} MB | {opened:.2f} s |")
    print(f"| an epoch of padded batches of 32 | {median(times):.2f} s |")


def _read(dataset: FeatureDataset) -> float:
    started = time.perf_counter()
    for start in range(0, len(dataset), 32):
        collate([dataset[i] for i in range(start, min(start + 32, len(dataset)))])
    return time.perf_counter() - started


def measure_vectors() -> None:
    """Prints how long 200,000 word vectors of 300 numbers take, the first time and again."""
    count, dim = 200_000, 300
    lines = [" ".join(f"{value:.4f}" for value in row) for row in np.random.default_rng(0).normal(size=(1000, dim))]
    with tempfile.TemporaryDirectory() as folder:
        path, store = Path(folder) / "words.vec", FeatureStore(Path(folder) / "store")
        with path.open("w") as file:
            file.write(f"{count} {dim}\n")
            file.writelines(f"word{i} {lines[i % len(lines)]}\n" for i in range(count))
        times = []
        for _ in range(6):
            started = time.perf_counter()
            WordVectors.load(path, count, store=store)
            times.append(time.perf_counter() - started)
    print(f"| {count:,} × {dim} word vectors, first start | {times[0]:.1f} s |")
    print(f"| later starts | {median(times[1:]):.2f} s |")


def main() -> None:
    """Runs the measurements that are named, or all."""
    measurements: dict[str, Callable[[], None]] = {
        "stages": lambda: measure_stages(
            options.epochs, Hardware(accelerator=options.accelerator, devices="1", precision=options.precision)
        ),
        "epoch": measure_epoch,
        "reading": measure_reading,
        "vectors": measure_vectors,
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*measurements], help="What to measure; all if none is named.")
    parser.add_argument("--epochs", type=int, default=3, help="Timed epochs of each stage, after one to warm up.")
    parser.add_argument("--accelerator", default="cpu", help="Lightning's, for the stages: cpu or gpu.")
    parser.add_argument("--precision", default="32-true", help="Lightning's, for the stages.")
    options = parser.parse_args()
    for name in options.names or measurements:
        measurements[name]()


if __name__ == "__main__":
    main()
