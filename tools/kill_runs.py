"""Ends commands at random moments by SIGKILL, lets them go on, and compares with a run that nobody ended.

    python tools/kill_runs.py --kills 50 --seed 1
    python tools/kill_runs.py --only train --only predict --kills 5

Each command makes a folder or a file from a small made-up corpus. It is killed at a random moment of its life, started
again (with ``--resume`` where it has that), and so on, until it ends by itself. What it leaves is compared byte by byte
with what an unbroken run left, but for times of day and durations in ``run.json`` and the report. A search (``tune``)
goes on with other trials than an unbroken one would make: its files have to agree with each other. ``weights get``
downloads from a slow server on this machine. POSIX only.
"""

import argparse
import csv
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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from making import TINY, make_corpus
from serving import FileServer, serving

QUICK = [f"--{name}={value}" for name, value in {**TINY, "epochs": 6}.items()]
COMMANDS = {
    "train": ["train", "{corpus}", "--out", "{out}", "--resume", *QUICK],
    "cross-validate": ["cross-validate", "{corpus}", "--out", "{out}", "--num-folds=3", *QUICK],
    "finetune": ["finetune", "small", "{corpus}", "--out", "{out}", "--overwrite", "--epochs=2", "--logger=none"],
    "predict": ["predict", "small", "{clips}", "--out", "{out}.csv", "--overwrite"],
    "tune": ["tune", "{corpus}", "--out", "{out}", "--trials=4", "--search=dropout=0.1:0.7", *QUICK],
    "transcribe": [
        "transcribe",
        "{corpus}",
        "--out",
        "{out}.csv",
        "--all",
        "--recognizer=command:echo heard {{audio}}",
    ],
    "weights get": ["weights", "get", "muse-it", "--progress=false"],
}
LAST = {"cross-validate": "report.html", "tune": "search.png", "weights get": "weights/wiki.multi.it.vec"}
"""What a command writes last, where its folder is there from the beginning."""
DOWNLOAD = """
import dataclasses, sys
from pathosnet import cli
from pathosnet.weights.catalogue import CATALOGUE
CATALOGUE["muse-it"] = dataclasses.replace(CATALOGUE["muse-it"], url=sys.argv[1])
cli.main(sys.argv[2:])
"""
DOWNLOADED_BYTES = 4 << 20
PIECE_BYTES = 64 << 10
UNEQUAL = re.compile(r'"(seconds|started|finished|date|duration|command|created|out|folder)"')
"""Keys of what differs between two runs in any case."""


class SlowServer(FileServer):
    """Sends two megabytes a second."""

    def answer(self, code: int, body: bytes = b"", length: int | None = None, **headers: str) -> None:
        """Answers, a piece after the other."""
        super().answer(code, b"", len(body) if length is None else length, **headers)
        try:
            for start in range(0, len(body), PIECE_BYTES):
                self.wfile.write(body[start : start + PIECE_BYTES])
                time.sleep(PIECE_BYTES / (2 << 20))
        except OSError:  # who asked was killed
            self.close_connection = True


@contextmanager
def program(name: str) -> Iterator[list[str]]:
    """Gives what starts a command; for a download also a server."""
    if name != "weights get":
        yield [sys.executable, "-m", "pathosnet"]
        return
    files = {"/wiki.multi.it.vec": random.Random(0).randbytes(DOWNLOADED_BYTES)}
    with serving(SlowServer, files=files, behaviours=[], requests=[]) as server:
        yield [sys.executable, "-c", DOWNLOAD, f"{server.url}/wiki.multi.it.vec"]


def run(arguments: Sequence[str], cache: Path, limit: float | None = None) -> tuple[int, float, str]:
    """Runs a command, and kills it and what it started after ``limit`` seconds.

    Returns:
        Its exit code, how long it took, and what it said.
    """
    environment = {**os.environ, "PATHOSNET_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    started = time.monotonic()
    with subprocess.Popen(
        arguments,
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


def check_search(folder: Path) -> dict[str, str]:
    """Compares a search's best options with its table.

    Returns:
        What does not agree; nothing if all does.
    """
    with (folder / "trials.csv").open() as file:
        trials = [row for row in csv.DictReader(file) if row["state"] == "complete"]
    best = min(trials, key=lambda row: float(row["val_loss"]))
    chosen = yaml.safe_load((folder / "best.yaml").read_text())
    return {} if float(best["dropout"]) == chosen["dropout"] and len(trials) >= 4 else {"best.yaml": str(chosen)}


def leftover(name: str, made: Path, place: Path) -> dict[str, str]:
    """Returns what is to be the same after an unbroken run and after a broken one."""
    return check_search(made) if name == "tune" else digest(made, place)


def prove(name: str, kills: int, generator: random.Random, work: Path) -> dict[str, object]:
    """Kills a command time and again, and compares what it leaves in the end with an unbroken run's."""
    corpus = make_corpus(work / "corpus", per_class=12)

    def prepare(place: Path) -> tuple[list[str], Path, Path]:
        """Returns the command, what it makes, and its cache."""
        place.mkdir()
        values = {"corpus": str(corpus), "clips": str(corpus.parent), "out": str(place / "made")}
        made = place / ("made.csv" if name in ("predict", "transcribe") else "made")
        cache = made if name == "weights get" else place / "cache"
        return [*start, *(part.format(**values) for part in COMMANDS[name])], made, cache

    with program(name) as start:
        command, whole, cache = prepare(work / "whole")
        code, seconds, said = run(command, cache)
        if code:
            raise SystemExit(f"{name}: the unbroken run failed:\n{said}")
        expected, killed, differences = leftover(name, whole, work / "whole"), 0, []
        attempt = 0
        while killed < kills:
            attempt += 1
            place = work / f"broken-{attempt}"
            command, made, cache = prepare(place)
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
            elif (found := leftover(name, made, place)) != expected:
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
