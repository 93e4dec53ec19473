"""Two processes on the CPU, joined by gloo."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from making import make_corpus, read_rows

from pathosnet.experiments.evaluate import evaluate
from pathosnet.training.data import EachOnce, EpochShuffle, FeatureDataset, FeatureTable

OPTIONS = ["--epochs=3", "--audio-width=8", "--text-width=4", "--batch-size=4", "--progress=false", "--num-folds=4"]
TWO = ["--accelerator=cpu", "--devices=2", "--strategy=ddp"]
ODD = ["--validation-fraction=0.24"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """28 utterances: 7 are tested, 4 validate."""
    return make_corpus(tmp_path_factory.mktemp("corpus"), per_class=7, valence=lambda number, _: number % 5)


def start(command: list[str], arguments: Sequence[str]) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1"}
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr


def run_with_torchrun(*arguments: str) -> None:
    """As docs/experiments.md says, with two processes on one machine."""
    start(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "pathosnet"],
        arguments,
    )


def run_in_slurm(*arguments: str) -> None:
    """What srun does: it starts every process, and says in its environment which it is."""
    common = {
        "SLURM_JOB_ID": str(15_000 + os.getpid() % 4000),  # Lightning makes a port of it
        "SLURM_JOB_NAME": "train",
        "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "2",
        "SLURM_NNODES": "1",
        "SLURM_NODELIST": "127.0.0.1",
        "SLURM_NODEID": "0",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "pathosnet", *arguments],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", **common, "SLURM_PROCID": str(i), "SLURM_LOCALID": str(i)},
        )
        for i in range(2)
    ]
    errors = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors


@pytest.fixture(scope="module")
def launched(corpus, tmp_path_factory) -> Path:
    """Three commands, one after the other, in the same two processes; Lightning starts the second."""
    out = tmp_path_factory.mktemp("runs")
    commands = [
        ["train", str(corpus), "--out", str(out / "run"), *OPTIONS, *TWO, *ODD],
        ["train", str(corpus), "--out", str(out / "numbers"), *OPTIONS, *TWO, *ODD, "--targets=valence"],
        ["cross-validate", str(corpus), "--out", str(out / "cv"), *OPTIONS, *TWO],
    ]
    script = out / "commands.py"
    script.write_text(f"from pathosnet.cli import main\nfor command in {commands}:\n    main(command)\n")
    start([sys.executable, str(script)], ())
    return out


def test_two_processes_measure_what_one_does(launched, corpus):
    assert_measured_once(launched / "run", corpus)


@pytest.mark.parametrize("launch", [run_with_torchrun, run_in_slurm])
def test_processes_that_others_start_measure_what_one_does(corpus, tmp_path, launch):
    out = tmp_path / "run"
    launch("train", str(corpus), "--out", str(out), *OPTIONS, *TWO, *ODD)
    assert_measured_once(out, corpus)


def assert_measured_once(out: Path, corpus: Path) -> None:
    """The test part and the validation part are of odd size: a repeated utterance would change their figures."""
    described = json.loads((out / "run.json").read_text())
    assert (described["split"]["validation"], described["split"]["test"]) == (5, 7)
    (stage,) = described["stages"]
    validation, _ = evaluate(out, corpus, "validation", progress=False)
    assert stage["best"]["val_accuracy"] == pytest.approx(validation.accuracy, abs=1e-6)
    assert stage["best"]["val_uar"] == pytest.approx(validation.uar, abs=1e-6)
    tested, _ = evaluate(out, corpus, "test", progress=False)
    assert json.loads((out / "metrics.json").read_text())["confusion"] == tested.confusion
    assert len(read_rows(out / "predictions.csv")) == 7


def test_two_processes_estimate_what_one_does(launched, corpus):
    out = launched / "numbers"
    (stage,) = json.loads((out / "run.json").read_text())["stages"]
    validation, _ = evaluate(out, corpus, "validation", progress=False)
    assert validation.utterances % 2 == 1
    assert stage["best"]["val_ccc"] == pytest.approx(validation.mean_ccc, abs=1e-5)
    tested, _ = evaluate(out, corpus, "test", progress=False)
    assert json.loads((out / "metrics.json").read_text())["mean_ccc"] == pytest.approx(tested.mean_ccc, abs=1e-5)


def test_cross_validation_in_two_processes(launched):
    rows = sorted(int(row["row"]) for row in read_rows(launched / "cv" / "predictions.csv"))
    assert rows == list(range(2, 30))


@pytest.mark.parametrize("size", [7, 8])
def test_every_utterance_is_in_one_process(size):
    dataset = FeatureDataset(FeatureTable({}, [0] * size))
    parts = [list(EachOnce(dataset, 3, rank)) for rank in range(3)]
    assert sorted(i for part in parts for i in part) == list(range(size))
    assert [len(EachOnce(dataset, 3, rank)) for rank in range(3)] == list(map(len, parts))


def test_processes_share_an_epoch_of_training():
    dataset = FeatureDataset(FeatureTable({}, [0] * 7))
    one = list(EpochShuffle(dataset, seed=4, epoch=2))
    assert sorted(one) == list(range(7))
    two = [list(EpochShuffle(dataset, 2, rank, seed=4, epoch=2)) for rank in range(2)]
    assert len(two[0]) == len(two[1]) == 4
    assert [i for pair in zip(*two, strict=True) for i in pair] == [*one, one[0]]
