"""Trains one model on corpora in several languages, and says how it does in each of them.

python examples/several_languages.py runs/multilingual en.csv it.csv …

The column "language" says which vectors read a text. Hashed words, the default, need no file and know no meanings;
with vectors in one space, what is learned in one language helps in another:
text=("en=wiki.multi.en.vec", "it=wiki.multi.it.vec").
"""

import sys

from pathosnet import TrainConfig, train
from pathosnet.evaluation import Predictions

out, *corpora = sys.argv[1:]
run = train(corpora, out, TrainConfig(text=("hashed",), epochs=20))
tested = Predictions.read(run.folder / "predictions.csv")
for (language,), predictions in tested.groups("language").items():
    print(f"{language}: {predictions.measure().summary()}")
print(f"all: {tested.measure().summary()}")
