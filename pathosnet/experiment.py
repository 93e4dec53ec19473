"""A training run from a manifest to a saved model, and the evaluation of one."""

import copy
import platform
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger
from torch import Tensor

from pathosnet.config import NONE, SETTLED_BY_MODEL, TrainConfig, parse_pairs
from pathosnet.corpora import Corpus, Split, read_manifest, split_corpus
from pathosnet.corpora.leaks import describe_split, find_leak
from pathosnet.corpora.splits import read_folds, write_folds
from pathosnet.corpus_features import (
    build_extractors,
    build_text_embedder,
    extract_copies,
    extract_features,
    extraction_device,
    hidden_features,
    is_main_process,
    open_store,
)
from pathosnet.errors import InputError
from pathosnet.evaluation import DimensionMetrics, Estimates, Metrics, Predictions
from pathosnet.evaluation.calibration import Calibration, change_temperature, fit_temperature, measure_reliability
from pathosnet.extractors import AcousticExtractor
from pathosnet.features import TextEmbedder
from pathosnet.files import read_json, write_json, written_aside
from pathosnet.model_card import facts_of_training
from pathosnet.recognizer import PathosNet
from pathosnet.saved_model import CONFIG_FILE
from pathosnet.training import FeatureTable, StageResult, train_stages
from pathosnet.training.target_scale import TargetScale

RUN_FILE = "run.json"
SPLIT_FILE = "split.csv"
METRICS_FILE = "metrics.json"
PREDICTIONS_FILE = "predictions.csv"
CONFUSION_FILE = "confusion_matrix.png"
ESTIMATES_FILE = "estimates.png"


@dataclass(frozen=True)
class Run:
    """A finished training run."""

    folder: Path
    model: PathosNet
    split: Split
    metrics: Metrics | DimensionMetrics | None
    """On the test part; None if there is none."""
    leak: dict[str, int]
    """How many of the test part's speakers and texts also occur in the training part."""
    calibration: Calibration | None = None


@dataclass(frozen=True)
class PreparedCorpus:
    """A corpus with the features of all its utterances, and what made them."""

    corpus: Corpus
    extractors: dict[str, AcousticExtractor]
    text: TextEmbedder | None
    table: FeatureTable


@dataclass(frozen=True)
class FoldRun:
    """What training on one fold led to."""

    model: PathosNet
    stages: list[StageResult]
    outputs: Tensor | None
    """Probabilities or estimates of the test part, ``(utterances, labels)``; None if there is none."""
    calibration: Calibration | None = None


def prepare(corpus: Corpus, config: TrainConfig, trained_on: Sequence[int] | None = None) -> PreparedCorpus:
    """Extracts the features of a corpus as the options say.

    Args:
        corpus: to be read.
        config: the options.
        trained_on: positions of the utterances that a training part holds; None for all.

    Raises:
        InputError: a file or an option cannot be used.
    """
    text = build_text_embedder(config)
    return prepare_with(corpus, build_extractors(config), text, config, trained_on)


def prepare_with(
    corpus: Corpus,
    extractors: dict[str, AcousticExtractor],
    text: TextEmbedder | None,
    config: TrainConfig,
    trained_on: Sequence[int] | None = None,
) -> PreparedCorpus:
    """Extracts the features of a corpus with given extractors; see ``prepare``."""
    table = extract_features(
        corpus,
        extractors,
        text,
        config.progress,
        workers=config.workers,
        store=open_store(config),
        device=extraction_device(config),
    )
    trained_on = range(len(corpus)) if trained_on is None else trained_on
    copies = tuple(
        FeatureTable({**table.sequences, **changed}, table.targets)
        for changed in extract_copies(corpus, extractors, config, trained_on, table.sequences)
    )
    return PreparedCorpus(corpus, extractors, text, replace(table, copies=copies))


def hidden_versions(
    corpus: Corpus, extractor: AcousticExtractor, config: TrainConfig, trained_on: Sequence[int]
) -> list[list[Tensor]]:
    """Computes what an extractor's unlocked layer reads, for the recordings and for their changed copies."""
    store, device = open_store(config), extraction_device(config)
    hidden = hidden_features(corpus, extractor, config.progress, config.workers, store, device)
    named = {extractor.name: extractor}
    copies = extract_copies(corpus, named, config, trained_on, {extractor.name: hidden}, "frozen")
    return [hidden, *(changed[extractor.name] for changed in copies)]


