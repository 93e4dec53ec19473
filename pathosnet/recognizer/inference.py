"""From recordings and transcripts to answers: a network, and all that makes what it reads."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pathosnet.audio.reading import read_recording
from pathosnet.emotions import PAPER_EMOTIONS
from pathosnet.errors import InputError
from pathosnet.features import TextEmbedder
from pathosnet.features.acoustic.extractors import AcousticExtractor
from pathosnet.features.profile import Profile, ProfileCalibration, subtract
from pathosnet.features.store import hash_weights
from pathosnet.models import TEXT, Classified, Inputs, pad_batch
from pathosnet.recognizer.card import Facts
from pathosnet.recognizer.front import Batch, audible, extract_inputs, oddities
from pathosnet.recognizer.prediction import Prediction
from pathosnet.recognizer.reach import describe_distance
from pathosnet.targets import Target, to_target

Audio = Any
"""A recording in any form that ``pathosnet.audio.reading.read_recording`` takes."""


class EmotionRecognizer(nn.Module):
    """A trained model with everything it needs to predict.

    It is a module in evaluation mode: ``to``, ``half``, ``state_dict`` and the like do what they do for any other.

    Args:
        network: branches under a classifier.
        acoustic: acoustic feature → its extractor, for every audio branch.
        text: word vectors, if there is a text branch.
        labels: of the outputs, in order: emotions, or a target that says what they mean, such as a DimensionTarget.
        facts: what is known about its making.
        calibration_temperature: divides the logits; see ``pathosnet.evaluation.calibration``.
        profile_calibration: how the temperature falls with a speaker's profile; None for not at all.
        reach: acoustic feature → the distance beyond which a recording is warned of, see ``measure_reach``; None for
            no such warning.
    """

    origin: str = ""
    """Where it was loaded from."""

    def __init__(
        self,
        network: Classified,
        acoustic: Mapping[str, AcousticExtractor],
        text: TextEmbedder | None,
        *,
        labels: Sequence[str] | Target = PAPER_EMOTIONS,
        facts: Facts | None = None,
        calibration_temperature: float = 1.0,
        profile_calibration: ProfileCalibration | None = None,
        reach: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        self.target = to_target(labels)
        if len(self.target) != network.num_classes:
            raise ValueError(f"expected {network.num_classes} labels, got {list(self.target.labels)}")
        dims = {name: extractor.feature_dim for name, extractor in acoustic.items()}
        if text is not None:
            dims[TEXT] = text.dim
        if dims != network.input_dims:
            raise InputError(f"expected features of dimensions {network.input_dims} for this network, got {dims}")
        self.network = network
        self.acoustic = nn.ModuleDict(acoustic)
        self.text = text
        self.facts = facts or Facts()
        self.calibration_temperature = calibration_temperature
        self.profile_calibration = profile_calibration
        self.reach = dict(reach or {})
        self.eval()

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the outputs, in order."""
        return self.target.labels

    def _apply(self, fn: Any, recurse: bool = True) -> "EmotionRecognizer":
        """Moves or converts everything, an encoder of text as well, which is no part of the state."""
        super()._apply(fn, recurse)
        for table in self.text.tables.values() if self.text is not None else ():
            if isinstance(table, nn.Module):
                table._apply(fn)
        return self

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    def __repr__(self) -> str:
        inputs = ", ".join(f"{name} ({dim})" for name, dim in self.network.input_dims.items())
        count = sum(parameter.numel() for parameter in self.parameters())
        said = [self.target.describe(), f"reads {inputs}"]
        said += [f"{count:,} parameters", *([f"from {self.origin}"] if self.origin else [])]
        return f"{type(self).__name__}({'; '.join(said)})"

    def predict(
        self,
        audio: Audio | None = None,
        text: str | None = None,
        language: str | None = None,
        *,
        sample_rate: int | None = None,
        profile: Profile | None = None,
    ) -> Prediction:
        """Recognizes the emotion of one utterance.

        Voice or text may be missing. One row of zeros then stands for it, as in the authors' code: the answer makes
        sense if the model was trained with modality dropout, and is unreliable otherwise. What the model does not read
        (text, for a voice-only model) is left aside. Silence counts as a missing voice. Where nothing was heard or
        read, there is no label, and all emotions are equally probable; ``warnings`` say why.

        Args:
            audio: a path; an open file or its bytes; samples with their ``sample_rate``, ``(samples,)``,
                ``(samples, channels)`` or ``(channels, samples)``, of any type; ``{"array": …, "sampling_rate": …}``;
                or ``(rate, samples)``.
            text: what is said.
            language: of the text, such as ``"it"``; found out if None and the model has several languages.
            sample_rate: of samples, in Hz.
            profile: of the speaker, see ``profile``.

        Raises:
            InputError: the recording cannot be used, nothing was given that the model reads, or its answer is not a
                finite number.
        """
        return self.predict_batch([audio], [text], [language], sample_rate=sample_rate, profiles=profile)[0]

    def predict_batch(
        self,
        audios: Sequence[Audio | None],
        texts: Sequence[str | None] | None = None,
        languages: Sequence[str | None] | None = None,
        *,
        sample_rate: int | None = None,
        profiles: Profile | Sequence[Profile | None] | None = None,
        batch_size: int = 32,
    ) -> list[Prediction]:
        """Recognizes the emotions of several utterances; each one's answer is the same as alone.

        Args:
            audios: see ``predict``.
            texts: as many, or None.
            languages: as many, or None.
            sample_rate: of samples, in Hz.
            profiles: the speaker's, see ``profile``, or one (or None) for each utterance.
            batch_size: utterances that go through the network together.

        Returns:
            One prediction an utterance, in order.
        """
        batches = self._heard(
            audios, texts, languages, sample_rate=sample_rate, profiles=profiles, batch_size=batch_size
        )
        return [prediction for batch in batches for prediction in self._answer(batch)]

    def embed(
        self,
        audios: Sequence[Audio | None],
        texts: Sequence[str | None] | None = None,
        languages: Sequence[str | None] | None = None,
        **options: Any,
    ) -> Tensor:
        """Computes what the classifier reads of each utterance: the features of all branches, joined.

        Args:
            audios: see ``predict_batch``, as for the rest.
            texts: as many, or None.
            languages: as many, or None.
            **options: ``sample_rate``, ``profiles``, ``batch_size``.

        Returns:
            ``(utterances, network.feature_dim)`` float32 on the CPU.
        """
        batches = self._heard(audios, texts, languages, **options)
        return torch.cat(
            [torch.zeros(0, self.network.feature_dim), *(self.joined(b.adapted, b.names) for b in batches)]
        )

    def _heard(
        self,
        audios: Sequence[Audio | None],
        texts: Sequence[str | None] | None,
        languages: Sequence[str | None] | None,
        *,
        sample_rate: int | None = None,
        profiles: Profile | Sequence[Profile | None] | None = None,
        batch_size: int = 32,
    ) -> Iterator[Batch]:
        """Checks utterances, and yields their features batch by batch."""
        if self.training:
            raise InputError("the model is in training mode, in which it answers at random; call model.eval() first")
        if isinstance(audios, (str, bytes, Path, Mapping)):
            raise InputError(f"audios: expected a list of recordings, got {type(audios).__name__}; predict takes one")
        texts = [None] * len(audios) if texts is None else texts
        languages = [None] * len(audios) if languages is None else languages
        if not len(audios) == len(texts) == len(languages):
            raise InputError(
                f"expected as many texts and languages as audios ({len(audios)}), got {len(texts)} and {len(languages)}"
            )
        known = self._known_profiles(profiles, len(audios))
        for start in range(0, len(audios), batch_size):
            rows = slice(start, start + batch_size)
            yield self._hear(audios[rows], texts[rows], languages[rows], sample_rate=sample_rate, profiles=known[rows])

    def _hear(
        self,
        audios: Sequence[Audio | None],
        texts: Sequence[str | None],
        languages: Sequence[str | None],
        *,
        sample_rate: int | None,
        profiles: Sequence[Profile | None],
    ) -> Batch:
        warnings: list[tuple[str, ...]] = []

        def waveforms() -> Iterator[Tensor | None]:
            for audio in audios:
                recording = None if audio is None else read_recording(audio, sample_rate)
                # Of a model that reads text alone, nobody need know that its recording is odd.
                warnings.append(oddities(recording) if recording and len(self.acoustic) else ())
                yield None if recording is None else audible(recording)

        features = self._features(waveforms(), texts, languages)
        names = [str(audio) if isinstance(audio, (str, Path)) else "" for audio in audios]
        adapted = [
            one if profile is None else subtract(one, profile.offsets(self.network.centers))
            for one, profile in zip(features, profiles, strict=True)
        ]
        return Batch(features, adapted, names, warnings=warnings, profiles=profiles)

    def _answer(self, batch: Batch) -> list[Prediction]:
        temperatures = torch.tensor([[self.temperature_with(profile)] for profile in batch.profiles])
        logits = self.logits(batch.adapted, batch.names)
        outputs = _checked(self.target.decode(logits, temperatures), batch.names)
        answers = []
        for one, row, odd in zip(batch.features, outputs, batch.warnings, strict=True):
            make = Prediction.of if any(map(len, one.values())) else Prediction.of_nothing
            far = describe_distance(self.network, self.reach, one)
            answers.append(make(self.target, row.tolist(), (*odd, *far)))
        return answers

    def profile(self, recordings: Iterable[Audio], *, sample_rate: int | None = None) -> Profile:
        """Learns what a speaker's voice is like on average, for ``predict(…, profile=…)``.

        The recordings need no labels. They should be neutral or mixed: of somebody who is angry in all of them, anger
        would become what is usual. Some seconds help; ten recordings do most of what all can.

        Args:
            recordings: of one speaker, each in a form that ``predict`` takes.
            sample_rate: of samples, in Hz.

        Raises:
            InputError: a recording cannot be used, in none of them is anything to hear, or the model knows no mean of
                its training part (it was trained with ``standardize=False``).
        """
        self._check_adaptable()
        waveforms = [audible(read_recording(one, sample_rate)) for one in recordings]
        return self.profile_of(self.extract(waveforms) if waveforms else [])

    def profile_of(self, features: Iterable[Mapping[str, Tensor]]) -> Profile:
        """Makes a profile of recordings' features, each what ``features`` returned; see ``profile``."""
        self._check_adaptable()
        names = self.network.centers.keys()
        return Profile.of(({name: one[name].float().cpu() for name in names} for one in features), self._fingerprint())

    def _check_adaptable(self) -> None:
        if not self.network.centers:
            raise InputError(
                "profile: expected a model with acoustic features that were standardized in training "
                "(standardize=True), got one without"
            )

    def _fingerprint(self) -> str:
        """Tells this model's features and their means from another's."""
        recipes = {name: self.extractors[name].recipe() for name in self.network.centers}
        digest = hashlib.sha256(json.dumps(recipes, sort_keys=True, default=str).encode())
        for center in self.network.centers.values():
            digest.update(center.float().cpu().numpy().tobytes())
        tuned = [self.extractors[name].unlockable for name in self.network.centers]
        for part in tuned:
            digest.update(hash_weights(part.unlocked_layer).encode() if part is not None else b"")
        return digest.hexdigest()[:16]

    def temperature_with(self, profile: Profile | None) -> float:
        """Returns what logits are divided by, given what is known of the speaker."""
        if profile is None or self.profile_calibration is None:
            return self.calibration_temperature
        return self.profile_calibration.temperature_of(self.calibration_temperature, profile.num_recordings)

    def _known_profiles(self, profiles: Profile | Sequence[Profile | None] | None, count: int) -> list[Profile | None]:
        """Returns the profile of each utterance, after a look at which model made it."""
        given = [profiles] * count if profiles is None or isinstance(profiles, Profile) else list(profiles)
        if len(given) != count:
            raise InputError(f"profiles: expected one, or one for each of {count} utterances, got {len(given)}")
        makers = {profile.made_by for profile in given if profile is not None}
        if makers:
            self._check_adaptable()
            if makers != {self._fingerprint()}:
                raise InputError("profile: was made by another model; make it anew with this model's profile()")
        return given

    def features(
        self, waveform: Tensor | None, text: str | None = None, language: str | None = None
    ) -> dict[str, Tensor]:
        """Extracts the feature sequences of one utterance.

        Args:
            waveform: ``(samples,)`` at 16 kHz, or None.
            text: what is said; None or blank if that is not known.
            language: of the text.

        Returns:
            Input name → ``(time, features)``; no rows for what is missing or too short.

        Raises:
            InputError: nothing was given that the model reads.
        """
        return self._features([waveform], [text], [language])[0]

    def extract(self, waveforms: Sequence[Tensor]) -> list[dict[str, Tensor]]:
        """Extracts the acoustic features of several recordings, each ``(samples,)`` at 16 kHz; see ``features``."""
        return self._features(waveforms, [None] * len(waveforms), [None] * len(waveforms))

    def _features(
        self, waveforms: Iterable[Tensor | None], texts: Sequence[str | None], languages: Sequence[str | None]
    ) -> list[dict[str, Tensor]]:
        return extract_inputs(
            waveforms, texts, languages, extractors=self.extractors, text=self.text, device=self.device
        )

    def outputs(self, features: Sequence[Mapping[str, Tensor]]) -> Tensor:
        """Classifies one batch of utterances, or estimates their dimensions.

        Args:
            features: what ``features`` returned for each.

        Returns:
            Probabilities or estimates, ``(utterances, labels)`` on the CPU.
        """
        return self.target.decode(self.logits(features), self.calibration_temperature)

    @torch.no_grad()
    def logits(self, features: Sequence[Mapping[str, Tensor]], names: Sequence[str] = ()) -> Tensor:
        """Returns what the network says of one batch of utterances, before softmax and calibration.

        Args:
            features: what ``features`` returned for each.
            names: of the utterances, for errors.

        Returns:
            Logits or estimates, ``(utterances, labels)`` float32 on the CPU.

        Raises:
            InputError: one of them is NaN or infinite.
        """
        return _checked(self(features).float().cpu(), names)

    @torch.no_grad()
    def joined(self, features: Sequence[Mapping[str, Tensor]], names: Sequence[str] = ()) -> Tensor:
        """Returns what the classifier reads of one batch, ``(utterances, feature_dim)``; see ``embed``."""
        return _checked(self.network.features(self._padded(features)).float().cpu(), names)

    def forward(self, features: Sequence[Mapping[str, Tensor]]) -> Tensor:
        """Returns the network's outputs ``(utterances, labels)`` where it is, with gradients; see ``logits``."""
        outputs: Tensor = self.network.classify(self._padded(features))
        return outputs

    def _padded(self, features: Sequence[Mapping[str, Tensor]]) -> Inputs:
        kind = next(self.network.parameters()).dtype
        return pad_batch({name: [one[name].to(kind) for one in features] for name in self.network.input_dims})

    @property
    def extractors(self) -> dict[str, AcousticExtractor]:
        """Acoustic feature → its extractor."""
        return {name: part for name, part in self.acoustic.items() if isinstance(part, AcousticExtractor)}


def _checked(outputs: Tensor, names: Sequence[str]) -> Tensor:
    """Returns what a model says of utterances, ``(utterances, labels)``, if all of it is finite."""
    for i in (~outputs.isfinite().all(dim=1)).nonzero().flatten().tolist():
        name = (names[i] if names else "") or f"utterance {i + 1} of {len(outputs)}"
        raise InputError(
            f"{name}: the model's answer is NaN or infinite, expected finite numbers; its samples may be far "
            "outside [-1, 1], or the model's weights damaged"
        )
    return outputs
