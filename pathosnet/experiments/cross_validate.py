"""Every fold of a cross-validation, then the aggregate; a run that was killed goes on where it was."""

import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import yaml
from filelock import FileLock, Timeout

from pathosnet.corpora import Corpus, Split, make_folds
from pathosnet.corpora.splits import describe_leak, describe_split, find_leak, write_folds
from pathosnet.errors import InputError
from pathosnet.evaluation.embeddings import plot_embeddings
from pathosnet.evaluation.predictions import PredictionTable, tested_kind
from pathosnet.evaluation.report import CrossValidationReport, write_evaluation
from pathosnet.experiments.config import TrainConfig
from pathosnet.experiments.examples import keep_examples
from pathosnet.experiments.groups import card_groups, report_groups
from pathosnet.experiments.prepare import PreparedCorpus, fill_store, prepare, read_corpus
from pathosnet.experiments.run_folder import (
    EMBEDDINGS_PICTURE,
    PREDICTIONS_FILE,
    RUN_FILE,
    describe_run,
    differences,
    facts_of_training,
    identity,
    to_table,
    versions,
    write_results,
)
from pathosnet.experiments.train import train_fold
from pathosnet.features.profile import describe_adaptation
from pathosnet.features.registry import load_plugins, loaded_plugins
from pathosnet.files import is_main_process, make_folder, naming_full_disk, read_json, say_note, to_path, write_json

EXPERIMENT_FILE = "experiment.json"
CONFIG_FILE = "config.yaml"
FOLDS_FILE = "folds.csv"
OPENING = (FOLDS_FILE, CONFIG_FILE, f"{EXPERIMENT_FILE}.partial")
"""Files of a run that has only just begun."""
CHECKPOINTS = "checkpoints"
POLL_SECONDS = 2.0


@dataclass(frozen=True)
class CrossValidation:
    """A finished cross-validation."""

    folder: Path
    predictions: PredictionTable
    """Predictions of all folds and seeds."""
    table: str
    """The paper's Table 2, for a person."""
    leak: str
    """How much of the test parts the training parts have seen, in words."""
    adapted: str = ""
    """How features were adapted to unlabeled recordings, in words; empty if they were not."""


def cross_validate(
    corpora: Sequence[str | Path],
    out: str | Path,
    config: TrainConfig | None = None,
    *,
    seeds: Sequence[int] | None = None,
    keep_models: bool = False,
    overwrite: bool = False,
    command: str | None = None,
    fold_workers: int = 1,
) -> CrossValidation:
    """Trains through all stages on every fold, tests on the fold that was held out, and reports.

    The folder holds ``experiment.json`` and ``config.yaml`` (what is run), ``folds.csv``, a folder ``seed0/fold0`` for
    each fold, and all that ``write_evaluation`` writes. Called again, folds that are finished are not run again, and
    one that was interrupted goes on from its last checkpoint: the results are those of an unbroken run.

    Args:
        corpora: manifests, see ``read_manifest``.
        out: folder of the run.
        config: the options; its ``split`` says how folds are made, its ``seed`` of what.
        seeds: of the training; each trains all folds. The configuration's if None.
        keep_models: keep every fold's model, not its predictions alone.
        overwrite: begin anew if the folder holds another run.
        command: for the report.
        fold_workers: folds that are trained side by side, each in a process and, if there are GPUs, on one of its own.
            Processes on other machines that call this with the same folder share the folds as well.

    Raises:
        InputError: a file, a row or an option cannot be used, or the folder holds another run.
    """
    config = config or TrainConfig()
    seeds = [config.seed] if seeds is None else list(seeds)
    if not seeds or len(set(seeds)) < len(seeds):
        raise InputError(f"seeds: expected each once, got {','.join(map(str, seeds)) or 'none'}")
    for seed in seeds:
        replace(config, seed=seed)  # refuses what is no seed
    if fold_workers < 1:
        raise InputError(f"fold_workers: expected 1 or more, got {fold_workers}")
    out = to_path(out)
    corpus = read_corpus(corpora, config)
    splits = make_folds(
        corpus, config.split, config.num_folds, validation_fraction=config.validation_fraction, seed=config.seed
    )
    if not all(split.test for split in splits):
        raise InputError(f"{corpus.title}: a fold has no test part; expected one to evaluate")
    with naming_full_disk(out):
        open_run(out, corpus, splits, config=config, seeds=seeds, overwrite=overwrite)
        if fold_workers > 1 and _missing(out, splits, seeds):
            _train_side_by_side(fold_workers, out, corpus, splits=splits, config=config, seeds=seeds, keep=keep_models)
        _train_folds(out, corpus, splits, config=config, seeds=seeds, keep_models=keep_models)
        return summarize(out, corpus, splits, config=config, seeds=seeds, command=command)


