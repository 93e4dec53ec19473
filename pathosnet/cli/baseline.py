"""``pathosnet baseline``."""

import shlex
import sys
from pathlib import Path

from pathosnet.cli.arguments import Command
from pathosnet.cli.output import say
from pathosnet.experiments.config import TrainConfig
from pathosnet.options import Values


def baseline(
    corpora: Values,
    *,
    out: Path,
    overwrite: bool = False,
    folds: str | None = None,
    classifier: str = "svm",
    strength: float | None = None,
    config: TrainConfig,
) -> None:
    """Fit a support vector machine or logistic regression on every fold, and report.

    What a network has to beat: a classifier of scikit-learn on acoustic features that are averaged over time, on the
    folds and with the files and figures of `pathosnet cross-validate`, so that `pathosnet compare` pairs the two.
    Options of networks and their training have no meaning here.

    Args:
        corpora: CSV files; audio paths are relative to them.
        out: Folder of the run.
        overwrite: Begin anew if the folder holds another run.
        folds: The same as --split.
        classifier: svm (RBF kernel), linear-svm or logistic (regression).
        strength: scikit-learn's C; 1, 0.1 and 0.003 unless told otherwise.
        config: the options of features, labels and folds.
    """
    from pathosnet.experiments.baseline import baseline

    result = baseline(
        corpora,
        out,
        config.replace(split=folds) if folds else config,
        classifier=classifier,
        strength=strength,
        overwrite=overwrite,
        command=shlex.join(["pathosnet", *sys.argv[1:]]),
    )
    say(f"{result.table}\n\nleak:   {result.leak}\nreport: {result.folder / 'report.html'}")


COMMAND = Command(baseline, without=("fold",), interrupted="the same command goes on from here")
