"""Hidden states of other people's networks, noted while they run, and no further than they are wanted."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import Any

import torch
from torch import Tensor, nn


class _EnoughError(Exception):
    """Ends a network's forward once the highest wanted layer has answered."""


def hidden_states(run: Callable[[], Any], layers: Sequence[nn.Module], wanted: Sequence[int]) -> Tensor:
    """Runs a network and returns hidden states of its layers; the last layer's are not normalized further.

    Args:
        run: calls the network.
        layers: its layers, each of which takes ``(batch, time, dim)`` first and returns it, perhaps as the first of a
            tuple.
        wanted: numbers, ascending: 0 is what the first layer reads.

    Returns:
        ``(layers, batch, time, dim)``.
    """
    noted: dict[int, Tensor] = {}

    def note(number: int, value: Any) -> None:
        noted[number] = value[0] if isinstance(value, (tuple, list)) else value
        # What traces a network must see it end; what nobody reads is left out of the graph.
        if number == wanted[-1] and not torch.compiler.is_compiling():
            raise _EnoughError

    def before_first(_: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        note(0, arguments[0] if arguments else named["hidden_states"])

    with ExitStack() as stack:
        if wanted[0] == 0:
            handle = layers[0].register_forward_pre_hook(before_first, with_kwargs=True)
            stack.callback(handle.remove)
        for number, layer in enumerate(layers, 1):
            if number in wanted:
                handle = layer.register_forward_hook(lambda _, __, found, number=number: note(number, found))
                stack.callback(handle.remove)
        with suppress(_EnoughError):
            run()
    return torch.stack([noted[number] for number in wanted])


def by_length(waveforms: Sequence[Tensor], compute: Callable[[Tensor], Tensor]) -> list[Tensor]:
    """Computes recordings of one length together and others alone, so that nothing is padded.

    Args:
        waveforms: each ``(samples,)``.
        compute: ``(batch, samples)`` → ``(layers, batch, time, dim)``.

    Returns:
        For each recording ``(layers, time, dim)``.
    """
    groups: dict[int, list[int]] = {}
    for i, waveform in enumerate(waveforms):
        groups.setdefault(len(waveform), []).append(i)
    found: dict[int, Tensor] = {}
    for rows in groups.values():
        states = compute(torch.stack([waveforms[i] for i in rows]))
        found |= {i: states[:, row] for row, i in enumerate(rows)}
    return [found[i] for i in range(len(waveforms))]
