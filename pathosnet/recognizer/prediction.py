"""Answer of a model for one utterance."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pathosnet.emotions import valence_of
from pathosnet.errors import InputError
from pathosnet.targets import Target

NOTHING_HEARD = "nothing to answer from"
"""Warning of an answer that rests on no sound and no word."""
SHOWN = 6  # values in a repr


@dataclass(frozen=True, repr=False)
class Prediction:
    """Emotion or dimensions of a recording, or both.

    Args:
        label: the most probable emotion; empty for a model that estimates numbers alone, where nothing was heard or
            read, and after ``abstain``.
        probabilities: emotion → probability; they sum to 1.
        valence: sums of the probabilities of positive and of negative emotions.
        dimensions: of a model that estimates numbers: name → estimate, in the units that it was trained with.
        warnings: why not to trust the answer, such as ``silent``; see ``pathosnet.audio.inspection``.

    >>> answer = Prediction("anger", {"happiness": 0.25, "anger": 0.75}, warnings=("shorter than half a second",))
    >>> answer
    Prediction(anger 0.75, happiness 0.25; shorter than half a second)
    >>> answer.confidence
    0.75
    >>> Prediction(dimensions={"valence": 2.5}).json()
    '{"dimensions": {"valence": 2.5}}'
    """

    label: str = ""
    probabilities: dict[str, float] = field(default_factory=dict)
    valence: dict[str, float] = field(default_factory=dict)
    dimensions: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @classmethod
    def of_probabilities(cls, probabilities: Mapping[str, float], warnings: tuple[str, ...] = ()) -> "Prediction":
        """Makes the answer that emotions' probabilities are."""
        label = max(probabilities, key=probabilities.__getitem__)
        return cls(label, dict(probabilities), valence_of(probabilities), warnings=warnings)

    @classmethod
    def of(cls, target: Target, outputs: Sequence[float], warnings: tuple[str, ...] = ()) -> "Prediction":
        """Makes the answer that a model's outputs are, as many as the target has labels."""
        named = dict(zip(target.labels, outputs, strict=True))
        dimensions = {name: named.pop(name) for name in target.dimensions}
        found = cls.of_probabilities(named, warnings) if named else cls(warnings=warnings)
        return replace(found, dimensions=dimensions)

    @classmethod
    def of_nothing(cls, target: Target, outputs: Sequence[float], warnings: tuple[str, ...] = ()) -> "Prediction":
        """Makes the answer where nothing was heard or read: no label, and every emotion as probable as another.

        Numbers are those that the model estimates of nothing.
        """
        count = len(target.classes)
        alike = [*[1 / max(count, 1)] * count, *outputs[count:]]
        return replace(cls.of(target, alike, (*warnings, NOTHING_HEARD)), label="")

    @property
    def values(self) -> dict[str, float]:
        """Output for each label: probabilities, then estimates."""
        return {**self.probabilities, **self.dimensions}

    @property
    def confidence(self) -> float | None:
        """The probability of the most probable emotion; None where numbers alone are estimated."""
        return max(self.probabilities.values(), default=None)

    def abstain(self, below: float) -> "Prediction":
        """Takes the label away if it is less probable than ``below``; the probabilities stay.

        Args:
            below: from 0 for every answer to 1 for hardly any.

        Raises:
            InputError: another number, or the model estimates numbers alone, which have no probability.

        >>> Prediction.of_probabilities({"happiness": 0.45, "anger": 0.55}).abstain(0.6).label
        ''
        """
        if not 0 <= below <= 1:
            raise InputError(f"abstain: expected a probability from 0 to 1, got {below}")
        if self.confidence is None:
            raise InputError("abstain: expected a model of emotions, got one that estimates numbers")
        return replace(self, label="") if self.confidence < below else self

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields that are not empty as JSON values."""
        found = {name: list(value) if name == "warnings" else value for name, value in asdict(self).items()}
        return {name: value for name, value in found.items() if value or (name == "label" and self.probabilities)}

    def json(self) -> str:
        """Returns ``to_dict`` as one line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def __repr__(self) -> str:
        ranked = sorted(self.probabilities.items(), key=lambda item: -item[1])
        parts = [_shown(values) for values in (ranked, list(self.dimensions.items())) if values]
        return f"Prediction({'; '.join([*parts, *self.warnings])})"


def _shown(values: Sequence[tuple[str, float]]) -> str:
    shown = [f"{name} {value:.2f}" for name, value in values[:SHOWN]] + ["…"] * (len(values) > SHOWN)
    return ", ".join(shown)
