import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from filelock import FileLock
from making import make_corpus, read_rows, tiny_config

from pathosnet import PathosNet, cli
from pathosnet.errors import InputError
from pathosnet.evaluation import Predictions
from pathosnet.experiments.cross_validate import cross_validate
from pathosnet.experiments.train import train
from pathosnet.training import callbacks, trainer


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"), language="en")


@pytest.fixture(scope="module")
def finished(corpus, tmp_path_factory) -> Path:
    """Three folds, two seeds, two epochs."""
    out = tmp_path_factory.mktemp("runs") / "cv"
    cross_validate([corpus], out, tiny_config(num_folds=3), seeds=(0, 7))
    return out


def test_every_utterance_is_tested_once_for_each_seed(finished, corpus):
    predictions = Predictions.read(finished / "predictions.csv")
    tested = sorted((seed, int(row)) for seed, row in zip(*map(predictions.column, ("seed", "row")), strict=True))
    assert tested == [(seed, row) for seed in ("0", "7") for row in range(2, 2 + len(read_rows(corpus)))]


def test_folds_of_a_cross_validation_are_those_of_training_alone(finished, corpus, tmp_path):
    run = train(corpus, tmp_path / "run", tiny_config(num_folds=3, fold=1, seed=0))
    ours = Predictions.read(finished / "predictions.csv").where(lambda row: (row["seed"], row["fold"]) == ("0", "1"))
    alone = Predictions.read(run.folder / "predictions.csv")
    assert ours.rows == alone.rows
    assert ours.probabilities.tolist() == alone.probabilities.tolist()


def test_folds_are_written_and_can_be_taken_again(finished, corpus, tmp_path):
    config = tiny_config(split=str(finished / "folds.csv"), epochs=1)
    again = cross_validate([corpus], tmp_path / "cv", config)
    places = {(row["fold"], row["row"]) for row in Predictions.read(finished / "predictions.csv").rows}
    assert {(row["fold"], row["row"]) for row in again.predictions.rows} == places


def test_training_has_the_seed_of_the_options_unless_told_otherwise(corpus, tmp_path):
    result = cross_validate([corpus], tmp_path / "cv", tiny_config(num_folds=2, epochs=1, seed=5))
    assert set(result.predictions.column("seed")) == {"5"}


def test_configuration_that_is_written_makes_the_same_configuration(finished):
    written = yaml.safe_load((finished / "config.yaml").read_text())
    assert tiny_config(num_folds=3) == type(tiny_config())(**written)


def test_models_are_kept_on_demand(finished, corpus, tmp_path):
    assert not list(finished.rglob("*.safetensors"))
    cross_validate([corpus], tmp_path / "cv", tiny_config(num_folds=2, epochs=1), keep_models=True)
    row = read_rows(tmp_path / "cv" / "seed0" / "fold1" / "predictions.csv")[0]
    model = PathosNet.from_pretrained(tmp_path / "cv" / "seed0" / "fold1")
    predicted = model.predict(row["audio"], row["text"])
    assert predicted.probabilities["anger"] == pytest.approx(float(row["anger"]), abs=1e-5)


# Going on


class Killed(BaseException):
    pass


def kill_at(monkeypatch, fold: int, stage: str, epoch: int) -> None:
    """Ends a run when an epoch of a fold begins, as often as it is asked to."""
    begun = []
    start = callbacks.EpochSeed.on_train_batch_start

    def dying(self, trainer, module, batch, batch_idx):
        if trainer.current_epoch == 0 and batch_idx == 0 and self.stage.endswith("1-branches"):
            begun.append(self.stage)
        if (len(begun) - 1, self.stage, trainer.current_epoch) == (fold, stage, epoch):
            raise Killed
        start(self, trainer, module, batch, batch_idx)

    monkeypatch.setattr(callbacks.EpochSeed, "on_train_batch_start", dying)


