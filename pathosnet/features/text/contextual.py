"""Vectors that depend on the sentence: hidden states of a Hugging Face encoder, such as multilingual BERT or XLM-R."""

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from pathosnet.errors import InputError
from pathosnet.features.store import hash_weights
from pathosnet.features.text.encoder_outline import import_transformers, quietly, read_config
from pathosnet.files import to_path

PREFIX = "hf:"
WINDOWS_AT_ONCE = 32
FILES = ["*.json", "*.safetensors", "*.txt", "*.model"]  # nothing that is unpickled or run
HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
COMMIT = re.compile("[0-9a-f]{40}")
USUAL_PIECES = 512


class ContextualEmbedding(nn.Module):
    """Embeds sentences with an encoder: one vector for each sub-word piece.

    A text of more pieces than the encoder reads at once is read in windows that overlap by a quarter; each piece's
    vector comes from the window in which it has more of the text around it. Nothing is cut off.

    Args:
        encoder: from pieces ``(batch, pieces)`` to hidden states.
        tokenizer: its own, of transformers' fast kind.
        layer: whose hidden states are taken: -1 the last, 0 what the first layer reads.
        source: where it comes from, for messages.
        model: its name on the hub; None for an encoder that is not from there.
        revision: its commit on the hub.

    Raises:
        InputError: encoder or tokenizer is of another kind, or there is no such layer.
    """

    version = 1
    """Version of the vectors that it computes, for the feature store; see AcousticExtractor."""

    def __init__(
        self,
        encoder: nn.Module,
        tokenizer: Any,
        layer: int = -1,
        source: str = "encoder",
        model: str | None = None,
        revision: str | None = None,
    ) -> None:
        super().__init__()
        config: Any = encoder.config
        num_layers, dim = (getattr(config, name, None) for name in ("num_hidden_layers", "hidden_size"))
        reads_text = getattr(encoder, "main_input_name", "") == "input_ids"
        if num_layers is None or dim is None or not reads_text or getattr(config, "is_encoder_decoder", False):
            raise InputError(f"{source}: expected an encoder of text, such as BERT, got {type(encoder).__name__}")
        if not tokenizer.is_fast:
            raise InputError(f"{source}: has no fast tokenizer (tokenizer.json), which its pieces are needed from")
        if not -num_layers - 1 <= layer <= num_layers:
            raise InputError(f"text_layer: {source} has the layers 0 to {num_layers} (-1 is the last), got {layer}")
        self.encoder = encoder.float().eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.tokenizer.truncation_side = "right"
        self.layer = layer
        self.num_layers = num_layers
        self.source = source
        self.model = model
        self.revision = revision
        self.dim: int = dim
        self.max_pieces = _longest_input(encoder, tokenizer)
        if self.max_pieces - tokenizer.num_special_tokens_to_add() < 1:
            raise InputError(f"{source}: reads {self.max_pieces} pieces at once, which leaves no room for a text")

    def config(self) -> dict[str, Any]:
        """Returns, as JSON values, all but the weights that decides about the vectors."""
        return {"model": self.model, "revision": self.revision, "layer": self.layer}

    def fingerprint(self) -> str:
        """Hashes weights and tokenizer."""
        tokenizer = self.tokenizer.backend_tokenizer.to_str()
        return hashlib.sha256(f"{hash_weights(self)} {tokenizer}".encode()).hexdigest()

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> list[Tensor]:
        """Embeds texts; each one's vectors are the same as alone.

        Args:
            texts: sentences.

        Returns:
            One ``(pieces, dim)`` float32 a text, on the encoder's device, without the encoder's special pieces.
        """
        if not texts:
            return []
        room = self.max_pieces - self.tokenizer.num_special_tokens_to_add()
        overlap = room // 4
        cut = self.tokenizer(
            list(texts),
            truncation=True,
            max_length=self.max_pieces,
            stride=overlap,
            return_overflowing_tokens=True,
            return_special_tokens_mask=True,
        )
        owners = cut["overflow_to_sample_mapping"]
        vectors = self._embed_windows(cut["input_ids"], cut["special_tokens_mask"])
        windows: list[list[Tensor]] = [[] for _ in texts]
        for owner, window in zip(owners, vectors, strict=True):
            windows[owner].append(window)
        return [_joined(own, overlap) for own in windows]

    def count_known(self, words: Sequence[str]) -> int:
        """Returns how many of the words are one piece, a sign that the encoder knows their language."""
        unknown = self.tokenizer.unk_token
        pieces = [self.tokenizer.tokenize(word) for word in words]
        return sum(len(found) == 1 and found[0] != unknown for found in pieces)

    def _embed_windows(self, pieces: Sequence[list[int]], special: Sequence[list[int]]) -> list[Tensor]:
        """Runs windows through the encoder, those of about the same length together."""
        device = next(self.encoder.parameters()).device
        vectors: dict[int, Tensor] = {}
        order = sorted(range(len(pieces)), key=lambda i: len(pieces[i]))
        for start in range(0, len(order), WINDOWS_AT_ONCE):
            batch = order[start : start + WINDOWS_AT_ONCE]
            rows = [torch.tensor(pieces[i]) for i in batch]
            padding = self.tokenizer.pad_token_id or 0
            ids = pad_sequence(rows, batch_first=True, padding_value=padding)
            mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
            hidden = self._hidden_states(ids.to(device), mask.to(device))
            for i, states in zip(batch, hidden, strict=True):
                kept = torch.tensor(special[i], device=device) == 0
                vectors[i] = states[: len(kept)][kept]
        return [vectors[i] for i in range(len(pieces))]

    def _hidden_states(self, ids: Tensor, mask: Tensor) -> Tensor:
        is_last = self.layer in (-1, self.num_layers)
        found = self.encoder(input_ids=ids, attention_mask=mask, output_hidden_states=not is_last)
        states: Tensor = found.last_hidden_state if is_last else found.hidden_states[self.layer]
        return states


