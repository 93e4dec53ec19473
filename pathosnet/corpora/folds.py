"""Dividing corpora into folds: training, validation and test parts."""

import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from pathosnet.corpora.manifest import Corpus
from pathosnet.corpora.splits import GROUPS, PART_SPELLINGS, PARTS, SPLITS, Split, plural, read_folds, singular
from pathosnet.errors import InputError

AXIS_SHARE = 3
"""Number of parts of the speakers, and of the sentences, one of which validates where both are kept apart."""


def split_corpus(
    corpus: Corpus,
    strategy: str = "auto",
    num_folds: int = 5,
    *,
    fold: int = 0,
    validation_fraction: float = 0.2,
    seed: int = 0,
) -> Split:
    """Divides a corpus: one of its folds is tested, of the rest a share validates.

    A recording that is listed several times is in one part alone, unless columns or a file say otherwise.

    Args:
        corpus: to be divided.
        strategy:
            ``random``: stratified by corpus, language and emotion; speakers and sentences may be in two parts (the
            paper's protocol).
            ``speaker``, ``session``, ``script``: no speaker (session, sentence) is in two parts. Each corpus is divided
            by scikit-learn's GroupKFold; one with fewer groups than folds is tested in some of the folds only. Where
            the rest has a single group left, validation is taken from it at random.
            ``speaker+script``: neither speakers nor sentences are in two parts; utterances that would join parts are in
            none.
            ``corpus``: each corpus is tested in turn, by what was trained on the others; validation keeps speakers
            apart where all are known.
            ``column``: as the manifest's columns say: ``fold`` (each of its values is tested in turn) or ``split``
            (train, validation, test; without a validation part, one is taken from training at random).
            A file ``….csv``: what ``write_folds`` wrote.
            ``auto``: the columns if the manifest has them, else random.
        num_folds: one of so many folds is the test part; does not count for corpora, columns and files.
        fold: which one.
        validation_fraction: share of the rest for validation.
        seed: of the random choices.

    Raises:
        InputError: the corpus cannot be divided so; it says what is missing.
    """
    if strategy.endswith(".csv"):
        return _chosen(_read_checked(strategy, corpus), fold, strategy)
    if strategy not in ("auto", "column") and (alike := _repetitions(corpus)):
        once = [i for i in range(len(corpus)) if i not in alike]
        unique = replace(corpus, utterances=tuple(corpus.utterances[i] for i in once))
        split = split_corpus(unique, strategy, num_folds, fold=fold, validation_fraction=validation_fraction, seed=seed)
        return _with_repetitions(split, once, alike)
    if strategy == "auto":
        strategy = "column" if any(utterance.split or utterance.fold for utterance in corpus.utterances) else "random"
        return split_corpus(corpus, strategy, num_folds, fold=fold, validation_fraction=validation_fraction, seed=seed)
    if strategy not in SPLITS:
        raise InputError(f"split: expected {', '.join(SPLITS)} or a folds.csv, got {strategy!r}")
    if (counts := corpus.counts()) and sum(count > 0 for count in counts.values()) < 2:
        found = next((repr(label) for label, count in counts.items() if count), "none")
        raise InputError(f"{corpus.title}: every row has the emotion {found}; expected at least two emotions")
    if strategy == "column":
        train, validation, test = _by_column(corpus, fold, validation_fraction, seed=seed)
    elif strategy == "random":
        _check_class_sizes(corpus, num_folds)
        rest, test = _stratified_fold(corpus, num_folds, fold, seed=seed)
        train, validation = _stratified_validation(corpus, rest, validation_fraction, seed=seed)
    elif strategy == "corpus":
        train, validation, test = _by_corpus(corpus, fold, validation_fraction, seed=seed)
    elif strategy == "speaker+script":
        _check_class_sizes(corpus, num_folds)
        train, validation, test = _both_apart(corpus, num_folds, fold, seed=seed)
    else:
        _check_class_sizes(corpus, num_folds)
        folds = _group_folds(corpus, strategy, num_folds)
        rest, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        train, validation = _group_validation(corpus, rest, strategy, fraction=validation_fraction, seed=seed)
    split = Split(_ascending(train), _ascending(validation), _ascending(test), strategy=strategy)
    _check_parts(corpus, split)
    return split


def make_folds(
    corpus: Corpus, strategy: str = "random", num_folds: int = 5, *, validation_fraction: float = 0.2, seed: int = 0
) -> list[Split]:
    """Makes all folds; see ``split_corpus``.

    Raises:
        InputError: the corpus cannot be divided so; it says what is missing.
    """
    if strategy.endswith(".csv"):
        return _read_checked(strategy, corpus)
    if strategy in ("column", "auto") and any(utterance.split or utterance.fold for utterance in corpus.utterances):
        num_folds = max(1, len({utterance.fold for utterance in corpus.utterances}))
    if strategy == "corpus":
        num_folds = len({utterance.corpus for utterance in corpus.utterances})
    return [
        split_corpus(corpus, strategy, num_folds, fold=fold, validation_fraction=validation_fraction, seed=seed)
        for fold in range(num_folds)
    ]


