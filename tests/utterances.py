"""Corpora of made-up utterances, and what their parts hold."""

from collections import Counter
from pathlib import Path

import numpy as np

from pathosnet.corpora import Corpus, Split, Utterance
from pathosnet.targets import ClassTarget

LABELS = ("happiness", "anger", "sadness", "neutral")


def corpus_of(*utterances: dict, labels: tuple[str, ...] = LABELS) -> Corpus:
    made = [Utterance(None, "", row=row, **utterance) for row, utterance in enumerate(utterances, start=2)]
    return Corpus((Path("corpus.csv"),), tuple(made), ClassTarget(labels))


def balanced(per_class: int = 20, num_speakers: int = 8, **columns: str) -> Corpus:
    """Labels in turn; the speakers' shares are uneven."""
    generator = np.random.default_rng(3)
    return corpus_of(
        *(
            {"emotion": LABELS[i % 4], "speaker": f"s{min(generator.integers(num_speakers, size=2))}", **columns}
            for i in range(4 * per_class)
        )
    )


def speakers_of(corpus: Corpus, positions: tuple[int, ...]) -> set[str]:
    return {corpus.utterances[i].speaker for i in positions}


def emotions_of(corpus: Corpus, positions: tuple[int, ...]) -> Counter:
    return Counter(corpus.utterances[i].emotion for i in positions)


def assert_partition(corpus: Corpus, split: Split) -> None:
    joined = [*split.train, *split.validation, *split.test]
    assert sorted(joined) == list(range(len(corpus)))
    for part in split.parts().values():
        assert list(part) == sorted(part)


def crossed(num_speakers: int = 6, num_sentences: int = 8, **columns: str) -> Corpus:
    """Every speaker says every sentence with every emotion."""
    return corpus_of(
        *(
            {"emotion": label, "speaker": f"s{s}", "script": f"t{t}", "session": f"{s // 2}", **columns}
            for s in range(num_speakers)
            for t in range(num_sentences)
            for label in LABELS
        )
    )
