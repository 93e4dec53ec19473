"""Training of the model ``base`` on features that were computed before.

Profiles are drawn at random, several networks are merged into one, and a temperature is found for profiles of any size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pathosnet.evaluation.calibration import softmax
from pathosnet.features.profile import SHRINKAGE, ProfileCalibration, group_members

ALL = -1
TRAINED_SIZES = (1, 3, 10, ALL)
"""Recordings in the profiles of training, each size as likely as another; ALL stands for all of the speaker's."""
ALONE = 0.5
"""Share of the recordings of training that have no profile."""
CALIBRATED_SIZES = (0, 1, 3, 5, 10, 20, ALL)
"""Recordings in the profiles that the temperatures are fitted on."""
SMALLEST_DEVIATION = 1e-5
DRAWS = 2  # of the profiles that a temperature is fitted on


@dataclass(frozen=True)
class Table:
    """Features and targets of a corpus.

    Args:
        features: of the recordings, and of their copies if there are any, ``(variants, recordings, features)``.
        targets: probability of every emotion, ``(recordings, labels)``.
        truth: number of the intended emotion, ``(recordings,)``.
        speakers: of the recordings.
    """

    features: Tensor
    targets: Tensor
    truth: np.ndarray
    speakers: tuple[str, ...]


@dataclass(frozen=True)
class Recipe:
    """Settings of the training; the defaults are those of the model that is shipped."""

    width: int = 128
    input_dropout: float = 0.3
    dropout: float = 0.7
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    batch_size: int = 256
    epochs: int = 32


def soft_targets(votes: np.ndarray, truth: np.ndarray, share: float = 0.5) -> Tensor:
    """Mixes the raters' votes ``(recordings, labels)`` with the intended emotions ``(recordings,)``."""
    intended = np.eye(votes.shape[1])[truth]
    return torch.from_numpy(share * votes + (1 - share) * intended).float()


def measure(features: Tensor) -> tuple[Tensor, Tensor]:
    """Returns mean and deviation ``(features,)`` of recordings' means ``(variants, recordings, features)``."""
    flat = features.flatten(0, 1).double()
    return flat.mean(dim=0).float(), (flat.std(dim=0, correction=0) + SMALLEST_DEVIATION).float()


def balanced_weights(targets: Tensor) -> Tensor:
    """Weighs recordings ``(recordings,)`` so that every emotion counts as much; their mean is 1."""
    weights = (targets / targets.sum(dim=0)).sum(dim=1)
    return weights / weights.mean()


class Profiles:
    """Profiles of the speakers of a table, drawn at random.

    Args:
        features: standardized, ``(variants, recordings, features)``.
        speakers: of the recordings.
    """

    def __init__(self, features: Tensor, speakers: Sequence[str]) -> None:
        members = group_members(speakers)
        self.features = features
        self.counts = torch.tensor([len(one) for one in members])
        self.members = nn.utils.rnn.pad_sequence([torch.tensor(one) for one in members], batch_first=True)
        self.speakers = torch.empty(features.shape[1], dtype=torch.long)
        for number, one in enumerate(members):
            self.speakers[one] = number
        self.means = torch.stack([features[:, one].mean(dim=1) for one in members], dim=1)

    def draw(self, rows: Tensor, variants: Tensor, size: int, generator: torch.Generator) -> Tensor:
        """Draws a profile for each recording.

        Args:
            rows: recordings, ``(batch,)``.
            variants: which of their copies; the profile is of the same channel, ``(batch,)``.
            size: recordings in a profile, of those of the speaker; with replacement.
            generator: of the draws.

        Returns:
            What is to be subtracted, ``(batch, features)``.
        """
        speakers = self.speakers[rows]
        counts = self.counts[speakers]
        if size == ALL:
            return self.means[variants, speakers] * (counts / (counts + SHRINKAGE)).unsqueeze(1)
        drawn = (torch.rand(len(rows), size, generator=generator) * counts.unsqueeze(1)).long()
        chosen = self.members[speakers.unsqueeze(1), drawn]
        return self.features[variants.unsqueeze(1), chosen].sum(dim=1) / (size + SHRINKAGE)


