"""How far a recording's features lie from those that a network was trained on."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from pathosnet.models import Classified

UNLIKE = "unlike the recordings that the model was trained on"
"""Warning of a recording that is farther away than speech of other people, rooms and languages usually is."""
QUANTILE = 0.999
MARGIN = 1.6
"""So many times as far as the farthest of the training part. Speech of seven other corpora lies within base's, but for
2 % of one; chords, clicks and tones lie beyond (docs/prediction.md)."""


def measure_distances(network: Classified, name: str, sequences: Sequence[Tensor]) -> Tensor:
    """Measures how far recordings are from the mean of the training part.

    Args:
        network: which standardizes the feature.
        name: of the acoustic feature.
        sequences: of each recording, ``(time, features)``, at least one frame.

    Returns:
        ``(recordings,)``: the root mean square over features of the mean over time, in standard deviations.
    """
    standardize = network.standardizers[name]
    means = torch.stack([sequence.float().mean(dim=0) for sequence in sequences]).to(standardize.mean)
    return ((means - standardize.mean) / standardize.deviation).square().mean(dim=1).sqrt().cpu()


def measure_reach(network: Classified, sequences: Mapping[str, Sequence[Tensor]]) -> dict[str, float]:
    """Returns the distance, for each acoustic feature, beyond which a recording is unlike those of the training part.

    Args:
        network: which was trained.
        sequences: name → the training part's, ``(time, features)`` each; those without frames do not count.
    """
    reach = {}
    for name in network.standardizers:
        some = [sequence for sequence in sequences[name] if len(sequence)]
        if some:
            reach[name] = MARGIN * float(measure_distances(network, name, some).double().quantile(QUANTILE))
    return reach


def describe_distance(
    network: Classified, reach: Mapping[str, float], features: Mapping[str, Tensor]
) -> tuple[str, ...]:
    """Returns a warning if a recording's features ``(time, features)`` are out of reach, else nothing."""
    for name, farthest in reach.items():
        if len(features[name]) and float(measure_distances(network, name, [features[name]])) > farthest:
            return (UNLIKE,)
    return ()
