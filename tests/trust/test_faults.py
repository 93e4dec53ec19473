"""What a machine does to a run: full and read-only disks, files that vanish, processes, clocks, little memory."""

import errno
import os
import resource
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from cases import is_nightly
from commands import QUICK, error_of, shell
from making import RATE, make_corpus, read_rows, tiny_config, tone

import pathosnet
from pathosnet import InputError, cli
from pathosnet.audio import read_ahead
from pathosnet.experiments.prepare import read_corpus
from pathosnet.experiments.run_folder import identity
from pathosnet.experiments.unfinished import unfinished

ECHO = "command:echo " + "heard " * 20 + "{audio}"
WRITERS = {
    "train": ["train", "{corpus}", "--out", "{disk}/run", *QUICK],
    "cross-validate": ["cross-validate", "{corpus}", "--out", "{disk}/run", "--num-folds=2", *QUICK],
    "finetune": ["finetune", "small", "{corpus}", "--out", "{disk}/run", "--epochs=1", "--logger=none"],
    "tune": ["tune", "{corpus}", "--out", "{disk}/run", "--trials=1", *QUICK],
    "features": ["train", "{corpus}", "--out={disk}/../run", "--overwrite", "--feature-store={disk}/store", *QUICK],
    "predict": ["predict", "small", *["{clips}"] * 9, "--out", "{disk}/answers.csv"],
    "transcribe": ["transcribe", "{corpus}", "--out", "{disk}/said.csv", "--all", "--recognizer", ECHO],
}
needs_root = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="mounts a disk of its own, for which one has to be root"
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"), per_class=8)


@contextmanager
def small_disk(folder: Path, kilobytes: int, *options: str):
    """A disk of a few kilobytes, in memory; the function that it gives makes it larger, or read-only."""
    folder.mkdir(exist_ok=True)

    def mount(*given: str) -> None:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(given), "tmpfs", folder], capture_output=True)
        if done.returncode:
            pytest.skip(f"no disk can be mounted here: {done.stderr.decode().strip()}")

    mount(f"size={kilobytes}k", *options)
    try:
        yield lambda *given: mount("remount", *given)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def filled(name: str, corpus: Path, disk: Path) -> list[str]:
    values = {"corpus": corpus, "disk": disk, "clips": corpus.parent}
    return [part if part == ECHO else part.format(**values) for part in WRITERS[name]]


def failure_of(capsys, arguments: list[str], code: int = 2) -> str:
    """The last line on stderr of a command that ends with this code; empty if it ends well."""
    capsys.readouterr()
    ended = 0
    try:
        cli.main(arguments)
    except SystemExit as end:
        ended = end.code
    assert ended in (0, code)
    return capsys.readouterr().err.strip().splitlines()[-1] if ended else ""


@needs_root
@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_one_line_and_the_command_goes_on_with_more_room(name, corpus, tmp_path, capsys):
    """On disks of more and more kilobytes, so that every file is once the one that does not fit."""
    sizes = [4 * round(1.25**step + step) for step in range(30)] if is_nightly() else [4, 40, 120]
    for number, size in enumerate(sizes):
        disk = tmp_path / f"disk{number}"
        with small_disk(disk, size) as change:
            arguments = filled(name, corpus, disk)
            if not (said := failure_of(capsys, arguments)):
                continue
            assert said.startswith("error: ")
            assert os.strerror(errno.ENOSPC) in said or "disk is full" in said
            assert str(disk) in said
            change("size=50m")
            if name == "tune":  # SQLite's file was begun without its tables
                assert "Traceback" not in failure_of(capsys, arguments)
            else:
                assert failure_of(capsys, arguments) == ""


