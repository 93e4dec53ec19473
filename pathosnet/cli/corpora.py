"""``pathosnet corpora``: list, import, stats."""

import json
import sys
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from pathosnet.config import Names, Values, parse_pairs

HELP = "List known corpora, make their manifests, count what manifests hold."
REPEATED = ("--label",)


def make_parser() -> ArgumentParser:
    """Makes the command's parser."""
    return ArgumentParser(
        usage="pathosnet corpora [list | import CORPUS FOLDER --out CORPUS.csv | stats CORPUS.csv …]",
        exit_on_error=False,
        description="Makes manifests for training of corpora as their authors distribute them; nothing is downloaded.",
    )


def add_actions(parser: ArgumentParser) -> None:
    """Adds what the command can do; jsonargparse wants the command itself to be added first."""
    actions = parser.add_subcommands(required=False, dest="action", title="actions", metavar="ACTION")
    actions.add_subcommand("list", _list_parser(), help="List the corpora that have importers (the default).")
    actions.add_subcommand("import", _import_parser(), help="Write the manifest of a corpus.")
    actions.add_subcommand("stats", _stats_parser(), help="Count utterances per class, durations, speakers.")


def run(options: Namespace) -> None:
    """Runs the command."""
    action = options.action or "list"
    {"list": _list, "import": _import, "stats": _stats}[action](options.get(action) or Namespace())


def _list_parser() -> ArgumentParser:
    parser = ArgumentParser(
        usage="pathosnet corpora list [--json]",
        exit_on_error=False,
        description="Lists the corpora that have importers: languages, emotions, where people get them, their layout.",
    )
    parser.add_argument("--json", action="store_true", help="Print JSON.")
    return parser


def _import_parser() -> ArgumentParser:
    parser = ArgumentParser(
        usage="pathosnet corpora import CORPUS FOLDER --out CORPUS.csv [options]",
        exit_on_error=False,
        description="Writes the manifest of a corpus. Corpora without an importer come in by the names of their files: "
        "pathosnet corpora import ses FOLDER --out ses.csv --pattern '{speaker}_{emotion}_*.wav' --label ira=anger",
    )
    parser.add_argument("corpus", type=str, help="One that `pathosnet corpora` lists; with --pattern, any name.")
    parser.add_argument("folder", type=str, help="Of the corpus.")
    parser.add_argument("--out", type=str, required=True, help="CSV to write; its audio paths are relative to it.")
    parser.add_argument("--overwrite", action="store_true", help="Replace the CSV if it exists.")
    parser.add_argument(
        "--emotions",
        type=Names,
        default=Names(),
        help="Emotions to keep, or all; if not given, all of them, of IEMOCAP the paper's four.",
    )
    parser.add_argument("--label", type=Values, default=Values(), help="SPELLING=EMOTION; may be repeated.")
    parser.add_argument(
        "--pattern",
        type=str,
        help="Names of files: * any letters, ? one, {emotion}, {speaker}, {session}, {script}, {language}, {text} or "
        "{split} a part; {speaker:??} one of two letters. With a / it is the path in the folder.",
    )
    parser.add_argument("--language", type=str, help="Of all recordings, such as es (--pattern, audformat).")
    parser.add_argument(
        "--happiness", choices=["exc", "hap", "both"], help="IEMOCAP: excited (the paper's 1041; default), happy, both."
    )
    parser.add_argument("--speakers", type=str, help="EmoFilm: its spreadsheet, exported as CSV.")
    parser.add_argument("--clips", type=str, help="MELD: folder of the extracted recordings, if not in FOLDER.")
    parser.add_argument("--table", type=str, help="audformat: the table of the emotions, if several differ.")
    parser.add_argument("--column", type=str, help="audformat: the scheme or column of the emotions (emotion).")
    return parser


def _stats_parser() -> ArgumentParser:
    parser = ArgumentParser(
        usage="pathosnet corpora stats CORPUS.csv [CORPUS.csv …] [--json]",
        exit_on_error=False,
        description="Counts utterances per class, as in the paper's table 1, durations (from the files' headers), "
        "clips too short for VGGish, speakers, and rows without text or recording.",
    )
    parser.add_argument("corpus", type=str, nargs="+", help="CSV files as for training.")
    parser.add_argument("--label", type=Values, default=Values(), help="SPELLING=EMOTION; may be repeated.")
    parser.add_argument("--drop_labels", type=Names, default=Names(), help="Spellings whose rows are left out.")
    parser.add_argument("--json", action="store_true", help="Print JSON.")
    return parser


def _list(options: Namespace) -> None:
    from pathosnet.corpora.known import IMPORTERS

    if options.get("json"):
        named = ("name", "title", "languages", "emotions", "source", "licence", "layout")
        print(json.dumps([{name: getattr(one, name) for name in named} for one in IMPORTERS.values()]))
        return
    for importer in IMPORTERS.values():
        languages = ", ".join(importer.languages) or "any language"
        print(f"{importer.name}: {importer.title} ({languages}), {', '.join(importer.emotions) or 'any emotions'}")
        print(f"    from:    {importer.source}{f'; {importer.licence}' if importer.licence else ''}")
        print(f"    expects: {importer.layout}")


def _import(options: Namespace) -> None:
    from pathosnet.corpora.importing import ImportOptions, import_corpus
    from pathosnet.corpora.known import find_importer

    importer = find_importer(options.corpus, options.pattern or "")
    given: dict[str, Any] = {name: options[name] or "" for name in ImportOptions.__dataclass_fields__}
    given |= {"emotions": options.emotions, "label": parse_pairs(options.label, "--label")}
    done = import_corpus(importer, options.folder, options.out, ImportOptions(**given), overwrite=options.overwrite)
    for note in done.notes:
        print(f"note: {note}", file=sys.stderr)
    counts = ", ".join(f"{emotion} {number}" for emotion, number in done.counts().items())
    print(f"{done.path}: {len(done.utterances)} utterances ({counts})")


def _stats(options: Namespace) -> None:
    from pathosnet.corpora.statistics import corpus_statistics, statistics_tables

    parts, total = corpus_statistics(options.corpus, parse_pairs(options.label, "--label"), options.drop_labels)
    if options.json:
        print(json.dumps({"corpora": [one.to_dict() for one in parts], "total": total.to_dict()}, ensure_ascii=False))
    else:
        print(statistics_tables(parts, total))
