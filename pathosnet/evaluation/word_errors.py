"""How far transcripts are from what was said, by jiwer."""

from collections.abc import Sequence
from dataclasses import dataclass

from pathosnet.features import tokenize


@dataclass(frozen=True)
class WordErrors:
    """Errors of all utterances together, over the words and characters of all references together."""

    utterances: int
    words: int
    """Of the references."""
    wer: float
    """Substitutions, deletions and insertions for each word; with many insertions above 1."""
    cer: float
    """The same for each character."""
    substitutions: int
    deletions: int
    insertions: int
    """All three of words."""


def normalise_transcript(text: str) -> str:
    """Makes transcripts comparable: tags such as [LAUGHTER] and punctuation removed, lower case, single spaces.

    The words are those that the text branch reads, so that ``l'amico`` is two; ``casefold`` makes them lower case.

    >>> normalise_transcript("  Straße, L'amico… [LAUGHTER] 3 ")
    'strasse l amico 3'
    """
    return " ".join(tokenize(text)).casefold()


def measure_word_errors(references: Sequence[str], hypotheses: Sequence[str]) -> WordErrors | None:
    """Compares transcripts with what was said, both normalised.

    Args:
        references: what was said; those without words are left out.
        hypotheses: as many; they may be empty.

    Returns:
        The errors; None if no reference has words.
    """
    import jiwer

    pairs = [
        (normalise_transcript(reference), normalise_transcript(hypothesis))
        for reference, hypothesis in zip(references, hypotheses, strict=True)
    ]
    pairs = [(reference, hypothesis) for reference, hypothesis in pairs if reference]
    if not pairs:
        return None
    said, heard = (list(texts) for texts in zip(*pairs, strict=True))
    found = jiwer.process_words(said, heard)
    return WordErrors(
        utterances=len(pairs),
        words=found.hits + found.substitutions + found.deletions,
        wer=found.wer,
        cer=jiwer.process_characters(said, heard).cer,
        substitutions=found.substitutions,
        deletions=found.deletions,
        insertions=found.insertions,
    )
