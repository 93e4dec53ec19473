"""Feature sequences as datasets and padded batches."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from pathosnet.errors import InputError
from pathosnet.models import Inputs


@dataclass(frozen=True)
class FeatureTable:
    """The feature sequences of some utterances, and their labels.

    Args:
        sequences: input name → one ``(time, …)`` tensor an utterance; a sequence may be empty.
        targets: label numbers, ``(utterances,)`` int64; or numbers to estimate, ``(utterances, dimensions)`` float32.
        copies: the same utterances from changed recordings, for training.
    """

    sequences: Mapping[str, Sequence[Tensor]]
    targets: Tensor
    copies: tuple["FeatureTable", ...] = ()

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def versions(self) -> tuple["FeatureTable", ...]:
        """The utterances as they are, then the copies."""
        return (self, *self.copies)

    def subset(self, positions: Sequence[int]) -> "FeatureTable":
        """Takes the utterances at the positions."""
        chosen = {name: [sequence[i] for i in positions] for name, sequence in self.sequences.items()}
        copies = tuple(copy.subset(positions) for copy in self.copies)
        return FeatureTable(chosen, self.targets[list(positions)], copies)

    def with_sequences(self, **sequences: Sequence[Tensor]) -> "FeatureTable":
        """Adds or replaces sequences; without the copies."""
        return FeatureTable({**self.sequences, **sequences}, self.targets)

    def with_versions(self, name: str, versions: Sequence[Sequence[Tensor]]) -> "FeatureTable":
        """Adds or replaces the sequences of one input, in every version."""
        changed = [
            FeatureTable({**table.sequences, name: sequences}, self.targets)
            for table, sequences in zip(self.versions, versions, strict=True)
        ]
        return FeatureTable(changed[0].sequences, self.targets, tuple(changed[1:]))

    def with_targets(self, targets: Tensor) -> "FeatureTable":
        """Replaces the targets, in every version."""
        return replace(self, targets=targets, copies=tuple(copy.with_targets(targets) for copy in self.copies))

    def only(self, *names: str) -> "FeatureTable":
        """Keeps some of the inputs."""
        chosen = {name: self.sequences[name] for name in names}
        return FeatureTable(chosen, self.targets, tuple(copy.only(*names) for copy in self.copies))


class Batch(NamedTuple):
    """Padded inputs and their targets, ``(batch,)`` or ``(batch, dimensions)``."""

    inputs: Inputs
    targets: Tensor


def pad_batch(sequences: Mapping[str, Sequence[Tensor]]) -> Inputs:
    """Pads sequences to the longest of each name.

    Args:
        sequences: name → one ``(time, …)`` tensor an utterance; some may be empty.

    Returns:
        Features ``(batch, time, …)`` and masks ``(batch, time)``.
    """
    features, masks = {}, {}
    for name, unpadded in sequences.items():
        lengths = torch.tensor([len(value) for value in unpadded])
        features[name] = pad_sequence(list(unpadded), batch_first=True)
        masks[name] = torch.arange(int(lengths.max())) < lengths.unsqueeze(1)
    return Inputs(features, masks)


class FeatureDataset(Dataset[tuple[dict[str, Tensor], Tensor]]):
    """A table's utterances one by one; beyond its length, those of its copies."""

    def __init__(self, table: FeatureTable) -> None:
        self.table = table

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int) -> tuple[dict[str, Tensor], Tensor]:
        version, i = divmod(index, len(self.table))
        table = self.table.versions[version]
        return {name: values[i] for name, values in table.sequences.items()}, table.targets[i]


def collate(items: Sequence[tuple[Mapping[str, Tensor], Tensor]]) -> Batch:
    """Makes a batch of a dataset's items."""
    names = items[0][0].keys()
    inputs = pad_batch({name: [sequences[name] for sequences, _ in items] for name in names})
    return Batch(inputs, torch.stack([target for _, target in items]))


