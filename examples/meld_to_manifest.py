"""Makes manifests of MELD's text files (train_sent_emo.csv, dev_sent_emo.csv, test_sent_emo.csv).

python examples/meld_to_manifest.py MELD_FOLDER meld.csv
pathosnet train meld.csv --out runs/meld --acoustic none --drop-labels surprise,fear,disgust

The text branch learns from the lines alone, so that no recordings are needed.
"""

import csv
import sys
from pathlib import Path

folder, out = Path(sys.argv[1]), Path(sys.argv[2])
with out.open("w", encoding="utf-8", newline="") as target:
    writer = csv.writer(target)
    writer.writerow(("audio", "text", "emotion", "speaker", "language", "split"))
    for part in ("train", "dev", "test"):
        with (folder / f"{part}_sent_emo.csv").open(encoding="utf-8", newline="") as source:
            for row in csv.DictReader(source):
                writer.writerow(("", row["Utterance"], row["Emotion"], row["Speaker"], "en", part))
