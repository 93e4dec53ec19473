"""Inputs of a network: feature sequences of recordings and transcripts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pathosnet.audio.inspection import USELESS
from pathosnet.audio.reading import Recording
from pathosnet.audio.voice import check_speech
from pathosnet.errors import InputError
from pathosnet.features import TextEmbedder, tokenize
from pathosnet.features.acoustic.extractors import AcousticExtractor, extract_together
from pathosnet.features.profile import Profile
from pathosnet.models import TEXT


@torch.no_grad()
def extract_inputs(
    waveforms: Iterable[Tensor | None],
    texts: Sequence[str | None],
    languages: Sequence[str | None],
    *,
    extractors: Mapping[str, AcousticExtractor],
    text: TextEmbedder | None,
    device: torch.device,
) -> list[dict[str, Tensor]]:
    """Extracts the feature sequences of several utterances.

    Args:
        waveforms: each ``(samples,)`` at 16 kHz, without samples if it is silent, or None.
        texts: what is said; None or blank where that is not known.
        languages: of the texts.
        extractors: acoustic feature → extractor.
        text: word vectors, if the network reads text.
        device: where the features are to be.

    Returns:
        For each utterance input name → ``(time, features)``; no rows for what is missing or too short.

    Raises:
        InputError: of one nothing was given that the network reads.
    """
    embedded = _embed(texts, languages, text, device=device)
    found: list[dict[str, Tensor]] = []
    listened: list[int] = []  # which of them have audio

    def heard() -> Iterator[Tensor]:
        for waveform, said, words in zip(waveforms, texts, embedded, strict=True):
            is_said = text is not None and bool(said and said.strip())
            if not (is_said or (waveform is not None and extractors)):
                kinds = " or ".join((["audio"] if extractors else []) + ([TEXT] if text is not None else []))
                raise InputError(f"this model reads {kinds}: expected at least one of its inputs, got none")
            found.append({name: torch.zeros(0, e.feature_dim, device=device) for name, e in extractors.items()} | words)
            if waveform is not None and len(waveform):
                listened.append(len(found) - 1)
                yield waveform.to(device)

    for i, features in enumerate(extract_together(heard(), extractors)):
        found[listened[i]] |= features
    return found


def _embed(
    texts: Sequence[str | None], languages: Sequence[str | None], text: TextEmbedder | None, *, device: torch.device
) -> list[dict[str, Tensor]]:
    if text is None:
        return [{} for _ in texts]
    keys = [text.choose_table(tokenize(said or ""), one) for said, one in zip(texts, languages, strict=True)]
    return [{TEXT: vectors.to(device)} for vectors in text.embed_all(texts, keys)]


class Batch(NamedTuple):
    """Utterances that go through a network together."""

    features: list[dict[str, Tensor]]
    """Name → ``(time, features)`` of each, as it was heard."""
    adapted: list[dict[str, Tensor]]
    """As the network reads them: adapted to the speaker's profile, where there is one."""
    names: list[str]
    """Names of their files, where they have some."""
    warnings: list[tuple[str, ...]]
    profiles: Sequence[Profile | None]


def oddities(recording: Recording) -> tuple[str, ...]:
    """Returns what is odd about a recording; whether anybody speaks, where there is something to hear."""
    heard = audible(recording)
    return (*recording.warnings, *check_speech(heard)) if len(heard) else recording.warnings


def audible(recording: Recording) -> Tensor:
    """Returns a waveform; of a recording in which nothing is left of a voice, one without samples."""
    return recording.waveform[:0] if set(recording.warnings) & set(USELESS) else recording.waveform
