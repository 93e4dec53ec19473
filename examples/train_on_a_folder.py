"""Trains on a folder that holds a folder of recordings for each emotion, such as clips/anger/1.wav.

python examples/train_on_a_folder.py clips runs/mine
"""

import sys
from pathlib import Path

from pathosnet import TrainConfig, train
from pathosnet.corpora.importing import ImportOptions, import_corpus
from pathosnet.corpora.known.patterns import of_name

folder, out = Path(sys.argv[1]), Path(sys.argv[2])
manifest = Path(f"{folder}.csv")
imported = import_corpus(
    of_name(folder.name), folder, manifest, options=ImportOptions(pattern="{emotion}/*"), overwrite=True
)
print(f"{manifest}: {imported.counts()}")

config = TrainConfig(labels="corpus", acoustic="logmel", text="none", class_weights="balanced", epochs=20)
run = train(manifest, out, config)
if run.metrics is not None:
    print(run.metrics.summary())