def fit_network(features: Tensor, table: Table, recipe: Recipe, seed: int) -> nn.Sequential:
    """Trains one perceptron.

    Args:
        features: standardized, ``(variants, recordings, features)``.
        table: targets and speakers.
        recipe: settings.
        seed: of everything random.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    variants, count, dim = features.shape
    network = nn.Sequential(
        nn.Dropout(recipe.input_dropout),
        nn.Linear(dim, recipe.width),
        nn.ReLU(),
        nn.Dropout(recipe.dropout),
        nn.Linear(recipe.width, table.targets.shape[1]),
    )
    steps = max(1, count // recipe.batch_size)
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=recipe.epochs * steps, pct_start=0.2
    )
    profiles, weights = Profiles(features, table.speakers), balanced_weights(table.targets)
    for _ in range(recipe.epochs):
        order = torch.randperm(count, generator=generator)
        for step in range(steps):
            rows = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
            variant = torch.randint(variants, (len(rows),), generator=generator)
            sizes = torch.randint(len(TRAINED_SIZES), (len(rows),), generator=generator)
            sizes[torch.rand(len(rows), generator=generator) < ALONE] = len(TRAINED_SIZES)  # no profile
            x = features[variant, rows]
            for number, size in enumerate(TRAINED_SIZES):
                chosen = (sizes == number).nonzero().flatten()
                if len(chosen):
                    x[chosen] -= profiles.draw(rows[chosen], variant[chosen], size, generator)
            losses = nn.functional.cross_entropy(network(x), table.targets[rows], reduction="none")
            optimizer.zero_grad()
            (losses * weights[rows]).mean().backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def fit_networks(table: Table, recipe: Recipe, seeds: int, folder: Path) -> dict[str, Tensor]:
    """Trains several networks, or takes from a folder those that an earlier run has finished, and merges them.

    Returns:
        ``mean, deviation, hidden.weight, hidden.bias, output.weight, output.bias``.
    """
    mean, deviation = measure(table.features)
    features = (table.features - mean) / deviation
    folder.mkdir(parents=True, exist_ok=True)
    states = []
    for seed in range(seeds):
        path = folder / f"seed_{seed}.safetensors"
        if not path.is_file():
            aside = path.with_suffix(".partial")
            save_file(fit_network(features, table, recipe, seed).state_dict(), aside)
            aside.replace(path)
        states.append(load_file(path))
        print(f"network {seed + 1} of {seeds}: {path}", flush=True)
    return {"mean": mean, "deviation": deviation, **merge(states)}


def merge(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Merges perceptrons: their hidden layers side by side; the logits are the mean of theirs."""
    return {
        "hidden.weight": torch.cat([state["1.weight"] for state in states]),
        "hidden.bias": torch.cat([state["1.bias"] for state in states]),
        "output.weight": torch.cat([state["4.weight"] for state in states], dim=1) / len(states),
        "output.bias": torch.stack([state["4.bias"] for state in states]).mean(dim=0),
    }


def logits_with_profiles(state: dict[str, Tensor], table: Table, size: int, seed: int = 0) -> np.ndarray:
    """Returns logits ``(recordings, labels)`` with profiles of ``size`` other recordings of the speaker."""
    x = (table.features[0] - state["mean"]) / state["deviation"]
    generator = np.random.default_rng([seed, size + 1])
    offsets = torch.zeros_like(x)
    for members in group_members(table.speakers):
        for one in members if size else ():
            others = [other for other in members if size == ALL or other != one]
            chosen = others if size == ALL else generator.permutation(others)[:size].tolist()
            if chosen:
                offsets[one] = x[chosen].sum(dim=0) / (len(chosen) + SHRINKAGE)
    hidden = torch.relu((x - offsets) @ state["hidden.weight"].T + state["hidden.bias"])
    return (hidden @ state["output.weight"].T + state["output.bias"]).numpy()


def fit_temperatures(state: dict[str, Tensor], tables: Sequence[Table]) -> tuple[float, ProfileCalibration]:
    """Finds the temperatures that make the truth of corpora most likely, each corpus as important as another.

    Returns:
        The temperature without a profile, and how it falls with one.
    """
    from scipy.optimize import minimize

    found = []
    for size in CALIBRATED_SIZES:
        for table in tables:
            draws = [logits_with_profiles(state, table, size, seed) for seed in range(DRAWS)]
            count = len(table.truth) / len(set(table.speakers)) if size == ALL else size
            found.append((count, np.concatenate(draws), np.tile(table.truth, DRAWS)))

    def loss(values: np.ndarray) -> float:
        alone, floor, half = np.exp(values)
        calibration = ProfileCalibration(float(floor), float(half))
        losses = []
        for count, logits, truth in found:
            probabilities = softmax(logits, calibration.temperature_of(float(alone), count))
            losses.append(-np.log(probabilities[np.arange(len(truth)), truth]).mean())
        return float(np.mean(losses))

    exact = {"xatol": 1e-4, "fatol": 1e-9, "maxiter": 2000}  # the loss is flat where the temperature is small
    best = minimize(loss, np.log([1.9, 0.5, 1.5]), method="Nelder-Mead", bounds=[(-3.0, 3.0)] * 3, options=exact)
    alone, floor, half = (round(float(value), 3) for value in np.exp(best.x))
    return alone, ProfileCalibration(floor, half)
