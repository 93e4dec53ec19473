"""Trains on a CSV with the columns audio, text, emotion, and says how well the held-out part was recognised.

python examples/train.py corpus.csv runs/mine
"""

import sys

from pathosnet import TrainConfig, train

corpus, out = sys.argv[1:3]
run = train(corpus, out, TrainConfig(acoustic=("logmel",), text=("hashed",), modality_dropout=0.2, epochs=20))
if run.metrics is not None:
    print(run.metrics.summary())
    for label, recall in run.metrics.recalls.items():
        print(f"{label}: {'–' if recall is None else f'{recall:.0%}'} recognised")
