"""Dividing a corpus into training, validation and test parts."""

import warnings
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pathosnet.corpora.manifest import Corpus
from pathosnet.errors import InputError

SplitStrategy = Literal["auto", "column", "random", "speaker"]

PARTS = ("train", "validation", "test")
_SPELLINGS = {"train": "train", "training": "train", "validation": "validation", "valid": "validation"}
_SPELLINGS |= {"val": "validation", "dev": "validation", "test": "test"}


@dataclass(frozen=True)
class Split:
    """Positions of a corpus' utterances, ascending. The test part may be empty, the others are not."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]
    strategy: str

    def parts(self) -> dict[str, tuple[int, ...]]:
        """Returns the parts by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def split_corpus(
    corpus: Corpus,
    strategy: SplitStrategy = "auto",
    num_folds: int = 5,
    fold: int = 0,
    validation_fraction: float = 0.2,
    seed: int = 0,
) -> Split:
    """Divides a corpus.

    Args:
        corpus: to be divided.
        strategy: ``column``: as the manifest's ``split`` column says (train, validation, test; without a validation
            part, one is taken from the training part at random). ``random``: folds stratified by corpus, language and
            emotion; speakers and sentences may be in two parts. ``speaker``: no speaker is in two parts
            (scikit-learn's GroupKFold); of two speakers one is tested and the other's utterances are divided at random.
            ``auto``: the column if the manifest has one, else random.
        num_folds: one of so many folds is the test part.
        fold: which one.
        validation_fraction: share of the rest for validation.
        seed: of the random choices.

    Raises:
        InputError: the corpus cannot be divided so; it says what is missing.
    """
    if strategy == "auto":
        strategy = "column" if any(utterance.split for utterance in corpus.utterances) else "random"
    if sum(count > 0 for count in corpus.counts().values()) < 2:
        raise InputError(
            f"{corpus.path}: every row has the emotion {corpus.utterances[0].emotion!r}; expected at least two emotions"
        )
    everything = np.arange(len(corpus))
    if strategy == "column":
        train, validation, test = _by_column(corpus, validation_fraction, seed)
    else:
        _check_class_sizes(corpus, num_folds)
        if strategy == "random":
            train_and_validation, test = _stratified_fold(corpus, everything, num_folds, fold, seed)
            train, validation = _stratified_validation(corpus, train_and_validation, validation_fraction, seed)
        else:
            train_and_validation, test = _speaker_fold(corpus, num_folds, fold)
            train, validation = _speaker_validation(corpus, train_and_validation, validation_fraction, seed)
    split = Split(_ascending(train), _ascending(validation), _ascending(test), strategy)
    _check_parts(corpus, split)
    return split


def _ascending(positions: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.sort(positions))


