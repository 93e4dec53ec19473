"""PATHOSnet itself, the paper's figure 1: blocks make branches, branches a network, networks the ensemble."""

from pathosnet.models.blocks import MaskedBatchNorm, ResidualBlock, Stem, masked_mean
from pathosnet.models.branches import AudioBranch, Branch, TextBranch
from pathosnet.models.ensemble import TEMPERATURE, Ensemble, network_from_config
from pathosnet.models.network import (
    TEXT,
    BranchOptions,
    Classified,
    EmotionNetwork,
    Inputs,
    make_inputs,
    with_zero_rows,
)

__all__ = [
    "TEMPERATURE",
    "TEXT",
    "AudioBranch",
    "Branch",
    "BranchOptions",
    "Classified",
    "EmotionNetwork",
    "Ensemble",
    "Inputs",
    "MaskedBatchNorm",
    "ResidualBlock",
    "Stem",
    "TextBranch",
    "make_inputs",
    "masked_mean",
    "network_from_config",
    "with_zero_rows",
]
