"""``pathosnet tune``."""

from jsonargparse import ArgumentParser, Namespace

from pathosnet.cli.train import REPEATED as TRAIN_REPEATED
from pathosnet.cli.train import add_config_arguments, quieten_libraries
from pathosnet.config import TrainConfig, Values

HELP = "Search hyper-parameters of one network."
REPEATED = (*TRAIN_REPEATED, "--search")
INTERRUPTED = "the same command goes on with the search"


def make_parser() -> ArgumentParser:
    """Makes the command's parser."""
    parser = ArgumentParser(
        usage="pathosnet tune CORPUS.csv [CORPUS.csv …] --out FOLDER [--trials N] [--search NAME=VALUES …] [options]",
        exit_on_error=False,
        description="Searches options of one network for the lowest validation loss, with Optuna; the test part is not "
        "looked at. Writes the best values as best.yaml, for --config. The same command again goes on with the search; "
        "machines that share a --storage search together.",
    )
    parser.add_argument("corpora", type=str, nargs="+", help="CSV files; audio paths are relative to them.")
    parser.add_argument("--out", type=str, required=True, help="Folder of the search.")
    parser.add_argument("--trials", type=int, default=20, help="How many to run now.")
    parser.add_argument(
        "--search",
        type=Values,
        default=Values(),
        help="What to search, NAME=LOW:HIGH, NAME=log:LOW:HIGH or NAME=A,B,C; may be repeated. Without it: learning "
        "rate and decay, dropout, batch size, number of blocks, widths.",
    )
    parser.add_argument("--storage", type=str, help="URL of an Optuna storage; FOLDER/study.db (SQLite) if not given.")
    add_config_arguments(parser)
    parser.add_class_arguments(TrainConfig, None)
    return parser


def run(options: Namespace) -> None:
    """Runs the command."""
    given = options.as_dict()
    corpora, out, trials, search, storage = (
        given.pop(name) for name in ("corpora", "out", "trials", "search", "storage")
    )
    del given["config"], given["preset"]
    config = TrainConfig(**given)

    from pathosnet.tuning import DEFAULT_SEARCH, tune

    quieten_libraries()
    found = tune(corpora, out, config, search or DEFAULT_SEARCH, trials, storage)
    print(f"trials: {found.trials}, of which {found.pruned} ended early")
    print(f"best:   validation loss {found.best_loss:.4f}")
    for name, value in found.best.items():
        print(f"  {name}: {value}")
    print(f"saved:  {found.folder / 'best.yaml'} (pathosnet train … --config {found.folder / 'best.yaml'})")
