"""Everything that knows Lightning: modules, data, and the paper's stages."""

from pathosnet.features.table import FeatureTable
from pathosnet.training.data import Batch, EmotionDataModule, Positions
from pathosnet.training.modules import (
    AudioModule,
    ClassifierModule,
    EmotionModule,
    EnsembleModule,
    NetworkModule,
    TextModule,
)
from pathosnet.training.optimization import Optimization
from pathosnet.training.stages import StageSettings, TrainedNetwork, train_stages
from pathosnet.training.trainer import Fitting, Hardware, Logging, StageResult, StageTrainer

__all__ = [
    "AudioModule",
    "Batch",
    "ClassifierModule",
    "EmotionDataModule",
    "EmotionModule",
    "EnsembleModule",
    "FeatureTable",
    "Fitting",
    "Hardware",
    "Logging",
    "NetworkModule",
    "Optimization",
    "Positions",
    "StageResult",
    "StageSettings",
    "StageTrainer",
    "TextModule",
    "TrainedNetwork",
    "train_stages",
]
