"""Whisper's encoder (Radford et al., 2022): log-mel frames → the hidden states of its layers.

Layers are named as in Hugging Face's checkpoints (``model.encoder.…``), so that their tensors go in as they are.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils.rnn import pad_sequence

MAX_LAYERS = 100
MAX_WIDTH = 1 << 14
MAX_POSITIONS = 1 << 16


@dataclass(frozen=True)
class WhisperShape:
    """Sizes of a Whisper encoder; the defaults are Whisper-base's.

    Args:
        num_bands: mel bands of a frame.
        dim: length of a vector.
        num_layers: transformer layers.
        num_heads: attention heads of a layer.
        hidden_dim: width of a layer's feed-forward part.
        num_positions: vectors that the encoder reads at once; 1,500 are 30 s.

    Raises:
        ValueError: a size that no such encoder has.
    """

    num_bands: int = 80
    dim: int = 512
    num_layers: int = 6
    num_heads: int = 8
    hidden_dim: int = 2048
    num_positions: int = 1500

    def __post_init__(self) -> None:
        limits = {"num_layers": MAX_LAYERS, "num_positions": MAX_POSITIONS}
        for name, value in vars(self).items():
            limit = limits.get(name, MAX_WIDTH)
            if type(value) is not int or not 1 <= value <= limit:
                raise ValueError(f"{name}: expected a whole number from 1 to {limit:,}, got {value!r}")
        if self.dim % self.num_heads:
            raise ValueError(f"dim: expected a multiple of {self.num_heads} heads, got {self.dim}")


class WhisperEncoder(nn.Module):
    """Whisper's encoder for recordings of any length up to its window, side by side without padding.

    The vectors of a batch lie behind one another in one matrix: dense layers multiply all of them at once, attention
    looks at each recording alone. A recording therefore has the same hidden states alone and in any batch, and nothing
    is computed for padding. The position table is cut to the recording.

    Args:
        shape: its sizes.

    >>> encoder = WhisperEncoder(WhisperShape(dim=8, num_layers=2, num_heads=2, hidden_dim=16))
    >>> states = encoder([torch.zeros(80, 100), torch.zeros(80, 31)], layers=[1, 2])
    >>> [tuple(one.shape) for one in states]
    [(2, 50, 8), (2, 16, 8)]
    """

    def __init__(self, shape: WhisperShape) -> None:
        super().__init__()
        self.shape = shape
        self.conv1 = nn.Conv1d(shape.num_bands, shape.dim, kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(shape.dim, shape.dim, kernel_size=3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(shape.num_positions, shape.dim)
        self.layers = nn.ModuleList(WhisperLayer(shape) for _ in range(shape.num_layers))
        self.layer_norm = nn.LayerNorm(shape.dim)

    def forward(self, mels: Sequence[Tensor], layers: Sequence[int]) -> list[Tensor]:
        """Computes hidden states, no further than to the highest layer that is asked for.

        Args:
            mels: log-mel frames of each recording, ``(bands, frames)``; at least one, at most two for each position.
            layers: which hidden states, in ascending order: 0 is what the first layer reads, 1 what it returns, …;
                those of the last layer are normalized, as everywhere.

        Returns:
            For each recording ``(layers, vectors, dim)``, with a vector for every two frames.
        """
        embedded = self.embed_together(mels) if mels[0].is_cuda else [self.embed(mel) for mel in mels]
        lengths = [len(vectors) for vectors in embedded]
        x = torch.cat(embedded) if len(embedded) > 1 else embedded[0]
        states = self.states_from(x, lengths, layers)
        return [states] if len(embedded) == 1 else list(states.split(lengths, dim=1))

    def embed(self, mel: Tensor) -> Tensor:
        """Computes what the first layer reads: ``(bands, frames)`` → ``(vectors, dim)``."""
        x = functional.gelu(self.conv1(mel.unsqueeze(0)))
        vectors: Tensor = functional.gelu(self.conv2(x))[0].T  # (dim, vectors) -> (vectors, dim)
        return vectors + self.embed_positions.weight[: vectors.shape[0]]

    def embed_together(self, mels: Sequence[Tensor]) -> list[Tensor]:
        """Does the same as ``embed`` for several recordings, padded: a GPU waits for small convolutions."""
        lengths = [mel.shape[1] for mel in mels]
        frames = pad_sequence([mel.T for mel in mels], batch_first=True).transpose(1, 2)
        real = torch.arange(frames.shape[2], device=frames.device) < frames.new_tensor(lengths).unsqueeze(1)
        x = functional.gelu(self.conv1(frames)) * real.unsqueeze(1)
        vectors = functional.gelu(self.conv2(x)).transpose(1, 2)  # (batch, dim, vectors) -> (batch, vectors, dim)
        vectors = vectors + self.embed_positions.weight[: vectors.shape[1]]
        return [one[: (length + 1) // 2] for one, length in zip(vectors, lengths, strict=True)]

    def states_from(self, x: Tensor, lengths: Sequence[int], layers: Sequence[int], *, start: int = 0) -> Tensor:
        """Goes on from the hidden states of one layer.

        Args:
            x: of all recordings behind one another, ``(vectors, dim)``.
            lengths: vectors of each recording.
            layers: see ``forward``; none below ``start``.
            start: the layer that ``x`` comes from.

        Returns:
            ``(layers, vectors, dim)``.
        """
        kept = [x] if start in layers else []
        for number, layer in enumerate(self.layers[start : layers[-1]], start + 1):
            x = layer(x, lengths)
            if number in layers:
                kept.append(self.layer_norm(x) if number == len(self.layers) else x)
        return torch.stack(kept)


class WhisperLayer(nn.Module):
    """Self-attention and a feed-forward part, each normalized first and added to its input."""

    def __init__(self, shape: WhisperShape) -> None:
        super().__init__()
        self.self_attn = WhisperAttention(shape)
        self.self_attn_layer_norm = nn.LayerNorm(shape.dim)
        self.fc1 = nn.Linear(shape.dim, shape.hidden_dim)
        self.fc2 = nn.Linear(shape.hidden_dim, shape.dim)
        self.final_layer_norm = nn.LayerNorm(shape.dim)

    def forward(self, x: Tensor, lengths: Sequence[int]) -> Tensor:
        """``(vectors, dim)`` → the same shape; ``lengths`` says which vectors belong to one recording."""
        x = x + self.self_attn(self.self_attn_layer_norm(x), lengths)
        added: Tensor = x + self.fc2(functional.gelu(self.fc1(self.final_layer_norm(x))))
        return added


class WhisperAttention(nn.Module):
    """Multi-head attention within each recording; the keys have no bias."""

    def __init__(self, shape: WhisperShape) -> None:
        super().__init__()
        self.num_heads = shape.num_heads
        self.k_proj = nn.Linear(shape.dim, shape.dim, bias=False)
        self.v_proj = nn.Linear(shape.dim, shape.dim)
        self.q_proj = nn.Linear(shape.dim, shape.dim)
        self.out_proj = nn.Linear(shape.dim, shape.dim)

    def forward(self, x: Tensor, lengths: Sequence[int]) -> Tensor:
        """``(vectors, dim)`` → the same shape."""
        # (vectors, dim) -> (vectors, heads, dim / heads)
        parts = [
            projection(x).unflatten(1, (self.num_heads, -1)) for projection in (self.q_proj, self.k_proj, self.v_proj)
        ]
        if x.is_cuda and len(lengths) > 1:
            seen = attend_together(parts, lengths)
        else:
            recordings = zip(*(part.split(list(lengths)) for part in parts), strict=True)
            seen = torch.cat([attend([part.unsqueeze(0) for part in own])[0] for own in recordings])
        attended: Tensor = self.out_proj(seen.flatten(1))
        return attended


def attend(parts: Sequence[Tensor], mask: Tensor | None = None) -> Tensor:
    """Attends with queries to keys and values, each ``(batch, vectors, heads, features)`` as the result is.

    Where PyTorch is asked for the same numbers in every run, a GPU's faster ways are not taken in training: their
    gradients differ from run to run, and may be no numbers at all.
    """
    query, key, value = (part.transpose(1, 2) for part in parts)
    exact = query.is_cuda and query.requires_grad and torch.are_deterministic_algorithms_enabled()
    with sdpa_kernel(SDPBackend.MATH) if exact else nullcontext():
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask).transpose(1, 2)


def attend_together(parts: Sequence[Tensor], lengths: Sequence[int]) -> Tensor:
    """Attends within each of several recordings at once, padded: a GPU waits for one after the other.

    Args:
        parts: queries, keys and values of all recordings behind one another, ``(vectors, heads, features)``.
        lengths: vectors of each recording.

    Returns:
        ``(vectors, heads, features)``.
    """
    padded = [pad_sequence(part.split(list(lengths)), batch_first=True) for part in parts]
    counts = torch.tensor(lengths, device=padded[0].device)
    real = torch.arange(padded[0].shape[1], device=padded[0].device) < counts.unsqueeze(1)
    seen = attend(padded, real[:, None, None])
    return torch.cat([one[:length] for one, length in zip(seen, lengths, strict=True)])
