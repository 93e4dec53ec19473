"""Measures a model on corpora that it was not trained on, and prints the tables of its card.

    python tools/measure_default.py base emovo.csv ravdess.csv nemo.csv --probe cremad.csv

Every recording is answered alone, and with profiles of 1, 3, 5, 10, 20 or all of its speaker's other recordings, drawn
at random several times. Intervals are over speakers. With ``--probe``, a linear probe (logistic regression on the mean
of Whisper-base's hidden states 3 to 5) is trained on the corpus that is named and given the same profiles.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from default_training import ALL
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from train_default import read_corpus

from pathosnet import InputError, PathosNet
from pathosnet.corpora import Corpus
from pathosnet.evaluation.bootstrap import bootstrap_figures, resample_counts
from pathosnet.evaluation.calibration import measure_reliability
from pathosnet.features.acoustic.extractors import AcousticExtractor
from pathosnet.features.acoustic.extractors.speech_encoder import make_encoder_extractor
from pathosnet.features.extract import extract_features
from pathosnet.features.profile import SHRINKAGE, group_members
from pathosnet.features.store import default_store

SIZES = (0, 1, 3, 5, 10, 20, ALL)
"""Recordings in a profile; ALL stands for all others of the speaker."""
THRESHOLDS = (0.0, 0.4, 0.5, 0.6, 0.7, 0.8)
PROBE = "probe"
PROBE_LAYERS = "3-5"
AT_ONCE = 64  # recordings


@dataclass(frozen=True)
class Sample:
    """A corpus' features, each recording's as sequences ``(time, features)``, and what is known about them."""

    corpus: Corpus
    sequences: dict[str, list[Tensor]]
    truth: np.ndarray
    speakers: tuple[str, ...]

    def means(self, name: str) -> Tensor:
        """Returns each recording's mean over time, ``(recordings, features)``."""
        return torch.stack([sequence.mean(dim=0) for sequence in self.sequences[name]])


Ask = Callable[[Sample, list[list[int]]], np.ndarray]
"""Answers recordings, given those that their profiles are made of: probabilities ``(recordings, labels)``."""


def listen(corpus: Corpus, extractors: dict[str, AcousticExtractor]) -> Sample:
    """Extracts features; recordings that are too short for them are left out, and counted."""
    table = extract_features(corpus, extractors, None, workers=0, store=default_store())
    kept = [i for i in range(len(corpus)) if all(len(one[i]) for one in table.sequences.values())]
    if len(kept) < len(corpus):
        print(f"{len(corpus) - len(kept)} recordings are too short and left out")
    sequences = {name: [found[i].float() for i in kept] for name, found in table.sequences.items()}
    speakers = tuple(f"{corpus.utterances[i].corpus}/{corpus.utterances[i].speaker}" for i in kept)
    return Sample(corpus, sequences, corpus.truth(kept), speakers)


def draw_profiles(sample: Sample, size: int, seed: int, *, same_emotion: bool = False) -> list[list[int]]:
    """Draws recordings of the same speaker for each recording, itself not among them; maybe of its emotion alone."""
    generator = np.random.default_rng([seed, size + 1])
    drawn: list[list[int]] = [[] for _ in sample.speakers]
    for members in group_members(sample.speakers):
        for one in members if size else ():
            others = [i for i in members if i != one and not (same_emotion and sample.truth[i] != sample.truth[one])]
            drawn[one] = others if size == ALL else generator.permutation(others)[:size].tolist()
    return drawn


def offsets(means: Tensor, center: Tensor, drawn: list[list[int]]) -> Tensor:
    """Returns what profiles subtract, ``(recordings, features)``."""
    sums = torch.stack([(means[chosen] - center).sum(dim=0) for chosen in drawn])
    counts = torch.tensor([[float(len(chosen))] for chosen in drawn])
    return sums / (counts + SHRINKAGE)


def answer(model: PathosNet, sample: Sample, drawn: list[list[int]]) -> np.ndarray:
    """Returns probabilities ``(recordings, labels)``, given profiles of the recordings that were drawn."""
    removed = {name: offsets(sample.means(name), center, drawn) for name, center in model.network.centers.items()}
    logits = []
    for start in range(0, len(drawn), AT_ONCE):
        rows = range(start, min(start + AT_ONCE, len(drawn)))
        logits.append(
            model.logits([{name: sample.sequences[name][i] - removed[name][i] for name in removed} for i in rows])
        )
    known, alone = model.profile_calibration, model.calibration_temperature
    temperatures = [known.temperature_of(alone, len(chosen)) if chosen and known else alone for chosen in drawn]
    return torch.softmax(torch.cat(logits) / torch.tensor(temperatures).unsqueeze(1), dim=1).numpy()


