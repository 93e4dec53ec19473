"""What the parts of a corpus share: speakers, sentences, sessions."""

from collections.abc import Iterable, Mapping

from pathosnet.corpora.manifest import Corpus
from pathosnet.corpora.splits import GROUPS, Split, plural, singular


def find_leak(corpus: Corpus, split: Split) -> dict[str, int]:
    """Counts the test part's speakers, sentences and sessions, and how many of them the training part has too."""
    leak = {}
    for name in GROUPS:
        seen, tested = (groups_of(corpus, part, name) for part in (split.train, split.test))
        leak[f"test_{plural(name)}"] = len(tested)
        leak[f"test_{plural(name)}_in_training"] = len(tested & seen)
    return leak


def describe_leak(leak: Mapping[str, int]) -> str:
    """Says in words how much of the test part the training part has seen.

    >>> describe_leak({"test_speakers": 4, "test_speakers_in_training": 3})
    '3 of 4 test speakers also occur in training'
    """
    kinds = [plural(name) for name in GROUPS if leak.get(f"test_{plural(name)}")]
    found = (
        f"{leak[f'test_{kind}_in_training']} of {leak[f'test_{kind}']} test {kind} also occur in training"
        for kind in kinds
    )
    return "; ".join(found) or "the manifest names neither speakers nor texts"


def describe_split(corpus: Corpus, split: Split) -> str:
    """Says what a split guarantees, found by looking at its parts: what is kept apart, what is shared, what lacks."""
    said = []
    for name in GROUPS:
        train, validation, test = (groups_of(corpus, part, name) for part in split.parts().values())
        if not test:
            continue
        shared = {"training": len(test & train), "validation": len(test & validation)}
        if not any(shared.values()):
            said.append(f"no test {singular(name)} occurs in training or validation")
        else:
            where = " and ".join(f"{count} in {part}" for part, count in shared.items())
            said.append(f"of {len(test)} test {plural(name)}, {where}")
        if train & validation and not any(shared.values()):
            said.append(f"validation shares {len(train & validation)} of its {plural(name)} with training")
    for part in ("validation", "test"):
        has = {corpus.utterances[i].emotion for i in split.parts()[part]}
        lacking = [label for label, count in corpus.counts().items() if count and label not in has]
        if has and lacking:
            said.append(f"the {part} part has no {', no '.join(lacking)}")
    untested = sorted({u.corpus for u in corpus.utterances} - {corpus.utterances[i].corpus for i in split.test})
    if split.test and untested:
        said.append(f"not tested: {', '.join(untested)}")
    left_out = len(corpus) - sum(len(part) for part in split.parts().values())
    if left_out:
        said.append(f"{left_out} utterances are in no part, since they would join parts")
    return "; ".join(said) or "the manifest names neither speakers nor texts: what the parts share is not known"


def groups_of(corpus: Corpus, positions: Iterable[int], name: str) -> set[tuple[str, str]]:
    """Returns the speakers, sessions or scripts of some utterances, each with its corpus; unknown ones are left out."""
    found = ((corpus.utterances[i].corpus, GROUPS[name](corpus.utterances[i])) for i in positions)
    return {(of, group) for of, group in found if group}
