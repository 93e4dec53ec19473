"""Ends commands at random moments by SIGKILL, lets them go on, and compares with a run that nobody ended.

    python tools/kill_runs.py --kills 50 --seed 1
    python tools/kill_runs.py --only train --only predict --kills 5

Each command makes a folder or a file from a small made-up corpus. It is killed at a random moment of its life, started
again (with ``--resume`` where it has that), and so on, until it ends by itself. What it leaves is compared byte by byte
with what an unbroken run left, but for times of day and durations in ``run.json`` and the report. POSIX only.
"""

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from making import TINY, make_corpus

QUICK = [f"--{name}={value}" for name, value in {**TINY, "epochs": 6}.items()]
COMMANDS = {
    "train": ["train", "{corpus}", "--out", "{out}", "--resume", *QUICK],
    "cross-validate": ["cross-validate", "{corpus}", "--out", "{out}", "--num-folds=3", *QUICK],
    "finetune": ["finetune", "small", "{corpus}", "--out", "{out}", "--overwrite", "--epochs=2", "--logger=none"],
    "predict": ["predict", "small", "{clips}", "--out", "{out}.csv", "--overwrite"],
}
LAST = {"cross-validate": "report.html"}
"""What a command writes last, where its folder is there from the beginning."""
UNEQUAL = re.compile(r'"(seconds|started|finished|date|duration|command|created|out|folder)"')
"""Keys of what differs between two runs in any case."""


def run(arguments: Sequence[str], cache: Path, limit: float | None = None) -> tuple[int, float, str]:
    """Runs a command, and kills it and what it started after ``limit`` seconds.

    Returns:
        Its exit code, how long it took, and what it said.
    """
    environment = {**os.environ, "PATHOSNET_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    started = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "pathosnet", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        start_new_session=True,
    ) as process:
        try:
            said = process.communicate(timeout=limit)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said = process.communicate()[0]
    return process.returncode, time.monotonic() - started, said


def digest(folder: Path, place: Path) -> dict[str, str]:
    """Hashes the files of a run, without the lines that tell time and place."""
    found = {}
    files = [folder] if folder.is_file() else sorted(file for file in folder.rglob("*") if file.is_file())
    for file in files:
        content = file.read_bytes()
        if file.suffix in (".json", ".md", ".csv", ".jsonl", ".yaml"):
            lines = content.decode().replace(str(place), "PLACE").splitlines()
            content = "\n".join(line for line in lines if not UNEQUAL.search(line)).encode()
        if file.suffix not in (".html", ".svg", ".lock"):  # which say when they were written
            found[str(file.relative_to(folder))] = hashlib.sha256(content).hexdigest()
    return found


def prove(name: str, kills: int, generator: random.Random, work: Path) -> dict[str, object]:
    """Kills a command time and again, and compares what it leaves in the end with an unbroken run's."""
    corpus = make_corpus(work / "corpus", per_class=12)

    def arguments(place: Path) -> tuple[list[str], Path]:
        place.mkdir()
        values = {"corpus": str(corpus), "clips": str(corpus.parent), "out": str(place / "made")}
        filled = [part.format(**values) for part in COMMANDS[name]]
        return filled, place / ("made.csv" if name == "predict" else "made")

    command, whole = arguments(work / "whole")
    code, seconds, said = run(command, work / "cache-whole")
    if code:
        raise SystemExit(f"{name}: the unbroken run failed:\n{said}")
    expected, killed, differences = digest(whole, work / "whole"), 0, []
    attempt = 0
    while killed < kills:
        attempt += 1
        place = work / f"broken-{attempt}"
        command, made = arguments(place)
        cache = work / f"cache-{attempt}"
        while killed < kills:
            code, _, said = run(command, cache, generator.uniform(0.3, 1.05) * seconds)
            if code != -signal.SIGKILL:
                break
            killed += 1
            if (made / LAST.get(name, "")).exists():  # it was done, and only had to end
                break
        if not (made / LAST.get(name, "")).exists():
            code, _, said = run(command, cache)
        elif code == -signal.SIGKILL:
            code = 0
        if code:
            differences.append(f"exit code {code}: {said.strip().splitlines()[-1:]}")
        elif (found := digest(made, place)) != expected:
            names = sorted(one for one in found.keys() | expected.keys() if found.get(one) != expected.get(one))
            differences.append(f"differs in {', '.join(names)}")
        shutil.rmtree(place, ignore_errors=True)
    return {
        "command": name,
        "kills": killed,
        "runs": attempt,
        "seconds_unbroken": round(seconds, 1),
        "found": differences,
    }


def main() -> None:
    """Reads the arguments, and prints one JSON object a command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=50, help="of each command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", choices=COMMANDS, help="one command; may be repeated")
    options = parser.parse_args()
    failed = False
    for name in options.only or COMMANDS:
        with tempfile.TemporaryDirectory() as work:
            result = prove(name, options.kills, random.Random(f"{options.seed} {name}"), Path(work))
        print(json.dumps(result), flush=True)
        failed |= bool(result["found"])
    sys.exit(failed)


if __name__ == "__main__":
    main()
