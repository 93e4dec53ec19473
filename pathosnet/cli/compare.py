"""``pathosnet compare``."""

import json
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

HELP = "Compare two cross-validations on the same folds."


def make_parser() -> ArgumentParser:
    """Makes the command's parser."""
    parser = ArgumentParser(
        usage="pathosnet compare RUN RUN [--json]",
        exit_on_error=False,
        description="Shows the tables of two cross-validations side by side, with paired tests. Both must have tested "
        "the same utterances in the same folds: give the second --folds FIRST/folds.csv.",
    )
    parser.add_argument("first", type=str, help="Folder of a cross-validation.")
    parser.add_argument("second", type=str, help="Folder of another.")
    parser.add_argument("--json", action="store_true", help="Print JSON.")
    return parser


def run(options: Namespace) -> None:
    """Runs the command."""
    from pathosnet.evaluation import Predictions
    from pathosnet.evaluation.comparison import compare
    from pathosnet.experiment import PREDICTIONS_FILE

    first, second = (Predictions.read(Path(name) / PREDICTIONS_FILE) for name in (options.first, options.second))
    found = compare(first, second, (options.first, options.second))
    print(json.dumps(found.to_dict(), ensure_ascii=False) if options.json else found.text())
