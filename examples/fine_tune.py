"""Begins with a trained model, and teaches it a corpus of one's own, with labels of its own.

python examples/fine_tune.py runs/base corpus.csv runs/mine
"""

import sys
from dataclasses import replace

from pathosnet import PathosNet, TrainConfig
from pathosnet.experiments.config import FINETUNE_DEFAULTS

base, corpus, out = sys.argv[1:4]
model = PathosNet.from_pretrained(base)
print("before:", ", ".join(model.labels))

# The labels are those of the corpus; what both know keeps its weights.
config = replace(TrainConfig(**FINETUNE_DEFAULTS), epochs=15, sampling="balanced", augmentation=("masks", "words"))
run = model.finetune(corpus, out, config=config, train="branches")
print("after:", ", ".join(run.model.labels))
if run.metrics is not None:
    print(run.metrics.summary())
