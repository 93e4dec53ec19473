"""Training utterances that a run keeps beside its model, to say which of them a recording is like.

They are no part of the model: ``save_pretrained`` and ``push_to_hub`` leave them behind.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from pathosnet.errors import InputError
from pathosnet.files import to_path
from pathosnet.recognizer.files import own_file, read_safetensors, write_safetensors
from pathosnet.recognizer.inference import EmotionRecognizer
from pathosnet.recognizer.shipped import is_shipped

EXAMPLES_FILE = "embeddings.safetensors"
EMBEDDINGS, ROWS = "embeddings", "utterances"
COLUMNS = ("audio", "text", "label", "speaker")
NEAREST = 5


@dataclass(frozen=True)
class TrainingExample:
    """A training utterance, and how far it is from another one."""

    audio: str
    """Path of the recording; empty if there is none."""
    text: str
    label: str
    """Its emotion; of estimated dimensions, their values in words."""
    speaker: str
    distance: float
    """Cosine distance of what the classifier reads: 0 for the same direction, 1 for nothing in common, 2 at most."""

    @property
    def name(self) -> str:
        """Name of the recording's file, or what is said."""
        return Path(self.audio).name if self.audio else repr(self.text)


@dataclass(frozen=True)
class TrainingExamples:
    """Training utterances as the classifier reads them.

    Args:
        embeddings: ``(utterances, feature_dim)``; only their directions count.
        rows: ``audio``, ``text``, ``label`` and ``speaker`` of each.
    """

    embeddings: Tensor
    rows: Sequence[Mapping[str, str]]

    def write(self, folder: Path) -> None:
        """Writes them into the folder of a run; in float16, as directions."""
        directions = torch.nn.functional.normalize(self.embeddings.float(), dim=1).half()
        rows = json.dumps([[row[name] for name in COLUMNS] for row in self.rows], ensure_ascii=False)
        write_safetensors(folder / EXAMPLES_FILE, {EMBEDDINGS: directions}, {ROWS: rows})

    @classmethod
    def beside(cls, model: EmotionRecognizer) -> "TrainingExamples | None":
        """Reads those of the run that a model was loaded from; None if none were kept, or it is no run.

        Raises:
            InputError: the file is damaged, or of another model.
        """
        folder = to_path(model.origin)
        if not model.origin or is_shipped(model.origin) or not (folder / EXAMPLES_FILE).is_file():
            return None
        path = own_file(folder, EXAMPLES_FILE)
        embeddings = read_safetensors(path).get(EMBEDDINGS)
        try:
            with safe_open(path, "pt") as file:
                cells = json.loads((file.metadata() or {})[ROWS])
            rows = [dict(zip(COLUMNS, map(str, one), strict=True)) for one in cells]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: is damaged, or no file of embeddings ({error}); remove it") from error
        expected = (len(rows), model.network.feature_dim)
        if embeddings is None or embeddings.shape != expected:
            got = None if embeddings is None else tuple(embeddings.shape)
            raise InputError(f"{path}: expected embeddings {expected} of this model's training, got {got}; remove it")
        return cls(embeddings, rows)

    def nearest(self, embedding: Tensor, count: int = NEAREST) -> list[TrainingExample]:
        """Finds the utterances nearest to one, the nearest first.

        Args:
            embedding: what the classifier reads of it, ``(feature_dim,)``.
            count: at most so many.
        """
        similarities = torch.nn.functional.cosine_similarity(self.embeddings.float(), embedding.float()[None], dim=1)
        distances, order = (1.0 - similarities).clamp(min=0.0).sort(stable=True)
        pairs = zip(order[:count].tolist(), distances.tolist(), strict=False)
        return [TrainingExample(**self.rows[i], distance=distance) for i, distance in pairs]
