"""Trains one network with a Lightning Trainer of your own, reads its checkpoint back, and saves a model.

python examples/lightning_trainer.py corpus.csv model
"""

import sys
import tempfile

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from pathosnet import PathosNet
from pathosnet.corpora import read_manifest, split_corpus
from pathosnet.emotions import PAPER_EMOTIONS
from pathosnet.features import HashedWords, TextEmbedder
from pathosnet.features.acoustic.extractors import LogMelExtractor
from pathosnet.features.extract import extract_features
from pathosnet.models import BranchOptions, EmotionNetwork
from pathosnet.targets import ClassTarget
from pathosnet.training import EmotionDataModule, NetworkModule

corpus = read_manifest(sys.argv[1], PAPER_EMOTIONS)
split = split_corpus(corpus)
audio, text = LogMelExtractor(), TextEmbedder({"*": HashedWords()})
table = extract_features(corpus, {"logmel": audio}, text)

train, validation, test = (table.subset(part) for part in (split.train, split.validation, split.test))
data = EmotionDataModule(train, validation, test, batch_size=16)
dims = {"logmel": audio.feature_dim, "text": text.dim}
network = EmotionNetwork(dims, len(corpus.labels), options=BranchOptions(standardize=True))
network.standardize(train.sequences)

with tempfile.TemporaryDirectory() as folder:
    best = ModelCheckpoint(folder, monitor="val_uar", mode="max")
    trainer = pl.Trainer(max_epochs=5, logger=False, callbacks=[best])
    trainer.fit(NetworkModule(network, ClassTarget(corpus.labels)), datamodule=data)
    module = NetworkModule.load_from_checkpoint(best.best_model_path)

(figures,) = trainer.test(module, datamodule=data)
print({name: round(value, 3) for name, value in figures.items()})
probabilities = torch.cat(trainer.predict(module, datamodule=data))
print(f"mean probability of the predicted emotion: {probabilities.max(dim=1).values.mean():.3f}")

model = PathosNet(module.model, {"logmel": audio}, text, labels=module.target)
model.save_pretrained(sys.argv[2], overwrite=True)
print(f"saved {sys.argv[2]}, which recognizes {', '.join(PathosNet.from_pretrained(sys.argv[2]).labels)}")
