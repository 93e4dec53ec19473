"""Profiles of the speakers in a collection of recordings, made of the recordings themselves, without labels."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Literal

from torch import Tensor
from tqdm import tqdm

from pathosnet.audio.inspection import USELESS
from pathosnet.audio.read_ahead import read_ahead
from pathosnet.audio.reading import Recording
from pathosnet.errors import InputError
from pathosnet.features.profile import Profile
from pathosnet.prediction.inputs import PredictionInput
from pathosnet.recognizer.recognizer import PathosNet

Adaptation = Literal["none", "speaker", "all"]
"""Whose recordings, or turns of one recording, share a profile: nobody's, those of each speaker, or all of them."""
SPEAKER = "speaker"
AT_ONCE = 32


def make_profiles(
    model: PathosNet,
    inputs: Sequence[PredictionInput],
    adapt: Adaptation,
    *,
    workers: int | None = None,
    progress: bool = True,
) -> list[Profile | None]:
    """Listens to all recordings once, and makes a profile of each speaker.

    Args:
        model: which is to predict them.
        inputs: see ``find_inputs``; the column ``speaker`` of a table names speakers, elsewhere the folder does.
        adapt: see Adaptation.
        workers: see ``predict_inputs``.
        progress: show a progress bar, if there is a terminal to show it.

    Returns:
        For each input the profile of its speaker; None where nothing can be heard of that speaker.

    Raises:
        InputError: the model cannot adapt.
    """
    if adapt == "none":
        return [None] * len(inputs)
    speakers = [speaker_of(one) if adapt == "speaker" else "" for one in inputs]
    bar = tqdm(total=len(inputs), desc="profiles", unit="input", leave=False, disable=None if progress else True)
    with bar:
        audible = _audible(read_ahead(inputs, workers), speakers, bar)
        profiles = gather_profiles(model, ((speaker, recording.waveform) for speaker, recording in audible))
    return [profiles.get(speaker) for speaker in speakers]


def gather_profiles(model: PathosNet, recordings: Iterable[tuple[str, Tensor]]) -> dict[str, Profile]:
    """Makes a profile of each speaker, from recordings of which some at a time are in memory.

    Args:
        model: which is to predict them.
        recordings: speaker, and a waveform ``(samples,)`` at 16 kHz.

    Returns:
        Speaker → profile; nobody of whom all recordings are too short for the features.

    Raises:
        InputError: the model cannot adapt.
    """
    profiles: dict[str, Profile] = {}
    remaining = iter(recordings)
    while batch := list(islice(remaining, AT_ONCE)):
        features = model.extract([waveform for _, waveform in batch])
        for (speaker, _), one in zip(batch, features, strict=True):
            try:
                profile = model.profile_of([one])
            except InputError:
                if not model.network.centers:
                    raise
                continue  # too short for the features
            profiles[speaker] = profiles[speaker] + profile if speaker in profiles else profile
    return profiles


def speaker_of(one: PredictionInput) -> str:
    """Returns who speaks: the cell of the column ``speaker``, or the folder of the recording."""
    for name, cell in one.columns.items():
        if name.lower() == SPEAKER:
            return cell
    return str(one.audio.parent) if one.audio else ""


def _audible(
    recordings: Iterator[Recording | InputError | None], speakers: Sequence[str], bar: "tqdm[None]"
) -> Iterator[tuple[str, Recording]]:
    for speaker, recording in zip(speakers, recordings, strict=True):
        bar.update()
        if isinstance(recording, Recording) and not set(recording.warnings) & set(USELESS):
            yield speaker, recording
