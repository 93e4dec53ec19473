"""Measures what a trained model is worth as a beginning, and prints a Markdown table.

python benchmarks/fine_tuning.py DATA [--seeds 5] [--epochs 30]

DATA holds the folders ravdess, nemo and emovo, each with a manifest.csv. A model of log-mel features is trained on the
first two (English and Polish) and fine-tuned on 5, 10, 20 and 40 utterances a class of the third (Italian), a fifth of
which validate. The same options train a model from nothing on the same utterances. Two of the six actors, others for
every seed, are tested and not heard in training.
"""

import argparse
import random
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import Tensor

from pathosnet.config import FINETUNE_DEFAULTS, TrainConfig
from pathosnet.corpora import Corpus, Split
from pathosnet.evaluation import measure
from pathosnet.experiment import PreparedCorpus, compute_outputs, prepare, read_corpus, train, train_fold
from pathosnet.finetuning import finetune_fold

SIZES = (5, 10, 20, 40)
NUM_TESTED = 2
OPTIONS = {"text": "none", "audio_width": 128, "class_weights": "balanced", "accelerator": "cpu", "logger": "none"}


def choose(corpus: Corpus, per_class: int, seed: int) -> Split:
    """Draws utterances of each class; the actors of the test part are others."""
    generator = random.Random(seed)
    actors = sorted({utterance.speaker for utterance in corpus.utterances})
    tested = {actors[(seed + k * len(actors) // NUM_TESTED) % len(actors)] for k in range(NUM_TESTED)}
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
    parser.add_argument("--seeds", type=int, default=5, help="Draws of utterances and actors.")
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
            "from nothing": lambda split, seed: train_fold(prepared, split, replace(config, seed=seed), logs).outputs,
            "from nothing, the rate of fine-tuning": lambda split, seed: (
                train_fold(prepared, split, replace(tuning, seed=seed), logs).outputs
            ),
            "the beginning, not tuned": lambda split, _: compute_outputs(begun.model, prepared.table, split.test),
            **{
                f"fine-tuned: {part}": lambda split, seed, part=part: (
                    finetune_fold(  # type: ignore[misc]
                        begun.model, prepared, split, replace(tuning, seed=seed), part, logs
                    ).outputs
                )
                for part in ("classifier", "branches")
            },
        }
        print("| UAR, mean ± standard deviation | " + " | ".join(f"{size} a class" for size in SIZES) + " |")
        print("|---" * (len(SIZES) + 1) + "|")
        for name, way in ways.items():
            cells = [
                describe(
                    [
                        uar(prepared.corpus, split, way(split, seed))
                        for seed, split in splits(prepared, size, options.seeds)
                    ]
                )
                for size in SIZES
            ]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


def splits(prepared: PreparedCorpus, per_class: int, seeds: int) -> list[tuple[int, Split]]:
    """Draws for every seed."""
    return [(seed, choose(prepared.corpus, per_class, seed)) for seed in range(seeds)]


def uar(corpus: Corpus, split: Split, probabilities: Tensor | None) -> float:
    """Measures the test part."""
    assert probabilities is not None
    truth = [corpus.labels.index(corpus.utterances[i].emotion) for i in split.test]
    return measure(truth, probabilities.numpy(), corpus.labels).uar


def describe(values: list[float]) -> str:
    """Writes mean and standard deviation."""
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"


if __name__ == "__main__":
    main()
