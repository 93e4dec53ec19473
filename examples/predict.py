"""Recognizes the emotion of recordings with a trained model.

python examples/predict.py runs/mine a.wav b.flac
"""

import sys

from pathosnet import PathosNet

model = PathosNet.from_pretrained(sys.argv[1])
for path, prediction in zip(sys.argv[2:], model.predict_batch(sys.argv[2:]), strict=True):
    print(path, prediction.label, f"{prediction.probabilities[prediction.label]:.2f}", prediction.valence)
