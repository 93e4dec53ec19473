"""A trained model becomes one for another corpus: its labels, its voices, its language."""

import copy
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, get_args

import torch
from pytorch_lightning.loggers import Logger

from pathosnet.corpora import Split, split_corpus
from pathosnet.corpora.manifest import with_labels
from pathosnet.corpora.splits import find_leak
from pathosnet.errors import InputError
from pathosnet.experiments.config import FINETUNE_DEFAULTS, TrainConfig
from pathosnet.experiments.prepare import PreparedCorpus, hidden_versions, prepare_with, read_labelled
from pathosnet.experiments.run_folder import (
    FoldRun,
    Run,
    describe_earlier_training,
    knows_training,
    output_folder,
    splits_of,
    write_run,
)
from pathosnet.experiments.settings import stage_settings, stage_trainer
from pathosnet.experiments.train import predict_test_part, standardized
from pathosnet.features.acoustic.encoders.low_rank import import_peft, low_rank
from pathosnet.features.acoustic.extractors import AcousticExtractor, SpeechEncoderExtractor
from pathosnet.files import say_note, to_path
from pathosnet.recognizer.recognizer import PathosNet
from pathosnet.training import ClassifierModule, EmotionModule, NetworkModule
from pathosnet.training.stages import join_networks, tuned_features
from pathosnet.training.state import seeded

TrainedPart = Literal["classifier", "branches", "top-layer"]
"""Layers to train: the last linear layer; the branches as well; the top layers of the pre-trained networks as well."""


def finetune(
    model: PathosNet | str | Path,
    corpus_path: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    config: TrainConfig | None = None,
    train: TrainedPart = "branches",
    overwrite: bool = False,
    logger: Logger | None = None,
) -> Run:
    """Trains a model further on labelled recordings, tests it on the part that was held out, and saves everything.

    Where the labels are others than the model's, its classifier is replaced; emotions and dimensions that stay keep
    their weights, and the same labels their order.
    The folder is what ``pathosnet.experiments.train.train`` makes. The given model stays as it is.

    Args:
        model: a trained model, or where to find one, see ``PathosNet.from_pretrained``.
        corpus_path: one manifest or several, see ``read_manifest``.
        out: the folder to make.
        config: the options; None for ``pathosnet.experiments.config.FINETUNE_DEFAULTS``. What the features and the
            networks are is the model's.
        train: what learns; see TrainedPart.
        overwrite: replace the folder if it is there.
        logger: any Lightning logger instead of the configured one.

    Raises:
        InputError: a file, a row or an option cannot be used.
    """
    if train not in get_args(TrainedPart):
        raise InputError(f"train: expected {', '.join(get_args(TrainedPart))}, got {train!r}")
    config = config or TrainConfig(**FINETUNE_DEFAULTS)
    started = time.monotonic()
    origin = "a model in memory" if isinstance(model, PathosNet) else _name_of(model)
    folder_of_origin = None if isinstance(model, PathosNet) else to_path(model)
    earlier = splits_of(folder_of_origin) if folder_of_origin else []
    known = folder_of_origin is not None and knows_training(folder_of_origin)
    model = model if isinstance(model, PathosNet) else PathosNet.from_pretrained(model)
    _check(model, config, train)
    corpus = read_labelled(corpus_path, config, needs_audio=bool(len(model.acoustic)))
    if not len(model.acoustic) and not any(utterance.text for utterance in corpus.utterances):
        raise InputError(f"{corpus.title}: has no texts, and the model reads nothing else; fill in the column 'text'")
    ours, theirs = corpus.target, model.target
    corpus = with_labels(
        corpus, [*_in_order(ours.classes, theirs.classes), *_in_order(ours.dimensions, theirs.dimensions)]
    )
    split = split_corpus(
        corpus,
        config.split,
        config.num_folds,
        fold=config.fold,
        validation_fraction=config.validation_fraction,
        seed=config.seed,
    )
    if told := describe_earlier_training(earlier, corpus, split.test):
        say_note(f"of the test part's {len(split.test)} utterances, {told}: expect less of others")
    with output_folder(out, overwrite) as folder:
        extractors = copy.deepcopy(model.extractors)
        _unlock(extractors, config.unlock)
        prepared = prepare_with(corpus, extractors, model.text, config=config, trained_on=split.train)
        run = finetune_fold(model, prepared, split, config=config, train=train, logs=folder / "logs", logger=logger)
        about = {"model": origin, "labels": list(model.labels), "train": train, "training_known": known}
        metrics = write_run(
            folder,
            corpus,
            split,
            config=config,
            run=run,
            seconds=time.monotonic() - started,
            origin=about,
            earlier=earlier,
        )
    return run.finished(to_path(out), split, metrics, leak=find_leak(corpus, split))


