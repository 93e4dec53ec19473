"""``pathosnet cross-validate``."""

import shlex
import sys
from pathlib import Path

from pathosnet.cli.arguments import Command
from pathosnet.cli.output import quieten_libraries, say
from pathosnet.errors import InputError
from pathosnet.experiments.config import TrainConfig
from pathosnet.options import Names, Values


def cross_validate(
    corpora: Values,
    *,
    out: Path,
    overwrite: bool = False,
    folds: str | None = None,
    seeds: Names = Names(),
    keep_models: bool = False,
    fold_workers: int = 1,
    config: TrainConfig,
) -> None:
    """Train and test on every fold, and report.

    Trains through all stages on every fold, tests on the fold that was held out, and writes predictions, the paper's
    tables and figures, and a report. A run that was interrupted or killed goes on when the same command is given again.

    Args:
        corpora: CSV files; audio paths are relative to them.
        out: Folder of the run.
        overwrite: Begin anew if the folder holds another run.
        folds: The same as --split.
        seeds: Train with each of these seeds, on the same folds.
        keep_models: Keep the model of every fold.
        fold_workers: Folds to train side by side, one a GPU or process.
        config: the options of training.
    """
    from pathosnet.experiments.cross_validate import cross_validate
    from pathosnet.files import is_main_process

    try:
        numbers = [int(seed) for seed in seeds] or None
    except ValueError as error:
        raise InputError(f"seeds: expected whole numbers separated by commas, got {','.join(seeds)!r}") from error
    quieten_libraries()
    result = cross_validate(
        corpora,
        out,
        config.replace(split=folds) if folds else config,
        seeds=numbers,
        keep_models=keep_models,
        overwrite=overwrite,
        command=shlex.join(["pathosnet", *sys.argv[1:]]),
        fold_workers=fold_workers,
    )
    if is_main_process():
        if result.adapted:
            say(f"{result.adapted}\n")
        say(f"{result.table}\n\nleak:   {result.leak}\nreport: {result.folder / 'report.html'}")


COMMAND = Command(cross_validate, without=("fold",), interrupted="the same command goes on from here")
