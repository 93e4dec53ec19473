"""Training utterances that a run keeps beside its model."""

import math
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from pathosnet.corpora import Corpus, Utterance
from pathosnet.recognizer.training_examples import TrainingExamples


def keep_examples(folder: Path, corpus: Corpus, positions: Sequence[int], joined: Tensor) -> None:
    """Writes what the classifier reads of training utterances into the folder of a run.

    Args:
        folder: of the run.
        corpus: that it was trained on.
        positions: of the training part.
        joined: ``(positions, feature_dim)``.
    """
    TrainingExamples(joined, [_about(corpus.utterances[i], corpus.target.dimensions) for i in positions]).write(folder)


def _about(utterance: Utterance, dimensions: Sequence[str]) -> dict[str, str]:
    values = zip(dimensions, utterance.values, strict=False)  # none where emotions alone are told apart
    known = (f"{name} {value:.2f}" for name, value in values if not math.isnan(value))
    label = ", ".join([*([utterance.emotion] if utterance.emotion else []), *known])
    audio = "" if utterance.audio is None else str(utterance.audio.resolve())
    return {"audio": audio, "text": utterance.text, "label": label, "speaker": utterance.speaker}