def _repetitions(corpus: Corpus) -> dict[int, int]:
    """Returns the positions of recordings that are there already, each with where it is first."""
    first: dict[str, int] = {}
    alike = {i: first.setdefault(u.content, i) for i, u in enumerate(corpus.utterances) if u.content}
    return {i: where for i, where in alike.items() if i != where}


def _read_checked(path: str, corpus: Corpus) -> list[Split]:
    folds = read_folds(path, corpus)
    for fold in folds:
        _check_parts(corpus, fold)
    return folds


def _chosen(folds: Sequence[Split], fold: int, where: str) -> Split:
    if not fold < len(folds):
        raise InputError(f"{where}: expected a fold from 0 to {len(folds) - 1}, got {fold}")
    return folds[fold]


def _ascending(positions: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.sort(positions))


def _by_column(
    corpus: Corpus, fold: int, validation_fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    parts = defaultdict(list)
    names = sorted({utterance.fold for utterance in corpus.utterances}, key=lambda name: (len(name), name))
    if any(names):
        if fold >= len(names):
            raise InputError(f"{corpus.title}: has {len(names)} folds in its column, expected more than {fold}")
        for i, utterance in enumerate(corpus.utterances):
            if not utterance.fold:
                raise InputError(f"{utterance.where}: has no fold; fill in the column 'fold'")
            parts["test" if utterance.fold == names[fold] else "train"].append(i)
    else:
        for i, utterance in enumerate(corpus.utterances):
            part = PART_SPELLINGS.get(utterance.split.lower())
            if part is None:
                raise InputError(
                    f"{utterance.where}: expected a split out of {', '.join(PARTS)}, got {utterance.split!r}"
                )
            parts[part].append(i)
    train, validation, test = (np.array(parts[part], dtype=int) for part in PARTS)
    if len(train) and not len(validation):
        train, validation = _stratified_validation(corpus, train, validation_fraction, seed=seed)
    return train, validation, test


def _with_repetitions(split: Split, once: Sequence[int], alike: Mapping[int, int]) -> Split:
    """Puts recordings that are there already into the parts where they are first.

    Args:
        split: of the other recordings.
        once: their positions in the corpus.
        alike: positions of the repetitions, each with where it is first.
    """
    parts = {once[i]: name for name, part in split.parts().items() for i in part}
    parts |= {i: parts[first] for i, first in alike.items() if first in parts}
    train, validation, test = (tuple(sorted(i for i in parts if parts[i] == name)) for name in PARTS)
    return Split(train, validation, test, strategy=split.strategy)


def _by_corpus(
    corpus: Corpus, fold: int, validation_fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tests one corpus, trains on the others."""
    of = np.array([utterance.corpus for utterance in corpus.utterances])
    names = list(dict.fromkeys(of.tolist()))
    if len(names) < 2 or fold >= len(names):
        raise InputError(
            f"{corpus.title}: expected {'at least 2' if len(names) < 2 else f'more than {fold}'} corpora to keep "
            f"apart, got {', '.join(names)}; give several manifests, or fill in the column 'corpus'"
        )
    rest, test = np.flatnonzero(of != names[fold]), np.flatnonzero(of == names[fold])
    if all(corpus.utterances[i].speaker for i in rest):
        return (*_group_validation(corpus, rest, "speaker", fraction=validation_fraction, seed=seed), test)
    return (*_stratified_validation(corpus, rest, validation_fraction, seed=seed), test)


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


def _stratified_fold(corpus: Corpus, num_folds: int, fold: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.model_selection import StratifiedKFold

    positions = np.arange(len(corpus))
    folds = StratifiedKFold(num_folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # small strata; classes were checked before
        rest, chosen = list(folds.split(positions, _strata(corpus, positions, num_folds)))[fold]
    return rest, chosen


def _stratified_validation(
    corpus: Corpus, positions: np.ndarray, fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Takes a share at random, of every stratum alike, or where they are too small for that, of every emotion alike."""
    from sklearn.model_selection import train_test_split

    size = max(1, round(fraction * len(positions)))
    if len(positions) - size < 1:
        raise InputError(
            f"{corpus.title}: {len(positions)} utterances are too few for a training and a validation part; add more"
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


def _groups(corpus: Corpus, positions: Iterable[int], name: str) -> list[str]:
    for i in positions:
        if not GROUPS[name](corpus.utterances[i]):
            columns = "'script' or 'text'" if name == "script" else f"'{name}'"
            raise InputError(
                f"{corpus.utterances[i].where}: has no {singular(name)}; fill in the column {columns}, "
                "or split at random (--split random)"
            )
    return [f"{corpus.utterances[i].corpus}/{GROUPS[name](corpus.utterances[i])}" for i in positions]


def _group_folds(corpus: Corpus, name: str, num_folds: int) -> np.ndarray:
    """Numbers the fold that each utterance is tested in, keeping groups together."""
    from sklearn.model_selection import GroupKFold

    groups = np.array(_groups(corpus, range(len(corpus)), name))
    if len(set(groups)) < num_folds:
        raise InputError(
            f"{corpus.title}: has {len(set(groups))} {plural(name)}, expected at least {num_folds} to keep them apart "
            f"in {num_folds} folds; lower --num-folds (to 2 at least) or split at random (--split random)"
        )
    folds = np.full(len(corpus), -1)
    of = np.array([utterance.corpus for utterance in corpus.utterances])
    few = []
    for corpus_name in dict.fromkeys(of):
        positions = np.flatnonzero(of == corpus_name)
        if len(set(groups[positions])) < num_folds:
            few += list(Counter(groups[positions]).items())
            continue
        for k, (_, chosen) in enumerate(GroupKFold(num_folds).split(positions, groups=groups[positions])):
            folds[positions[chosen]] = k
    for group, _ in sorted(few, key=lambda item: (-item[1], item[0])):  # the largest to the smallest fold, as above
        folds[groups == group] = np.bincount(folds[folds >= 0], minlength=num_folds).argmin()
    return folds


def _group_validation(
    corpus: Corpus, positions: np.ndarray, name: str, fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    groups = _groups(corpus, positions, name)
    if len(set(groups)) == 1:  # the test's groups are still nowhere else
        return _stratified_validation(corpus, positions, fraction, seed=seed)
    return _grouped(corpus, positions, groups, num_parts=max(2, round(1 / fraction)), seed=seed)


def _grouped(
    corpus: Corpus, positions: np.ndarray, groups: Sequence[str], num_parts: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    num_parts = min(num_parts, len(set(groups)))
    emotions = [corpus.utterances[i].emotion for i in positions]
    folds = StratifiedGroupKFold(num_parts, shuffle=True, random_state=seed)
    if max(Counter(emotions).values()) < num_parts:  # too few of every class to stratify
        folds = GroupKFold(num_parts, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # small classes; they were checked before
        rest, chosen = next(folds.split(positions, emotions, groups=groups))
    return positions[rest], positions[chosen]


def _both_apart(corpus: Corpus, num_folds: int, fold: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tests some speakers with some sentences, trains on other speakers with other sentences."""
    speakers, scripts = (_group_folds(corpus, name, num_folds) for name in ("speaker", "script"))
    test = np.flatnonzero((speakers == fold) & (scripts == fold))
    rest = np.flatnonzero((speakers != fold) & (scripts != fold))
    train = validation = rest
    for name in ("speaker", "script"):
        groups = _groups(corpus, rest, name)
        if len(rest) and len(set(groups)) > 1:
            remaining, chosen = _grouped(corpus, rest, groups, num_parts=AXIS_SHARE, seed=seed)
            train, validation = np.intersect1d(train, remaining), np.intersect1d(validation, chosen)
    if train is rest:
        return (*_stratified_validation(corpus, rest, 1 / AXIS_SHARE, seed=seed), test)
    return train, validation, test


def _check_class_sizes(corpus: Corpus, num_folds: int) -> None:
    if len(corpus) < num_folds:
        raise InputError(
            f"{corpus.title}: has {len(corpus)} utterances, expected at least {num_folds} for {num_folds} folds; add "
            "some, or lower --num-folds"
        )
    for label, count in corpus.counts().items():
        if 0 < count < num_folds:
            rows = _rows_of(corpus, label, range(len(corpus)))
            raise InputError(
                f"{corpus.title}, {rows}: the emotion {label!r} has {count} example{'s'[: count > 1]}, expected at "
                f"least {num_folds} for {num_folds} folds; add examples, lower --num-folds, or leave it out "
                f"(--drop-labels {label})"
            )


def _check_parts(corpus: Corpus, split: Split) -> None:
    for name in ("train", "validation"):
        if not split.parts()[name]:
            raise InputError(f"{corpus.title}: the {name} part is empty; expected utterances in it")
    made_here = split.strategy in SPLITS and split.strategy != "column"
    if made_here and not split.test:
        raise InputError(f"{corpus.title}: the test part is empty; expected utterances in it")
    for name in ("train", "test") if made_here and split.strategy != "corpus" else ("train",):
        present = {corpus.utterances[i].emotion for i in split.parts()[name]}
        for label, count in corpus.counts().items():
            if count and label not in present:
                rows = _rows_of(corpus, label, range(len(corpus)))
                raise InputError(
                    f"{corpus.title}, {rows}: the emotion {label!r} does not occur in the "
                    f"{'training' if name == 'train' else name} part; "
                    f"add examples, choose other folds, or leave it out (--drop-labels {label})"
                )


def _rows_of(corpus: Corpus, label: str, positions: Sequence[int]) -> str:
    found = [corpus.utterances[i] for i in positions if corpus.utterances[i].emotion == label]
    listed = ", ".join(str(u.row) if len(corpus.paths) == 1 else f"{u.manifest}:{u.row}" for u in found[:5])
    return f"row{'s'[: len(found) > 1]} {listed}" + (" …" if len(found) > 5 else "")