def _by_column(corpus: Corpus, validation_fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    parts = defaultdict(list)
    for i, utterance in enumerate(corpus.utterances):
        part = _SPELLINGS.get(utterance.split.lower())
        if part is None:
            raise InputError(
                f"{corpus.where(utterance)}: expected a split out of {', '.join(PARTS)}, got {utterance.split!r}"
            )
        parts[part].append(i)
    train, validation, test = (np.array(parts[part], dtype=int) for part in PARTS)
    if len(train) and not len(validation):
        train, validation = _stratified_validation(corpus, train, validation_fraction, seed)
    return train, validation, test


def _strata(corpus: Corpus, positions: np.ndarray, at_least: int) -> list[str]:
    """Names each utterance's corpus, language and emotion, or its emotion alone where such a stratum is too small."""
    fine = [
        "/".join((corpus.utterances[i].corpus, corpus.utterances[i].language, corpus.utterances[i].emotion))
        for i in positions
    ]
    sizes = Counter(fine)
    return [
        stratum if sizes[stratum] >= at_least else corpus.utterances[i].emotion
        for i, stratum in zip(positions, fine, strict=True)
    ]


def _stratified_fold(
    corpus: Corpus, positions: np.ndarray, num_folds: int, fold: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.model_selection import StratifiedKFold

    folds = StratifiedKFold(num_folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # small strata; classes were checked before
        rest, chosen = list(folds.split(positions, _strata(corpus, positions, num_folds)))[fold]
    return positions[rest], positions[chosen]


def _stratified_validation(
    corpus: Corpus, positions: np.ndarray, fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Takes a share at random, of every stratum alike, or where they are too small for that, of every emotion alike."""
    from sklearn.model_selection import train_test_split

    size = max(1, round(fraction * len(positions)))
    if len(positions) - size < 1:
        raise InputError(
            f"{corpus.path}: {len(positions)} utterances are too few for a training and a validation part; add more"
        )
    emotions = [corpus.utterances[i].emotion for i in positions]
    one_each = max(size, len(set(emotions)))
    for strata, taken in ((_strata(corpus, positions, 2), size), (emotions, size), (emotions, one_each), (None, size)):
        try:
            train, validation = train_test_split(positions, test_size=taken, stratify=strata, random_state=seed)
        except ValueError:  # a stratum of one utterance, or more strata than utterances to take
            continue
        return train, validation
    raise AssertionError("unreachable: without strata every split is possible")


def _speakers(corpus: Corpus, positions: np.ndarray) -> list[str]:
    for i in positions:
        if not corpus.utterances[i].speaker:
            raise InputError(
                f"{corpus.where(corpus.utterances[i])}: has no speaker; fill in the column 'speaker', "
                "or split at random (--split random)"
            )
    return [f"{corpus.utterances[i].corpus}/{corpus.utterances[i].speaker}" for i in positions]


def _speaker_fold(corpus: Corpus, num_folds: int, fold: int) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.model_selection import GroupKFold

    positions = np.arange(len(corpus))
    speakers = _speakers(corpus, positions)
    if len(set(speakers)) < num_folds:
        raise InputError(
            f"{corpus.path}: has {len(set(speakers))} speakers, expected at least {num_folds} to keep them apart in "
            f"{num_folds} folds; lower --num-folds (to 2 at least) or split at random (--split random)"
        )
    rest, chosen = list(GroupKFold(num_folds).split(positions, groups=speakers))[fold]
    return rest, chosen


def _speaker_validation(
    corpus: Corpus, positions: np.ndarray, fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    speakers = _speakers(corpus, positions)
    if len(set(speakers)) == 1:  # the test's speaker is still heard nowhere else
        return _stratified_validation(corpus, positions, fraction, seed)
    num_folds = min(max(2, round(1 / fraction)), len(set(speakers)))
    emotions = [corpus.utterances[i].emotion for i in positions]
    folds = StratifiedGroupKFold(num_folds, shuffle=True, random_state=seed)
    if max(Counter(emotions).values()) < num_folds:  # too few of every class to stratify
        folds = GroupKFold(num_folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # small classes; they were checked before
        rest, chosen = next(folds.split(positions, emotions, groups=speakers))
    return positions[rest], positions[chosen]


def _check_class_sizes(corpus: Corpus, num_folds: int) -> None:
    for label, count in corpus.counts().items():
        if 0 < count < num_folds:
            rows = _rows_of(corpus, label, range(len(corpus)))
            raise InputError(
                f"{corpus.path}, {rows}: the emotion {label!r} has {count} example{'s'[: count > 1]}, expected at "
                f"least {num_folds} for {num_folds} folds; add examples, lower --num-folds, or leave it out "
                f"(--drop-labels {label})"
            )


def _check_parts(corpus: Corpus, split: Split) -> None:
    for name in ("train", "validation"):
        if not split.parts()[name]:
            raise InputError(f"{corpus.path}: the {name} part is empty; expected utterances in it")
    present = {corpus.utterances[i].emotion for i in split.train}
    for label, count in corpus.counts().items():
        if count and label not in present:
            rows = _rows_of(corpus, label, range(len(corpus)))
            raise InputError(
                f"{corpus.path}, {rows}: the emotion {label!r} does not occur in the training part; "
                f"add examples or leave it out (--drop-labels {label})"
            )


def _rows_of(corpus: Corpus, label: str, positions: Sequence[int]) -> str:
    rows = [corpus.utterances[i].row for i in positions if corpus.utterances[i].emotion == label]
    listed = ", ".join(map(str, rows[:5])) + (" …" if len(rows) > 5 else "")
    return f"row{'s'[: len(rows) > 1]} {listed}"
