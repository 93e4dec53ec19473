"""Tests on every voice in turn, and reads the figures of the report.

python examples/cross_validate.py corpus.csv runs/cv
"""

import json
import sys

from pathosnet import TrainConfig, cross_validate
from pathosnet.evaluation import Predictions

corpus, out = sys.argv[1:3]
config = TrainConfig(split="speaker", num_folds=3, epochs=15)
result = cross_validate([corpus], out, config)  # killed and started again, it goes on
print(result.table)
print("leak:", result.leak)

metrics = json.loads((result.folder / "metrics.json").read_text(encoding="utf-8"))
low, high = metrics["intervals"]["speakers"]["uar"]
print(f"UAR for voices like these: {low:.0%} to {high:.0%}")

predictions = Predictions.read(result.folder / "predictions.csv")
for (fold,), tested in predictions.groups("fold").items():
    print(f"fold {fold}: {', '.join(sorted(set(tested.column('speaker'))))}: {tested.measure().uar:.0%}")
print("open", result.folder / "report.html")
