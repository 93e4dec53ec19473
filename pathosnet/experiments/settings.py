"""From a run's options to what training takes: the shape of the networks, the stages, the trainer."""

from collections.abc import Sequence
from pathlib import Path

from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger

from pathosnet.experiments.config import TrainConfig
from pathosnet.models import BranchOptions
from pathosnet.training import Fitting, Hardware, Logging, Optimization, StageSettings, StageTrainer


def stage_settings(config: TrainConfig) -> StageSettings:
    """Returns which networks the options ask for, and how they are trained."""
    return StageSettings(
        branch=BranchOptions(
            text_width=config.text_width,
            audio_width=config.audio_width,
            num_blocks=config.num_blocks,
            dropout=config.dropout,
            batch_norm_momentum=config.batch_norm_momentum,
            network=config.network,
            pooling=config.pooling,
            standardize=config.standardize,
        ),
        optimization=Optimization(
            learning_rate=config.learning_rate,
            decay=config.learning_rate_decay,
            min_learning_rate=config.min_learning_rate,
            optimizer=config.optimizer,
            optimizer_options=config.optimizer_options,
            scheduler=config.scheduler,
            scheduler_options=config.scheduler_options,
            encoder_learning_rate=config.encoder_learning_rate,
            encoder_layer_decay=config.encoder_layer_decay,
            label_smoothing=config.label_smoothing,
            modality_dropout=config.modality_dropout,
            augmentation=config.augmentation,
        ),
        balanced_loss=config.class_weights == "balanced",
        temperature=config.temperature,
        fine_tune=config.fine_tune,
        lora=config.lora,
        refit=config.refit,
    )


def stage_trainer(
    config: TrainConfig,
    logs: Path,
    logger: Logger | None = None,
    *,
    checkpoints: Path | None = None,
    callbacks: Sequence[Callback] = (),
    stoppable: bool = False,
) -> StageTrainer:
    """Makes the trainer that the options ask for.

    Args:
        config: the options.
        logs: folder for the logger.
        logger: any Lightning logger instead of the configured one.
        checkpoints: see StageTrainer.
        callbacks: see StageTrainer.
        stoppable: see StageTrainer.
    """
    return StageTrainer(
        Fitting(
            epochs=config.epochs,
            patience=config.patience,
            metric=config.stopping_metric,
            batch_size=config.batch_size,
            balanced=config.sampling == "balanced",
            seed=config.seed,
        ),
        Hardware(
            config.accelerator, config.devices, config.num_nodes, strategy=config.strategy, precision=config.precision
        ),
        Logging(logs, logger or config.logger, config.logger_options, progress=config.progress),
        checkpoints=checkpoints,
        callbacks=callbacks,
        stoppable=stoppable,
    )
