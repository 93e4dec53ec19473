"""``pathosnet features``: stats, prune."""

import time
from pathlib import Path

from pathosnet.cli.arguments import Command, Group
from pathosnet.cli.output import print_json, say
from pathosnet.errors import InputError
from pathosnet.files import cache_folder

DAY_SECONDS = 24 * 3600.0
GIGABYTE = 1e9


def stats(*, feature_store: Path | None = None, json: bool = False) -> None:
    """Show what is there (the default).

    Shows features, sequences, sizes and when they were last used.

    Args:
        feature_store: Folder of the store; if not given, the user's cache.
        json: Print JSON.
    """
    from pathosnet.features.store import FeatureStore

    store = FeatureStore(feature_store or cache_folder("features"))
    shelves = store.statistics()
    if json:
        print_json(
            [
                {**one.recipe, "sequences": one.sequences, "bytes": one.bytes, "last_used": one.last_used}
                for one in shelves
            ]
        )
        return
    say(f"{store.folder}: {sum(one.bytes for one in shelves) / GIGABYTE:.2f} GB")
    for one in sorted(shelves, key=lambda one: -one.last_used):
        days = max(0.0, time.time() - one.last_used) / DAY_SECONDS  # a clock may go back
        settings = ", ".join(f"{name} {value}" for name, value in one.recipe["config"].items())
        say(
            f"  {one.recipe['name']}, {one.recipe['part']}: {one.sequences} sequences, {one.bytes / GIGABYTE:.2f} GB, "
            f"used {days:.0f} days ago ({settings}; weights {one.recipe['weights'][:12]})"
        )


def prune(*, feature_store: Path | None = None, unused_days: float | None = None, max_gb: float | None = None) -> None:
    """Remove what is damaged, old or too much.

    Reads everything and removes what is damaged or was left by interrupted runs; with options, also what is old or too
    much. What is removed is computed again when it is needed.

    Args:
        feature_store: Folder of the store; if not given, the user's cache.
        unused_days: Remove what was not used for so many days; 0 for all.
        max_gb: Keep at most so many gigabytes, what was used last.
    """
    from pathosnet.features.store import FeatureStore

    for name, value in (("unused_days", unused_days), ("max_gb", max_gb)):
        if value is not None and value < 0:
            raise InputError(f"{name}: expected 0 or more, got {value}")
    store = FeatureStore(feature_store or cache_folder("features"))
    pruned = store.prune(
        None if unused_days is None else unused_days * DAY_SECONDS,
        None if max_gb is None else round(max_gb * GIGABYTE),
    )
    for path in pruned.damaged:
        say(f"damaged: {path}")
    say(f"{store.folder}: files removed: {pruned.packs}, {pruned.bytes / GIGABYTE:.2f} GB")


COMMAND = Group(
    "features",
    "Show and prune the features that are kept from run to run.\n\n"
    "The store is where training keeps the features of recordings.",
    Command(stats),
    Command(prune),
)
