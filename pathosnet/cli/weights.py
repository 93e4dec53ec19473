"""``pathosnet weights``: list, get, convert, verify."""

import json

from jsonargparse import ArgumentParser, Namespace

from pathosnet.errors import InputError

HELP = "Get, convert and check pre-trained weights and word vectors."
INTERRUPTED = "what has come of a download is kept, the same command goes on from there"


def make_parser() -> ArgumentParser:
    """Makes the command's parser."""
    return ArgumentParser(
        usage="pathosnet weights [list | get NAME … | convert SOURCE --kind KIND --out FILE | verify FILE …]",
        exit_on_error=False,
        description="Weights and word vectors that other people publish: where they are, and whether yours are the "
        "same. Options that take such a file also take its name: --vggish vggish, --text it=muse-it.",
    )


def add_actions(parser: ArgumentParser) -> None:
    """Adds what the command can do; jsonargparse wants the command itself to be added first."""
    actions = parser.add_subcommands(required=False, dest="action", title="actions", metavar="ACTION")
    actions.add_subcommand("list", _list_parser(), help="List the files that are known (the default).")
    actions.add_subcommand("get", _get_parser(), help="Download files, or go on downloading them.")
    actions.add_subcommand("convert", _convert_parser(), help="Write weights as safetensors.")
    actions.add_subcommand("verify", _verify_parser(), help="Check files by hash, and say what they are.")


def run(options: Namespace) -> None:
    """Runs the command."""
    action = options.action or "list"
    actions = {"list": _list, "get": _get, "convert": _convert, "verify": _verify}
    actions[action](options[action] if options.action else Namespace())


def _list_parser() -> ArgumentParser:
    parser = ArgumentParser(
        usage="pathosnet weights list [--json]",
        exit_on_error=False,
        description="Lists the files that are known: what they are good for, who publishes them, under which licence.",
    )
    parser.add_argument("--json", action="store_true", help="Print JSON, with addresses and hashes.")
    return parser


def _get_parser() -> ArgumentParser:
    parser = ArgumentParser(
        usage="pathosnet weights get NAME [NAME …] [--file FILE] [--overwrite]",
        exit_on_error=False,
        description="Downloads files into the cache ($PATHOSNET_CACHE, else the user's cache folder) and checks them.",
    )
    parser.add_argument("name", type=str, nargs="+", help="One that `pathosnet weights list` shows.")
    parser.add_argument(
        "--file", type=str, help="Take this copy of yours, as it was published, instead of downloading."
    )
    parser.add_argument("--overwrite", action="store_true", help="Get it again if it is there.")
    parser.add_argument("--progress", type=bool, default=True, help="Show progress bars.")
    return parser


def _convert_parser() -> ArgumentParser:
    parser = ArgumentParser(
        usage="pathosnet weights convert SOURCE --kind vggish|ghostvlad --out FILE.safetensors [--overwrite]",
        exit_on_error=False,
        description="Writes VGGish or Thin ResNet-34 + GhostVLAD as safetensors, which --vggish and --ghostvlad take.",
    )
    parser.add_argument("source", type=str, help="A .pth, .h5 or .safetensors file, or a known file's name.")
    parser.add_argument("--kind", choices=["vggish", "ghostvlad"], required=True, help="What it holds.")
    parser.add_argument("--out", type=str, required=True, help="File to write, ending in .safetensors.")
    parser.add_argument("--overwrite", action="store_true", help="Replace the file if it exists.")
    return parser


def _verify_parser() -> ArgumentParser:
    parser = ArgumentParser(
        usage="pathosnet weights verify FILE|NAME [FILE|NAME …]",
        exit_on_error=False,
        description="Compares files' hashes with what is known about them, reads them, and says what they are.",
    )
    parser.add_argument("file", type=str, nargs="+", help="Files, or names of downloaded ones.")
    return parser


def _list(options: Namespace) -> None:
    from dataclasses import asdict

    from pathosnet.weights.catalogue import CATALOGUE, weights_folder

    if options.get("json"):
        listed = [
            {**asdict(known), "path": str(known.path), "here": known.path.is_file()} for known in CATALOGUE.values()
        ]
        print(json.dumps(listed))
        return
    print(f"* downloaded, in {weights_folder()}")
    for known in CATALOGUE.values():
        print(f"{'*' if known.path.is_file() else ' '} {known.name}: {known.purpose}")
        print(f"      {known.url or f'by hand: {known.source}'}; {known.licence}")


def _get(options: Namespace) -> None:
    from pathosnet.weights.catalogue import find_known
    from pathosnet.weights.download import get_known_file

    files = [find_known(name) for name in options.name]
    if options.file and len(files) > 1:
        raise InputError(f"--file: expected one name for one file, got {', '.join(options.name)}")
    for known in files:
        path = get_known_file(known, options.file, options.overwrite, options.progress)
        print(f"{known.name}: {path}; licence: {known.licence}", flush=True)


def _convert(options: Namespace) -> None:
    from pathosnet.weights.catalogue import file_or_known
    from pathosnet.weights.inspection import convert

    print(f"{options.out}: {convert(file_or_known(options.source), options.kind, options.out, options.overwrite)}")


def _verify(options: Namespace) -> None:
    from pathosnet.weights.catalogue import file_or_known
    from pathosnet.weights.download import check_file
    from pathosnet.weights.inspection import describe_file

    for given in options.file:
        path = file_or_known(given)
        print(f"{path}: {check_file(path)}; {describe_file(path)}", flush=True)