@pytest.mark.parametrize("epoch", [0, 4])
def test_interrupted_run_ends_as_if_it_had_not_been(corpus, tmp_path, monkeypatch, epoch):
    config = tiny_config(num_folds=2, epochs=6, patience=6)
    whole = cross_validate([corpus], tmp_path / "whole", config)
    monkeypatch.setattr(trainer, "CHECKPOINT_SECONDS", 0.0)
    with monkeypatch.context() as dying:
        kill_at(dying, fold=1, stage="logmel-1-branches", epoch=epoch)
        with pytest.raises(Killed):
            cross_validate([corpus], tmp_path / "killed", config)
    finished = (tmp_path / "killed" / "seed0" / "fold0" / "run.json").stat().st_mtime_ns
    killed = cross_validate([corpus], tmp_path / "killed", config)
    assert (tmp_path / "killed" / "seed0" / "fold0" / "run.json").stat().st_mtime_ns == finished
    assert (tmp_path / "killed" / "predictions.csv").read_text() == (tmp_path / "whole" / "predictions.csv").read_text()
    assert killed.table == whole.table
    histories = [
        json.loads((tmp_path / name / "seed0" / "fold1" / "run.json").read_text())["stages"]
        for name in ("whole", "killed")
    ]
    assert histories[0] == histories[1]
    assert not list(tmp_path.rglob("*.partial"))


DYING = """
import os, signal
from pathosnet.training import callbacks, trainer
trainer.CHECKPOINT_SECONDS = 0.0
start, folds = callbacks.EpochSeed.on_train_batch_start, []

def dying(self, trainer, module, batch, batch_idx):
    if (trainer.current_epoch, batch_idx) == (0, 0):
        folds.append(self.stage)
    if (len(folds), trainer.current_epoch, batch_idx) == (2, 3, 1):
        os.kill(os.getpid(), signal.SIGKILL)
    start(self, trainer, module, batch, batch_idx)

callbacks.EpochSeed.on_train_batch_start = dying
from pathosnet.cli import main
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_killed_process_goes_on_with_the_same_command(corpus, tmp_path):
    """SIGKILL in the middle of an epoch of the second fold, after a checkpoint."""
    options = ["--num-folds=2", "--epochs=6", "--patience=6", "--audio-width=4", "--batch-size=4", "--accelerator=cpu"]

    def command(out: str) -> list[str]:
        return ["cross-validate", str(corpus), "--out", str(tmp_path / out), *options]

    killed = subprocess.run([sys.executable, "-c", DYING, *command("killed")], capture_output=True, timeout=300)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (tmp_path / "killed/seed0/fold1.partial/checkpoints/logmel-1-branches.ckpt").exists()
    cli.main(command("killed"))
    assert list((tmp_path / "killed" / "seed0" / "fold1" / "logs").glob("*-from-epoch-*"))
    cli.main(command("whole"))
    assert (tmp_path / "killed" / "predictions.csv").read_bytes() == (
        tmp_path / "whole" / "predictions.csv"
    ).read_bytes()


def test_finished_run_is_not_run_again(finished, corpus, monkeypatch):
    monkeypatch.setattr("pathosnet.experiments.cross_validate.train_fold", None)
    before = (finished / "predictions.csv").read_bytes()
    cross_validate([corpus], finished, tiny_config(num_folds=3), seeds=(0, 7))
    assert (finished / "predictions.csv").read_bytes() == before


def test_run_with_other_options_is_refused(finished, corpus, tmp_path):
    with pytest.raises(InputError, match=r"cv: holds a run with other dropout; .* --overwrite"):
        cross_validate([corpus], finished, tiny_config(num_folds=3, dropout=0.1))
    other = make_corpus(tmp_path / "other", per_class=9)
    with pytest.raises(InputError, match="holds a run with other manifests"):
        cross_validate([other], finished, tiny_config(num_folds=3))


def test_run_can_be_begun_anew(corpus, tmp_path):
    cross_validate([corpus], tmp_path / "cv", tiny_config(num_folds=2, epochs=1))
    anew = cross_validate([corpus], tmp_path / "cv", tiny_config(num_folds=3, epochs=1), overwrite=True)
    assert set(anew.predictions.column("fold")) == {"0", "1", "2"}


def test_folder_with_other_things_is_left_alone(corpus, tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(InputError, match=r"holds other things \(no experiment.json\)"):
        cross_validate([corpus], tmp_path, tiny_config(), overwrite=True)
    assert (tmp_path / "mine.txt").read_text() == "precious"


def test_impossible_folds_leave_nothing_behind(corpus, tmp_path):
    with pytest.raises(InputError, match="has 4 speakers, expected at least 5"):
        cross_validate([corpus], tmp_path / "cv", tiny_config(split="speaker"))
    assert not (tmp_path / "cv").exists()


def test_several_corpora_are_tested_together(corpus, tmp_path):
    other = make_corpus(tmp_path / "other", per_class=6, seed=1, corpus="second")
    result = cross_validate([corpus, other], tmp_path / "cv", tiny_config(num_folds=2, epochs=1))
    assert {key: len(group) for key, group in result.predictions.groups("corpus").items()} == {
        (f"{corpus.parent.name}/corpus",): 32,  # both manifests are called corpus.csv
        ("second",): 24,
    }


# Side by side


def test_processes_that_share_the_folds_find_what_one_finds(corpus, tmp_path, monkeypatch):
    """With one thread each: their number decides the order of sums, and so the last digits."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # of the processes
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        cross_validate([corpus], tmp_path / "one", tiny_config(num_folds=3))
    finally:
        torch.set_num_threads(threads)
    cross_validate([corpus], tmp_path / "cv", tiny_config(num_folds=3), fold_workers=2)
    assert (tmp_path / "cv" / "predictions.csv").read_text() == (tmp_path / "one" / "predictions.csv").read_text()
    assert not list((tmp_path / "cv").rglob("*.lock"))


