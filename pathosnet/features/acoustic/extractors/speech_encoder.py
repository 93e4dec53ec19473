"""Hidden states of a speech encoder as an acoustic feature."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pathosnet.audio.level import Level, normalize_level
from pathosnet.errors import InputError
from pathosnet.features.acoustic.encoders.base import (
    LEARNED,
    SAMPLE_RATE,
    EncoderSource,
    SpeechEncoder,
    join_windows,
    parse_layers,
    plan_windows,
    side_by_side,
)
from pathosnet.features.acoustic.encoders.opening import HUB_PREFIX, open_same, open_speech_encoder
from pathosnet.features.acoustic.encoders.top_layers import TopLayers
from pathosnet.features.acoustic.extractors.base import AcousticExtractor, Part, Precision, register_extractor
from pathosnet.features.registry import feature_name

OVERLAP_SECONDS = 6  # of the windows of long recordings
SECONDS_TOGETHER = {"cpu": 30, "cuda": 300}
"""Length of the recordings that are computed at once; more does not make larger products faster."""


@register_extractor
class SpeechEncoderExtractor(AcousticExtractor):
    """Hidden states of a pre-trained speech encoder, averaged over layers and over short stretches of time.

    A recording's level is set first, so that no gain changes the features. Recordings that are longer than the
    encoder's window are read in windows that overlap by 6 s; each vector comes from the window in which it is further
    from the edge.

    Args:
        name: of the feature, as networks and saved models call it.
        encoder: None until ``open`` finds it, for a saved model.
        source: which encoder it is; the encoder's own if None.
        layers: hidden states to take: one (``4``), the mean of a span (``3-5``), several side by side (``2,3,4,5``),
            ``auto`` for the encoder's default, or ``learned`` for all of them side by side, of which a network learns
            how much to take of each.
        rate: vectors a second; 0 for one vector, the mean over the whole recording.
        level: how the level is set.
        precision: of dense layers.
        feature_dim: known without the encoder.
        unlocked: layers that the second stage of training unlocks, the highest of those that are computed; more than
            there are stand for all. Not of torchaudio's encoders.
    """

    name = "speech-encoder"
    version = 1
    keeps_hidden = False  # 100 kB a second, and quickly made again

    def __init__(
        self,
        name: str,
        encoder: SpeechEncoder | None = None,
        *,
        source: EncoderSource | None = None,
        layers: str = "auto",
        rate: float = 10.0,
        level: Level = "peak",
        precision: Precision = "32",
        feature_dim: int | None = None,
        unlocked: int = 0,
    ) -> None:
        if encoder is not None:
            chosen = parse_layers(layers, encoder)
            feature_dim = encoder.dim * (len(chosen) if side_by_side(layers) else 1)
            layers = layers if side_by_side(layers) else f"{chosen[0]}-{chosen[-1]}"
            source = source or encoder.source
        if feature_dim is None or source is None:
            raise ValueError("expected an encoder, or its source and the length of its features")
        if not 0 <= rate <= SAMPLE_RATE:
            raise InputError(
                f"encoder_rate: expected vectors a second, up to the encoder's own (50), or 0 for one vector of the "
                f"whole recording, got {rate}"
            )
        super().__init__(feature_dim, encoder, precision)
        self.name = name
        self.source = source
        self.layers = layers
        self.rate = float(rate)
        self.level: Level = level
        self.unlocked = unlocked
        if encoder is not None and layers == LEARNED:
            self.num_layers = encoder.num_layers + 1

    @property
    def encoder(self) -> SpeechEncoder:
        """The encoder.

        Raises:
            InputError: it was not opened.
        """
        if not isinstance(self.backbone, SpeechEncoder):
            raise InputError(f"{self.name}: the encoder {self.source.name} was not opened")
        return self.backbone

    @property
    def is_side_by_side(self) -> bool:
        """Whether a vector has several layers side by side, not their mean."""
        return side_by_side(self.layers)

    @property
    def pooled_vectors(self) -> int | None:
        """How many of the encoder's vectors are averaged to one; None for all of a recording."""
        return max(1, round(SAMPLE_RATE / self.encoder.hop_samples / self.rate)) if self.rate else None

    def config(self) -> dict[str, Any]:
        """Returns the options, and which encoder it is."""
        return {
            "extractor": type(self).name,
            "encoder": self.source.name,
            "revision": self.source.revision,
            "sha256": self.source.sha256,
            "layers": self.layers,
            "rate": self.rate,
            "level": self.level,
            "precision": self.precision,
            "feature_dim": self.feature_dim,
            **({"unlocked": self.unlocked} if self.unlocked else {}),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "SpeechEncoderExtractor":
        """Makes what ``config()`` describes, without its encoder."""
        options = {key: value for key, value in config.items() if key != "extractor"}
        source = EncoderSource(str(options.pop("encoder")), options.pop("revision"), str(options.pop("sha256")))
        return cls(str(options.pop("name")), source=source, **options)

    def open(self, folder: Path | None = None) -> None:
        """Finds the encoder that the feature is made with.

        Args:
            folder: with encoders, to look into first.

        Raises:
            InputError: it is not here, another one is, or it has no such layers.
        """
        encoder = open_same(self.source, folder)
        count = len(parse_layers(self.layers, encoder)) if side_by_side(self.layers) else 1
        if self.feature_dim != encoder.dim * count:
            raise InputError(f"{self.name}: expected features of {self.feature_dim}, {self.source.name} has others")
        self.backbone = encoder

    @property
    def unlockable(self) -> TopLayers | None:
        """The layers that the second stage of training unlocks; None if there are none.

        Raises:
            InputError: of this encoder no layers can be unlocked.
        """
        if not self.unlocked:
            return None
        layers, dim = parse_layers(self.layers, self.encoder), self.feature_dim
        return TopLayers(self.encoder, layers, self.unlocked, finish=self._finished, feature_dim=dim)

    def recipe(self) -> dict[str, Any]:
        """Returns what of ``config()`` decides about the features; where the encoder comes from does not."""
        return {key: value for key, value in self.config().items() if key not in ("encoder", "revision")}

    def front_end(self, waveform: Tensor) -> Tensor:
        """Sets the level of ``(samples,)``; the encoder has its own front end."""
        return normalize_level(waveform, self.level)

    @torch.no_grad()
    def extract(self, waveforms: Sequence[Tensor], part: Part = "features") -> list[Tensor]:
        """Computes the features of several recordings, see AcousticExtractor; none below the encoder's minimum."""
        encoder = self.encoder
        layers: Sequence[int] = parse_layers(self.layers, encoder)
        finish = self._finished
        if part == "frozen":
            if (top := self.unlockable) is None:
                raise ValueError(f"{self.name}: expected layers to unlock, got unlocked=0")
            layers, finish = top.read, _side_by_side
        plans = [
            plan_windows(len(waveform), encoder, OVERLAP_SECONDS * SAMPLE_RATE)
            if len(waveform) >= encoder.min_samples
            else []
            for waveform in waveforms
        ]

        def windows() -> Iterator[Tensor]:
            for waveform, plan in zip(waveforms, plans, strict=True):
                leveled = self.front_end(waveform) if plan else waveform
                yield from (leveled[start:end] for start, end in plan)

        states = self._computed(windows(), layers)
        found = []
        for waveform, plan in zip(waveforms, plans, strict=True):
            own = [next(states) for _ in plan]
            starts = [start // encoder.hop_samples for start, _ in plan]
            width = self.feature_dim if part == "features" else encoder.dim * len(layers)
            found.append(finish(join_windows(own, starts)) if own else waveform.new_zeros(0, width))
        return found

    def _computed(self, windows: Iterator[Tensor], layers: Sequence[int]) -> Iterator[Tensor]:
        """Computes ``(layers, time, dim)`` for each window, some of them together."""
        waiting: list[Tensor] = []
        for window in windows:
            limit = SECONDS_TOGETHER.get(window.device.type, 30) * SAMPLE_RATE
            if waiting and sum(map(len, waiting)) + len(window) > limit:
                yield from self._together(waiting, layers)
                waiting = []
            waiting.append(window)
        if waiting:
            yield from self._together(waiting, layers)

    def _together(self, windows: Sequence[Tensor], layers: Sequence[int]) -> Iterator[Tensor]:
        with torch.autocast(windows[0].device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            states = self.encoder(windows, layers)
        for one in states:
            yield one.float()

    def _finished(self, states: Tensor) -> Tensor:
        """Makes features ``(time, feature_dim)`` of a recording's hidden states ``(layers, time, dim)``.

        They are averaged over the whole recording, or over stretches of time, the last of which may be shorter.
        """
        vectors = _side_by_side(states) if self.is_side_by_side else states.mean(dim=0)
        size = self.pooled_vectors
        if size is None:
            return vectors.mean(dim=0, keepdim=True)
        if size == 1:
            return vectors
        pooled = nn.functional.avg_pool1d(vectors.T, size, ceil_mode=True)  # counts what is there
        return pooled.T.contiguous()


def _side_by_side(states: Tensor) -> Tensor:
    """``(layers, time, dim)`` → ``(time, layers · dim)``."""
    return states.transpose(0, 1).flatten(1)


def make_encoder_extractor(value: str, **options: Any) -> SpeechEncoderExtractor:
    """Makes the extractor that an option names.

    Args:
        value: see ``open_speech_encoder``.
        **options: see SpeechEncoderExtractor.

    Raises:
        InputError: there is no such encoder.
    """
    if value.startswith(HUB_PREFIX) and Path(value.removeprefix(HUB_PREFIX)).is_dir():
        value = f"{HUB_PREFIX}{Path(value.removeprefix(HUB_PREFIX)).resolve()}"
    return SpeechEncoderExtractor(feature_name(value), open_speech_encoder(value), **options)
