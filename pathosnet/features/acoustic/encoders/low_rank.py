"""Low-rank changes of an encoder's layers (LoRA, Hu et al., 2021), by the peft package; a trained model has none."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from pathosnet.errors import InputError
from pathosnet.features.acoustic.encoders.top_layers import TopLayers

ADAPTER = "default"


def import_peft() -> Any:
    """Imports peft.

    Raises:
        InputError: it is not installed.
    """
    try:
        import peft
    except ImportError as error:
        raise InputError("lora: needs the peft package; pip install 'pathosnet[lora]'") from error
    return peft


@contextmanager
def low_rank(backbone: object, rank: int) -> Iterator[None]:
    """Lets low-rank changes of layers learn in place of their weights; at the end they are added to the weights.

    The changes are products of two matrices beside every projection of attention and of the feed-forward part, and
    begin at zero. WavLM's attention reads its weights past such changes, so that there only the feed-forward part has
    them.

    Args:
        backbone: whose layers they are; others than an encoder's top layers stay as they are.
        rank: of the matrices; 0 for no changes.

    Raises:
        InputError: peft is not installed.
    """
    if not (rank and isinstance(backbone, TopLayers)):
        yield
        return
    peft = import_peft()
    layers = backbone.layers
    config = peft.LoraConfig(r=rank, lora_alpha=rank, target_modules=list(_projections(layers)))
    peft.inject_adapter_in_model(config, layers, adapter_name=ADAPTER)
    backbone.changes = [_matrices(layer) for layer in layers][::-1]
    try:
        yield
    finally:
        backbone.changes = None
        _merge(layers)


def _projections(layers: nn.Module) -> Iterator[str]:
    """Names the linear parts, except those of attention that does not call them."""
    for name, part in layers.named_modules():
        if isinstance(part, nn.Linear):
            parent = layers.get_submodule(name.rpartition(".")[0])
            if not hasattr(parent, "gru_rel_pos_const"):  # WavLM's
                yield name


def _matrices(layer: nn.Module) -> nn.ModuleList:
    changed: list[Any] = [part for part in layer.modules() if _is_changed(part)]
    return nn.ModuleList(matrices[ADAPTER] for part in changed for matrices in (part.lora_A, part.lora_B))


def _merge(layers: nn.Module) -> None:
    named: list[tuple[str, Any]] = list(layers.named_modules())
    for name, part in named:
        if _is_changed(part):
            part.merge()
            parent, _, own = name.rpartition(".")
            setattr(layers.get_submodule(parent), own, part.get_base_layer())


def _is_changed(part: Any) -> bool:
    return hasattr(part, "lora_A")
