"""Whisper's encoder from a Hugging Face folder; the transformers package is not needed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import safe_open
from torch import Tensor, nn

from pathosnet.backbones.speech_encoder import WhisperEncoder, WhisperShape
from pathosnet.errors import InputError
from pathosnet.features.acoustic.encoders.base import SpeechEncoder
from pathosnet.features.acoustic.whisper_log_mel import HOP_SAMPLES, MIN_SAMPLES, whisper_log_mel
from pathosnet.files import read_json, write_json

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
PREFIXES = ("model.encoder.", "encoder.")
SIZES = {
    "num_mel_bins": "num_bands",
    "d_model": "dim",
    "encoder_layers": "num_layers",
    "encoder_attention_heads": "num_heads",
    "encoder_ffn_dim": "hidden_dim",
    "max_source_positions": "num_positions",
}
"""Their names in ``config.json`` → in WhisperShape."""


class Whisper(SpeechEncoder):
    """Recordings → hidden states of Whisper's encoder, 50 vectors a second; at least 0.025 s, at most 30 s at once.

    Args:
        network: the encoder.
    """

    def __init__(self, network: WhisperEncoder) -> None:
        shape = network.shape
        last = shape.num_layers - max(1, shape.num_layers // 6)
        super().__init__(
            network,
            dim=shape.dim,
            num_layers=shape.num_layers,
            hop_samples=2 * HOP_SAMPLES,
            min_samples=MIN_SAMPLES,
            max_samples=2 * HOP_SAMPLES * shape.num_positions,
            default_layers=(min(shape.num_layers // 2, last), last),
        )
        self.shape = shape

    def forward(self, waveforms: Sequence[Tensor], layers: Sequence[int]) -> list[Tensor]:
        """Computes ``(layers, time, dim)`` for each recording, see SpeechEncoder."""
        mels = [whisper_log_mel(waveform, self.shape.num_bands) for waveform in waveforms]
        states: list[Tensor] = self.network(mels, layers)
        return states

    @property
    def layers(self) -> Sequence[nn.Module]:
        """Its layers, the lowest first."""
        layers: nn.ModuleList = self.network.layers  # type: ignore[assignment]
        return list(layers)

    @property
    def norm(self) -> nn.Module:
        """The norm over the hidden states of the last layer."""
        norm: nn.Module = self.network.layer_norm  # type: ignore[assignment]
        return norm

    def states_from(self, x: Tensor, lengths: Sequence[int], layers: Sequence[int], *, start: int = 0) -> Tensor:
        """Goes on from the hidden states of one layer, see SpeechEncoder."""
        states: Tensor = self.network.states_from(x, lengths, layers, start=start)  # type: ignore[operator]
        return states

    def save(self, folder: Path) -> None:
        """Writes ``config.json`` and ``model.safetensors``, in half precision if nothing is lost by that."""
        sizes = {theirs: getattr(self.shape, ours) for theirs, ours in SIZES.items()}
        write_json(folder / "config.json", {"model_type": "whisper", "activation_function": "gelu", **sizes})
        state = {f"{PREFIXES[0]}{name}": value.cpu() for name, value in self.network.state_dict().items()}
        halves = {name: value.half() for name, value in state.items()}
        if all(torch.equal(halves[name].float(), value) for name, value in state.items()):
            state = halves
        safetensors.torch.save_file(state, folder / WEIGHTS_FILE, metadata={"format": "pt"})
        (folder / WEIGHTS_FILE).chmod(0o644)  # safetensors makes it readable by its owner alone


def open_whisper(folder: Path, config: Mapping[str, Any]) -> Whisper:
    """Reads the encoder of a Whisper model; the decoder is left out.

    Nothing of the size that ``config.json`` asks for is made before the file's header shows such tensors.

    Args:
        folder: with ``model.safetensors``, or the parts that ``model.safetensors.index.json`` lists.
        config: its ``config.json``.

    Raises:
        InputError: the files do not hold such an encoder.
    """
    path = folder / "config.json"
    if config.get("activation_function", "gelu") != "gelu" or config.get("scale_embedding"):
        raise InputError(f"{path}: expected a Whisper encoder with GELU and embeddings that are not scaled")
    try:
        shape = WhisperShape(**{ours: config[theirs] for theirs, ours in SIZES.items()})
    except KeyError as error:
        raise InputError(f"{path}: expected the sizes of a Whisper encoder, {error} is missing") from error
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    with torch.device("meta"):
        encoder = WhisperEncoder(shape)
    expected = {name: tuple(value.shape) for name, value in encoder.state_dict().items()}
    found: dict[str, Tensor] = {}
    for file in _weights_files(folder):
        found |= _read_encoder(file, expected)
    if missing := expected.keys() - found.keys():
        raise InputError(f"{folder}: holds no Whisper encoder of its config.json; {sorted(missing)[0]} is missing")
    encoder.load_state_dict(found, assign=True)
    return Whisper(encoder)


def _weights_files(folder: Path) -> Iterator[Path]:
    if (folder / WEIGHTS_FILE).is_file() or not (folder / INDEX_FILE).is_file():
        yield folder / WEIGHTS_FILE
        return
    try:
        names = set(read_json(folder / INDEX_FILE)["weight_map"].values())
        yield from (folder / Path(name).name for name in sorted(names))
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder / INDEX_FILE}: expected a weight_map from tensors to files") from error


def _read_encoder(file: Path, expected: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    if not file.is_file():
        raise InputError(f"{file}: no such file; expected a Hugging Face folder with config.json and {WEIGHTS_FILE}")
    found = {}
    try:
        with safe_open(file, "pt") as stored:
            for key in stored.keys():  # noqa: SIM118 - no mapping
                name = next((key.removeprefix(prefix) for prefix in PREFIXES if key.startswith(prefix)), None)
                if name is None:
                    continue
                shape = tuple(stored.get_slice(key).get_shape())
                if expected.get(name) != shape:
                    raise InputError(f"{file}: {key} has the shape {shape}, expected {expected.get(name)}")
                found[name] = stored.get_tensor(key).float()
    except (OSError, safetensors.SafetensorError, json.JSONDecodeError) as error:
        raise InputError(f"{file}: cannot be read as weights ({error}); get the file again") from error
    return found