def read_corpus(corpus_paths: str | Path | Sequence[str | Path], config: TrainConfig) -> Corpus:
    """Reads manifests as the options say; see ``read_manifest``.

    Raises:
        InputError: a file or a row cannot be used, or there is nothing to learn from.
    """
    corpus = read_labelled(corpus_paths, config, bool(config.acoustic))
    if not config.acoustic and not any(utterance.text for utterance in corpus.utterances):
        raise InputError(f"{corpus.title}: has no texts to learn from; fill in the column 'text', or use the audio")
    return corpus


def read_labelled(corpus_paths: str | Path | Sequence[str | Path], config: TrainConfig, needs_audio: bool) -> Corpus:
    """Reads manifests with the emotions, or with the numbers, that the options name."""
    if config.targets:
        return read_manifest(corpus_paths, config.targets, needs_audio=needs_audio, dimensional=True)
    spellings = parse_pairs(config.label, "--label")
    return read_manifest(corpus_paths, config.labels, spellings, config.drop_labels, needs_audio)


def train_fold(
    prepared: PreparedCorpus,
    split: Split,
    config: TrainConfig,
    logs: Path,
    logger: Logger | None = None,
    checkpoints: Path | None = None,
    callbacks: list[Callback] | None = None,
) -> FoldRun:
    """Trains through the paper's stages on one split, and predicts its test part.

    Args:
        prepared: the corpus; its extractors stay as they are.
        split: the parts.
        config: the options.
        logs: folder for the logger.
        logger: any Lightning logger instead of the configured one.
        checkpoints: see StageTrainer.
        callbacks: see StageTrainer.
    """
    corpus, text = prepared.corpus, prepared.text
    extractors = copy.deepcopy(prepared.extractors)  # the second stage changes their backbones
    table, scale = standardised(prepared, split)
    trained = train_stages(
        table,
        split,
        len(corpus.labels),
        extractors,
        config,
        logs,
        lambda extractor: hidden_versions(corpus, extractor, config, split.train),
        logger,
        checkpoints,
        callbacks,
    )
    if scale is not None:
        scale.put_into(trained.model.classifier)
    model = PathosNet(trained.model, extractors, text, corpus.labels, dimensional=corpus.dimensional)
    return predict_test_part(model, trained.table, split, config, trained.stages)


def standardised(prepared: PreparedCorpus, split: Split) -> tuple[FeatureTable, TargetScale | None]:
    """Gives numbers to estimate the training part's standard deviation as unit; classes stay as they are."""
    if not prepared.corpus.dimensional:
        return prepared.table, None
    targets = prepared.table.targets
    scale = TargetScale.of(targets[list(split.train)], prepared.corpus.labels)
    return prepared.table.with_targets(scale.standardised(targets)), scale


def predict_test_part(
    model: PathosNet, table: FeatureTable, split: Split, config: TrainConfig, stages: list[StageResult]
) -> FoldRun:
    """Calibrates a model on the validation part, unless it estimates numbers, and predicts the test part.

    Args:
        model: gets its calibration temperature.
        table: features of all utterances, as the model makes them.
        split: the parts.
        config: the options.
        stages: how the training went.
    """
    tested = compute_outputs(model, table, split.test).numpy() if split.test else None
    if config.calibration == NONE or model.dimensional:
        return FoldRun(model, stages, None if tested is None else torch.from_numpy(tested))
    validated = compute_outputs(model, table, split.validation).numpy()
    targets = table.targets.numpy()
    truth = targets[list(split.validation)]
    model.calibration_temperature = temperature = fit_temperature(truth, validated)

    def errors(truth: np.ndarray, probabilities: np.ndarray) -> tuple[float, float]:
        both = (probabilities, change_temperature(probabilities, temperature))
        before, after = (measure_reliability(truth, one).expected_calibration_error for one in both)
        return before, after

    test_errors = None if tested is None else errors(targets[list(split.test)], tested)
    calibration = Calibration(temperature, errors(truth, validated), test_errors)
    return FoldRun(model, stages, compute_outputs(model, table, split.test) if split.test else None, calibration)


