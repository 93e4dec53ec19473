"""Corpora whose file names say it all, in a pattern that a person gives: AESI, SES, and any other."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from pathosnet.corpora.importing import (
    AUDIO_SUFFIXES,
    CorpusImporter,
    ImportedUtterance,
    ImportOptions,
    Notes,
)
from pathosnet.errors import InputError
from pathosnet.files import walk_files

EXAMPLE = "{speaker}_{emotion}_*.wav"
GROUPS = ("emotion", "speaker", "session", "script", "language", "text", "split")
TOKEN = re.compile(r"\{(?P<name>\w+)(?::(?P<glob>[^{}/]+))?\}|(?P<other>[^{}])")


def compile_pattern(pattern: str, needed: str = "emotion") -> re.Pattern[str]:
    """Makes a regular expression of a pattern.

    ``*`` stands for any letters, ``?`` for one, ``{speaker}`` for one or more, which are the speaker, ``{speaker:??}``
    for two. None of them goes across folders, which ``/`` divides; ``**/`` stands for any folders.

    Args:
        pattern: of a recording's name.
        needed: what it must name; empty for nothing.

    Raises:
        InputError: it does not name what is needed, names something that is no column, or something twice.

    >>> compile_pattern("{speaker:??}{script:???}{emotion:?}*.wav").fullmatch("03a01Wa.wav").groups()
    ('03', 'a01', 'W')
    """
    expression, position = "", 0
    names: list[str] = []
    while position < len(pattern):
        if pattern.startswith("**/", position):
            expression, position = expression + "(?:.*/)?", position + 3
            continue
        token = TOKEN.match(pattern, position)
        if token is None:
            raise InputError(f"--pattern {pattern}: expected braces around a name, as in {EXAMPLE}")
        if name := token["name"]:
            if name not in GROUPS or name in names:
                raise InputError(f"--pattern {pattern}: expected {', '.join(GROUPS)}, each once, got {{{name}}}")
            names.append(name)
            expression += f"(?P<{name}>{_letters(token['glob']) if token['glob'] else '[^/]+?'})"
        else:
            expression += _letters(token["other"])
        position = token.end()
    if needed and needed not in names:
        raise InputError(f"--pattern {pattern}: names no {{{needed}}}; expected a pattern such as {EXAMPLE}")
    return re.compile(expression)


def _letters(glob: str) -> str:
    return "".join({"*": "[^/]*?", "?": "[^/]"}.get(letter, re.escape(letter)) for letter in glob)


def _read(language: str, folder: Path, options: ImportOptions, notes: Notes) -> Iterator[ImportedUtterance]:
    if not options.pattern:
        raise InputError(f"{folder}: how this corpus names its files is not known; say it with --pattern '{EXAMPLE}'")
    pattern = compile_pattern(options.pattern)
    for path in sorted(walk_files(folder)):
        inside = path.relative_to(folder).as_posix()
        match = pattern.fullmatch(inside if "/" in options.pattern else path.name)
        if match:
            said: dict[str, Any] = {"language": options.language or language, **match.groupdict()}
            yield ImportedUtterance(path, **said)
        elif path.suffix.lower() in AUDIO_SUFFIXES:
            notes.count(f"not named like {options.pattern}", inside)


def _importer(name: str, title: str, languages: tuple[str, ...], source: str) -> CorpusImporter:
    return CorpusImporter(
        name,
        title,
        languages,
        emotions=(),
        source=source,
        layout=f"recordings whose names fit --pattern, such as anna_anger_01.wav for '{EXAMPLE}'",
        read=partial(_read, languages[0] if languages else ""),
        options=("pattern", "language"),
    )


AESI = _importer("aesi", "AESI", ("el",), source="its authors; with --pattern")
SES = _importer("ses", "SES", ("es",), source="its authors; with --pattern")


def of_name(name: str) -> CorpusImporter:
    """Returns the importer of a corpus that a person names."""
    return _importer(name, name, (), source="")
