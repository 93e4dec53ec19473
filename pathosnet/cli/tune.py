"""``pathosnet tune``."""

from pathlib import Path

from pathosnet.cli.arguments import Command
from pathosnet.cli.output import quieten_libraries, say
from pathosnet.experiments.config import TrainConfig
from pathosnet.options import Values


def tune(
    corpora: Values,
    *,
    out: Path,
    trials: int = 20,
    search: Values = Values(),
    storage: str | None = None,
    config: TrainConfig,
) -> None:
    """Search hyper-parameters of one network.

    Searches options of one network for the lowest validation loss, with Optuna; the test part is not looked at. Writes
    the best values as best.yaml, for --config. The same command again goes on with the search; machines that share a
    --storage search together.

    Args:
        corpora: CSV files; audio paths are relative to them.
        out: Folder of the search.
        trials: How many to run now.
        search: What to search, NAME=LOW:HIGH, NAME=log:LOW:HIGH or NAME=A,B,C; may be repeated. Without it: learning
            rate and decay, dropout, batch size, number of blocks, widths.
        storage: URL of an Optuna storage; FOLDER/study.db (SQLite) if not given.
        config: the options of training.
    """
    from pathosnet.experiments.tune import DEFAULT_SEARCH, tune

    quieten_libraries()
    found = tune(corpora, out, config, search=search or DEFAULT_SEARCH, trials=trials, storage=storage)
    say(f"trials: {found.trials}, of which {found.pruned} ended early")
    say(f"best:   validation loss {found.best_loss:.4f}")
    for name, value in found.best.items():
        say(f"  {name}: {value}")
    best = found.folder / "best.yaml"
    say(f"saved:  {best} (pathosnet train ... --config {best}), with trials.csv and search.png beside it")


COMMAND = Command(tune, interrupted="the same command goes on with the search")
