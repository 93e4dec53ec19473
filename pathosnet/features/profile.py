"""A speaker's profile: what somebody's voice is like on average, from a few recordings without labels.

A model that is told may take that away, and hears what is left: how this recording differs from the speaker's others.
The mean of few recordings is uncertain; it is shrunk towards the mean of the training part.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import safetensors
import torch
from safetensors.torch import save_file
from torch import Tensor

from pathosnet.errors import InputError
from pathosnet.features.table import FeatureTable

SHRINKAGE = 3.0
"""So many recordings at the mean of the training part are added to those of a speaker."""
FORMAT = "pathosnet profile 1"
MAX_BYTES = 1 << 26


@dataclass(frozen=True)
class ProfileCalibration:
    """Calibration temperature of a model whose answers become surer the better it knows the speaker.

    Args:
        temperature: with a profile of very many recordings.
        recordings: with so many, half the way to it is gone.

    >>> ProfileCalibration(0.5, 1.5).temperature_of(1.9, num_recordings=0)
    1.9
    >>> round(ProfileCalibration(0.5, 1.5).temperature_of(1.9, num_recordings=3), 3)
    0.967
    """

    temperature: float
    recordings: float

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (isinstance(value, (int, float)) and 0 < value < 1000):
                raise InputError(f"profile_calibration: expected a {name} above 0, got {value!r}")

    def temperature_of(self, alone: float, num_recordings: int) -> float:
        """Returns what logits are divided by, from the temperature without a profile, ``alone``."""
        return self.temperature + (alone - self.temperature) / (1.0 + num_recordings / self.recordings)


def describe_adaptation(normalize: str) -> str:
    """Says how features were adapted without labels, for the first line of a report; empty if they were not.

    >>> describe_adaptation("speaker")
    "features adapted to each speaker's own unlabeled recordings (normalize: speaker)"
    """
    if normalize == "none":
        return ""
    return f"features adapted to each {normalize}'s own unlabeled recordings (normalize: {normalize})"


@dataclass(frozen=True)
class Profile:
    """Mean features of a speaker's recordings.

    Args:
        means: acoustic feature → the mean over recordings of each one's mean over time, ``(features,)``.
        num_recordings: of how many.
        made_by: tells the features of one model from those of another; see ``PathosNet.profile``.

    >>> one = Profile({"logmel": torch.tensor([1.0, 2.0])}, 1)
    >>> both = one + Profile({"logmel": torch.tensor([4.0, 2.0])}, 2)
    >>> both.num_recordings, both.means["logmel"]
    (3, tensor([3., 2.]))
    """

    means: Mapping[str, Tensor]
    num_recordings: int
    made_by: str = ""

    @classmethod
    def of(cls, recordings: Iterable[Mapping[str, Tensor]], made_by: str = "") -> "Profile":
        """Averages recordings, each its features ``(time, features)`` by name; those without any frame do not count.

        Raises:
            InputError: no recording has a frame.
        """
        means = [
            {name: sequence.mean(dim=0) for name, sequence in recording.items()}
            for recording in recordings
            if all(len(sequence) for sequence in recording.values())
        ]
        if not means:
            raise InputError("profile: expected at least one recording that is long enough for features, got none")
        names = means[0].keys()
        return cls({name: torch.stack([one[name] for one in means]).mean(dim=0) for name in names}, len(means), made_by)

    def __add__(self, other: "Profile") -> "Profile":
        """Joins what is known from other recordings of the same speaker."""
        if (self.made_by, self.means.keys()) != (other.made_by, other.means.keys()):
            raise InputError("profile: expected two profiles of one model, got profiles of two")
        count = self.num_recordings + other.num_recordings
        means = {
            name: (mean * self.num_recordings + other.means[name] * other.num_recordings) / count
            for name, mean in self.means.items()
        }
        return replace(self, means=means, num_recordings=count)

    def offsets(self, centers: Mapping[str, Tensor], shrinkage: float = SHRINKAGE) -> dict[str, Tensor]:
        """Returns what is to be subtracted from every frame, acoustic feature → ``(features,)``.

        Args:
            centers: acoustic feature → the mean of the training part, ``(features,)``.
            shrinkage: see SHRINKAGE.
        """
        share = self.num_recordings / (self.num_recordings + shrinkage)
        return {name: share * (self.means[name].to(center) - center) for name, center in centers.items()}

    def save(self, path: str | Path) -> None:
        """Writes the profile as safetensors."""
        about = {"format": FORMAT, "num_recordings": str(self.num_recordings), "made_by": self.made_by}
        save_file({name: mean.cpu().contiguous() for name, mean in self.means.items()}, path, about)

    @classmethod
    def load(cls, path: str | Path) -> "Profile":
        """Reads what ``save`` wrote.

        Raises:
            InputError: the file is not there, or is no profile.
        """
        path = Path(path)
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: expected a profile of at most {MAX_BYTES >> 20} MB that Profile.save wrote")
        try:
            with safetensors.safe_open(path, "pt") as file:
                about = file.metadata() or {}
                means = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
            count = json.loads(about.get("num_recordings", "0"))
        except (safetensors.SafetensorError, OSError, ValueError) as error:
            raise InputError(f"{path}: expected a profile that Profile.save wrote ({error})") from error
        sound = all(mean.ndim == 1 and mean.is_floating_point() and mean.isfinite().all() for mean in means.values())
        if about.get("format") != FORMAT or not isinstance(count, int) or count < 1 or not means or not sound:
            raise InputError(f"{path}: expected a profile that Profile.save wrote, got something else or a damaged one")
        return cls(means, count, about.get("made_by", ""))


def subtract(sequences: Mapping[str, Tensor], offsets: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Subtracts a profile's offsets from the frames of one recording, each ``(time, features)``."""
    return {name: seq - offsets[name].to(seq) if name in offsets else seq for name, seq in sequences.items()}


