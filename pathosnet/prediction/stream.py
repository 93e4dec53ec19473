"""Predictions for any number of utterances, in batches that fit into memory."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from torch import Tensor

from pathosnet.audio.reading import SAMPLE_RATE, Recording
from pathosnet.errors import InputError
from pathosnet.features.profile import Profile
from pathosnet.recognizer.prediction import Prediction
from pathosnet.recognizer.recognizer import PathosNet

SAMPLES_TOGETHER = 10 * 60 * SAMPLE_RATE  # bounds the memory of a batch of long recordings


class Utterance(NamedTuple):
    """Input of a model: samples at 16 kHz (or the error instead of them), the spoken text, its language."""

    waveform: Recording | Tensor | InputError | None
    text: str | None = None
    language: str | None = None
    profile: Profile | None = None
    """The speaker's, see ``PathosNet.profile``."""


def predict_stream(
    model: PathosNet, utterances: Iterable[Utterance], batch_size: int = 32
) -> Iterator[Prediction | InputError]:
    """Predicts utterances as they come.

    Args:
        model: to ask.
        utterances: any number; those of one batch are in memory.
        batch_size: how many go through the network together.

    Yields:
        For each, in order, a prediction, or why there is none.
    """
    batch: list[Utterance] = []
    samples = 0
    for utterance in utterances:
        batch.append(utterance)
        if isinstance(utterance.waveform, (Recording, Tensor)):
            samples += len(utterance.waveform)
        if len(batch) >= batch_size or samples >= SAMPLES_TOGETHER:
            yield from _predict(model, batch)
            batch, samples = [], 0
    yield from _predict(model, batch)


def _predict(model: PathosNet, batch: list[Utterance]) -> Iterator[Prediction | InputError]:
    usable = [utterance for utterance in batch if not isinstance(utterance.waveform, InputError)]
    try:
        answers: list[Prediction | InputError] = []
        answers += _predict_together(model, usable)
    except InputError:  # one of them at least cannot be used; which one?
        answers = [_try(model, utterance) for utterance in usable]
    remaining = iter(answers)
    for utterance in batch:
        yield utterance.waveform if isinstance(utterance.waveform, InputError) else next(remaining)


def _predict_together(model: PathosNet, usable: list[Utterance]) -> list[Prediction]:
    waveforms, texts, languages, profiles = zip(*usable, strict=True) if usable else ((), (), (), ())
    size = max(len(usable), 1)
    return model.predict_batch(waveforms, texts, languages, sample_rate=SAMPLE_RATE, profiles=profiles, batch_size=size)


def _try(model: PathosNet, utterance: Utterance) -> Prediction | InputError:
    try:
        return _predict_together(model, [utterance])[0]
    except InputError as error:
        return error
