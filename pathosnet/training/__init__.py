"""Everything that knows Lightning: modules, data, and the paper's stages."""

from pathosnet.training.data import Batch, EmotionDataModule, FeatureTable
from pathosnet.training.fitting import StageResult, StageTrainer
from pathosnet.training.modules import (
    AudioModule,
    ClassifierModule,
    EmotionModule,
    EnsembleModule,
    NetworkModule,
    TextModule,
)
from pathosnet.training.stages import TrainedNetwork, train_stages

__all__ = [
    "AudioModule",
    "Batch",
    "ClassifierModule",
    "EmotionDataModule",
    "EmotionModule",
    "EnsembleModule",
    "FeatureTable",
    "NetworkModule",
    "StageResult",
    "StageTrainer",
    "TextModule",
    "TrainedNetwork",
    "train_stages",
]
