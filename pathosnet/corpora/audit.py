"""An audit of anybody's folds: what their parts share, how classes are spread, and what figures on them mean."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pathosnet.corpora.lists import Listed
from pathosnet.corpora.splits import GROUPS, Split, groups_of, plural

RECORDINGS = "recordings"
KINDS = (RECORDINGS, *map(plural, GROUPS))
"""Kinds of things that parts may share: recordings, speakers, sessions, sentences."""
PAIRS = (("test", "train"), ("validation", "train"), ("test", "validation"))
Verdict = Literal["apart", "shared", "unknown"]
FEW = 10
"""Test recordings of a class below which its recall is a guess."""


@dataclass(frozen=True)
class Shared:
    """How much of one part another part has too."""

    kind: str
    part: str
    other: str
    count: int
    """Number of the part's recordings, speakers, … that the other part has too."""
    total: int
    """Number that the part has; 0 where the lists do not say."""


@dataclass(frozen=True)
class FoldAudit:
    """Overlap of one fold's parts, and their classes."""

    name: str
    sizes: dict[str, int]
    """Part → utterances."""
    shared: list[Shared]
    classes: dict[str, dict[str, int]]
    """Part → emotion → utterances; empty where the lists name no emotions."""

    def verdict(self, kinds: Sequence[str]) -> Verdict:
        """Says whether all parts are apart in these kinds of things, or one is shared, or one is not known."""
        found = [one for one in self.shared if one.kind in kinds]
        if any(one.count for one in found):
            return "shared"
        return "apart" if all(one.total for one in found) else "unknown"

    def remarks(self) -> list[str]:
        """Says what is odd about the classes of the parts."""
        labels = sorted({label for counts in self.classes.values() for label in counts})
        said = []
        for part, counts in self.classes.items():
            lacking = [label for label in labels if not counts.get(label)]
            said += [f"the {part} part has no {', no '.join(lacking)}"] if lacking else []
        tested = self.classes.get("test", {})
        few = [f"{label} {count}" for label, count in tested.items() if count < FEW]
        said += [f"few test recordings of {', '.join(few)}: their recalls are guesses"] if few else []
        if tested:
            label, count = max(tested.items(), key=lambda item: item[1])
            share = count / sum(tested.values())
            said.append(f"always answering {label} would be right in {share:.1%} of the test part")
        return said


@dataclass(frozen=True)
class Audit:
    """Findings in all folds.

    Args:
        folds: one for each fold.
        absent: number of recordings that were not there, so that they were told apart by their names alone.
        relabeled: recordings that are listed with several emotions, as file and row.
    """

    folds: list[FoldAudit]
    absent: int = 0
    relabeled: tuple[str, ...] = ()

    def verdict(self, kinds: Sequence[str]) -> Verdict:
        """Returns the worst verdict of the folds."""
        found = {fold.verdict(kinds) for fold in self.folds}
        return next(verdict for verdict in ("shared", "unknown", "apart") if verdict in found)

    def conclusion(self) -> list[str]:
        """Says in sentences what figures measured on these folds mean."""
        return [
            _conclude(kind, [one for fold in self.folds for one in fold.shared if one.kind == kind]) for kind in KINDS
        ]

    def to_dict(self) -> dict[str, Any]:
        """Returns JSON values."""
        verdicts = {kind: self.verdict([kind]) for kind in KINDS}
        return {**asdict(self), "verdicts": verdicts, "conclusion": self.conclusion()}


def audit_folds(listed: Listed) -> Audit:
    """Compares the parts of every fold.

    Args:
        listed: see ``pathosnet.corpora.lists``.
    """
    folds = [_audit_fold(listed, name, split) for name, split in listed.folds.items()]
    return Audit(folds, listed.absent, _relabeled(listed))


def _audit_fold(listed: Listed, name: str, split: Split) -> FoldAudit:
    parts = {part: positions for part, positions in split.parts().items() if positions}
    shared = [
        _compare(listed, kind, (part, parts[part]), (other, parts[other]))
        for kind in KINDS
        for part, other in PAIRS
        if part in parts and other in parts
    ]
    counted = {
        part: dict(sorted(Counter(listed.corpus.utterances[i].emotion for i in positions).items()))
        for part, positions in parts.items()
    }
    sizes = {part: len(positions) for part, positions in parts.items()}
    told = any(utterance.emotion for utterance in listed.corpus.utterances)
    return FoldAudit(name, sizes, shared, counted if told else {})


def _compare(listed: Listed, kind: str, one: tuple[str, Sequence[int]], two: tuple[str, Sequence[int]]) -> Shared:
    (part, positions), (other, others) = one, two
    if kind == RECORDINGS:
        known = {key for i in others for key in _keys(listed, i)}
        of_part = [keys for i in positions if (keys := _keys(listed, i))]
        total = len(of_part) if len(of_part) == len(positions) and all(_keys(listed, i) for i in others) else 0
        return Shared(kind, part, other, count=sum(bool(keys & known) for keys in of_part), total=total)
    group = next(name for name in GROUPS if plural(name) == kind)
    mine, theirs = (groups_of(listed.corpus, where, group) for where in (positions, others))
    # Where one row lacks its speaker, nobody knows whether that speaker is shared.
    known_all = all(GROUPS[group](listed.corpus.utterances[i]) for i in (*positions, *others))
    return Shared(kind, part, other, count=len(mine & theirs), total=len(mine) if known_all else 0)


def _keys(listed: Listed, i: int) -> set[str]:
    """Returns what a recording is known by: its content, and the path under which it is listed."""
    return {listed.corpus.utterances[i].content, listed.names[i]} - {""}


def _relabeled(listed: Listed) -> tuple[str, ...]:
    places = defaultdict(list)
    for utterance in listed.corpus.utterances:
        if utterance.content and utterance.emotion:
            places[utterance.content].append(utterance)
    return tuple(
        " and ".join(f"{u.where} ({u.emotion})" for u in same)
        for same in places.values()
        if len({u.emotion for u in same}) > 1
    )


MEANING = {
    RECORDINGS: "the model is tested on recordings that it was trained on: no figure of these folds means anything",
    "speakers": "figures say how well known voices are recognized, not new ones; they cannot be compared with "
    "speaker-independent ones",
    "sessions": "room, microphone and partners are known from training; figures for new sessions may be lower",
    "sentences": "words alone can give emotions away where sentences differ by emotion; check a model of text alone",
}
"""Kind of things that parts share → what follows from it."""


def _conclude(kind: str, found: Sequence[Shared]) -> str:
    shared = [one for one in found if one.count]
    if shared:
        worst = max(shared, key=lambda one: (one.other == "train", one.part == "test", one.count))
        of = f" of {worst.total}" if worst.total else ""
        folds = f" (the worst fold; {len(shared)} of {len(found)} comparisons share some)" if len(found) > 1 else ""
        return f"{kind}: {worst.count}{of} in {worst.part} also occur in {worst.other}{folds}; {MEANING[kind]}"
    if not found or not all(one.total for one in found):
        return f"{kind}: not all rows say which they are, so that nobody can tell whether parts share them"
    return f"{kind}: no part shares any with another"
