"""Corpora whose file names say everything: an importer of a table and a regular expression."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from pathosnet.corpora.importing import CorpusImporter, ImportedUtterance, ImportOptions, Notes, named_files

UNSEEN = " (from descriptions of the corpus: the importer was never tried on the corpus itself)"


def importer_of_names(
    name: str,
    title: str,
    *,
    pattern: str,
    example: str,
    emotions: Mapping[str, str],
    language: str,
    source: str,
    licence: str = "",
    folders: int = 0,
    sentences: Mapping[str, str] | None = None,
    left_out: Mapping[str, str] | None = None,
    seen: bool = False,
) -> CorpusImporter:
    """Makes an importer.

    Args:
        name: of the corpus.
        title: for a person.
        pattern: of a recording's name without suffix, after so many folders with ``/``; its groups ``emotion``,
            ``speaker``, ``script`` and ``text`` are columns.
        example: a name that fits.
        emotions: what the names call them, in any case → the library's names.
        language: of all recordings.
        source: where people get it.
        licence: as its publisher states it.
        folders: so many last folders belong to the name.
        sentences: script → what is said.
        left_out: name of a recording → why nobody should learn from it.
        seen: whether somebody has tried the importer on the corpus itself.
    """
    read = partial(
        _read,
        pattern=re.compile(pattern, re.I),
        example=example,
        emotions={spelled.lower(): emotion for spelled, emotion in emotions.items()},
        language=language,
        parts=folders + 1,
        sentences=sentences or {},
        left_out=left_out or {},
    )
    return CorpusImporter(
        name,
        title,
        (language,),
        emotions=tuple(dict.fromkeys(emotions.values())),
        source=source,
        layout=f"recordings such as {example}" + ("" if seen else UNSEEN),
        read=read,
        licence=licence,
    )


def _read(
    folder: Path,
    options: ImportOptions,
    notes: Notes,
    *,
    pattern: re.Pattern[str],
    example: str,
    emotions: Mapping[str, str],
    language: str,
    parts: int,
    sentences: Mapping[str, str],
    left_out: Mapping[str, str],
) -> Iterator[ImportedUtterance]:
    for audio, match in named_files(folder, pattern, example, notes=notes, parts=parts):
        if audio.stem in left_out:
            notes.say(f"{audio.relative_to(folder)} is left out: {left_out[audio.stem]}")
            continue
        said = {name: value for name, value in match.groupdict().items() if value is not None}
        script = said.get("script", "")
        yield ImportedUtterance(
            audio,
            said.get("text", "") or sentences.get(script.upper(), ""),
            emotions[said["emotion"].lower()],
            speaker=said.get("speaker", ""),
            script=script,
            language=language,
        )


def one_of(words: Sequence[str] | Mapping[str, str]) -> str:
    """Returns the regular expression of any of some words, the longest first."""
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))