def load_encoder(name: str, layer: int = -1) -> ContextualEmbedding:
    """Opens an encoder of a folder, or of the Hugging Face hub, from where it is fetched once.

    With ``HF_HUB_OFFLINE=1`` only what was fetched before is used. Weights are read from safetensors alone, and code
    that comes with a model is never run.

    Args:
        name: a folder, or a model on the hub, perhaps with its branch, tag or commit: ``NAME@REVISION``.
        layer: see ContextualEmbedding.

    Raises:
        InputError: the transformers package or the model is missing, or it is no such encoder.
    """
    if to_path(name).is_dir():
        return open_encoder(to_path(name), layer, f"{PREFIX}{name}")
    model, _, revision = name.partition("@")
    return load_from_hub(model, revision or None, layer)


def load_from_hub(model: str, revision: str | None, layer: int = -1) -> ContextualEmbedding:
    """Opens an encoder of the hub; see ``load_encoder``.

    Raises:
        InputError: as there.
    """
    source = f"{PREFIX}{model}" + (f"@{revision}" if revision else "")
    if not HUB_NAME.fullmatch(model):
        raise InputError(f"{source}: expected a folder that is there, or a model's name on the hub, got {model!r}")
    import_transformers(source)
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(model, revision=revision, allow_patterns=FILES, ignore_patterns="*/*"))
    except Exception as error:  # the hub's, the network's and the disk's have no common class
        reason = " ".join(str(error).split())
        raise InputError(
            f"{source}: cannot be fetched, and was not fetched before ({reason[:200]}); check the name and the "
            f"network, or name a folder that holds the model, {PREFIX}FOLDER"
        ) from error
    commit = folder.name if COMMIT.fullmatch(folder.name) else None
    return open_encoder(folder, layer, source, model=model, revision=commit)


def open_encoder(
    folder: Path, layer: int, source: str, *, model: str | None = None, revision: str | None = None
) -> ContextualEmbedding:
    """Opens the encoder in a folder; see ContextualEmbedding for the arguments.

    Raises:
        InputError: it cannot be used.
    """
    transformers = import_transformers(source)
    # The tokenizer's threads, and processes that are forked later, do not go together.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    only_here: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        with quietly(transformers):
            config = read_config(transformers, folder)
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **only_here)
            encoder, notes = transformers.AutoModel.from_pretrained(
                folder, config=config, use_safetensors=True, output_loading_info=True, **only_here
            )
    except Exception as error:  # every model and tokenizer has its own exceptions for damaged files
        reason = " ".join(str(error).split())
        raise InputError(
            f"{source}: cannot be opened as an encoder of text ({reason[:200]}); expected config.json, "
            "model.safetensors and tokenizer.json"
        ) from error
    missing = sorted(name for name in notes["missing_keys"] if not name.startswith("pooler."))
    if missing:
        raise InputError(f"{source}: its weights are not those of its config.json ({missing[0]} is missing)")
    if hasattr(encoder, "pooler"):
        encoder.pooler = None  # not read, and random where the file has none
    return ContextualEmbedding(encoder, tokenizer, layer, source=source, model=model, revision=revision)


def save_encoder(embedding: ContextualEmbedding, folder: Path) -> None:
    """Writes encoder and tokenizer into a new folder, as safetensors, JSON and text."""
    with quietly(import_transformers(embedding.source)):
        embedding.encoder.save_pretrained(folder)  # type: ignore[operator]
        embedding.tokenizer.save_pretrained(folder)


def _longest_input(encoder: nn.Module, tokenizer: Any) -> int:
    """Returns how many pieces the encoder reads at once: as many as it has positions, or its tokenizer says."""
    limits = [tokenizer.model_max_length]  # an enormous number if it does not say
    for name, part in encoder.named_modules():
        if name.endswith("position_embeddings") and isinstance(part, nn.Embedding):
            # RoBERTa and its like count positions from behind the padding's
            limits.append(part.num_embeddings - (0 if part.padding_idx is None else part.padding_idx + 1))
    if len(limits) == 1:
        limits.append(getattr(encoder.config, "max_position_embeddings", None) or USUAL_PIECES)
    return int(min(limits))


def _joined(windows: Sequence[Tensor], overlap: int) -> Tensor:
    """Joins windows that overlap; where two have a piece, the one in which it is further from the edge counts."""
    last = len(windows) - 1
    start, end = overlap // 2, overlap - overlap // 2
    return torch.cat(
        [
            window[start if i > 0 else 0 : len(window) - end if i < last else len(window)]
            for i, window in enumerate(windows)
        ]
    )