def train(
    corpus_path: str | Path | Sequence[str | Path],
    out: str | Path,
    config: TrainConfig | None = None,
    overwrite: bool = False,
    logger: Logger | None = None,
) -> Run:
    """Trains on labelled corpora, tests on the part that was held out, and saves everything in one folder.

    The folder holds the model (``config.json``, ``model.safetensors``, ``text/``, the card ``README.md``), ``run.json``
    (configuration, versions, stages), ``split.csv``, ``logs/``, and of the test part ``metrics.json``,
    ``predictions.csv`` and ``confusion_matrix.png`` (``estimates.png`` of numbers). It appears when the run has ended;
    one that fails leaves nothing.

    Args:
        corpus_path: one manifest or several, see ``read_manifest``.
        out: the folder to make.
        config: the options.
        overwrite: replace the folder if it is there.
        logger: any Lightning logger instead of the configured one.

    Raises:
        InputError: a file, a row or an option cannot be used.
    """
    config = config or TrainConfig()
    started = time.time()
    corpus = read_corpus(corpus_path, config)
    split = split_corpus(corpus, config.split, config.num_folds, config.fold, config.validation_fraction, config.seed)
    with output_folder(out, overwrite) as folder:
        prepared = prepare(corpus, config, split.train)
        run = train_fold(prepared, split, config, folder / "logs", logger)
        metrics = write_run(folder, corpus, split, config, run, time.time() - started)
    return Run(Path(out), run.model, split, metrics, find_leak(corpus, split), run.calibration)


def write_run(
    folder: Path,
    corpus: Corpus,
    split: Split,
    config: TrainConfig,
    run: FoldRun,
    seconds: float,
    origin: Mapping[str, Any] | None = None,
) -> Metrics | DimensionMetrics | None:
    """Writes all that is known about a run into an existing folder, and returns the metrics of the test part.

    Args:
        folder: of the run.
        corpus: what it was trained and tested on.
        split: the parts.
        config: the options.
        run: what it led to.
        seconds: how long it took.
        origin: of a model that was fine-tuned.
    """
    metrics = None
    if run.outputs is not None:
        metrics = write_results(folder, to_table(corpus, split.test, run.outputs, config))
    leak = find_leak(corpus, split)
    facts = facts_of_training(corpus, split, config, leak, asdict(metrics) if metrics else None)
    if origin:
        before = run.model.facts
        facts = replace(facts, vectors=before.vectors, earlier=(*before.earlier, *before.corpora))
    run.model.facts = facts
    run.model.save_into(folder)
    write_folds(folder / SPLIT_FILE, corpus, {"part": split})
    write_json(folder / RUN_FILE, describe_run(corpus, split, config, run.stages, seconds, origin, run.calibration))
    return metrics


def describe_run(
    corpus: Corpus,
    split: Split,
    config: TrainConfig,
    stages: Sequence[StageResult],
    seconds: float,
    origin: Mapping[str, Any] | None = None,
    calibration: Calibration | None = None,
) -> dict[str, Any]:
    """Returns all that is known about a run on one split, as JSON values; of a fine-tuned model also its origin."""
    settled = SETTLED_BY_MODEL if origin else ()
    return {
        "config": {name: value for name, value in asdict(config).items() if name not in settled},
        **({"fine_tuned": dict(origin)} if origin else {}),
        "corpus": {
            "paths": [str(path.resolve()) for path in corpus.paths],
            "utterances": len(corpus),
            "counts": corpus.counts(),
        },
        "split": {
            "strategy": split.strategy,
            **{name: len(part) for name, part in split.parts().items()},
            "guarantee": describe_split(corpus, split),
        },
        "leak": find_leak(corpus, split),
        "stages": [asdict(stage) for stage in stages],
        "calibration": None if calibration is None else asdict(calibration),
        "seconds": round(seconds, 1),
        "versions": versions(),
    }


def to_table(corpus: Corpus, positions: Sequence[int], outputs: Tensor, config: TrainConfig) -> Predictions | Estimates:
    """Makes a table of what a model said of utterances; see ``Predictions.of``."""
    kind = Estimates if corpus.dimensional else Predictions
    return kind.of(corpus, positions, outputs.numpy(), config.seed, config.fold)


