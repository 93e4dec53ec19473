"""The features of many utterances beside what is to be learned of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pathosnet.errors import InputError

LARGEST = 1e18
"""Features beyond this overflow in float32 as soon as they are squared."""


@dataclass(frozen=True)
class FeatureTable:
    """The feature sequences of some utterances, and their labels.

    Args:
        sequences: input name → one ``(time, …)`` tensor an utterance; a sequence may be empty.
        targets: label numbers, ``(utterances,)`` int64; numbers to estimate, ``(utterances, dimensions)`` float32; or
            both, the label number first, ``(utterances, 1 + dimensions)`` float32, not a number (NaN) where one is not
            known.
        copies: the same utterances from changed recordings, for training.
        names: where each utterance comes from (file and row), for messages; empty if that is not known.
        groups: whose profile each utterance is adapted to, such as its speaker's; empty for no adaptation.
        shares: of each class, ``(utterances, classes)`` float32, rows that sum to 1, where the loss compares outputs
            with them rather than with the label numbers, which stay what everything is measured by.
    """

    sequences: Mapping[str, Sequence[Tensor]]
    targets: Tensor
    copies: tuple["FeatureTable", ...] = ()
    names: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    shares: Tensor | None = None

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def learned(self) -> Tensor:
        """Targets of the loss, see ``join_shares``."""
        return join_shares(self.targets, self.shares)

    @property
    def class_numbers(self) -> Tensor:
        """Label numbers of a table of classes, perhaps beside dimensions, ``(utterances,)`` int64; -1 for no label."""
        return self.targets if self.targets.ndim == 1 else self.targets[:, 0].nan_to_num(-1.0).long()

    @property
    def versions(self) -> tuple["FeatureTable", ...]:
        """The utterances as they are, then the copies."""
        return (self, *self.copies)

    def subset(self, positions: Sequence[int]) -> "FeatureTable":
        """Takes the utterances at the positions."""
        return FeatureTable(
            {name: [sequence[i] for i in positions] for name, sequence in self.sequences.items()},
            self.targets[list(positions)],
            tuple(copy.subset(positions) for copy in self.copies),
            names=tuple(self.names[i] for i in positions) if self.names else (),
            groups=tuple(self.groups[i] for i in positions) if self.groups else (),
            shares=None if self.shares is None else self.shares[list(positions)],
        )

    def with_sequences(self, **sequences: Sequence[Tensor]) -> "FeatureTable":
        """Adds or replaces sequences; without the copies."""
        return replace(self, sequences={**self.sequences, **sequences}, copies=())

    def with_versions(self, name: str, versions: Sequence[Sequence[Tensor]]) -> "FeatureTable":
        """Adds or replaces the sequences of one input, in every version."""
        first, *copies = (
            table.with_sequences(**{name: sequences}) for table, sequences in zip(self.versions, versions, strict=True)
        )
        return replace(first, copies=tuple(copies))

    def with_targets(self, targets: Tensor) -> "FeatureTable":
        """Replaces the targets, in every version."""
        return replace(self, targets=targets, copies=tuple(copy.with_targets(targets) for copy in self.copies))

    def only(self, *names: str) -> "FeatureTable":
        """Keeps some of the inputs."""
        chosen = {name: self.sequences[name] for name in names}
        return replace(self, sequences=chosen, copies=tuple(copy.only(*names) for copy in self.copies))

    def check(self, may_lack: bool = False) -> None:
        """Checks that every number can be computed with.

        Args:
            may_lack: whether targets may be NaN, of what is not known.

        Raises:
            InputError: a feature or a target is not finite, or so large that it overflows; it names the utterance.
        """
        for number, version in enumerate(self.versions):
            for name, sequences in version.sequences.items():
                for i, sequence in enumerate(sequences):
                    found = _largest(sequence)
                    if not abs(found) < LARGEST:
                        copy = f", changed recording {number}" if number else ""
                        raise InputError(
                            f"{self._name_of(i)}{copy}: expected finite {name} features below {LARGEST:g}, got "
                            f"{found:g}; remove the row if the recording is damaged"
                        )
        if self.targets.is_floating_point():
            wrong = self.targets.isinf() if may_lack else ~self.targets.isfinite()
            for i in wrong.flatten(1).any(dim=1).nonzero().flatten().tolist():
                raise InputError(
                    f"{self._name_of(i)}: expected finite numbers to learn, got {self.targets[i].tolist()}"
                )

    def _name_of(self, i: int) -> str:
        return self.names[i] if self.names else f"utterance {i}"


def join_shares(targets: Tensor, shares: Tensor | None) -> Tensor:
    """Returns what the loss learns: shares of classes, if there are some, take the place of the label number.

    Args:
        targets: see FeatureTable.
        shares: ``(utterances, classes)``, or None.
    """
    if shares is None:
        return targets
    return shares if targets.ndim == 1 else torch.cat([shares, targets[:, 1:]], dim=1)


def _largest(sequence: Tensor) -> float:
    """Returns the value that is farthest from 0; not a number if one is none."""
    low, high = (float(end) for end in torch.aminmax(sequence)) if sequence.numel() else (0.0, 0.0)
    return low if abs(low) > abs(high) else high
