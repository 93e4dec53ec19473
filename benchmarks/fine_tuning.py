"""Measures what a trained model is worth as a beginning, and prints Markdown tables.

python benchmarks/fine_tuning.py emovo.csv [--model base] [--seeds 10] [--presets speech,offline]

The model is fine-tuned on 5, 10, 20 and 40 utterances a class of a corpus that it was not trained on, a fifth of which
validate. Presets train a model from nothing on the same utterances. Two of the corpus' speakers, another pair for every
seed, are tested and not heard in training. The second table has differences to training from nothing, draw by draw.
"""

import argparse
import copy
import random
import tempfile
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import yaml
from torch import Tensor

from pathosnet import PathosNet
from pathosnet.corpora import Corpus, Split
from pathosnet.corpora.manifest import with_labels
from pathosnet.evaluation import measure
from pathosnet.experiments.config import FINETUNE_DEFAULTS, TrainConfig
from pathosnet.experiments.evaluate import compute_outputs
from pathosnet.experiments.finetune import finetune_fold
from pathosnet.experiments.prepare import PreparedCorpus, prepare, prepare_with, read_corpus
from pathosnet.experiments.presets import preset_path
from pathosnet.experiments.train import train_fold

SIZES = (5, 10, 20, 40)
NUM_TESTED = 2
PARTS = ("classifier", "branches")
SHARED = {"text": (), "accelerator": "cpu", "logger": "none", "progress": False}

Way = Callable[[Split, int], Tensor | None]
"""Trains on a split with a seed: probabilities of its test part."""


def choose(corpus: Corpus, per_class: int, seed: int) -> Split:
    """Draws utterances of each class; the speakers of the test part are others."""
    generator = random.Random(seed)
    speakers = sorted({utterance.speaker for utterance in corpus.utterances})
    pairs = list(combinations(speakers, NUM_TESTED))
    tested = set(random.Random(0).sample(pairs, len(pairs))[seed])
    parts: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    for label in corpus.labels:
        own = [i for i, utterance in enumerate(corpus.utterances) if utterance.emotion == label]
        parts["test"] += [i for i in own if corpus.utterances[i].speaker in tested]
        drawn = generator.sample([i for i in own if corpus.utterances[i].speaker not in tested], per_class)
        parts["validation"] += drawn[: per_class // 5]
        parts["train"] += drawn[per_class // 5 :]
    training, validation, test = (tuple(sorted(parts[name])) for name in ("train", "validation", "test"))
    return Split(training, validation, test, strategy="drawn")


def from_nothing(corpus: Corpus, preset: str, logs: Path) -> Way:
    """Trains as a preset says."""
    config = TrainConfig(**{**yaml.safe_load(preset_path(preset).read_text(encoding="utf-8")), **SHARED})
    prepared = prepare(corpus, config)
    return lambda split, seed: train_fold(prepared, split, replace(config, seed=seed), logs=logs).outputs


def fine_tuned(model: PathosNet, prepared: PreparedCorpus, config: TrainConfig, *, part: str, logs: Path) -> Way:
    """Trains a model further."""

    def train(split: Split, seed: int) -> Tensor | None:
        own = replace(config, seed=seed)
        return finetune_fold(model, prepared, split, config=own, train=part, logs=logs).outputs  # type: ignore[arg-type]

    return train


def main() -> None:
    """Trains, fine-tunes and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, help="CSV file with speakers.")
    parser.add_argument("--model", default="base", help="A model of the package, or a folder.")
    parser.add_argument("--seeds", type=int, default=10, help="Draws of utterances and speakers, up to 15.")
    parser.add_argument("--presets", default="speech,offline", help="What trains from nothing.")
    options = parser.parse_args()
    model = PathosNet.from_pretrained(options.model)
    config = TrainConfig(**{**FINETUNE_DEFAULTS, **SHARED, "acoustic": ("logmel",)})
    corpus = with_labels(read_corpus(options.corpus, config), model.labels)
    prepared = prepare_with(corpus, copy.deepcopy(model.extractors), model.text, config=config)
    with tempfile.TemporaryDirectory() as folder:
        logs = Path(folder)
        nothing = {
            f"from nothing, preset {name}": from_nothing(corpus, name, logs) for name in options.presets.split(",")
        }
        tuned = {f"fine-tuned: {part}": fine_tuned(model, prepared, config, part=part, logs=logs) for part in PARTS}
        untouched: Way = lambda split, _: compute_outputs(model, prepared.table, split.test)  # noqa: E731
        ways = {**nothing, f"{options.model}, not tuned": untouched, **tuned}
        draws = {size: [(seed, choose(corpus, size, seed)) for seed in range(options.seeds)] for size in SIZES}
        found = {}
        print_row("UAR, mean ± standard deviation", [f"{size} a class" for size in SIZES])
        print_row("---", ["---"] * len(SIZES))
        for name, way in ways.items():
            found[name] = np.array([[uar(corpus, split, way(split, seed)) for seed, split in draws[n]] for n in SIZES])
            print_row(name, figures(found[name], found[name].std(axis=1, ddof=1), "{:.3f}"))
    print()
    print_row("difference in UAR, mean ± standard error", [f"{size} a class" for size in SIZES])
    print_row("---", ["---"] * len(SIZES))
    for name in tuned:
        for reference in nothing:
            gains = found[name] - found[reference]
            errors = gains.std(axis=1, ddof=1) / np.sqrt(options.seeds)
            print_row(f"{name} − {reference}", figures(gains, errors, "{:+.3f}"))


def uar(corpus: Corpus, split: Split, probabilities: Tensor | None) -> float:
    """Measures the test part."""
    assert probabilities is not None
    truth = [corpus.labels.index(corpus.utterances[i].emotion) for i in split.test]
    return measure(truth, probabilities.numpy(), corpus.labels).uar


def figures(values: np.ndarray, spread: np.ndarray, form: str) -> list[str]:
    """Writes the mean over draws of values ``(sizes, draws)`` and how far they spread ``(sizes,)``."""
    return [f"{form.format(mean)} ± {one:.3f}" for mean, one in zip(values.mean(axis=1), spread, strict=True)]


def print_row(name: str, cells: list[str]) -> None:
    """Prints a line of a Markdown table."""
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
