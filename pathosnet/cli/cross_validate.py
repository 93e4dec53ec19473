"""``pathosnet cross-validate``."""

import shlex
import sys

from jsonargparse import ArgumentParser, Namespace

from pathosnet.cli.train import REPEATED as REPEATED
from pathosnet.cli.train import add_config_arguments, quieten_libraries
from pathosnet.config import Names, TrainConfig
from pathosnet.errors import InputError

HELP = "Train and test on every fold, and report."
INTERRUPTED = "the same command goes on from here"


def make_parser() -> ArgumentParser:
    """Makes the command's parser."""
    parser = ArgumentParser(
        usage="pathosnet cross-validate CORPUS.csv [CORPUS.csv …] --out FOLDER [--preset NAME] [--folds HOW] [options]",
        exit_on_error=False,
        description="Trains through all stages on every fold, tests on the fold that was held out, and writes "
        "predictions, the paper's tables and figures, and a report. A run that was interrupted or killed goes on when "
        "the same command is given again.",
    )
    parser.add_argument("corpora", type=str, nargs="+", help="CSV files; audio paths are relative to them.")
    parser.add_argument("--out", type=str, required=True, help="Folder of the run.")
    parser.add_argument("--overwrite", action="store_true", help="Begin anew if the folder holds another run.")
    parser.add_argument(
        "--seeds", type=Names, default=Names(), help="Train with each of these seeds, on the same folds."
    )
    parser.add_argument("--keep_models", action="store_true", help="Keep the model of every fold.")
    parser.add_argument(
        "--fold_workers", type=int, default=1, help="Folds to train side by side, one a GPU or process."
    )
    parser.add_argument("--folds", type=str, help="The same as --split.")
    add_config_arguments(parser)
    parser.add_class_arguments(TrainConfig, None, skip={"fold"})
    return parser


def run(options: Namespace) -> None:
    """Runs the command."""
    given = options.as_dict()
    corpora, out, overwrite, seeds = (given.pop(name) for name in ("corpora", "out", "overwrite", "seeds"))
    keep_models, folds, fold_workers = (given.pop(name) for name in ("keep_models", "folds", "fold_workers"))
    del given["config"], given["preset"]
    if folds:
        given["split"] = folds
    config = TrainConfig(**given)
    try:
        numbers = [int(seed) for seed in seeds] or None
    except ValueError as error:
        raise InputError(f"seeds: expected whole numbers separated by commas, got {','.join(seeds)!r}") from error

    from pathosnet.corpus_features import is_main_process
    from pathosnet.cross_validation import cross_validate

    quieten_libraries()
    command = shlex.join(["pathosnet", *sys.argv[1:]])
    result = cross_validate(corpora, out, config, numbers, keep_models, overwrite, command, fold_workers)
    if is_main_process():
        print(result.table)
        print(f"\nleak:   {result.leak}")
        print(f"report: {result.folder / 'report.html'}")
