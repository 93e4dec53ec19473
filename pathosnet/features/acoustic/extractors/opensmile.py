"""openSMILE's acoustic parameters: functionals of a whole recording, or low-level descriptors over time.

openSMILE is free for research and education, not for commercial use: see audEERING's license of the package.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pathosnet.audio.level import Level, normalize_level
from pathosnet.errors import InputError
from pathosnet.features.acoustic.extractors.base import AcousticExtractor, Part, register_extractor
from pathosnet.features.registry import OPENSMILE_PREFIX, feature_name

SAMPLE_RATE = 16_000
MIN_SAMPLES = 960  # 60 ms, the longest window of the feature sets
LICENSE = "openSMILE (audEERING's research license, not for commercial use)"
LEVELS = {"functionals": "Functionals", "lld": "LowLevelDescriptors"}
"""Names in options → names in openSMILE."""


@register_extractor
class OpenSmileExtractor(AcousticExtractor):
    """Parameters that openSMILE measures; the baseline that reviewers ask for.

    Args:
        name: of the feature.
        feature_set: ``eGeMAPSv02``, ``ComParE_2016`` or another of the package.
        kind: ``functionals`` makes one vector of a recording, ``lld`` (low-level descriptors) one every 10 ms.
        level: how the recording's level is set first. Loudness is among the parameters; research leaves it as it is.
        feature_dim: length of a vector; None asks the package.

    Raises:
        InputError: the package is missing, or has no such set.
    """

    name = "opensmile"
    version = 1

    def __init__(
        self,
        name: str,
        feature_set: str,
        kind: str = "functionals",
        *,
        level: Level = "none",
        feature_dim: int | None = None,
    ) -> None:
        if kind not in LEVELS:
            raise InputError(f"{OPENSMILE_PREFIX}{feature_set}: expected {' or '.join(LEVELS)}, got {kind!r}")
        self._smile: Any = None
        if feature_dim is None:
            self._smile = _open(feature_set, kind)
            feature_dim = int(self._smile.num_features)
        super().__init__(feature_dim)
        self.name = name
        self.feature_set = feature_set
        self.kind = kind
        self.level: Level = level

    @property
    def origin(self) -> str:
        """The set and the license, which a model's card names."""
        return f"{self.feature_set} of {LICENSE}"

    def config(self) -> dict[str, Any]:
        """Returns the constructor's arguments but for the name."""
        return {
            "extractor": type(self).name,
            "feature_set": self.feature_set,
            "kind": self.kind,
            "level": self.level,
            "feature_dim": self.feature_dim,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "OpenSmileExtractor":
        """Makes what ``config()`` describes; openSMILE is opened when it is first needed."""
        options = {key: value for key, value in config.items() if key != "extractor"}
        return cls(str(options.pop("name")), str(options.pop("feature_set")), str(options.pop("kind")), **options)

    def front_end(self, waveform: Tensor) -> Tensor:
        """Measures ``(samples,)``; what openSMILE leaves undefined is 0.

        Returns:
            ``(1, feature_dim)`` or ``(time, feature_dim)``; no rows below 60 ms.
        """
        if len(waveform) < MIN_SAMPLES:
            return waveform.new_zeros(0, self.feature_dim)
        if self._smile is None:
            self._smile = _open(self.feature_set, self.kind)
        samples = normalize_level(waveform, self.level).cpu().numpy()
        found = np.nan_to_num(self._smile.process_signal(samples, SAMPLE_RATE).to_numpy(dtype=np.float32))
        if found.shape[1] != self.feature_dim:
            raise InputError(
                f"{self.name}: openSMILE measures {found.shape[1]} parameters, expected {self.feature_dim}"
            )
        return torch.from_numpy(found).to(waveform.device)

    def extract(self, waveforms: Sequence[Tensor], part: Part = "features") -> list[Tensor]:
        """Measures several recordings, one after the other."""
        return [self.front_end(waveform) for waveform in waveforms]


def make_opensmile_extractor(value: str, **options: Any) -> OpenSmileExtractor:
    """Makes the extractor that an option names, ``opensmile:SET`` or ``opensmile:SET:lld``.

    Raises:
        InputError: the package is missing, or has no such set.
    """
    feature_set, _, kind = value.removeprefix(OPENSMILE_PREFIX).partition(":")
    return OpenSmileExtractor(feature_name(value), feature_set, kind or "functionals", **options)


def _open(feature_set: str, kind: str) -> Any:
    try:
        import opensmile
    except ImportError as error:
        raise InputError(
            f"{OPENSMILE_PREFIX}{feature_set}: needs the opensmile package; pip install 'pathosnet[opensmile]' "
            "(free for research, not for commercial use)"
        ) from error
    known = [one.name for one in opensmile.FeatureSet]
    if feature_set not in known:
        raise InputError(f"{OPENSMILE_PREFIX}{feature_set}: expected one of {', '.join(known)}")
    return opensmile.Smile(opensmile.FeatureSet[feature_set], opensmile.FeatureLevel[LEVELS[kind]])
