"""Measures what a trained model is worth as a beginning, and prints Markdown tables.

python benchmarks/fine_tuning.py DATA [--seeds 10] [--epochs 30]

DATA holds the folders ravdess, nemo and emovo, each with a manifest.csv. A model of log-mel features is trained on the
first two (English and Polish) and fine-tuned on 5, 10, 20 and 40 utterances a class of the third (Italian), a fifth of
which validate. The same options train a model from nothing on the same utterances. Two of the six actors, another pair
for every seed, are tested and not heard in training. The second table has differences to training from nothing, draw
by draw.
"""

import argparse
import random
import tempfile
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
from torch import Tensor

from pathosnet.corpora import Corpus, Split
from pathosnet.evaluation import measure
from pathosnet.experiments.config import FINETUNE_DEFAULTS, TrainConfig
from pathosnet.experiments.evaluate import compute_outputs
from pathosnet.experiments.finetune import finetune_fold
from pathosnet.experiments.prepare import prepare, read_corpus
from pathosnet.experiments.train import train, train_fold

SIZES = (5, 10, 20, 40)
NUM_TESTED = 2
OPTIONS = {"text": "none", "audio_width": 128, "class_weights": "balanced", "accelerator": "cpu", "logger": "none"}


def choose(corpus: Corpus, per_class: int, seed: int) -> Split:
    """Draws utterances of each class; the actors of the test part are others."""
    generator = random.Random(seed)
    actors = sorted({utterance.speaker for utterance in corpus.utterances})
    pairs = list(combinations(actors, NUM_TESTED))
    tested = set(random.Random(0).sample(pairs, len(pairs))[seed])
    parts: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    for label in corpus.labels:
        own = [i for i, utterance in enumerate(corpus.utterances) if utterance.emotion == label]
        parts["test"] += [i for i in own if corpus.utterances[i].speaker in tested]
        drawn = generator.sample([i for i in own if corpus.utterances[i].speaker not in tested], per_class)
        parts["validation"] += drawn[: per_class // 5]
        parts["train"] += drawn[per_class // 5 :]
    return Split(*(tuple(sorted(parts[name])) for name in ("train", "validation", "test")), strategy="drawn")


def main() -> None:
    """Trains, fine-tunes and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="Folder of the corpora.")
    parser.add_argument("--seeds", type=int, default=10, help="Draws of utterances and actors, up to 15.")
    parser.add_argument("--epochs", type=int, default=30, help="Of every training.")
    options = parser.parse_args()
    config = TrainConfig(**OPTIONS, epochs=options.epochs, patience=options.epochs, progress=False)  # type: ignore[arg-type]
    tuning = replace(config, learning_rate=FINETUNE_DEFAULTS["learning_rate"])
    with tempfile.TemporaryDirectory() as folder:
        begun = train(
            [options.data / name / "manifest.csv" for name in ("ravdess", "nemo")], Path(folder) / "run", config
        )
        assert begun.metrics is not None
        print(f"beginning: ravdess + nemo, {begun.metrics.summary()}\n", flush=True)
        prepared = prepare(read_corpus(options.data / "emovo" / "manifest.csv", config), config)
        logs = Path(folder) / "logs"
        ways: dict[str, Callable[[Split, int], Tensor | None]] = {
            "from nothing": lambda split, seed: (
                train_fold(prepared, split, replace(config, seed=seed), logs=logs).outputs
            ),
            "from nothing, the rate of fine-tuning": lambda split, seed: (
                train_fold(prepared, split, replace(tuning, seed=seed), logs=logs).outputs
            ),
            "the beginning, not tuned": lambda split, _: compute_outputs(begun.model, prepared.table, split.test),
            **{
                f"fine-tuned: {part}": lambda split, seed, part=part: (
                    finetune_fold(  # type: ignore[misc]
                        begun.model, prepared, split, config=replace(tuning, seed=seed), train=part, logs=logs
                    ).outputs
                )
                for part in ("classifier", "branches")
            },
        }
        draws = {size: [(seed, choose(prepared.corpus, size, seed)) for seed in range(options.seeds)] for size in SIZES}
        found: dict[str, np.ndarray] = {}
        print_row("UAR, mean ± standard deviation", [f"{size} a class" for size in SIZES])
        print_row("---", ["---"] * len(SIZES))
        for name, way in ways.items():
            found[name] = np.array(
                [[uar(prepared.corpus, split, way(split, seed)) for seed, split in draws[size]] for size in SIZES]
            )
            spread = found[name].std(axis=1, ddof=1)
            print_row(name, [f"{m:.3f} ± {sd:.3f}" for m, sd in zip(found[name].mean(axis=1), spread, strict=True)])
        print()
        print_row("difference in UAR, mean ± standard error", [f"{size} a class" for size in SIZES])
        print_row("---", ["---"] * len(SIZES))
        for name in list(ways)[2:]:
            for reference in list(ways)[:2]:
                gains = found[name] - found[reference]
                errors = gains.std(axis=1, ddof=1) / np.sqrt(options.seeds)
                cells = [f"{m:+.3f} ± {error:.3f}" for m, error in zip(gains.mean(axis=1), errors, strict=True)]
                print_row(f"{name} − {reference}", cells)


def uar(corpus: Corpus, split: Split, probabilities: Tensor | None) -> float:
    """Measures the test part."""
    assert probabilities is not None
    truth = [corpus.labels.index(corpus.utterances[i].emotion) for i in split.test]
    return measure(truth, probabilities.numpy(), corpus.labels).uar


def print_row(name: str, cells: list[str]) -> None:
    """Prints a line of a Markdown table."""
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
