"""``pathosnet corpora``: list, import, stats."""

import sys
from dataclasses import replace
from pathlib import Path

from pathosnet.cli.arguments import Command, Group
from pathosnet.cli.output import print_json, say
from pathosnet.corpora.importing import ImportOptions
from pathosnet.options import Names, Values, parse_pairs


def list_(*, json: bool = False) -> None:
    """List the corpora that have importers (the default).

    Lists the corpora that have importers: languages, emotions, where people get them, their layout.

    Args:
        json: Print JSON.
    """
    from pathosnet.corpora.known import IMPORTERS

    if json:
        named = ("name", "title", "languages", "emotions", "source", "licence", "layout")
        print_json([{name: getattr(one, name) for name in named} for one in IMPORTERS.values()])
        return
    for importer in IMPORTERS.values():
        languages = ", ".join(importer.languages) or "any language"
        say(f"{importer.name}: {importer.title} ({languages}), {', '.join(importer.emotions) or 'any emotions'}")
        say(f"    from:    {importer.source}{f'; {importer.licence}' if importer.licence else ''}")
        say(f"    expects: {importer.layout}")


def import_(
    corpus: str,
    folder: Path,
    *,
    out: Path,
    overwrite: bool = False,
    emotions: Names = Names(),
    label: Values = Values(),
    options: ImportOptions,
) -> None:
    """Write the manifest of a corpus.

    Corpora without an importer come in by the names of their files: pathosnet corpora import ses FOLDER --out ses.csv
    --pattern '{speaker}_{emotion}_*.wav' --label ira=anger

    Args:
        corpus: One that `pathosnet corpora` lists; with --pattern, any name.
        folder: Of the corpus.
        out: CSV to write; its audio paths are relative to it.
        overwrite: Replace the CSV if it exists.
        emotions: Emotions to keep, or all; if not given, all of them, of IEMOCAP the paper's four.
        label: SPELLING=EMOTION; may be repeated.
        options: what only some corpora need.
    """
    from pathosnet.corpora.importing import import_corpus
    from pathosnet.corpora.known import find_importer

    importer = find_importer(corpus, options.pattern)
    options = replace(options, emotions=emotions, label=parse_pairs(label, "--label"))
    done = import_corpus(importer, folder, out, options=options, overwrite=overwrite)
    for note in done.notes:
        say(f"note: {note}", sys.stderr)
    counts = ", ".join(f"{emotion} {number}" for emotion, number in done.counts().items())
    say(f"{done.path}: {len(done.utterances)} utterances ({counts})")


def stats(corpus: Values, *, label: Values = Values(), drop_labels: Names = Names(), json: bool = False) -> None:
    """Count utterances per class, durations, speakers.

    Counts utterances per class, as in the paper's table 1, durations (from the files' headers), clips too short for
    VGGish, speakers, and rows without text or recording.

    Args:
        corpus: CSV files as for training.
        label: SPELLING=EMOTION; may be repeated.
        drop_labels: Spellings whose rows are left out.
        json: Print JSON.
    """
    from pathosnet.corpora.statistics import corpus_statistics, statistics_tables

    parts, total = corpus_statistics(corpus, parse_pairs(label, "--label"), drop_labels)
    if json:
        print_json({"corpora": [one.to_dict() for one in parts], "total": total.to_dict()})
    else:
        say(statistics_tables(parts, total))


COMMAND = Group(
    "corpora",
    "List known corpora, make their manifests, count what manifests hold.\n\n"
    "Makes manifests for training of corpora as their authors distribute them; nothing is downloaded.",
    Command(list_),
    Command(import_, without=("emotions", "label")),
    Command(stats),
)
