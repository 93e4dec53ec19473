"""``pathosnet compare``."""

from pathlib import Path

from pathosnet.cli.arguments import Command
from pathosnet.cli.output import print_json, say


def compare(first: Path, second: Path, *, json: bool = False) -> None:
    """Compare two cross-validations on the same folds.

    Shows the tables of two cross-validations side by side, with paired tests. Both must have tested the same utterances
    in the same folds: give the second --folds FIRST/folds.csv.

    Args:
        first: Folder of a cross-validation.
        second: Folder of another.
        json: Print JSON.
    """
    from pathosnet.evaluation import Predictions
    from pathosnet.evaluation.comparison import compare
    from pathosnet.experiments.run_folder import PREDICTIONS_FILE

    one, other = (Predictions.read(folder / PREDICTIONS_FILE) for folder in (first, second))
    found = compare(one, other, (str(first), str(second)))
    print_json(found.to_dict()) if json else say(found.text())


COMMAND = Command(compare)
