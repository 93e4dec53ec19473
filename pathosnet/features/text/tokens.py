"""From a transcript to words."""

import re
import unicodedata

TAG = re.compile(r"\[[^\[\]]*\]")  # what a transcriber noted beside the words: [LAUGHTER], [GARBAGE]


def tokenize(text: str) -> list[str]:
    """Splits a transcript into words as the public word-vector files have them.

    Letters, digits and combining marks make words, everything else parts them; so ``l'amico`` is two words, as in
    MUSE's and fastText's vocabularies. Tags such as ``[LAUGHTER]`` are left out. The case is kept.

    Args:
        text: a sentence in any script that parts its words.

    Returns:
        The words, composed (Unicode NFC); none for an empty text.

    >>> tokenize("L'amico non c'è… [LAUGHTER] perché?")
    ['L', 'amico', 'non', 'c', 'è', 'perché']
    """
    return "".join(c if unicodedata.category(c)[0] in "LNM" else " " for c in plain_text(text)).split()


def plain_text(text: str) -> str:
    """Leaves out tags such as ``[LAUGHTER]`` and superfluous blanks, and composes letters (Unicode NFC).

    >>> plain_text("No…  [LAUGHTER] perché?")
    'No… perché?'
    """
    return " ".join(unicodedata.normalize("NFC", TAG.sub(" ", text)).split())


def check_words(words: object) -> None:
    """Refuses a string where a list of words is meant: its letters would be embedded.

    Raises:
        TypeError: ``words`` is a string.
    """
    if isinstance(words, str):
        raise TypeError(f"expected a list of words, got the string {words!r}; split it with tokenize()")
