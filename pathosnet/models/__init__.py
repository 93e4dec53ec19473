"""PATHOSnet itself, the paper's figure 1: blocks make branches, branches a network, networks the ensemble."""

from pathosnet.models.blocks import MaskedBatchNorm, ResidualBlock, Stem, masked_mean
from pathosnet.models.branches import AudioBranch, Branch, PooledBranch, SequenceEncoder, Standardize, TextBranch
from pathosnet.models.ensemble import TEMPERATURE, Ensemble, network_from_config
from pathosnet.models.inputs import TEXT, Inputs, make_inputs, pad_batch, with_zero_rows
from pathosnet.models.layer_mix import LayerMix
from pathosnet.models.network import BranchOptions, Classified, EmotionNetwork

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
    "LayerMix",
    "MaskedBatchNorm",
    "PooledBranch",
    "ResidualBlock",
    "SequenceEncoder",
    "Standardize",
    "Stem",
    "TextBranch",
    "make_inputs",
    "masked_mean",
    "network_from_config",
    "pad_batch",
    "with_zero_rows",
]
