"""Feature sequences as datasets and padded batches."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
        targets: label numbers, ``(utterances,)`` int64.
    """

    sequences: Mapping[str, Sequence[Tensor]]
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    def subset(self, positions: Sequence[int]) -> "FeatureTable":
        """Takes the utterances at the positions."""
        chosen = {name: [sequence[i] for i in positions] for name, sequence in self.sequences.items()}
        return FeatureTable(chosen, self.targets[list(positions)])

    def with_sequences(self, **sequences: Sequence[Tensor]) -> "FeatureTable":
        """Adds or replaces sequences."""
        return FeatureTable({**self.sequences, **sequences}, self.targets)

    def only(self, *names: str) -> "FeatureTable":
        """Keeps some of the inputs."""
        return FeatureTable({name: self.sequences[name] for name in names}, self.targets)


class Batch(NamedTuple):
    """Padded inputs and their label numbers ``(batch,)``."""

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
    """A table's utterances one by one."""

    def __init__(self, table: FeatureTable) -> None:
        self.table = table

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int) -> tuple[dict[str, Tensor], Tensor]:
        return {name: values[index] for name, values in self.table.sequences.items()}, self.table.targets[index]


def collate(items: Sequence[tuple[Mapping[str, Tensor], Tensor]]) -> Batch:
    """Makes a batch of a dataset's items."""
    names = items[0][0].keys()
    inputs = pad_batch({name: [sequences[name] for sequences, _ in items] for name in names})
    return Batch(inputs, torch.stack([target for _, target in items]))


class EpochShuffle(DistributedSampler[int]):
    """A random order that depends on the seed and the epoch alone, so that a run which is continued sees the same.

    Several processes share one order; where it does not divide evenly, its beginning is repeated, as in PyTorch's.

    Args:
        dataset: to be shuffled.
        num_replicas: number of processes.
        rank: of this process.
        seed: of all epochs.
        epoch: the first; Lightning sets the following ones.
    """

    def __init__(
        self, dataset: FeatureDataset, num_replicas: int = 1, rank: int = 0, seed: int = 0, epoch: int = 0
    ) -> None:
        super().__init__(dataset, num_replicas, rank, seed=seed)
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        generator = np.random.default_rng((self.seed, self.epoch))
        order = np.resize(generator.permutation(len(self.dataset)), self.total_size)  # type: ignore[arg-type]
        return iter(order[self.rank :: self.num_replicas].tolist())


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
    """

    def __init__(
        self,
        train: FeatureTable,
        validation: FeatureTable,
        test: FeatureTable | None = None,
        batch_size: int = 32,
        seed: int = 0,
        first_epoch: int = 0,
    ) -> None:
        super().__init__()
        self.seed = seed
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
            EpochShuffle(dataset, processes, rank, self.seed, self.first_epoch)
            if shuffle
            else EachOnce(dataset, processes, rank)
        )
        # The features are in memory already: worker processes would only copy them.
        return DataLoader(dataset, self.batch_size, sampler=sampler, collate_fn=collate)