def _train_folds(
    out: Path, corpus: Corpus, splits: Sequence[Split], config: TrainConfig, seeds: Sequence[int], keep_models: bool
) -> None:
    """Trains what is missing, and waits for what other processes are training."""
    prepared: PreparedCorpus | None = None
    while missing := _missing(out, splits, seeds):
        claimed_any = False
        for seed, k in missing:
            folder = fold_folder(out, seed, k)
            with _claim(folder) as claimed:
                if not claimed or folder.is_dir():
                    continue
                claimed_any = True
                prepared = prepared or prepare(corpus, config)
                said = _run_fold(
                    folder,
                    prepared,
                    splits[k],
                    config=replace(config, seed=seed, fold=k, num_folds=max(config.num_folds, len(splits))),
                    keep_models=keep_models,
                )
            if is_main_process():
                print(f"seed {seed}, fold {k} (of 0 to {len(splits) - 1}): {said}", file=sys.stderr)
        if not is_main_process():
            return  # it has followed the main process, which finds the folders in their places a moment later
        if not claimed_any:
            time.sleep(POLL_SECONDS)


def _train_side_by_side(
    workers: int,
    out: Path,
    corpus: Corpus,
    splits: Sequence[Split],
    config: TrainConfig,
    seeds: Sequence[int],
    keep: bool,
) -> None:
    """Lets several processes share the folds, each on a device of its own if there are GPUs."""
    fill_store(corpus, config)
    missing = _missing(out, splits, seeds)
    context = multiprocessing.get_context("spawn")
    numbers = context.Queue()
    workers = min(workers, len(missing))
    for number in range(workers):
        numbers.put(number)
    arguments = (out, corpus, splits, replace(config, progress=False), seeds, keep)
    with ProcessPoolExecutor(workers, context, _set_up_worker, (numbers, workers, loaded_plugins())) as pool:
        for done in [pool.submit(_train_in_worker, *arguments) for _ in range(workers)]:
            done.result()


