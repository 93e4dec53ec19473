"""Tiny speech encoders as Hugging Face folders, with random weights."""

from pathlib import Path

import safetensors.torch
import torch

from pathosnet.backbones.speech_encoder import WhisperEncoder, WhisperShape
from pathosnet.features.acoustic.encoders.whisper import SIZES
from pathosnet.files import write_json

SHAPE = WhisperShape(num_bands=80, dim=16, num_layers=3, num_heads=2, hidden_dim=32, num_positions=1500)


def random_whisper(seed: int = 0, shape: WhisperShape = SHAPE) -> WhisperEncoder:
    torch.manual_seed(seed)
    encoder = WhisperEncoder(shape).eval().requires_grad_(False)
    encoder.embed_positions.weight.mul_(0.1)
    return encoder


def whisper_folder(
    folder: Path, seed: int = 0, shape: WhisperShape = SHAPE, dtype: torch.dtype = torch.float32
) -> Path:
    """Writes what a download of a Whisper model holds: encoder and (here: some of the) decoder."""
    folder.mkdir(parents=True)
    sizes = {theirs: getattr(shape, ours) for theirs, ours in SIZES.items()}
    write_json(folder / "config.json", {"model_type": "whisper", "activation_function": "gelu", **sizes})
    state = {f"model.encoder.{k}": v.to(dtype) for k, v in random_whisper(seed, shape).state_dict().items()}
    state["model.decoder.layer_norm.weight"] = torch.ones(shape.dim, dtype=dtype)
    safetensors.torch.save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    return folder
