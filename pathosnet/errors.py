"""Errors in the user's input, as opposed to bugs of the library."""


class InputError(ValueError):
    """A file, a table row or an option that cannot be used.

    The message is one line for a person: which file (and row), what was expected, what came, what to do.
    The command line prints it without a traceback and exits with 2.
    """