@needs_root
@pytest.mark.parametrize("name", WRITERS)
def test_a_read_only_disk_is_one_line(name, corpus, tmp_path, capsys):
    disk = tmp_path / "disk"
    with small_disk(disk, 50_000) as change:
        change("ro")
        said = failure_of(capsys, filled(name, corpus, disk))
    assert said.startswith("error: ")
    assert str(disk) in said
    assert "Read-only file system" in said or "readonly database" in said or "unable to open database" in said


@needs_root
def test_weights_are_not_added_to_a_full_disk(tmp_path, monkeypatch, capsys):
    known = os.environ.get("PATHOSNET_TEST_WHISPER")
    if not known:
        pytest.skip("PATHOSNET_TEST_WHISPER names no folder of Whisper-base")
    with small_disk(tmp_path / "disk", 100):
        monkeypatch.setenv("PATHOSNET_CACHE", str(tmp_path / "disk"))
        said = failure_of(capsys, ["weights", "add", "whisper-base", known])
        assert "whisper-base: cannot be written (No space left on device)" in said
        assert not [path for path in (tmp_path / "disk").rglob("*") if path.is_file()]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which Linux has")
def test_output_that_cannot_be_written_is_one_line(corpus):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "pathosnet", "corpora", "--help"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "error: the output cannot be written (No space left on device); make room" in done.stderr


def test_two_trainings_of_one_folder_are_refused(corpus, tmp_path):
    config = tiny_config()
    wanted = identity(read_corpus(corpus, config), config)
    with unfinished(tmp_path / "run", wanted, resume=False) as kept:
        (kept / "stage.ckpt").write_bytes(b"of the first")
        for resume in (False, True):
            with pytest.raises(InputError, match="run: another process is training it now; choose another folder"):
                pathosnet.train(corpus, tmp_path / "run", config, resume=resume)
        assert (kept / "stage.ckpt").read_bytes() == b"of the first"
    pathosnet.train(corpus, tmp_path / "run", config)
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


def test_processes_on_one_store_give_the_same_answers(corpus, tmp_path):
    command = [sys.executable, "-m", "pathosnet", "train", str(corpus), *QUICK, f"--feature-store={tmp_path / 'store'}"]
    numbers = range(4 if is_nightly() else 2)
    processes = [subprocess.Popen([*command, "--out", str(tmp_path / f"run{i}")]) for i in numbers]
    assert [process.wait() for process in processes] == [0] * len(processes)
    assert len({(tmp_path / f"run{i}/predictions.csv").read_bytes() for i in range(len(processes))}) == 1
    assert not list((tmp_path / "store").rglob("*.partial"))


@pytest.mark.parametrize("command", ["train", "predict"])
def test_a_recording_that_vanishes_is_named(command, tmp_path, monkeypatch, capsys):
    corpus = make_corpus(tmp_path / "corpus", per_class=8)
    read, heard = read_ahead.read_recording, []

    def vanishing(path):
        heard.append(path)
        if len(heard) == 3:
            (corpus.parent / "anger_5.wav").unlink()
        return read(path)

    monkeypatch.setattr(read_ahead, "read_recording", vanishing)
    out = tmp_path / "out.csv"
    if command == "train":
        options = ["--out", str(tmp_path / "run"), "--workers=0", "--feature-store=none", *QUICK]
        said = failure_of(capsys, ["train", str(corpus), *options])
        assert "corpus.csv, row 15: " in said
        assert "anger_5.wav: " in said
        assert not (tmp_path / "run").exists()
        return
    assert failure_of(capsys, ["predict", "small", str(corpus), "--out", str(out), "--workers=0"], code=1)
    failed = [row for row in read_rows(out) if row["error"]]
    assert [Path(row["audio"]).name for row in failed] == ["anger_5.wav"]
    assert len(read_rows(out)) == 32


