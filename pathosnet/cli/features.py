"""``pathosnet features``: stats, prune."""

import json
import time

from jsonargparse import ArgumentParser, Namespace

from pathosnet.errors import InputError

HELP = "Show and prune the features that are kept from run to run."
DAY_SECONDS = 24 * 3600.0
GIGABYTE = 1e9


def make_parser() -> ArgumentParser:
    """Makes the command's parser."""
    return ArgumentParser(
        usage="pathosnet features [stats | prune] [options]",
        exit_on_error=False,
        description="Shows and prunes the store where training keeps what pre-trained networks make of recordings.",
    )


def add_actions(parser: ArgumentParser) -> None:
    """Adds what the command can do; jsonargparse wants the command itself to be added first."""
    actions = parser.add_subcommands(required=False, dest="action", title="actions", metavar="ACTION")
    actions.add_subcommand("stats", _stats_parser(), help="Show what is there (the default).")
    actions.add_subcommand("prune", _prune_parser(), help="Remove what is damaged, old or too much.")


def run(options: Namespace) -> None:
    """Runs the command."""
    action = options.action or "stats"
    {"stats": _stats, "prune": _prune}[action](options.get(action) or Namespace())


def _stats_parser() -> ArgumentParser:
    parser = ArgumentParser(
        usage="pathosnet features stats [--feature-store FOLDER] [--json]",
        exit_on_error=False,
        description="Shows features, sequences, sizes and when they were last used.",
    )
    _add_store(parser)
    parser.add_argument("--json", action="store_true", help="Print JSON.")
    return parser


def _prune_parser() -> ArgumentParser:
    parser = ArgumentParser(
        usage="pathosnet features prune [--unused-days N] [--max-gb N] [--feature-store FOLDER]",
        exit_on_error=False,
        description="Reads everything and removes what is damaged or was left by interrupted runs; with options, also "
        "what is old or too much. What is removed is computed again when it is needed.",
    )
    _add_store(parser)
    parser.add_argument("--unused_days", type=float, help="Remove what was not used for so many days; 0 for all.")
    parser.add_argument("--max_gb", type=float, help="Keep at most so many gigabytes, what was used last.")
    return parser


def _add_store(parser: ArgumentParser) -> None:
    parser.add_argument("--feature_store", type=str, help="Folder of the store; if not given, the user's cache.")


def _stats(options: Namespace) -> None:
    from pathosnet.cache import cache_folder
    from pathosnet.feature_store import FeatureStore

    store = FeatureStore(options.get("feature_store") or cache_folder("features"))
    shelves = store.statistics()
    if options.get("json"):
        print(
            json.dumps(
                [
                    {**one.recipe, "sequences": one.sequences, "bytes": one.bytes, "last_used": one.last_used}
                    for one in shelves
                ]
            )
        )
        return
    print(f"{store.folder}: {sum(one.bytes for one in shelves) / GIGABYTE:.2f} GB")
    for one in sorted(shelves, key=lambda one: -one.last_used):
        days = (time.time() - one.last_used) / DAY_SECONDS
        settings = ", ".join(f"{name} {value}" for name, value in one.recipe["config"].items())
        print(
            f"  {one.recipe['name']}, {one.recipe['part']}: {one.sequences} sequences, {one.bytes / GIGABYTE:.2f} GB, "
            f"used {days:.0f} days ago ({settings}; weights {one.recipe['weights'][:12]})"
        )


def _prune(options: Namespace) -> None:
    from pathosnet.cache import cache_folder
    from pathosnet.feature_store import FeatureStore

    for name in ("unused_days", "max_gb"):
        if options[name] is not None and not options[name] >= 0:
            raise InputError(f"{name}: expected 0 or more, got {options[name]}")
    store = FeatureStore(options.feature_store or cache_folder("features"))
    pruned = store.prune(
        None if options.unused_days is None else options.unused_days * DAY_SECONDS,
        None if options.max_gb is None else round(options.max_gb * GIGABYTE),
    )
    for path in pruned.damaged:
        print(f"damaged: {path}")
    print(f"{store.folder}: files removed: {pruned.packs}, {pruned.bytes / GIGABYTE:.2f} GB")
