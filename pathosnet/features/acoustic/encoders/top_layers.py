"""Top layers of a speech encoder, which the second stage of training unlocks."""

import sys
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from pathosnet.features.acoustic.encoders.base import SpeechEncoder


class TopLayers(nn.Module):
    """Layers of an encoder, the highest of those that a feature is made of, with their own weights shared.

    What they read are hidden states side by side: those below that the feature is made of, and last the one that the
    lowest unlocked layer reads. Recordings that are longer than the encoder's window pass in pieces of that length.

    Args:
        encoder: whose layers they are; what is trained here, is trained there.
        layers: hidden states that the feature is made of, ascending.
        count: layers to unlock; all if there are not as many.
        finish: makes features ``(time, feature_dim)`` of a recording's hidden states ``(layers, time, dim)``.
        feature_dim: of the features.

    Raises:
        InputError: of this encoder no layers can be unlocked.
    """

    changes: Sequence[nn.Module] | None = None
    """Low-rank changes that are trained in place of each layer's weights, the highest layer first; see ``low_rank``."""

    def __init__(
        self,
        encoder: SpeechEncoder,
        layers: Sequence[int],
        count: int,
        *,
        finish: Callable[[Tensor], Tensor],
        feature_dim: int,
    ) -> None:
        super().__init__()
        self.start = max(0, layers[-1] - count)
        self.below = [layer for layer in layers if layer < self.start]
        self.above = [layer for layer in layers if layer >= self.start]
        self.finish = finish
        self.feature_dim = feature_dim
        self.dim = encoder.dim
        self.window = (encoder.max_samples or sys.maxsize) // encoder.hop_samples
        self.layers = nn.ModuleList(encoder.layers[self.start : layers[-1]])
        self.norm = encoder.norm if layers[-1] == encoder.num_layers else None
        self._encoder = (encoder,)  # not a part: its other layers are not trained

    @property
    def read(self) -> list[int]:
        """Numbers of the hidden states that the layers read, ascending."""
        return [*self.below, self.start]

    @property
    def unlocked_layer(self) -> nn.Module:
        """All that is trained."""
        return self if self.changes is None else nn.ModuleList(self.changes)

    @property
    def layers_from_top(self) -> Sequence[nn.Module]:
        """The trained parts of the layers, the highest first, the norm above the last layer with it."""
        if self.changes is not None:
            return self.changes
        top = list(self.layers)[::-1]
        return top if self.norm is None else [nn.ModuleList([top[0], self.norm]), *top[1:]]

    def trainable_sequences(self, hidden: Sequence[Tensor]) -> list[Tensor]:
        """Computes the features of recordings.

        Args:
            hidden: the hidden states that ``read`` names, side by side, ``(time, layers · dim)``; perhaps no rows.

        Returns:
            ``(time, features)`` of each; no rows of one that has none.
        """
        lengths = [len(one) for one in hidden]
        pieces = [min(self.window, length - begin) for length in lengths for begin in range(0, length, self.window)]
        if not pieces:
            return [one.new_zeros(0, self.feature_dim) for one in hidden]
        together = torch.cat(list(hidden)).unflatten(1, (-1, self.dim)).transpose(0, 1)  # (layers, vectors, dim)
        states = torch.cat(
            [together[:-1], self._encoder[0].states_from(together[-1], pieces, self.above, start=self.start)]
        )
        return [
            self.finish(one) if one.shape[1] else one.new_zeros(0, self.feature_dim)
            for one in states.split(lengths, dim=1)
        ]