def test_a_clock_that_goes_back_changes_nothing(corpus, tmp_path, monkeypatch, capsys):
    pathosnet.train(corpus, tmp_path / "first", tiny_config())
    now = [time.time()]

    def back() -> float:
        now[0] -= 3600.0
        return now[0]

    monkeypatch.setattr(time, "time", back)
    run = pathosnet.train(corpus, tmp_path / "second", tiny_config())
    names = ("predictions.csv", "model.safetensors", "metrics.json")
    assert all((tmp_path / "first" / name).read_bytes() == (run.folder / name).read_bytes() for name in names)
    assert '"seconds": -' not in (run.folder / "run.json").read_text()
    cli.main(["features", "stats"])
    assert "used -" not in capsys.readouterr().out


@pytest.mark.skipif(sys.platform != "linux", reason="processors are chosen so on Linux alone")
def test_one_processor_gives_the_same_predictions(corpus, tmp_path):
    pathosnet.train(corpus, tmp_path / "all", tiny_config())
    alone = f"os.sched_setaffinity(0, [{min(os.sched_getaffinity(0))}])"
    program = f"import os; {alone}; from pathosnet.cli import main; main()"
    options = ["--out", str(tmp_path / "one"), *QUICK, "--workers=2", "--feature-store=none"]
    command = [sys.executable, "-c", program, "train", str(corpus), *options]
    subprocess.run(command, check=True)
    assert (tmp_path / "all/predictions.csv").read_bytes() == (tmp_path / "one/predictions.csv").read_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited so on Linux alone")
def test_a_gigabyte_is_enough_to_predict(corpus, tmp_path):
    """The limit is that of a process' own memory; PyTorch's files alone are larger than a limit of all addresses."""

    def limited(megabytes: int) -> subprocess.CompletedProcess:
        limit = megabytes * 1_000_000
        return shell(
            *("predict", "small", corpus.parent, "--out", tmp_path / "out.csv", "--overwrite", "--workers=0"),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
        )

    done = limited(1_000)
    assert done.returncode == 0, done.stderr
    assert len(read_rows(tmp_path / "out.csv")) == 32


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("can't start new thread"),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
    ],
    ids=lambda error: type(error).__name__,
)
def test_memory_that_is_not_there_is_one_line(error, corpus, tmp_path, monkeypatch, capsys):
    def read(path):
        raise error

    monkeypatch.setattr(read_ahead, "read_recording", read)
    arguments = ("predict", "small", corpus.parent / "anger_0.wav", "--workers", "0")
    assert error_of(capsys, *arguments).startswith("error: there is not enough memory; close other programs")


def test_batches_and_their_order_change_no_answer(small):
    clips = [tone(0.3 + 0.2 * (i % 5), hertz=150.0 + 90 * i, rate=RATE) for i in range(9)]
    alone = [small.predict(clip, sample_rate=RATE).probabilities for clip in clips]
    for size in (1, 2, 4, 9):
        for order in (range(9), range(8, -1, -1)):
            answers = small.predict_batch([clips[i] for i in order], sample_rate=RATE, batch_size=size)
            for i, answer in zip(order, answers, strict=True):
                assert answer.probabilities == pytest.approx(alone[i], abs=1e-5)


def test_workers_store_and_folds_side_by_side_change_no_prediction(corpus, tmp_path):
    """Byte by byte; what is resumed is in tests/experiments/test_resuming.py and in tools/kill_runs.py."""
    ways = {"one": {"workers": 0}, "none": {"workers": 1, "feature_store": "none"}, "four": {"workers": 4}}
    for name, way in ways.items():
        way = {"feature_store": str(tmp_path / f"store-{name}"), **way}
        pathosnet.train(corpus, tmp_path / name, tiny_config(**way))
    assert len({(tmp_path / name / "predictions.csv").read_bytes() for name in ways}) == 1
    for workers in (1, 2):
        pathosnet.cross_validate([corpus], tmp_path / f"cv{workers}", tiny_config(num_folds=2), fold_workers=workers)
    assert len({(tmp_path / f"cv{workers}/predictions.csv").read_bytes() for workers in (1, 2)}) == 1
