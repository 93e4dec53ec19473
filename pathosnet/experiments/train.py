"""A training run, from a manifest to a saved model."""

import copy
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger
from torch import Tensor

from pathosnet.corpora import Split, split_corpus
from pathosnet.corpora.splits import find_leak
from pathosnet.evaluation.calibration import Calibration, calibration_errors, fit_temperature
from pathosnet.experiments.config import NONE, TrainConfig
from pathosnet.experiments.evaluate import compute_joined, compute_logits
from pathosnet.experiments.prepare import PreparedCorpus, hidden_versions, prepare, read_corpus
from pathosnet.experiments.run_folder import FoldRun, Run, identity, output_folder, write_run
from pathosnet.experiments.settings import stage_settings, stage_trainer
from pathosnet.experiments.unfinished import unfinished
from pathosnet.features.profile import describe_adaptation
from pathosnet.features.table import FeatureTable
from pathosnet.files import to_path
from pathosnet.recognizer.reach import measure_reach
from pathosnet.recognizer.recognizer import PathosNet
from pathosnet.training import StageResult, train_stages
from pathosnet.training.data import Positions
from pathosnet.training.objectives import TargetScale
from pathosnet.training.probe import measure_probe


def train(
    corpus_path: str | Path | Sequence[str | Path],
    out: str | Path,
    config: TrainConfig | None = None,
    *,
    overwrite: bool = False,
    logger: Logger | None = None,
    resume: bool = False,
) -> Run:
    """Trains on labelled corpora, tests on the part that was held out, and saves everything in one folder.

    The folder holds the model (``config.json``, ``model.safetensors``, ``text/``, the card ``README.md``), ``run.json``
    (configuration, versions, stages), ``split.csv``, ``logs/``, and of the test part ``metrics.json``,
    ``predictions.csv`` and ``confusion_matrix.png`` (``estimates.png`` of numbers). It appears when the run has ended;
    one that fails leaves nothing, one that is interrupted or killed leaves checkpoints in a hidden folder beside it.

    Args:
        corpus_path: one manifest or several, see ``read_manifest``.
        out: the folder to make.
        config: the options.
        overwrite: replace the folder if it is there.
        logger: any Lightning logger instead of the configured one.
        resume: go on where the same run was interrupted, if it was; its results are those of an unbroken run.

    Raises:
        InputError: a file, a row or an option cannot be used.
    """
    config = config or TrainConfig()
    started = time.monotonic()
    corpus = read_corpus(corpus_path, config)
    split = split_corpus(
        corpus,
        config.split,
        config.num_folds,
        fold=config.fold,
        validation_fraction=config.validation_fraction,
        seed=config.seed,
    )
    with output_folder(out, overwrite) as folder, unfinished(to_path(out), identity(corpus, config), resume) as kept:
        prepared = prepare(corpus, config, split.train)
        run = train_fold(prepared, split, config, logs=folder / "logs", logger=logger, checkpoints=kept, stoppable=True)
        metrics = write_run(folder, corpus, split, config=config, run=run, seconds=time.monotonic() - started)
    finished = run.finished(to_path(out), split, metrics, leak=find_leak(corpus, split))
    return replace(finished, adapted=describe_adaptation(config.normalize))


def train_fold(
    prepared: PreparedCorpus,
    split: Split,
    config: TrainConfig,
    *,
    logs: Path,
    logger: Logger | None = None,
    checkpoints: Path | None = None,
    callbacks: list[Callback] | None = None,
    stoppable: bool = False,
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
        stoppable: see StageTrainer.
    """
    corpus, text = prepared.corpus, prepared.text
    extractors = copy.deepcopy(prepared.extractors)  # the second stage changes their backbones
    table, scale = standardized(prepared, split)
    target = corpus.target
    trained = train_stages(
        table,
        split,
        target,
        extractors=extractors,
        hidden_features=lambda extractor: hidden_versions(corpus, extractor, config, trained_on=split.train),
        trainer=stage_trainer(
            config, logs, logger, checkpoints=checkpoints, callbacks=callbacks or (), stoppable=stoppable
        ),
        settings=stage_settings(config),
    )
    if scale is not None:
        scale.put_into(trained.model.classifier)
    model = PathosNet(trained.model, extractors, text, labels=target)
    return predict_test_part(
        model, trained.table, split, config=config, stages=trained.stages, validated=trained.validated
    )


def standardized(prepared: PreparedCorpus, split: Split) -> tuple[FeatureTable, TargetScale | None]:
    """Gives numbers to estimate the training part's standard deviation as unit; classes stay as they are."""
    if not (names := prepared.corpus.target.dimensions):
        return prepared.table, None
    targets = prepared.table.targets
    scale = TargetScale.of(targets[list(split.train)], names)
    return prepared.table.with_targets(scale.standardized(targets)), scale


def predict_test_part(
    model: PathosNet,
    table: FeatureTable,
    split: Split,
    *,
    config: TrainConfig,
    stages: list[StageResult],
    validated: Tensor | None = None,
) -> FoldRun:
    """Calibrates a model on the validation part, predicts the test part, and fits a linear probe on the same features.

    Models of dimensions alone are neither calibrated nor probed; of both kinds that is for the emotions.

    Args:
        model: gets its calibration temperature, and how far its training part reaches.
        table: features of all utterances, as the model makes them.
        split: the parts.
        config: the options.
        stages: how the training went.
        validated: logits of the validation part, of a network that never trained on it; the model's own if None. A
            model that was refitted on the validation part would find itself too sure there.
    """
    model.reach = measure_reach(model.network, table.subset(split.train).sequences)
    tested = compute_logits(model, table, split.test) if split.test else None
    labeled = _Labeled(model, table)
    calibration = None
    if config.calibration != NONE and labeled.of(split.validation):
        validated = compute_logits(model, table, split.validation) if validated is None else validated
        known = labeled.take(split.validation, validated)
        model.calibration_temperature = temperature = fit_temperature(*known)
        test_errors = None
        if tested is not None and labeled.of(split.test):
            test_errors = calibration_errors(*labeled.take(split.test, tested), temperature)
        errors = calibration_errors(*known, temperature)
        calibration = Calibration(temperature, errors, test_errors, utterances=len(known[0]))
    outputs = None if tested is None else model.target.decode(tested, model.calibration_temperature)
    probe = None
    if outputs is not None and all(map(labeled.of, (split.train, split.validation, split.test))):
        parts = Positions(labeled.of(split.train), labeled.of(split.validation))
        _, probabilities = labeled.take(split.test, outputs)
        probe = measure_probe(table, parts, labeled.of(split.test), probabilities=probabilities)
    joined = partial(compute_joined, model, table)
    return FoldRun(model, stages, outputs, joined=joined, calibration=calibration, probe=probe)


class _Labeled:
    """The utterances of a table whose emotion is known; none of a model that estimates numbers alone."""

    def __init__(self, model: PathosNet, table: FeatureTable) -> None:
        self.num_classes = len(model.target.classes)
        self.numbers = table.class_numbers.numpy() if self.num_classes else np.full(len(table), -1)

    def of(self, positions: Sequence[int]) -> list[int]:
        """Returns those of the positions that have a label."""
        return [i for i in positions if self.numbers[i] >= 0]

    def take(self, positions: Sequence[int], outputs: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Returns their label numbers, and what a model says of their classes, given its outputs for all positions."""
        numbers = self.numbers[list(positions)]
        return numbers[numbers >= 0], outputs.numpy()[numbers >= 0, : self.num_classes]
