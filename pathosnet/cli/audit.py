"""``pathosnet audit``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pathosnet.cli.arguments import Command
from pathosnet.cli.output import print_json, say
from pathosnet.errors import InputError
from pathosnet.options import Names, Values

if TYPE_CHECKING:
    from pathosnet.corpora.audit import Audit

SHARED, UNKNOWN = 1, 3
"""Exit codes where parts share what must be apart, and where nobody can tell."""


def audit(
    folds: Path | None = None,
    *,
    train: Values = Values(),
    validation: Values = Values(),
    test: Values = Values(),
    pattern: str = "",
    apart: Names = Names(("recordings", "speakers")),
    json: bool = False,
) -> None:
    """Check folds, anybody's: what their parts share.

    Says which recordings (by content), speakers, sessions and sentences the parts of folds share, and how classes are
    spread over them. The exit code is 0 where all that must be apart is, 1 where something of it is shared, and 3 where
    the lists do not say.

    Args:
        folds: A table whose columns say train, validation or test of each row, such as folds.csv of a run or a manifest
            with the column split; or one with the column fold, each of whose values is tested in turn.
        train: List of the training part, instead of a table: a .csv, .tsv or .jsonl file that names recordings and,
            where known, emotions, speakers and texts, or a recording's name a line; may be repeated.
        validation: List of the validation part.
        test: List of the test part.
        pattern: What the recordings' names say, such as '{speaker}_{emotion}_*.wav', where the lists do not.
        apart: What must be apart: recordings, speakers, sessions, sentences.
        json: Print JSON.
    """
    from pathosnet.corpora.audit import KINDS, audit_folds
    from pathosnet.corpora.lists import read_part_lists, read_parted_table

    if unknown := set(apart) - set(KINDS):
        raise InputError(f"apart: expected some of {', '.join(KINDS)}, got {', '.join(sorted(unknown))}")
    lists = {"train": train, "validation": validation, "test": test}
    if (folds is None) != any(lists.values()):
        raise InputError("expected a table of folds, or lists with --train, --validation and --test")
    found = audit_folds(read_part_lists(lists, pattern) if folds is None else read_parted_table(folds, pattern))
    verdict = found.verdict(apart)
    if json:
        print_json({**found.to_dict(), "verdict": verdict, "apart": list(apart)})
    else:
        _show(found, list(apart), verdict)
    if verdict != "apart":
        sys.exit(SHARED if verdict == "shared" else UNKNOWN)


def _show(found: "Audit", apart: list[str], verdict: str) -> None:
    from pathosnet.evaluation.tables import Table

    for fold in found.folds:
        say(f"{fold.name}: {', '.join(f'{part} {size}' for part, size in fold.sizes.items())}")
        rows = [
            (
                one.kind,
                f"{one.part} in {one.other}",
                f"{one.count} of {one.total}" if one.total else _doubtful(one.count),
            )
            for one in fold.shared
            if one.total or one.count
        ]
        say(Table(("shared", "", "how many"), rows, left=(0, 1)).text())
        if fold.classes:
            labels = sorted({label for counts in fold.classes.values() for label in counts})
            counts = [(part, *(str(of.get(label, 0)) for label in labels)) for part, of in fold.classes.items()]
            say("\n" + Table(("classes", *(label or "(none)" for label in labels)), counts).text())
        for remark in fold.remarks():
            say(f"note: {remark}")
        say("")
    if found.absent:
        say(f"note: {found.absent} recordings are not there, so that they are told apart by their names alone")
    for places in found.relabeled:
        say(f"note: the same recording has several emotions: {places}")
    for sentence in found.conclusion():
        say(sentence)
    said = {
        "apart": "apart, as they must be",
        "shared": "NOT apart",
        "unknown": "perhaps not apart: the lists do not say",
    }
    say(f"verdict: {' and '.join(apart)} are {said[verdict]}")


def _doubtful(count: int) -> str:
    return f"{count} or more" if count else "not known"


COMMAND = Command(audit)
