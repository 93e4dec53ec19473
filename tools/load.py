"""Measures what much work costs: memory at the start, in the end and at most, files left open, and time.

    python tools/load.py                               # everything, at the sizes of docs/trust.md; about an hour
    python tools/load.py --only timeline --hours 1,12
    python tools/load.py --clips 40 --hours 0.01,0.02 --rows 100,200 --recordings 6

batch: recordings in one call of ``predict_batch``. folder: the same by ``pathosnet predict FOLDER --out``. timeline:
recordings of so many hours by ``--timeline``. rows: corpora of so many transcripts through ``train`` and
``cross-validate`` with hashed words, one epoch a stage. logmel: ``train`` on recordings of half a minute with log-mel
frames that are kept in the store, and with frames in memory. Each runs in a process of its own with the model small,
and prints one JSON object. Memory is the process' own (anonymous), in MB, with what pictures of the disk take left out.
Linux only.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

RATE = 16_000
DIFFERENT_CLIPS = 50
CLIP_SECONDS = 1.0
RECORDING_SECONDS = 30.0
EMOTIONS = ("happiness", "anger", "sadness", "neutral")
WORDS = ("wonderful", "day", "go", "away", "now", "all", "is", "lost", "the", "door", "opens", "again")
QUICK = ["--epochs=1", "--batch-size=256", "--logger=none", "--accelerator=cpu", "--progress=false", "--workers=0"]
BATCH = """
import json, os, sys
from pathlib import Path
from pathosnet import PathosNet
paths = sorted(Path(sys.argv[1]).iterdir())
model = PathosNet.from_pretrained("small")
model.predict_batch(paths[:32])
before = len(os.listdir("/proc/self/fd"))
answers = model.predict_batch(paths)
assert len(answers) == len(paths) and all(answer.label for answer in answers)
print(json.dumps({"files_left_open": len(os.listdir("/proc/self/fd")) - before}), flush=True)
"""


def sound(seconds: float, seed: int) -> np.ndarray:
    """Returns syllables of harmonic sound and of noise, ``(samples,)``, other ones for each seed."""
    generator = np.random.default_rng(seed)
    clock = np.arange(round(seconds * RATE)) / RATE
    pitch = generator.uniform(90, 250)
    voice = sum(np.sin(2 * np.pi * pitch * k * clock) / k for k in range(1, 12))
    loudness = np.clip(np.sin(2 * np.pi * generator.uniform(2, 5) * clock), 0, 1)
    return (0.1 * loudness * (voice + generator.normal(size=len(clock)))).astype(np.float32)


def write_clips(folder: Path, count: int) -> Path:
    """Makes a folder of clips, of which many are links to the same few."""
    folder.mkdir()
    originals = [folder.parent / f"original{i}.wav" for i in range(min(count, DIFFERENT_CLIPS))]
    for seed, path in enumerate(originals):
        soundfile.write(path, sound(CLIP_SECONDS, seed), RATE)
    for i in range(count):
        os.link(originals[i % len(originals)], folder / f"clip{i:06d}.wav")
    return folder


def write_long(path: Path, hours: float) -> Path:
    """Writes a recording, a minute at a time: 50 seconds of sound and 10 of silence."""
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for minute in range(max(1, round(hours * 60))):
            file.write(np.concatenate([sound(50, minute % 7), np.zeros(10 * RATE, np.float32)]))
    return path


def write_rows(path: Path, count: int) -> Path:
    """Writes a corpus of transcripts alone: 3 to 8 words each, of 100 speakers."""
    generator = np.random.default_rng(0)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "emotion", "speaker"))
        for i in range(count):
            words = generator.choice(WORDS, generator.integers(3, 9))
            writer.writerow((" ".join([*words, f"w{i % 1000}"]), EMOTIONS[i % 4], f"s{i % 100}"))
    return path


def write_corpus(folder: Path, count: int) -> Path:
    """Writes a corpus of recordings."""
    folder.mkdir()
    with (folder / "corpus.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("audio", "emotion"))
        for i in range(count):
            soundfile.write(folder / f"{i}.wav", sound(RECORDING_SECONDS, i), RATE)
            writer.writerow((f"{i}.wav", EMOTIONS[i % 4]))
    return folder / "corpus.csv"


def watch(command: Sequence[str], cache: Path) -> dict[str, Any]:
    """Runs a command, and reads its memory ten times a second.

    Returns:
        What it printed last, if that is JSON; ``seconds``; and its memory in MB at the ``start`` (after a tenth of its
        time), in the ``end``, and at its ``peak``.
    """
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(
            command, stdout=said, stderr=subprocess.STDOUT, env={**os.environ, "PATHOSNET_CACHE": str(cache)}
        ) as process,
    ):
        started, readings = time.monotonic(), list[tuple[float, float]]()
        while process.poll() is None:
            if own := _own_megabytes(process.pid):
                readings.append((time.monotonic() - started, own))
            time.sleep(0.1)
        seconds = time.monotonic() - started
        said.seek(0)
        text = said.read()
    if process.returncode:
        raise SystemExit(f"{' '.join(command[:6])}: exit code {process.returncode}\n{text[-2000:]}")
    last = text.strip().splitlines()[-1:]
    start = next((own for when, own in readings if when > 0.1 * seconds), 0.0)
    return {
        **(json.loads(last[0]) if last and last[0].startswith("{") else {}),
        "seconds": round(seconds, 1),
        "start_mb": round(start),
        "end_mb": round(readings[-1][1]) if readings else 0,
        "peak_mb": round(max((own for _, own in readings), default=0)),
    }


def _own_megabytes(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) / 1024


def command(*arguments: object) -> list[str]:
    """Returns a command of this library."""
    return [sys.executable, "-m", "pathosnet", *map(str, arguments)]


def measure_batch(options: argparse.Namespace, work: Path) -> Iterator[dict[str, Any]]:
    """Predicts many clips in one call."""
    for count in options.clips:
        clips = write_clips(work / f"clips{count}", count)
        found = watch([sys.executable, "-c", BATCH, str(clips)], work)
        yield {"clips": count, "clips_a_second": round(count / found["seconds"]), **found}


def measure_folder(options: argparse.Namespace, work: Path) -> Iterator[dict[str, Any]]:
    """Predicts many clips from the command line."""
    for count in options.clips:
        clips = write_clips(work / f"clips{count}", count)
        found = watch(command("predict", "small", clips, "--out", work / f"{count}.csv", "--workers=0"), work)
        with (work / f"{count}.csv").open() as file:
            assert sum(1 for _ in file) == count + 1
        yield {"clips": count, "clips_a_second": round(count / found["seconds"]), **found}


def measure_timeline(options: argparse.Namespace, work: Path) -> Iterator[dict[str, Any]]:
    """Predicts long recordings."""
    for hours in options.hours:
        recording = write_long(work / "long.wav", hours)
        table = work / "long.csv"
        found = watch(command("predict", "small", recording, "--timeline", table, "--overwrite", "--json"), work)
        yield {"hours": hours, "times_real_time": round(3600 * hours / found["seconds"])} | {
            name: value for name, value in found.items() if name not in ("audio", "shares")
        }


def measure_rows(options: argparse.Namespace, work: Path) -> Iterator[dict[str, Any]]:
    """Trains on large corpora."""
    for count in options.rows:
        corpus = write_rows(work / f"{count}.csv", count)
        text = ["--acoustic=none", "--text=hashed", "--text-width=16", "--num-folds=2", *QUICK]
        for name in ("train", "cross-validate"):
            found = watch(command(name, corpus, "--out", work / f"{name}{count}", *text), work)
            yield {"rows": count, "command": name, **found}


def measure_logmel(options: argparse.Namespace, work: Path) -> Iterator[dict[str, Any]]:
    """Trains on features that are on the disk, and on features in memory."""
    corpus = write_corpus(work / "recordings", options.recordings)
    features = options.recordings * RECORDING_SECONDS * 100 * 64 * 4 / 1e6
    own = ["--acoustic=logmel", "--text=none", "--audio-width=16", "--split=random", *QUICK, "--batch-size=16"]
    for store in (work / "store", "none"):
        found = watch(
            command("train", corpus, "--out", work / f"run-{Path(store).name}", *own, "--feature-store", store), work
        )
        yield {"recordings": options.recordings, "features_mb": round(features), "store": Path(store).name, **found}


MEASURES: dict[str, Callable[[argparse.Namespace, Path], Iterator[dict[str, Any]]]] = {
    "batch": measure_batch,
    "folder": measure_folder,
    "timeline": measure_timeline,
    "rows": measure_rows,
    "logmel": measure_logmel,
}


def main() -> None:
    """Reads the arguments, and prints one JSON object a measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)

    def numbers(kind: type) -> Callable[[str], list[Any]]:
        return lambda text: [kind(one) for one in text.split(",")]

    parser.add_argument("--only", action="append", choices=MEASURES, help="one measurement; may be repeated")
    parser.add_argument("--clips", type=numbers(int), default=[2_000, 20_000], help="of batch and folder")
    parser.add_argument("--hours", type=numbers(float), default=[1.0, 12.0], help="of timeline")
    parser.add_argument("--rows", type=numbers(int), default=[10_000, 50_000, 200_000], help="of rows")
    parser.add_argument("--recordings", type=int, default=1_200, help="of logmel, half a minute each")
    options = parser.parse_args()
    for name in options.only or MEASURES:
        with tempfile.TemporaryDirectory() as work:
            for found in MEASURES[name](options, Path(work)):
                print(json.dumps({"measure": name, **found}), flush=True)


if __name__ == "__main__":
    main()
