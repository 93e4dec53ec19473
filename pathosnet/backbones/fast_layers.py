"""Layers without gradients: channels last, batch norm folded into the convolution, in float32 or less."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class FastLayers:
    """Runs a network's layers: as they are where gradients are wanted or the network trains, else the quick way.

    The quick way's weights are kept, and made again once the layer's own have changed. They are no part of the
    network's state, and copies of the network begin without them.

    Args:
        dtype: in which convolutions and large products are computed; None for that of the weights.
    """

    def __init__(self, dtype: torch.dtype | None = None) -> None:
        self.dtype = dtype
        self._kept: dict[nn.Module, tuple[list[tuple[Tensor, int, int]], Tensor, Tensor | None]] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> "FastLayers":
        return FastLayers(self.dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        return FastLayers, (self.dtype,)

    def convolve(self, x: Tensor, layer: nn.Conv2d, norm: nn.BatchNorm2d | None = None, relu: bool = True) -> Tensor:
        """Computes convolution, batch norm if there is one, and ReLU."""
        if not is_fast(layer):
            x = layer(x) if norm is None else norm(layer(x))
            return torch.relu(x) if relu else x
        weight, bias = self._weights(layer, norm)
        y = functional.conv2d(x.to(weight.dtype), weight, bias, layer.stride, layer.padding)
        return y.relu_() if relu else y

    def multiply(self, x: Tensor, layer: nn.Linear) -> Tensor:
        """Computes a dense layer."""
        if not is_fast(layer):
            return layer(x)
        weight, bias = self._weights(layer, None)
        return functional.linear(x.to(weight.dtype), weight, bias)

    def _weights(self, layer: nn.Conv2d | nn.Linear, norm: nn.BatchNorm2d | None) -> tuple[Tensor, Tensor | None]:
        sources = [layer.weight, layer.bias]
        if norm is not None:
            sources += [norm.weight, norm.bias, norm.running_mean, norm.running_var]
        state = [(t, t.data_ptr(), -1 if t.is_inference() else t._version) for t in sources if t is not None]
        kept = self._kept.get(layer)
        dtype = self.dtype or layer.weight.dtype
        if kept is None or kept[1].dtype != dtype or not _is_same(kept[0], state):
            with torch.inference_mode(False), torch.no_grad():
                weight, bias = (layer.weight, layer.bias) if norm is None else fold(layer.weight, norm)
                if weight.dim() == 4:
                    weight = weight.to(memory_format=torch.channels_last)
                kept = state, weight.detach().to(dtype), None if bias is None else bias.detach().to(dtype)
            self._kept[layer] = kept
        return kept[1:]


def is_fast(layer: nn.Module) -> bool:
    """Whether a layer may be run without its own forward: nothing learns from it, and nothing records it."""
    recorded = torch.compiler.is_compiling() or torch.jit.is_tracing()
    return not (torch.is_grad_enabled() or layer.training or recorded)


def fold(weight: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Returns weight and bias of a convolution that does what a convolution without bias and its batch norm do."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return weight * scale[:, None, None, None], norm.bias - norm.running_mean * scale


def in_pieces(module: nn.Module, network: Callable[[Tensor], Tensor], x: Tensor, size: int) -> Tensor:
    """Runs a part of a network on so many examples at a time, whose feature maps the processor's caches hold.

    Batches that something is learnt from stay whole, and so do those on other devices.
    """
    if torch.is_grad_enabled() or module.training or x.device.type != "cpu" or len(x) <= size:
        return network(x)
    return torch.cat([network(piece) for piece in x.split(max(1, size))])


def _is_same(old: list[tuple[Tensor, int, int]], new: list[tuple[Tensor, int, int]]) -> bool:
    return len(old) == len(new) and all(
        a is b and before == now for (a, *before), (b, *now) in zip(old, new, strict=True)
    )