def _set_up_worker(numbers: "multiprocessing.Queue[int]", workers: int, plugins: Sequence[str]) -> None:
    global _worker
    _worker = numbers.get()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C reaches every process: the first one speaks for all
    torch.set_num_threads(max(1, torch.get_num_threads() // workers))
    load_plugins(plugins)


_worker = 0


def _train_in_worker(
    out: Path, corpus: Corpus, splits: Sequence[Split], config: TrainConfig, seeds: Sequence[int], keep_models: bool
) -> None:
    gpus = torch.cuda.device_count() if config.accelerator in ("auto", "gpu", "cuda") else 0
    devices = f"{_worker % gpus}," if gpus else "1"
    _train_folds(out, corpus, splits, config=replace(config, devices=devices), seeds=seeds, keep_models=keep_models)


def _missing(out: Path, splits: Sequence[Split], seeds: Sequence[int]) -> list[tuple[int, int]]:
    everything = [(seed, k) for seed in seeds for k in range(len(splits))]
    return [(seed, k) for seed, k in everything if not fold_folder(out, seed, k).is_dir()]


@contextmanager
def _claim(folder: Path) -> Iterator[bool]:
    """Claims a fold among the processes that share the run's folder; the claim ends with its process, come what may.

    Of the processes that train one fold together (DDP) the first claims it.
    """
    if not is_main_process():
        yield True
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(f"{folder.name}.lock"))
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _run_fold(folder: Path, prepared: PreparedCorpus, split: Split, config: TrainConfig, keep_models: bool) -> str:
    """Runs one fold beside its folder, which appears when the fold is finished."""
    aside = folder.with_name(f"{folder.name}.partial")
    if is_main_process():
        (aside / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    run = train_fold(prepared, split, config, logs=aside / "logs", checkpoints=aside / CHECKPOINTS)
    seconds = time.monotonic() - started
    assert run.outputs is not None
    predictions = to_table(prepared.corpus, split.test, run.outputs, config=config)
    if not is_main_process():
        return ""
    metrics = write_results(aside, predictions)
    if config.plot_embeddings and config.fold == 0:
        plot_embeddings(predictions, run.joined(split.test).numpy(), aside / EMBEDDINGS_PICTURE)
    if keep_models:
        leak = find_leak(prepared.corpus, split)
        tested = asdict(metrics) | card_groups(predictions, [prepared.corpus.utterances[i] for i in split.test])
        run.model.facts = facts_of_training(prepared.corpus, split, config, leak=leak, metrics=tested)
        shutil.rmtree(aside / "text", ignore_errors=True)  # of an attempt that was cut off here
        run.model.save_into(aside)
        keep_examples(aside, prepared.corpus, split.train, run.joined(split.train))
    described = describe_run(
        prepared.corpus,
        split,
        config,
        stages=run.stages,
        seconds=seconds,
        calibration=run.calibration,
        probe=run.probe,
        layer_weights=run.model.network.layer_weights,
    )
    write_json(aside / RUN_FILE, described)
    os.rename(aside, folder)
    shutil.rmtree(folder / CHECKPOINTS)
    return f"{metrics.summary()}, {seconds:.0f} s"


def fold_folder(out: Path, seed: int, fold: int) -> Path:
    """Returns the folder of one fold of a run."""
    return out / f"seed{seed}" / f"fold{fold}"


def open_run(
    out: Path,
    corpus: Corpus,
    splits: Sequence[Split],
    *,
    config: TrainConfig,
    seeds: Sequence[int],
    overwrite: bool,
    further: Mapping[str, Any] | None = None,
) -> None:
    """Makes the run's folder, or makes sure that it holds the same run; ``further`` options tell runs apart as well.

    Of the processes that train together (DDP) the first does: the others would see its folder half made.
    """
    if not is_main_process():
        return
    make_folder(out.parent)
    if out.is_file():
        raise InputError(f"{out}: is a file, expected a folder to write to; choose another name")
    wanted = {**identity(corpus, config), **(further or {})}
    opened = (out / EXPERIMENT_FILE).is_file()
    if not opened and out.exists() and not {path.name for path in out.iterdir()} <= set(OPENING):
        raise InputError(f"{out}: holds other things (no {EXPERIMENT_FILE}); choose another folder")
    if opened:
        differing = differences(read_json(out / EXPERIMENT_FILE)["run"], wanted)
        if not differing:
            return
        if not overwrite:
            raise InputError(
                f"{out}: holds a run with other {', '.join(differing)}; choose another folder, or begin anew with "
                "--overwrite"
            )
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    write_folds(out / FOLDS_FILE, corpus, {f"fold{k}": split for k, split in enumerate(splits)})
    options = {name: value for name, value in config.to_dict().items() if name != "fold"} | dict(further or {})
    (out / CONFIG_FILE).write_text(yaml.safe_dump(options, sort_keys=False, allow_unicode=True), encoding="utf-8")
    aside = out / f"{EXPERIMENT_FILE}.partial"
    write_json(aside, {"run": wanted, "versions": versions()})
    os.replace(aside, out / EXPERIMENT_FILE)


def summarize(
    out: Path,
    corpus: Corpus,
    splits: Sequence[Split],
    *,
    config: TrainConfig,
    seeds: Sequence[int],
    command: str | None,
) -> CrossValidation:
    """Joins the results of the folds, and writes the evaluation."""
    folders = [fold_folder(out, seed, k) for seed in seeds for k in range(len(splits))]
    kind = tested_kind(corpus.target)
    predictions = kind.read_all(folder / PREDICTIONS_FILE for folder in folders)
    if not is_main_process():
        return CrossValidation(out, predictions, "", leak="")
    for folder in folders:
        folder.with_name(f"{folder.name}.lock").unlink(missing_ok=True)
    histories: dict[str, list[Any]] = defaultdict(list)
    layer_weights: dict[str, list[Any]] = defaultdict(list)
    temperatures = {}
    for folder in folders:
        described = read_json(folder / RUN_FILE)
        for name, weights in described.get("layer_weights", {}).items():
            layer_weights[name].append(weights)
        for stage in described["stages"]:
            if "val_loss" in stage["best"]:  # not of those that train on the validation part as well
                histories[stage["name"]].append(stage["history"])
        if described["calibration"]:
            seed, fold = folder.parent.name.removeprefix("seed"), folder.name.removeprefix("fold")
            temperatures[seed, fold] = described["calibration"]["temperature"]
    if (folders[0] / EMBEDDINGS_PICTURE).is_file():
        shutil.copyfile(folders[0] / EMBEDDINGS_PICTURE, out / EMBEDDINGS_PICTURE)
    elif config.plot_embeddings:
        say_note("no picture of embeddings: fold 0 was trained before it was asked for")
    leaks = [describe_leak(find_leak(corpus, split)) for split in splits]
    report = CrossValidationReport(
        predictions=predictions,
        guarantees=[describe_split(corpus, split) for split in splits],
        leaks=leaks,
        histories=histories,
        config=read_json(out / EXPERIMENT_FILE)["run"],
        versions=versions(),
        command=command or "",
        temperatures=temperatures,
        layer_weights=layer_weights,
        groups=report_groups(predictions, corpus),
    )
    table = "\n\n".join(one.table().text() for one in write_evaluation(out, report).parts)
    adapted = describe_adaptation(config.normalize)
    return CrossValidation(out, predictions, table, leak=_mean_leak(corpus, splits), adapted=adapted)


def _mean_leak(corpus: Corpus, splits: Sequence[Split]) -> str:
    """Says how much of the test parts the training parts have seen, over all folds."""
    total = Counter[str]()
    for split in splits:
        total.update(find_leak(corpus, split))
    return f"{describe_leak(total)} (summed over {len(splits)} folds)"
