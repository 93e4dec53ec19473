"""Trains one network with a Lightning Trainer of one's own: features, data module, module, trainer.

python examples/lightning_trainer.py corpus.csv
"""

import sys

import pytorch_lightning as pl

from pathosnet.corpora import read_manifest, split_corpus
from pathosnet.emotions import PAPER_EMOTIONS
from pathosnet.experiment import extract_features
from pathosnet.extractors import LogMelExtractor
from pathosnet.features import HashedWords, TextEmbedder
from pathosnet.models import EmotionNetwork
from pathosnet.training import EmotionDataModule, NetworkModule

corpus = read_manifest(sys.argv[1], PAPER_EMOTIONS)
split = split_corpus(corpus)
audio, text = LogMelExtractor(), TextEmbedder({"*": HashedWords()})
table = extract_features(corpus, {"logmel": audio}, text)

data = EmotionDataModule(table.subset(split.train), table.subset(split.validation), batch_size=16)
network = EmotionNetwork({"logmel": audio.feature_dim, "text": text.dim}, num_classes=len(corpus.labels))
trainer = pl.Trainer(max_epochs=5, logger=False, enable_checkpointing=False)
trainer.fit(NetworkModule(network), datamodule=data)
print({name: round(float(value), 3) for name, value in trainer.callback_metrics.items()})