class EpochShuffle(DistributedSampler[int]):
    """A random order that depends on the seed and the epoch alone, so that a run which is continued sees the same.

    Several processes share one order; where it does not divide evenly, its beginning is repeated, as in PyTorch's.
    Of an utterance with copies, one version is drawn.

    Args:
        dataset: to be shuffled.
        num_replicas: number of processes.
        rank: of this process.
        seed: of all epochs.
        epoch: the first; Lightning sets the following ones.
        balanced: draw every class that occurs equally often, instead of every utterance once.
    """

    def __init__(
        self,
        dataset: FeatureDataset,
        num_replicas: int = 1,
        rank: int = 0,
        seed: int = 0,
        epoch: int = 0,
        balanced: bool = False,
    ) -> None:
        super().__init__(dataset, num_replicas, rank, seed=seed)
        self.epoch = epoch
        self.table = dataset.table
        self.balanced = balanced

    def __iter__(self) -> Iterator[int]:
        generator = np.random.default_rng((self.seed, self.epoch))
        drawn = self._balanced(generator) if self.balanced else generator.permutation(len(self.table))
        if self.table.copies:
            drawn = drawn + len(self.table) * generator.integers(len(self.table.versions), size=len(drawn))
        return iter(np.resize(drawn, self.total_size)[self.rank :: self.num_replicas].tolist())

    def _balanced(self, generator: np.random.Generator) -> np.ndarray:
        """Draws as many utterances as there are: a rare class' several times, of a frequent one not all."""
        targets = np.asarray(self.table.targets)
        classes = generator.permutation(np.unique(targets))
        shares = np.bincount(np.arange(len(targets)) % len(classes))
        drawn = [
            np.resize(generator.permutation(np.flatnonzero(targets == label)), share)
            for label, share in zip(classes, shares, strict=True)
        ]
        return generator.permutation(np.concatenate(drawn))


class EachOnce(DistributedSampler[int]):
    """Every utterance in one process, once: figures are those of a single process, whatever the number of them.

    Args:
        dataset: to be taken in order.
        num_replicas: number of processes.
        rank: of this process.
    """

    def __init__(self, dataset: FeatureDataset, num_replicas: int = 1, rank: int = 0) -> None:
        super().__init__(dataset, num_replicas, rank, shuffle=False)
        self.positions = range(rank, len(dataset), num_replicas)

    def __iter__(self) -> Iterator[int]:
        return iter(self.positions)

    def __len__(self) -> int:
        return len(self.positions)


class EmotionDataModule(pl.LightningDataModule):
    """Training, validation and test loaders over tables of features.

    Args:
        train: shuffled at every epoch.
        validation: in order.
        test: in order; None if there is none.
        batch_size: utterances in a batch.
        seed: of the order of training.
        first_epoch: where training begins, if it is continued.
        balanced: draw every class equally often while training.
    """

    def __init__(
        self,
        train: FeatureTable,
        validation: FeatureTable,
        test: FeatureTable | None = None,
        batch_size: int = 32,
        seed: int = 0,
        first_epoch: int = 0,
        balanced: bool = False,
    ) -> None:
        super().__init__()
        self.seed = seed
        self.balanced = balanced
        self.first_epoch = first_epoch
        self.tables = {"train": train, "validation": validation, "test": test}
        self.batch_size = batch_size

    def train_dataloader(self) -> DataLoader[Any]:
        """Returns shuffled batches."""
        return self._loader("train", shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        """Returns batches in order."""
        return self._loader("validation")

    def test_dataloader(self) -> DataLoader[Any]:
        """Returns batches in order."""
        return self._loader("test")

    def _loader(self, part: str, shuffle: bool = False) -> DataLoader[Any]:
        table = self.tables[part]
        if table is None:
            raise ValueError(f"expected a table for the {part} part, got None")
        dataset = FeatureDataset(table)
        processes, rank = (1, 0) if self.trainer is None else (self.trainer.world_size, self.trainer.global_rank)
        if len(table) < processes:
            raise InputError(
                f"the {part} part has {len(table)} utterances, fewer than the {processes} processes; use less"
            )
        sampler = (
            EpochShuffle(dataset, processes, rank, self.seed, self.first_epoch, self.balanced)
            if shuffle
            else EachOnce(dataset, processes, rank)
        )
        # The features are in memory already: worker processes would only copy them.
        return DataLoader(dataset, self.batch_size, sampler=sampler, collate_fn=collate)
