"""Figures of groups of people or recordings, with intervals, and tests of whether groups differ beyond chance."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pathosnet.evaluation.bootstrap import bootstrap_ccc, bootstrap_figures, interval, resample_counts
from pathosnet.evaluation.predictions import Estimates, Predictions, PredictionTable
from pathosnet.evaluation.tables import UNDEFINED, Table

SPEAKER = "speaker"
NOT_GIVEN = "(not given)"
SIGNIFICANT = 0.05
PERMUTATIONS_PER_TEST = 40
"""Permutations for each group, so that the smallest p-value is small beside the correction for their number."""
FEWEST_PERMUTATIONS = 2000
FIGURES = {"uar": "UAR %", "mean_ccc": "mean CCC"}
TOGETHER = 500
"""Permutations that are in memory at once."""
Figure = Callable[[np.ndarray], np.ndarray]
"""From how often each utterance counts, ``(resamples, utterances)``, to a figure of each resample, ``(resamples,)``."""


@dataclass(frozen=True)
class GroupFigures:
    """Figures of one group, and how it differs from all others."""

    column: str
    group: str
    utterances: int
    speakers: int
    """Number of speakers; 0 where not all are known."""
    figure: str
    """``uar``, or ``mean_ccc`` of estimated numbers."""
    value: float
    interval: tuple[float, float]
    """95 % bootstrap interval, over speakers where the group has several known ones, else over utterances."""
    difference: float | None
    """Value minus that of all other utterances; None if there are no others."""
    p_value: float | None
    """P-value of the permutation test that the group is like the others, two-sided, after Holm's correction."""

    @property
    def differs(self) -> bool:
        """Whether the group differs from the others by more than chance explains."""
        return self.p_value is not None and self.p_value < SIGNIFICANT


def measure_groups(
    predictions: PredictionTable, columns: Mapping[str, Sequence[str]], seed: int = 0
) -> list[GroupFigures]:
    """Measures each group of utterances alone, and compares it with all others.

    A permutation test asks how often chance alone makes a difference as large: groups are dealt anew, to whole speakers
    where each speaker is in one group (utterances of one voice are no independent evidence), else to utterances within
    their class. The p-values are corrected for the number of all groups (Holm, 1979).

    Args:
        predictions: of one seed.
        columns: name → the group of each utterance, ``(utterances,)``; an empty name is a group, too.
        seed: of what is drawn.

    Returns:
        Groups in the order of their names, column by column; of emotions and dimensions, first those of all emotions.
    """
    parts = [
        (part, {name: [values[i] for i in positions] for name, values in columns.items()})
        for positions, part in predictions.parts()
    ]
    tests = sum(len(set(values)) for _, own in parts for values in own.values())
    found = []
    for part, own in parts:
        figure, name = _figure_of(part)
        for column, values in own.items():
            for group in sorted(set(values)):
                member = np.array([value == group for value in values])
                one = _measure_group(part, member, figure, tests=tests, seed=seed)
                found.append(replace(one, column=column, group=group or NOT_GIVEN, figure=name))
    return _corrected(found)


def groups_table(groups: Sequence[GroupFigures]) -> Table:
    """Returns a row for each group, in percent where the figure is a recall."""
    names = dict.fromkeys(FIGURES[one.figure] for one in groups)
    rows = []
    for one in groups:
        shown = _percent if one.figure == "uar" else _decimals
        low, high = map(shown, one.interval)
        change = UNDEFINED if one.difference is None else f"{'+' * (one.difference > 0)}{shown(one.difference)}"
        p = UNDEFINED if one.p_value is None else f"{one.p_value:.3f}" if one.p_value >= 0.001 else "< 0.001"
        about = (one.column, one.group, str(one.utterances), str(one.speakers or UNDEFINED))
        value = f"{FIGURES[one.figure]} {shown(one.value)}" if len(names) > 1 else shown(one.value)
        rows.append((*about, value, f"{low} to {high}", change, f"{p} *" if one.differs else p))
    first = ("by", "group", "utterances", "speakers", " or ".join(names))
    header = (*first, "95 % interval", "against the others", "p, corrected")
    return Table(header, rows, left=(0, 1))


def describe_differences(groups: Sequence[GroupFigures]) -> str:
    """Says which groups differ beyond chance, and by which test."""
    differing = [one for one in groups if one.differs]
    tests = sum(one.p_value is not None for one in groups)
    several = len({one.figure for one in groups}) > 1
    test = f"permutation tests against all others, Holm's correction for {tests} tests, p < {SIGNIFICANT}"
    if not differing:
        return f"no group differs beyond chance ({test}); small groups differ only where the difference is large"
    named = ", ".join(
        f"{one.column} {one.group} ({'better' if (one.difference or 0) > 0 else 'worse'}{_in_figure(one, several)})"
        for one in differing
    )
    return f"warning: the model does not treat all groups alike: {named} ({test})"


def _in_figure(one: GroupFigures, several: bool) -> str:
    return f" in {FIGURES[one.figure].removesuffix(' %')}" if several else ""