def mean_features(table: FeatureTable, names: Iterable[str]) -> dict[str, Tensor]:
    """Averages each utterance over time: acoustic feature → ``(utterances, features)``; not a number of empty ones."""
    return {name: torch.stack([sequence.float().mean(dim=0) for sequence in table.sequences[name]]) for name in names}


def adapt_table(table: FeatureTable, centers: Mapping[str, Tensor], shrinkage: float = SHRINKAGE) -> FeatureTable:
    """Subtracts from every utterance the profile of all recordings of its group in the table; labels are not used.

    Args:
        table: whose ``groups`` say who speaks; as it is if it has none.
        centers: see ``Profile.offsets``.
        shrinkage: see SHRINKAGE.
    """
    if not table.groups:
        return table
    means = mean_features(table, centers)
    adapted: dict[str, list[Tensor]] = {name: list(table.sequences[name]) for name in centers}
    for members in group_members(table.groups):
        for name, center in centers.items():
            offset = shrunk_offset(means[name][members], center, shrinkage)
            for i in members:
                adapted[name][i] = table.sequences[name][i] - offset
    return replace(table, sequences={**table.sequences, **adapted})


def shrunk_offset(means: Tensor, center: Tensor, shrinkage: float = SHRINKAGE) -> Tensor:
    """Returns the offset of some recordings' mean features ``(recordings, features)``; zeros of none.

    >>> shrunk_offset(torch.tensor([[4.0], [6.0]]), torch.tensor([1.0]), shrinkage=2.0)
    tensor([2.])
    """
    heard = means[means.isfinite().all(dim=1)]
    return (heard - center).sum(dim=0) / (len(heard) + shrinkage)


def group_members(groups: Sequence[str]) -> list[list[int]]:
    """Returns the positions of each group's utterances, in the order of their first."""
    members: dict[str, list[int]] = {}
    for i, group in enumerate(groups):
        members.setdefault(group, []).append(i)
    return list(members.values())
