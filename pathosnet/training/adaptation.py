"""Profiles of random recordings: a network that is trained with them works with a profile of any size, or none."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from pathosnet.features.profile import SHRINKAGE, group_members, mean_features, shrunk_offset
from pathosnet.features.table import FeatureTable

COUNTS = (0, 1, 3, 5, 10, 20, None)
"""Recordings of a profile, one of which is drawn at a time; None for all of the speaker's."""


class ProfileDraws:
    """Draws, for an utterance and an epoch, the offset of a profile of some other recordings of the same group.

    Args:
        table: with ``groups``.
        centers: what profiles are shrunk towards, acoustic feature → ``(features,)``.
        seed: the same seed, epoch and utterance give the same profile, also in a run that is continued.
        shrinkage: see ``pathosnet.features.profile``.
    """

    def __init__(
        self, table: FeatureTable, centers: Mapping[str, Tensor], seed: int, shrinkage: float = SHRINKAGE
    ) -> None:
        self.means = mean_features(table, centers)
        self.centers = {name: center.cpu() for name, center in centers.items()}
        self.seed = seed
        self.shrinkage = shrinkage
        self.others = [np.empty(0, dtype=int)] * len(table)
        for members in group_members(table.groups):
            for i in members:
                self.others[i] = np.array([other for other in members if other != i], dtype=int)

    def draw(self, i: int, epoch: int) -> dict[str, Tensor]:
        """Returns what to subtract from utterance ``i``, acoustic feature → ``(features,)``."""
        generator = np.random.default_rng((self.seed, epoch, i))
        count = COUNTS[generator.integers(len(COUNTS))]
        others = self.others[i]
        chosen = others if count is None else generator.permutation(others)[:count]
        rows = torch.from_numpy(chosen)
        return {
            name: shrunk_offset(self.means[name][rows], center, self.shrinkage) for name, center in self.centers.items()
        }
