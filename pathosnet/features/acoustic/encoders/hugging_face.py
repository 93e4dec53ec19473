"""Speech encoders that run in transformers: wav2vec 2.0, HuBERT, WavLM, XLS-R, data2vec-audio, w2v-BERT 2.0."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pathosnet.errors import InputError
from pathosnet.features.acoustic.encoders.base import SAMPLE_RATE, SpeechEncoder
from pathosnet.features.acoustic.encoders.recording import by_length, hidden_states
from pathosnet.features.text.encoder_outline import import_transformers, quietly, read_config
from pathosnet.files import read_json

FAMILIES = ("wav2vec2", "hubert", "wavlm", "data2vec-audio", "wav2vec2-bert")
"""Values of ``model_type``; XLS-R's is wav2vec2."""
WINDOW_SECONDS = 30
VARIANCE_FLOOR = 1e-7  # transformers' own
FEW_SAMPLES = 400  # 25 ms, what the first vector reads
FEW_FRAME_SAMPLES = 880  # four frames of w2v-BERT, for two vectors
MAY_BE_MISSING = ("masked_spec_embed", "adapter", "intermediate_ffn")  # of training alone, or above the layers


class TransformersEncoder(SpeechEncoder):
    """Recordings → hidden states of a network of transformers, 50 vectors a second.

    Recordings of one length are computed together, others alone: the group norm of wav2vec 2.0 and HuBERT would see
    the padding.

    Args:
        network: the encoder.
        prepare: makes what the network reads of ``(batch, samples)``, by argument.
        min_samples: of a recording.
    """

    def __init__(self, network: nn.Module, prepare: "Preparation", min_samples: int) -> None:
        config: Any = network.config
        count = config.num_hidden_layers
        super().__init__(
            network,
            dim=config.hidden_size,
            num_layers=count,
            hop_samples=320,
            min_samples=min_samples,
            max_samples=WINDOW_SECONDS * SAMPLE_RATE,
            default_layers=(count // 3, 2 * count // 3),
        )
        self.prepare = prepare

    def forward(self, waveforms: Sequence[Tensor], layers: Sequence[int]) -> list[Tensor]:
        """Computes ``(layers, time, dim)`` for each recording, see SpeechEncoder."""
        return by_length(waveforms, lambda batch: self.compute(batch, layers))

    def compute(self, batch: Tensor, layers: Sequence[int]) -> Tensor:
        """Computes hidden states of recordings of one length: ``(batch, samples)`` → ``(layers, batch, time, dim)``."""
        inputs = self.prepare(batch)
        return hidden_states(lambda: self.network(**inputs), self.layers, layers)

    @property
    def layers(self) -> Sequence[nn.Module]:
        """Its layers, the lowest first."""
        encoder: Any = self.network.encoder
        return list(encoder.layers)

    def states_from(self, x: Tensor, lengths: Sequence[int], layers: Sequence[int], *, start: int = 0) -> Tensor:
        """Goes on from the hidden states of one layer, recording by recording, see SpeechEncoder."""
        found = []
        for vectors in x.split(list(lengths)):
            hidden = vectors.unsqueeze(0)
            positions = self._positions(hidden)
            kept = [hidden] if start in layers else []
            for number, layer in enumerate(self.layers[start : layers[-1]], start + 1):
                answer = layer(hidden, **positions)
                hidden = answer[0] if isinstance(answer, tuple) else answer
                if number in layers:
                    kept.append(hidden)
            found.append(torch.cat(kept))
        return torch.cat(found, dim=1)

    def _positions(self, hidden: Tensor) -> dict[str, Tensor]:
        """Returns what layers are told of positions: in WavLM by the lowest layer, in w2v-BERT by the encoder."""
        encoder: Any = self.network.encoder
        attention: Any = getattr(self.layers[0], "attention", None)
        if hasattr(attention, "rel_attn_embed"):
            return {"position_bias": attention.compute_bias(hidden.shape[1], hidden.shape[1])}
        embed = getattr(encoder, "embed_positions", None)
        return {} if embed is None else {"relative_position_embeddings": embed(hidden)}

    def save(self, folder: Path) -> None:
        """Writes network and preparation as transformers does."""
        with quietly(import_transformers("encoder")):
            self.network.save_pretrained(folder)  # type: ignore[operator]
            self.prepare.extractor.save_pretrained(folder)


class Preparation:
    """From samples to what a network reads.

    Args:
        extractor: transformers' feature extractor; it says whether each recording is normalized.
    """

    def __init__(self, extractor: Any) -> None:
        self.extractor = extractor
        self.reads_waveforms = not hasattr(extractor, "num_mel_bins")  # w2v-BERT reads mel frames

    def __call__(self, batch: Tensor) -> dict[str, Tensor]:
        """``(batch, samples)`` → the network's arguments."""
        if not self.reads_waveforms:
            rows = [row.cpu().numpy() for row in batch]
            found = self.extractor(rows, sampling_rate=SAMPLE_RATE, return_tensors="pt")
            return {"input_features": found["input_features"].to(batch.device)}
        if self.extractor.do_normalize:
            variance, mean = torch.var_mean(batch, dim=1, correction=0, keepdim=True)
            batch = (batch - mean) / (variance + VARIANCE_FLOOR).sqrt()
        return {"input_values": batch}


def open_with_transformers(folder: Path, source: str) -> TransformersEncoder:
    """Opens an encoder of one of the families.

    Weights are read from safetensors, or from a ``pytorch_model.bin`` without running code; code that comes with a
    model is never run, and nothing is made that is larger than the weights beside ``config.json``.

    Args:
        folder: with ``config.json`` and the weights.
        source: its name, for messages.

    Raises:
        InputError: transformers is missing, or the folder holds no such encoder.
    """
    kind = read_json(folder / "config.json").get("model_type")
    if kind not in FAMILIES:
        raise InputError(f"{source}: expected Whisper or one of {', '.join(FAMILIES)}, got {kind!r} in config.json")
    transformers = import_transformers(source)
    only_here: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        with quietly(transformers):
            config = read_config(transformers, folder)
            network, notes = transformers.AutoModel.from_pretrained(
                folder, config=config, output_loading_info=True, dtype=torch.float32, **only_here
            )
            extractor = _feature_extractor(transformers, folder, kind)
    except Exception as error:  # every model has its own exceptions for damaged files
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{source}: cannot be opened as a speech encoder ({reason}); expected config.json and model.safetensors"
        ) from error
    missing = sorted(name for name in notes["missing_keys"] if not any(part in name for part in MAY_BE_MISSING))
    if missing:
        raise InputError(f"{source}: its weights are not those of its config.json ({missing[0]} is missing)")
    few = FEW_FRAME_SAMPLES if kind == "wav2vec2-bert" else FEW_SAMPLES
    return TransformersEncoder(network, Preparation(extractor), few)


def _feature_extractor(transformers: Any, folder: Path, kind: str) -> Any:
    if (folder / "preprocessor_config.json").is_file():
        return transformers.AutoFeatureExtractor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if kind == "wav2vec2-bert":
        return transformers.SeamlessM4TFeatureExtractor()
    return transformers.Wav2Vec2FeatureExtractor()