def test_fold_that_another_process_has_claimed_is_waited_for(corpus, tmp_path, monkeypatch):
    lock = FileLock(tmp_path / "cv" / "seed0" / "fold1.lock")
    Path(lock.lock_file).parent.mkdir(parents=True)
    lock.acquire()
    finished_before = []

    def release(_: float) -> None:
        finished_before.extend(sorted(path.name for path in (tmp_path / "cv" / "seed0").glob("fold?")))
        lock.release()

    monkeypatch.setattr("pathosnet.experiments.cross_validate.time.sleep", release)
    monkeypatch.setattr("pathosnet.experiments.cross_validate.OPENING", ("seed0",))
    cross_validate([corpus], tmp_path / "cv", tiny_config(num_folds=3, epochs=1))
    assert finished_before == ["fold0", "fold2"]
    assert len(list((tmp_path / "cv" / "seed0").glob("fold?"))) == 3


def test_tasks_of_a_slurm_array_share_the_folds(corpus, tmp_path):
    """What ``sbatch --array=0-1 --wrap "pathosnet cross-validate …"`` starts."""
    out = tmp_path / "cv"
    command = ["cross-validate", str(corpus), "--out", str(out), "--num-folds=4", "--epochs=2", "--audio-width=4"]
    command += ["--text-width=4", "--accelerator=cpu", "--progress=false", "--logger=none"]
    common = {"OMP_NUM_THREADS": "1", "SLURM_ARRAY_JOB_ID": "9000", "SLURM_JOB_NAME": "wrap", "SLURM_NODEID": "0"}
    common |= {
        "SLURM_NTASKS": "1",
        "SLURM_PROCID": "0",
        "SLURM_LOCALID": "0",
        "SLURM_NNODES": "1",
        "SLURM_NODELIST": "127.0.0.1",
    }
    tasks = [
        subprocess.Popen(
            [sys.executable, "-m", "pathosnet", *command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **common, "SLURM_ARRAY_TASK_ID": str(i), "SLURM_JOB_ID": str(9001 + i)},
        )
        for i in range(2)
    ]
    said = [task.communicate(timeout=300)[1] for task in tasks]
    assert [task.returncode for task in tasks] == [0, 0], said
    finished_folds = [
        line.split(":")[0] for text in said for line in text.splitlines() if line.startswith("seed 0, fold")
    ]
    assert sorted(finished_folds) == [f"seed 0, fold {k} (of 0 to 3)" for k in range(4)]
    rows = sorted(int(row["row"]) for row in read_rows(out / "predictions.csv"))
    assert rows == list(range(2, 34))