def make_probe(sample: Sample) -> Ask:
    """Trains logistic regressions on a corpus, as it is and with its speakers' means subtracted.

    Returns:
        What answers as ``answer`` does: the first of them without profiles, the second with them.
    """
    means = sample.means(PROBE)
    center, deviation = means.mean(dim=0), means.std(dim=0)
    models = []
    for size in (0, ALL):
        x = (means - offsets(means, center, draw_profiles(sample, size, 0)) - center) / deviation
        models.append(LogisticRegression(C=0.003, class_weight="balanced", max_iter=2000).fit(x.numpy(), sample.truth))

    def ask(other: Sample, drawn: list[list[int]]) -> np.ndarray:
        found = other.means(PROBE)
        x = (found - offsets(found, center, drawn) - center) / deviation
        probabilities: np.ndarray = models[any(drawn)].predict_proba(x.numpy())
        return probabilities

    return ask


def answer_sizes(ask: Ask, sample: Sample, draws: int) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Returns of each size probabilities ``(draws, recordings, labels)``, what is right ``(draws, recordings)``."""
    found = {}
    for size in SIZES:
        seeds = range(1 if size in (0, ALL) else draws)
        answers = np.stack([ask(sample, draw_profiles(sample, size, seed)) for seed in seeds])
        found[size] = (answers, answers.argmax(axis=2) == sample.truth)
    return found


def uar(sample: Sample, right: np.ndarray) -> tuple[float, float, float]:
    """Returns UAR, and the ends of its interval over speakers, from what is right, ``(draws, recordings)``."""
    share = right.mean(axis=0)
    figure = float(np.mean([share[sample.truth == one].mean() for one in np.unique(sample.truth)]))
    drawn = bootstrap_figures(sample.truth, share, resample_counts(sample.speakers))["uar"]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return figure, float(low), float(high)


def calibration_error(sample: Sample, answers: np.ndarray) -> float:
    """Returns the expected calibration error over all draws."""
    return measure_reliability(np.tile(sample.truth, len(answers)), np.concatenate(answers)).expected_calibration_error


def report(sample: Sample, ask: Ask, *, probe: Ask | None, draws: int) -> None:
    """Prints what is measured on one corpus."""
    found = answer_sizes(ask, sample, draws)
    beside = answer_sizes(probe, sample, draws) if probe else {}
    print("| profile | UAR | calibration error | probe | recalls |\n|---|---|---|---|---|")
    for size, (answers, right) in found.items():
        cells = ["all" if size == ALL else str(size), _interval(uar(sample, right))]
        cells += [f"{calibration_error(sample, answers):.3f}", _interval(uar(sample, beside[size][1])) if probe else ""]
        recalls = [right.mean(axis=0)[sample.truth == one].mean() for one in range(answers.shape[2])]
        print("| " + " | ".join([*cells, " ".join(f"{one:.2f}" for one in recalls)]) + " |")
    same = [ask(sample, draw_profiles(sample, 10, seed, same_emotion=True)) for seed in range(draws)]
    print(f"\nprofiles of ten of the same emotion: {_interval(uar(sample, np.stack(same).argmax(2) == sample.truth))}")
    print("\n| abstain below | alone | profile of ten |\n|---|---|---|")
    for threshold in THRESHOLDS:
        cells = []
        for size in (0, 10):
            answers, right = found[size]
            sure = answers.max(axis=2) >= threshold
            cells.append(f"{sure.mean():.0%}: {right[sure].mean():.2f}" if sure.any() else "none")
        print(f"| {threshold} | " + " | ".join(cells) + " |")


def _interval(figures: tuple[float, float, float]) -> str:
    return "{:.3f} ({:.2f}–{:.2f})".format(*figures)


def main() -> None:
    """Runs the tool."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="base, small, or the folder of a model")
    parser.add_argument("manifests", nargs="+", type=Path, help="CSV files of the corpora, with speakers")
    parser.add_argument("--probe", type=Path, help="CSV file of the corpus that a probe is trained on")
    parser.add_argument("--draws", type=int, default=3, help="of each profile")
    parser.add_argument("--drop-labels", nargs="*", default=["disgust", "fear", "surprise", "calm"])
    options = parser.parse_args()
    try:
        model = PathosNet.from_pretrained(options.model)
        extractors, probe = model.extractors, None
        if options.probe:
            encoder = make_encoder_extractor("whisper-base", layers=PROBE_LAYERS, rate=0.0, level="peak")
            extractors[PROBE] = encoder
            probe = make_probe(listen(read_corpus([options.probe], options.drop_labels, None), {PROBE: encoder}))
        for path in options.manifests:
            sample = listen(read_corpus([path], options.drop_labels, None), extractors)
            print(f"\n{path}: {len(sample.truth)} recordings, {len(set(sample.speakers))} speakers\n")
            report(sample, partial(answer, model), probe=probe, draws=options.draws)
    except InputError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
