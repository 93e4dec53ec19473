"""Backbones where nothing is learned: batch norms folded into convolutions, channels last, in float32 or bfloat16."""

import copy
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pathosnet.backbones.mel_cnn import MelCNN
from pathosnet.backbones.thin_resnet34 import ThinResNet34
from pathosnet.backbones.vggish import VGGish

VALUES_AT_ONCE = 1 << 17  # of the windows whose feature maps a processor's caches hold
LARGE_PRODUCT = 1 << 24  # weights of dense layers that are worth computing in less than float32

Versions = list[tuple[int, int]]


class FusedBackbone:
    """A backbone's copy for inference, made by ``fused``; it gives what the backbone gives in evaluation mode.

    Args:
        backbone: in evaluation mode; stays as it is. A batch norm belongs to the convolution of its name, or to the
            layer before it.
        dtype: of convolutions and large products; None for the backbone's own.
    """

    def __init__(self, backbone: VGGish | ThinResNet34 | MelCNN, dtype: torch.dtype | None = None) -> None:
        self.versions = versions_of(backbone)
        self.made_of = [tensor.detach() for tensor in backbone.state_dict().values()]  # no other takes their places
        dense = [] if dtype else [layer for layer in backbone.modules() if isinstance(layer, nn.Linear)]
        # Dense layers change in nothing but their type: in the backbone's own they are shared, not copied.
        shared: dict[int, Any] = {id(weight): weight for layer in dense for weight in layer.parameters()}
        self.network: Any = copy.deepcopy(backbone, shared)
        for module in list(self.network.modules()):
            layer = ""
            for name, norm in list(module.named_children()):
                if isinstance(norm, nn.BatchNorm2d):
                    layer = name.removesuffix("_bn") if name.endswith("_bn") else layer  # else the one before
                    setattr(module, layer, fuse_conv_bn_eval(getattr(module, layer), norm))
                    setattr(module, name, nn.Identity())
                layer = name
        for module in self.network.modules():
            if isinstance(module, nn.Conv2d):
                module.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
            elif isinstance(module, nn.Linear) and dtype and module.weight.numel() >= LARGE_PRODUCT:
                module.to(dtype)
            if dtype is not None and isinstance(module, (nn.Conv2d, nn.Linear)):
                module.register_forward_pre_hook(_cast_input)

    @torch.no_grad()
    def __call__(self, windows: Tensor) -> Tensor:
        """Computes the features, ``(windows, …)`` → ``(windows, features)``."""
        return self.network.trainable_part(self._frozen_part(windows)).to(windows.dtype)

    @torch.no_grad()
    def frozen_part(self, windows: Tensor) -> Tensor:
        """Computes what the unlocked layer reads, ``(windows, channels, …)``."""
        return self._frozen_part(windows).to(windows.dtype)

    def _frozen_part(self, windows: Tensor) -> Tensor:
        at_once = max(1, VALUES_AT_ONCE // windows[0].numel()) if windows.device.type == "cpu" else len(windows)
        return torch.cat([self.network.frozen_part(piece) for piece in windows.split(at_once)])


_COPIES: WeakKeyDictionary[nn.Module, dict[torch.dtype | None, FusedBackbone]] = WeakKeyDictionary()


def fused(backbone: VGGish | ThinResNet34 | MelCNN, dtype: torch.dtype | None = None) -> FusedBackbone:
    """Returns a backbone's copy for inference, which is kept until the backbone's weights change.

    Args:
        backbone: in evaluation mode.
        dtype: see FusedBackbone; every type has a copy of its own.
    """
    copies = _COPIES.setdefault(backbone, {})
    if dtype not in copies or copies[dtype].versions != versions_of(backbone):
        with torch.inference_mode(False), torch.no_grad():
            copies[dtype] = FusedBackbone(backbone, dtype)
    return copies[dtype]


def versions_of(module: nn.Module) -> Versions:
    """Returns what changes with a module's weights: where each is in memory, and how often it was written to."""
    state = [*module.parameters(), *module.buffers()]
    return [(tensor.data_ptr(), -1 if tensor.is_inference() else tensor._version) for tensor in state]


def _cast_input(layer: nn.Module, inputs: tuple[Tensor]) -> Tensor:
    return inputs[0].to(layer.weight.dtype)  # type: ignore[arg-type]