def evaluate(
    run: str | Path,
    corpus_path: str | Path,
    part: str = "auto",
    label: Sequence[str] = (),
    drop_labels: Sequence[str] = (),
    use_audio: bool = True,
    use_text: bool = True,
    progress: bool = True,
    plot: str | Path | None = None,
) -> tuple[Metrics | DimensionMetrics, str]:
    """Measures a saved model on a labelled corpus.

    Args:
        run: folder of the run or the model.
        corpus_path: the manifest.
        part: ``train``, ``validation``, ``test`` (of the corpus that the model was trained on), ``all`` rows, or
            ``auto``: the test part of that corpus, all rows of any other.
        label: the corpus' own spellings, SPELLING=EMOTION.
        drop_labels: spellings whose rows are left out.
        use_audio: False takes the voice away.
        use_text: False takes the text away.
        progress: show a progress bar.
        plot: a picture to draw: the confusion matrix, or estimates over the truth.

    Returns:
        The metrics, and a line that says what was measured.

    Raises:
        InputError: a file, a row or an option cannot be used.
    """
    model = PathosNet.from_pretrained(run)
    use_audio = use_audio and bool(len(model.acoustic))
    use_text = use_text and model.text is not None
    if not (use_audio or use_text):
        raise InputError(f"{run}: nothing is left that this model reads; leave it its audio or its text")
    spellings = parse_pairs(tuple(label), "--label")
    corpus = read_manifest(corpus_path, model.labels, spellings, drop_labels, use_audio, model.dimensional)
    positions, what = choose_part(Path(run), corpus, part)
    table = extract_features(
        corpus,
        dict(model.acoustic.items()) if use_audio else {},  # type: ignore[arg-type]
        model.text if use_text else None,
        progress,
        positions,
    )
    said = to_table(corpus, positions, compute_outputs(model, table, range(len(table))), TrainConfig())
    if plot is not None:
        said.plot(plot)
    return said.measure(), what


def output_folder(out: str | Path, overwrite: bool) -> AbstractContextManager[Path]:
    """Gives a folder that appears under its name when all is written; a throw-away one to all but the first process."""
    return written_aside(out, overwrite, marker=CONFIG_FILE) if is_main_process() else _discarded_folder()


@contextmanager
def _discarded_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pathosnet-") as folder:
        yield Path(folder)


def compute_outputs(model: PathosNet, table: FeatureTable, positions: Sequence[int], batch_size: int = 32) -> Tensor:
    """Returns probabilities or estimates, ``(utterances, labels)``; inputs that the table lacks count as missing."""
    dims = model.network.input_dims
    batches = []
    for start in range(0, len(positions), batch_size):
        rows = positions[start : start + batch_size]
        features = [
            {name: table.sequences[name][i] if name in table.sequences else torch.zeros(0, dims[name]) for name in dims}
            for i in rows
        ]
        batches.append(model.outputs(features))
    return torch.cat(batches)


def choose_part(run: Path, corpus: Corpus, part: str) -> tuple[Sequence[int], str]:
    """Finds the utterances to evaluate a model on; see ``evaluate``.

    Returns:
        Their positions in the corpus, and a line that says which they are.

    Raises:
        InputError: the run knows no such part of this corpus.
    """
    everything = range(len(corpus))
    split_path, run_path = run / SPLIT_FILE, run / RUN_FILE
    described = read_json(run_path) if split_path.is_file() and run_path.is_file() else None
    try:
        trained_on_it = described is not None and str(corpus.paths[0].resolve()) in described["corpus"]["paths"]
    except (KeyError, TypeError) as error:
        raise InputError(f"{run_path}: names no corpus; it was not written by training, or is damaged") from error
    if part == "all" or (part == "auto" and not trained_on_it):
        note = "; the model was trained on some of them" if trained_on_it else ""
        return everything, f"all {len(corpus)} utterances of {corpus.title}{note}"
    part = "test" if part == "auto" else part
    if not trained_on_it:
        raise InputError(
            f"{run}: was not trained on {corpus.title}, so that it has no {part} part; evaluate --part all"
        )
    try:
        positions = read_folds(split_path, corpus)[0].parts()[part]
    except InputError as error:
        raise InputError(
            f"{corpus.title}: is not what it was when {run} was trained, so that its {part} part is not known any more "
            f"({error}); evaluate --part all, or restore the manifest"
        ) from error
    if not positions:
        raise InputError(f"{run}: has no {part} part; evaluate --part all, or another corpus")
    return positions, f"the {part} part of {corpus.title}, {len(positions)} of {len(corpus)} utterances"


def write_results(folder: Path, table: Predictions | Estimates) -> Metrics | DimensionMetrics:
    """Writes what a model said, its figures and a picture of them into an existing folder."""
    metrics: Metrics | DimensionMetrics = table.measure()
    write_json(folder / METRICS_FILE, asdict(metrics))
    picture = ESTIMATES_FILE if isinstance(table, Estimates) else CONFUSION_FILE
    table.plot(folder / picture)
    table.write(folder / PREDICTIONS_FILE)
    return metrics


def versions() -> dict[str, str]:
    """Returns the versions of what a run depends on."""
    packages = ("pathosnet", "torch", "torchaudio", "pytorch-lightning", "numpy", "soundfile")
    return {"python": platform.python_version(), **{package: version(package) for package in packages}}
