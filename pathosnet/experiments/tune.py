"""Hyper-parameter search with Optuna, on the validation part alone (paper, section 6: one network)."""

import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import yaml
from pytorch_lightning.callbacks import Callback

from pathosnet.corpora import split_corpus
from pathosnet.errors import InputError, find_full_disk
from pathosnet.evaluation.plots import plot_search
from pathosnet.experiments.config import TrainConfig
from pathosnet.experiments.prepare import prepare, read_corpus
from pathosnet.experiments.train import train_fold
from pathosnet.files import is_main_process, make_folder, naming_full_disk, to_path
from pathosnet.options import Mark

try:
    import optuna
    from sqlalchemy.exc import SQLAlchemyError
except ModuleNotFoundError as error:
    raise InputError("tuning needs Optuna; install it with pip install 'pathosnet[tune]'") from error

STUDY = "pathosnet"
DEFAULT_SEARCH = (
    "learning_rate=log:1e-4:1e-2",
    "learning_rate_decay=0.02:0.2",
    "dropout=0.1:0.7",
    "batch_size=16,32,64",
    "num_blocks=1:3",
    "text_width=64,128,256",
    "audio_width=128,256,512",
)
TUNABLE = TrainConfig.marked(Mark.TUNABLE)


@dataclass(frozen=True)
class Range:
    """Values between two ends; whole numbers if both ends are."""

    low: float
    high: float
    log: bool = False

    def suggest(self, trial: "optuna.Trial", name: str) -> Any:
        """Lets a trial choose."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)


@dataclass(frozen=True)
class Choice:
    """One of several values."""

    values: tuple[Any, ...]

    def suggest(self, trial: "optuna.Trial", name: str) -> Any:
        """Lets a trial choose."""
        return trial.suggest_categorical(name, self.values)


@dataclass(frozen=True)
class Tuning:
    """Findings of a search so far."""

    folder: Path
    best_loss: float
    best: dict[str, Any]
    """Option → value, of the trial with the lowest validation loss."""
    trials: int
    pruned: int


def parse_search(values: Sequence[str]) -> dict[str, Range | Choice]:
    """Reads what to search: ``NAME=LOW:HIGH``, ``NAME=log:LOW:HIGH`` or ``NAME=A,B,C``.

    Raises:
        InputError: a name cannot be tuned, or the values cannot be read.

    >>> parse_search(["dropout=0.1:0.7", "batch_size=16,32"])
    {'dropout': Range(low=0.1, high=0.7, log=False), 'batch_size': Choice(values=(16, 32))}
    """
    space: dict[str, Range | Choice] = {}
    for value in values:
        name, separator, meaning = value.partition("=")
        name = name.replace("-", "_")
        if not separator or name not in TUNABLE:
            raise InputError(f"search: expected NAME=VALUES with a name out of {', '.join(TUNABLE)}, got {value!r}")
        parts = meaning.split(":")
        if len(parts) == 1:
            space[name] = Choice(tuple(_number_or_text(part) for part in meaning.split(",")))
            continue
        log = parts[0] == "log"
        ends = [_number_or_text(part) for part in parts[log:]]
        ordered = len(ends) == 2 and not any(isinstance(end, str) for end in ends) and ends[0] < ends[1]
        if not ordered or (log and ends[0] <= 0):
            raise InputError(
                f"search: expected LOW:HIGH or log:LOW:HIGH (LOW below HIGH, above 0 for log), got {value!r}"
            )
        space[name] = Range(ends[0], ends[1], log)
    return space


def tune(
    corpora: Sequence[str | Path],
    out: str | Path,
    config: TrainConfig | None = None,
    *,
    search: Sequence[str] = DEFAULT_SEARCH,
    trials: int = 20,
    storage: str | None = None,
) -> Tuning:
    """Searches options of one network for the lowest validation loss; the test part is not looked at.

    Only the first stage is trained. A trial ends early when its validation loss is worse than the median of the others'
    at the same epoch. The study is kept in the storage: called again, the search goes on; several machines that name
    the same storage search together.

    Args:
        corpora: manifests, see ``read_manifest``.
        out: folder for the study, ``best.yaml`` (for ``--config``), ``trials.csv`` and ``search.png``.
        config: the other options.
        search: see ``parse_search``.
        trials: how many to run now.
        storage: URL of any Optuna storage; ``study.db`` (SQLite) in the folder if None.

    Raises:
        InputError: the options cannot be searched so, or a file or row cannot be used.
    """
    config = replace(config or TrainConfig(), fine_tune=False, logger="none")
    if len(config.acoustic) > 1:
        raise InputError(f"tuning is for one network: expected one acoustic feature, got {', '.join(config.acoustic)}")
    space = parse_search(search)
    for name, choice in space.items():  # a value that training refuses shall not end the search in its middle
        for value in choice.values if isinstance(choice, Choice) else (choice.low, choice.high):
            replace(config, **{name: value})
    if trials < 1:
        raise InputError(f"trials: expected 1 or more, got {trials}")
    corpus = read_corpus(corpora, config)
    out = to_path(out)
    make_folder(out)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with naming_full_disk(out):
        study = _open_study(out, storage)
    if storage is None:  # machines that search together must not all try the same
        study.sampler = optuna.samplers.TPESampler(seed=config.seed + len(study.trials))
    prepared = prepare(corpus, config)
    split = split_corpus(
        prepared.corpus,
        config.split,
        config.num_folds,
        fold=config.fold,
        validation_fraction=config.validation_fraction,
        seed=config.seed,
    )
    split = replace(split, test=())

    def objective(trial: optuna.Trial) -> float:
        chosen = {name: choice.suggest(trial, name) for name, choice in space.items()}
        run = train_fold(
            prepared, split, replace(config, refit=False, **chosen), logs=out / "logs", callbacks=[_Report(trial)]
        )
        return run.stages[0].best["val_loss"]

    def say(study: "optuna.Study", trial: "optuna.trial.FrozenTrial") -> None:
        told = "ended early"
        if trial.state == optuna.trial.TrialState.COMPLETE:
            told = f"validation loss {trial.value:.4f}; best: {study.best_value:.4f}, trial {study.best_trial.number}"
        print(f"trial {trial.number}: {told}", file=sys.stderr)

    with naming_full_disk(out):
        study.optimize(objective, n_trials=trials, callbacks=[say] if config.progress and is_main_process() else [])
        return _write(out, study)


def _open_study(out: Path, storage: str | None) -> "optuna.Study":
    """Opens the study of a storage, or makes it."""
    try:
        return optuna.create_study(
            study_name=STUDY,
            storage=storage or f"sqlite:///{(out / 'study.db').resolve()}",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=5),
            direction="minimize",
            load_if_exists=True,
        )
    except (SQLAlchemyError, optuna.exceptions.OptunaError, ImportError, ValueError) as error:
        if find_full_disk(error):
            raise
        reason = str(error).splitlines()[0]
        raise InputError(
            f"storage: expected the URL of an Optuna storage, such as sqlite:///study.db, got {storage!r} ({reason})"
        ) from error


class _Report(Callback):
    """Tells Optuna every epoch's validation loss, and ends a trial that it gives up."""

    def __init__(self, trial: "optuna.Trial") -> None:
        self.trial = trial

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        loss = float(trainer.callback_metrics["val_loss"])
        self.trial.report(loss, trainer.current_epoch)
        if self.trial.should_prune():
            raise optuna.TrialPruned


def _write(out: Path, study: "optuna.Study") -> Tuning:
    finished = [trial for trial in study.trials if trial.state == optuna.trial.TrialState.COMPLETE]
    if not finished:
        raise InputError(f"{out}: no trial was finished; run more of them (--trials)")
    best = dict(study.best_params)
    (out / "best.yaml").write_text(yaml.safe_dump(best, sort_keys=False), encoding="utf-8")
    names = sorted({name for trial in study.trials for name in trial.params})
    with (out / "trials.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("trial", "state", "epochs", "val_loss", *names))
        for trial in study.trials:
            loss = "" if trial.value is None else f"{trial.value:.6g}"
            known = (trial.number, trial.state.name.lower(), len(trial.intermediate_values), loss)
            writer.writerow((*known, *(trial.params.get(name, "") for name in names)))
    plot_search([(trial.number, trial.value) for trial in finished if trial.value is not None], out / "search.png")
    return Tuning(out, study.best_value, best, trials=len(study.trials), pruned=len(study.trials) - len(finished))


def _number_or_text(value: str) -> Any:
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value.strip()