def _figure_of(predictions: Predictions | Estimates) -> tuple[Figure, str]:
    truth = predictions.truth
    if isinstance(predictions, Estimates):
        outputs = predictions.outputs
        return lambda counts: bootstrap_ccc(truth, outputs, counts).mean(axis=1), "mean_ccc"
    right = (predictions.predicted == truth).astype(float)
    return lambda counts: bootstrap_figures(truth, right, counts)["uar"], "uar"


def _measure_group(
    predictions: Predictions | Estimates, member: np.ndarray, figure: Figure, *, tests: int, seed: int
) -> GroupFigures:
    speakers = [(row["corpus"], row["speaker"]) for row in predictions.rows]
    inside = [speaker for speaker, own in zip(speakers, member, strict=True) if own]
    known = len(set(inside)) if all(name for _, name in inside) else 0
    own = predictions.take(np.flatnonzero(member).tolist())
    drawn = resample_counts(inside if known > 1 else range(len(inside)), seed=seed)
    difference = p_value = None
    if not member.all():
        difference = float(_differences(figure, member[None])[0])
        count = max(FEWEST_PERMUTATIONS, PERMUTATIONS_PER_TEST * tests)
        deal, rng = _dealing(member, speakers), np.random.default_rng(seed)
        if deal is None and isinstance(predictions, Predictions):
            dealt = _recalls_of_deals(predictions, member, count, rng=rng)
        else:
            parts = [min(TOGETHER, count - start) for start in range(0, count, TOGETHER)]
            deal = deal or (lambda rng, part: rng.permuted(np.tile(member, (part, 1)), axis=1))
            dealt = np.concatenate([_differences(figure, deal(rng, part)) for part in parts])
        p_value = (1 + int((np.abs(dealt) >= abs(difference) - 1e-12).sum())) / (1 + count)
    return GroupFigures(
        column="",
        group="",
        utterances=len(inside),
        speakers=known,
        figure="",
        value=float(figure(member[None].astype(float))[0]),
        interval=interval(_figure_of(own)[0](drawn)),
        difference=difference,
        p_value=p_value,
    )


def _differences(figure: Figure, members: np.ndarray) -> np.ndarray:
    """Returns the group's figure minus that of the others, for each row of ``(deals, utterances)``."""
    counts = members.astype(float)
    return figure(counts) - figure(1.0 - counts)


Deal = Callable[[np.random.Generator, int], np.ndarray]
"""Deals a group anew: so many rows of who is in it, ``(deals, utterances)``."""


def _dealing(member: np.ndarray, speakers: Sequence[tuple[str, str]]) -> Deal | None:
    """Deals whole speakers, where none is on both sides and each side has several; None where that is not so."""
    _, numbers = np.unique(np.array([f"{name}\n{corpus}" for corpus, name in speakers]), return_inverse=True)
    size, shares = np.bincount(numbers), np.bincount(numbers, member)
    sides = shares > 0
    whole = bool(((shares == 0) | (shares == size)).all()) and all(name for _, name in speakers)
    if not whole or min(np.count_nonzero(sides), np.count_nonzero(~sides)) < 2:
        return None
    return lambda rng, count: rng.permuted(np.tile(sides, (count, 1)), axis=1)[:, numbers]


def _recalls_of_deals(
    predictions: Predictions, member: np.ndarray, count: int, *, rng: np.random.Generator
) -> np.ndarray:
    """Deals utterances anew within their classes; returns the differences of the UAR, ``(count,)``.

    How many right answers of a class fall to the group is hypergeometric, so that no utterance need be moved.
    """
    right = predictions.predicted == predictions.truth
    inside, outside = np.full((2, len(predictions.labels), count), np.nan)
    for label in np.unique(predictions.truth):
        of_class = predictions.truth == label
        hits, total = int(right[of_class].sum()), int(of_class.sum())
        taken = int(member[of_class].sum())
        dealt = rng.hypergeometric(hits, total - hits, taken, size=count)
        if taken:
            inside[label] = dealt / taken
        if taken < total:
            outside[label] = (hits - dealt) / (total - taken)
    return np.asarray(np.nanmean(inside, axis=0) - np.nanmean(outside, axis=0))


def _corrected(groups: Sequence[GroupFigures]) -> list[GroupFigures]:
    tested = [i for i, one in enumerate(groups) if one.p_value is not None]
    corrected = list(groups)
    for i, p_value in zip(tested, correct_p_values([groups[i].p_value or 0.0 for i in tested]), strict=True):
        corrected[i] = replace(groups[i], p_value=p_value)
    return corrected


def correct_p_values(p_values: Sequence[float]) -> list[float]:
    """Corrects p-values for their number: the smallest times all, the next times one less, never falling (Holm, 1979).

    >>> correct_p_values([0.25, 0.0625])
    [0.25, 0.125]
    """
    found, floor = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(np.argsort(p_values, kind="stable")):
        floor = max(floor, min(1.0, (len(p_values) - rank) * p_values[i]))
        found[i] = floor
    return found


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _decimals(value: float) -> str:
    return f"{value:.3f}"
