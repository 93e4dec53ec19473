"""Trains and tests on every fold of a corpus with ``pathosnet train``, and prints the mean over the folds.

python benchmarks/real_speech.py CORPUS.csv OUT [any option of pathosnet train]

Every fold is a run of its own, ``OUT/fold0`` to ``OUT/fold4``; folds that are there already are not trained again.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import mean, stdev


def main() -> None:
    """Runs the folds and prints a line for each, and their mean."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus")
    parser.add_argument("out", type=Path)
    parser.add_argument("--num-folds", type=int, default=5)
    arguments, options = parser.parse_known_args()

    results = []
    for fold in range(arguments.num_folds):
        folder = arguments.out / f"fold{fold}"
        if not folder.exists():
            command = [sys.executable, "-m", "pathosnet", "train", arguments.corpus, "--out", str(folder)]
            command += ["--fold", str(fold), "--num-folds", str(arguments.num_folds), *options]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        metrics = json.loads((folder / "metrics.json").read_text())
        seconds = json.loads((folder / "run.json").read_text())["seconds"]
        results.append(metrics)
        print(f"fold {fold}: accuracy {metrics['accuracy']:.3f}, UAR {metrics['uar']:.3f}, {seconds:.0f} s", flush=True)
    for name in ("accuracy", "uar"):
        values = [result[name] for result in results]
        print(f"{name}: {mean(values):.3f} ± {stdev(values):.3f} (mean and standard deviation of the folds)")


if __name__ == "__main__":
    main()