def finetune_fold(
    model: PathosNet,
    prepared: PreparedCorpus,
    split: Split,
    *,
    config: TrainConfig,
    train: TrainedPart,
    logs: Path,
    logger: Logger | None = None,
) -> FoldRun:
    """Trains a model further on one split, and predicts its test part.

    Args:
        model: stays as it is.
        prepared: the corpus, with the model's features; its extractors come to hold the tuned top layers.
        split: the parts.
        config: the options.
        train: what learns.
        logs: folder for the logger.
        logger: any Lightning logger instead of the configured one.
    """
    corpus, extractors = prepared.corpus, prepared.extractors
    table, scale = standardized(prepared, split)
    target = corpus.target
    kept = target.shared_with(model.target)
    network = copy.deepcopy(model.network).cpu()
    with seeded(config.seed):
        if target != model.target:
            network.replace_classifier([name if name in kept else "" for name in model.labels], target.labels)
    if scale is not None:
        scale.take_out_of(network.classifier, torch.tensor([name in kept for name in target.dimensions]))
    optimization = stage_settings(config).optimization_for(table.subset(split.train), target)
    trainer = stage_trainer(config, logs, logger)
    module: EmotionModule
    changes = ExitStack()
    if train == "classifier":
        module = ClassifierModule(network, target, optimization)
        seen = table if optimization.changes_inputs else join_networks(table, module)
    else:
        unlocked = _backbones(extractors) if train == "top-layer" else []
        backbones = {name: extractors[name].unlockable for name in unlocked}
        with seeded(config.seed):
            for backbone in backbones.values():
                changes.enter_context(low_rank(backbone, config.lora))
        module = NetworkModule(network, target, optimization, unlocked=backbones)  # type: ignore[arg-type]
        seen = table
        for name in unlocked:
            seen = seen.with_versions(name, hidden_versions(corpus, extractors[name], config, trained_on=split.train))
    with changes:
        trainer.fit(f"fine-tuning-{train}", module, seen, parts=split)
    if train == "top-layer":
        for name in _backbones(extractors):
            table = table.with_versions(name, tuned_features(extractors[name], name, seen))
    network.requires_grad_(True)
    if scale is not None:
        scale.put_into(network.classifier)
    tuned = PathosNet(network.eval(), extractors, model.text, labels=target, facts=model.facts)
    return predict_test_part(tuned, table, split, config=config, stages=trainer.results)


def _in_order(labels: Sequence[str], known: Sequence[str]) -> Sequence[str]:
    """Returns labels in the order that a model has them, if they are the same: its outputs keep their order."""
    return known if set(labels) == set(known) else labels


def _unlock(extractors: Mapping[str, AcousticExtractor], count: int) -> None:
    """Unlocks the top layers of speech encoders; layers that were tuned before stay so."""
    for extractor in extractors.values():
        if isinstance(extractor, SpeechEncoderExtractor):
            extractor.unlocked = max(extractor.unlocked, count)


def _name_of(model: str | Path) -> str:
    """Names a model without the folders of this machine; one of a hub keeps its whole name."""
    return Path(model).name if isinstance(model, Path) or Path(model).exists() else model


def _check(model: PathosNet, config: TrainConfig, train: TrainedPart) -> None:
    if config.modality_dropout > 0 and not (len(model.acoustic) and model.text is not None):
        raise InputError("modality_dropout: the model reads only one of text and voice, expected one that reads both")
    if config.refit:
        raise InputError("refit: is for training from the beginning; expected false where a model is fine-tuned")
    encoders = [one for one in model.extractors.values() if isinstance(one, SpeechEncoderExtractor)]
    if config.unlock and not (encoders and train == "top-layer"):
        raise InputError("unlock: is for a model with a speech encoder, and with --train top-layer; leave it out")
    if config.lora:
        import_peft()
    if train == "top-layer" and not (config.unlock or _backbones(model.extractors)):
        raise InputError(
            "train: the model has no pre-trained network whose top layer could learn; expected classifier or branches"
            + (", or of its speech encoder --unlock 1 or more" if encoders else "")
        )


def _backbones(extractors: Mapping[str, AcousticExtractor]) -> list[str]:
    return [name for name, extractor in extractors.items() if extractor.unlockable is not None]
