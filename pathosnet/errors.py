"""Errors in the user's input, as opposed to bugs of the library."""

import errno
import os
import reprlib
import unicodedata

_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother, _SHORT.maxlong = 2, 100, 100, 40
LONGEST = 1200
CONTROLS = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Categories of characters that steer a terminal, or turn the direction of its text."""
JOINERS = "\u200c\u200d"
"""Characters of the same categories that Persian, Indic scripts and emoji are written with."""

_FULL = (*(os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)), "database or disk is full")
_NO_MEMORY = ("can't allocate memory", "can't start new thread", "out of memory", os.strerror(errno.ENOMEM))


class InputError(ValueError):
    """A file, a table row or an option that cannot be used.

    The message is one line for a person: which file (and row), what was expected, what came, what to do.
    The command line prints it without a traceback and exits with 2. What is longer than LONGEST characters, because it
    quotes a file or an option, is cut in its middle.

    >>> len(str(InputError("y" * 10_000)))
    1200
    """

    def __init__(self, message: object = "") -> None:
        text = str(message)
        super().__init__(text if len(text) <= LONGEST else f"{text[: LONGEST - 401]}…{text[-400:]}")


def shown(value: object) -> str:
    """Shows a value in a message, cut to what fits there: one that refers to itself time and again has no end.

    >>> shown([1, 2, 3]), shown("yes")
    ('[1, 2, 3]', "'yes'")
    """
    try:
        return _SHORT.repr(value)
    except ValueError:  # Python does not spell out whole numbers of thousands of digits
        return f"a very large {type(value).__name__}"


def printable(text: str) -> str:
    r"""Makes a text safe to print: what would steer a terminal, as names of files can, becomes an escape.

    Tabs and line ends stay, and letters of every script.

    >>> printable("clip\x1b[2J.wav")
    'clip\\x1b[2J.wav'
    """
    return "".join(
        c if c in "\t\n" + JOINERS or unicodedata.category(c) not in CONTROLS else ascii(c)[1:-1] for c in text
    )


def find_full_disk(error: Exception) -> str:
    """Returns what the system says where an error means that a disk is full; empty if it does not.

    PyTorch, safetensors and SQLite raise errors of their own kinds for that, but all say what the system said; what
    wraps theirs may not.
    """
    cause = error.__cause__
    found = next((reason for reason in _FULL if reason in str(error)), "")
    return found or (find_full_disk(cause) if isinstance(cause, Exception) else "")


def lacks_memory(error: Exception) -> bool:
    """Whether an error means that there is not enough memory, for which PyTorch has several kinds."""
    return isinstance(error, MemoryError) or any(reason in str(error) for reason in _NO_MEMORY)
