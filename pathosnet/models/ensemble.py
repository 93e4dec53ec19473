"""The ensemble: several networks without their classifiers, under a new one (paper, section 5; authors' code)."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pathosnet.models.branches import Standardize
from pathosnet.models.inputs import Inputs
from pathosnet.models.network import Classified, EmotionNetwork

TEMPERATURE = 96.0
"""The authors' code divides the concatenated features by this before it classifies them."""


class Ensemble(Classified):
    """Networks side by side, their features concatenated and classified.

    Args:
        networks: name → network, in the order of concatenation; they are copied without their classifiers.
        num_classes: of the new classifier.
        temperature: divides the concatenated features.
    """

    def __init__(
        self, networks: Mapping[str, EmotionNetwork], num_classes: int, temperature: float = TEMPERATURE
    ) -> None:
        super().__init__(sum(network.feature_dim for network in networks.values()), num_classes, temperature)
        copies = {name: copy.deepcopy(network) for name, network in networks.items()}
        for network in copies.values():
            network.classifier = None  # type: ignore[assignment]
        self.networks = nn.ModuleDict(copies)

    @property
    def input_dims(self) -> dict[str, int]:
        """Input name → length of its frames."""
        return {name: dim for network in self._networks() for name, dim in network.input_dims.items()}

    @property
    def standardizers(self) -> dict[str, Standardize]:
        """Acoustic feature → the training part's mean and deviation, of those that are standardized."""
        return {name: one for network in self._networks() for name, one in network.standardizers.items()}

    @property
    def layer_weights(self) -> dict[str, list[float]]:
        """Acoustic feature → the weight of each layer of its encoder, of those whose layers are mixed."""
        return {name: weights for network in self._networks() for name, weights in network.layer_weights.items()}

    def features(self, inputs: Inputs) -> Tensor:
        """Returns the networks' features side by side, ``(batch, feature_dim)``."""
        return torch.cat([network.features(inputs) for network in self._networks()], dim=1)

    def config(self) -> dict[str, Any]:
        """Returns what is needed to make an ensemble of this shape, as JSON values."""
        return {
            "networks": {name: network.config() for name, network in zip(self.networks, self._networks(), strict=True)},
            "num_classes": self.num_classes,
            "temperature": self.temperature,
        }

    def _networks(self) -> list[EmotionNetwork]:
        return [network for network in self.networks.values() if isinstance(network, EmotionNetwork)]


def network_from_config(config: Mapping[str, Any]) -> Classified:
    """Makes the network or ensemble that a ``config()`` describes, with fresh weights."""
    if "networks" in config:
        networks = {name: EmotionNetwork.from_config(part) for name, part in config["networks"].items()}
        return Ensemble(networks, config["num_classes"], config["temperature"])
    return EmotionNetwork.from_config(config)
