"""Feature sequences as datasets and padded batches."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from pathosnet.errors import InputError
from pathosnet.features.profile import adapt_table, subtract
from pathosnet.features.table import FeatureTable, join_shares
from pathosnet.models import Inputs, pad_batch
from pathosnet.training.adaptation import ProfileDraws


class Batch(NamedTuple):
    """Padded inputs, their targets as FeatureTable has them, and perhaps shares ``(batch, classes)``."""

    inputs: Inputs
    targets: Tensor
    shares: Tensor | None = None

    @property
    def learned(self) -> Tensor:
        """Reference of the loss; see FeatureTable."""
        return join_shares(self.targets, self.shares)


class FeatureDataset(Dataset[tuple[Any, ...]]):
    """A table's utterances one by one; beyond its length, those of its copies.

    An item is input name → ``(time, …)``, the target, and the shares of classes if the table has some.

    Args:
        table: of the utterances.
        profiles: draws what is subtracted from each; None for nothing.
    """

    epoch = 0
    """The sampler sets it: what is drawn depends on it."""

    def __init__(self, table: FeatureTable, profiles: ProfileDraws | None = None) -> None:
        self.table = table
        self.profiles = profiles

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        version, i = divmod(index, len(self.table))
        table = self.table.versions[version]
        sequences = {name: values[i] for name, values in table.sequences.items()}
        if self.profiles is not None:
            sequences = subtract(sequences, self.profiles.draw(i, self.epoch))
        shares = () if self.table.shares is None else (self.table.shares[i],)
        return sequences, table.targets[i], *shares


def collate(items: Sequence[tuple[Any, ...]]) -> Batch:
    """Makes a batch of a dataset's items."""
    sequences, *further = zip(*items, strict=True)
    inputs = pad_batch({name: [of_one[name] for of_one in sequences] for name in sequences[0]})
    return Batch(inputs, *(torch.stack(column) for column in further))


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
        *,
        seed: int = 0,
        epoch: int = 0,
        balanced: bool = False,
    ) -> None:
        super().__init__(dataset, num_replicas, rank, seed=seed)
        self.epoch = epoch
        self.features = dataset
        self.table = dataset.table
        self.balanced = balanced

    def __iter__(self) -> Iterator[int]:
        self.features.epoch = self.epoch
        generator = np.random.default_rng((self.seed, self.epoch))
        drawn = self._balanced(generator) if self.balanced else generator.permutation(len(self.table))
        if self.table.copies:
            drawn = drawn + len(self.table) * generator.integers(len(self.table.versions), size=len(drawn))
        return iter(np.resize(drawn, self.total_size)[self.rank :: self.num_replicas].tolist())

    def _balanced(self, generator: np.random.Generator) -> np.ndarray:
        """Draws as many utterances as there are: a rare class' several times, of a frequent one not all.

        An utterance belongs to the class of its label, whatever shares of classes it has; those without a label are
        drawn like a class.
        """
        targets = np.asarray(self.table.class_numbers)
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


class Parts(Protocol):
    """Which utterances of a table train and which validate, by position; ``pathosnet.corpora.Split`` is one."""

    @property
    def train(self) -> Sequence[int]:
        """Positions of the training part."""

    @property
    def validation(self) -> Sequence[int]:
        """Positions of the validation part."""


class Positions(NamedTuple):
    """Parts of a table."""

    train: Sequence[int]
    validation: Sequence[int]


class EmotionDataModule(pl.LightningDataModule):
    """Loaders over tables of features; a table that is None has none.

    Args:
        train: shuffled at every epoch.
        validation: in order.
        test: in order.
        predict: in order; what is predicted is the test table if None.
        batch_size: utterances in a batch.
        seed: of the order of training.
        first_epoch: where training begins, if it is continued.
        balanced: draw every class equally often while training.
        centers: what profiles are shrunk towards, acoustic feature → ``(features,)``, for tables with ``groups``.
            While training each utterance is adapted to a few recordings of its group, drawn anew in every epoch, so
            that one network serves any number of them; the other parts are adapted to all recordings of the group.
    """

    def __init__(
        self,
        train: FeatureTable | None = None,
        validation: FeatureTable | None = None,
        test: FeatureTable | None = None,
        *,
        predict: FeatureTable | None = None,
        batch_size: int = 32,
        seed: int = 0,
        first_epoch: int = 0,
        balanced: bool = False,
        centers: Mapping[str, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.seed = seed
        self.centers = dict(centers or {})
        self.balanced = balanced
        self.first_epoch = first_epoch
        self.tables = {"train": train, "validation": validation, "test": test, "predict": predict or test}
        self.batch_size = batch_size

    def train_dataloader(self) -> DataLoader[Any]:
        """Returns shuffled batches."""
        dataset = self._dataset("train")
        return self._loader(
            dataset,
            EpochShuffle(dataset, *self._processes(), seed=self.seed, epoch=self.first_epoch, balanced=self.balanced),
        )

    def val_dataloader(self) -> DataLoader[Any]:
        """Returns batches in order."""
        return self._in_order("validation")

    def test_dataloader(self) -> DataLoader[Any]:
        """Returns batches in order."""
        return self._in_order("test")

    def predict_dataloader(self) -> DataLoader[Any]:
        """Returns batches in order."""
        return self._in_order("predict")

    def _in_order(self, part: str) -> DataLoader[Any]:
        dataset = self._dataset(part)
        return self._loader(dataset, EachOnce(dataset, *self._processes()))

    def _dataset(self, part: str) -> FeatureDataset:
        table = self.tables[part]
        if table is None:
            raise ValueError(f"expected a table for the {part} part, got None")
        processes, _ = self._processes()
        if len(table) < processes:
            raise InputError(
                f"the {part} part has {len(table)} utterances, fewer than the {processes} processes; use less"
            )
        if not self.centers:
            return FeatureDataset(table)
        if part == "train":
            return FeatureDataset(table, ProfileDraws(table, self.centers, self.seed) if table.groups else None)
        return FeatureDataset(adapt_table(table, self.centers))

    def _processes(self) -> tuple[int, int]:
        """Returns how many processes there are, and which this one is."""
        return (1, 0) if self.trainer is None else (self.trainer.world_size, self.trainer.global_rank)

    def _loader(self, dataset: FeatureDataset, sampler: DistributedSampler[int]) -> DataLoader[Any]:
        # The features are in memory already: worker processes would only copy them. All by keyword: Lightning makes
        # loaders again for predicting.
        return DataLoader(dataset, batch_size=self.batch_size, sampler=sampler, collate_fn=collate)
