"""Names of emotions: the paper's four, their spellings in corpora and languages, and their valence."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from pathosnet.errors import InputError, shown

LONGEST_SPELLING = 40  # of an emotion, in the advice of a message
PAPER_EMOTIONS = ("happiness", "anger", "sadness", "neutral")
"""The paper's classes, in the order of the authors' outputs."""

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        alias: emotion
        for emotion, aliases in {
            "happiness": "happy happiness hap joy joyful gioia felicità felicita felicidad alegría alegria χαρά "
            "radość radosc freude freudig glück happyness bonheur joie",
            "anger": "angry anger ang ira rabbia enojo enfado rabia θυμός οργή złość zlosc gniew ärger wut wütend "
            "colère",
            "sadness": "sad sadness tristezza triste tristeza λύπη θλίψη smutek trauer traurig tristesse",
            "neutral": "neutral neu neutrality neutrale neutro neutra neutralità neutralidad ουδέτερο neutralny "
            "neutralność neutralität neutre",
            "fear": "fear fearful fea afraid paura miedo φόβος strach angst peur",
            "disgust": "disgust disgusted dis disgusto asco αηδία wstręt ekel dégoût",
            "surprise": "surprise surprised sur sorpresa έκπληξη zaskoczenie überraschung",
            "excitement": "excited excitement exc",
            "frustration": "frustrated frustration fru",
            "calm": "calm calmness calma",
            "boredom": "boredom bored noia langeweile",
            "contempt": "contempt disprezzo",
            "amusement": "amused amusement",
            "sleepiness": "sleepy sleepiness",
            "anxiety": "anxious anxiety",
            "apology": "apologetic apology",
            "assertiveness": "assertive assertiveness",
            "concern": "concerned concern",
            "encouragement": "encouraging encouragement",
        }.items()
        for alias in aliases.split()
    }
)
"""Spelling in lower case → emotion."""

VALENCE: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("happiness", "neutral", "calm", "excitement"), "positive"),
        **dict.fromkeys(("anger", "sadness", "fear", "disgust", "frustration", "boredom", "contempt"), "negative"),
    }
)
"""Emotion → valence. The authors count neutral as positive."""


def normalize_label(
    value: str, labels: Iterable[str], mapping: Mapping[str, str] | None = None, *, where: str = "label"
) -> str:
    """Finds the label that a corpus means by ``value``.

    The order: ``mapping``, the labels as they are written, the labels in any case, the known aliases.

    Args:
        value: what the corpus says.
        labels: the labels to choose from.
        mapping: a user's own spellings, ``{"ira": "anger"}``; they go before everything else.
        where: file and row, for the error.

    Raises:
        InputError: no label fits.

    >>> normalize_label("Gioia", PAPER_EMOTIONS)
    'happiness'
    """
    labels = tuple(labels)
    lowered = {spelling_key(label): label for label in labels}
    meant = {spelling_key(spelling): label for spelling, label in (mapping or {}).items()}
    found = meant.get(spelling_key(value), value).strip()
    if found in labels:
        return found
    key = spelling_key(found)
    for candidate in (key, ALIASES.get(key, "")):
        if candidate in lowered:
            return lowered[candidate]
    spelled = value if len(value) <= LONGEST_SPELLING else "SPELLING"
    raise InputError(
        f"{where}: expected an emotion out of {', '.join(labels)}, got {shown(value)}; "
        f"map it (--label {spelled}={labels[0]}), leave it out (--drop-labels {spelled}) or name your own --labels"
    )


def spelling_key(label: str) -> str:
    """Makes spellings comparable: in lower case, letters with accents as one character, no blanks around them.

    >>> spelling_key("Felicita\N{COMBINING GRAVE ACCENT} ") == "felicit\N{LATIN SMALL LETTER A WITH GRAVE}"
    True
    """
    return unicodedata.normalize("NFC", label).strip().lower()


def valence_of(probabilities: Mapping[str, float]) -> dict[str, float]:
    """Sums the probabilities of positive and of negative emotions.

    Labels without a known valence are summed as ``"unknown"``, a key that is there only if there are such labels.

    Source: authors' code (positive = happiness + neutral, negative = anger + sadness).

    >>> valence_of({"happiness": 0.5, "anger": 0.25, "sadness": 0.25, "neutral": 0.0})
    {'positive': 0.5, 'negative': 0.5}
    """
    sums = {"positive": 0.0, "negative": 0.0}
    for label, probability in probabilities.items():
        valence = VALENCE.get(ALIASES.get(label.lower(), label.lower()), "unknown")
        sums[valence] = min(1.0, sums.get(valence, 0.0) + probability)  # rounded, they may sum to a little more
    return sums


def check_labels(labels: Sequence[str]) -> None:
    """Checks that a set of labels can be classified.

    Raises:
        InputError: fewer than two labels, or one twice.
    """
    if len(labels) < 2:
        raise InputError(f"labels: expected at least two, got {list(labels)}")
    if len(set(labels)) != len(labels):
        raise InputError(f"labels: expected each label once, got {list(labels)}")
