"""Puts small faults into the package, one at a time, and sees which ones the tests notice.

    python tools/mutate.py --jobs 8 --out mutants.json
    python tools/mutate.py pathosnet/corpora/folds.py --sample 50 --seed 1 --minutes 10
    python tools/mutate.py --again --out mutants.json          # what survived meets the tests once more

Faults: turned comparisons, conditions and arithmetic, other numbers, and statements that are left out (list:
``tools/mutations.py``). Each one meets those tests that call its function, the quick ones first, until one fails.
First all tests are run once, to see which ones pass, how long they take, and what they call; that is kept in the
JSON, as are the results, and a further run goes on from there. Tests and package are loaded once; every fault is made
in a copy of that process, so that no file changes. What tests start by ``python -m pathosnet`` has no faults, so a
fault that only such a test could see counts as one that survived. POSIX only.
"""

import argparse
import contextlib
import dataclasses
import gc
import importlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
import types
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the package of this checkout
os.environ["PYTHONPATH"] = sys.path[0]
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import pytest
from mutations import Mutation, functions_by_line, install, list_mutations

from pathosnet.files import file_written_aside, hash_file, read_json, write_json

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [
    "pathosnet/models",
    "pathosnet/training",
    "pathosnet/corpora/folds.py",
    "pathosnet/corpora/splits.py",
    "pathosnet/evaluation/metrics.py",
    "pathosnet/evaluation/calibration.py",
    "pathosnet/audio",
    "pathosnet/features/store.py",
]
TESTS = [
    "models",
    "training",
    "corpora",
    "evaluation",
    "audio",
    "features",
    "parity",
    "recognizer",
    "test_learned_layers.py",
]
MEMORY = 16 * 2**30
"""Bytes that one copy may take."""
Waiting = Callable[[str, str], None]
"""Gets the exit state of a copy (``passed``, ``failed``, ``timeout``) and what it wrote."""


class Copies:
    """Up to ``jobs`` copies of this process at once, each with its own folder for temporary files."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self.running: dict[int, tuple[Path, float, Waiting]] = {}

    def start(self, work: Callable[[Path], bool], limit: float, then: Waiting) -> None:
        """Runs ``work`` in a copy, as soon as there is room.

        Args:
            work: Gets a file to write into; False is failure.
            limit: Seconds until the copy is ended.
            then: Called with what became of it.
        """
        while len(self.running) >= self.jobs:
            self._look()
        folder = Path(tempfile.mkdtemp(prefix="mutant"))
        sys.stdout.flush()
        if pid := os.fork():
            self.running[pid] = folder, time.monotonic() + limit, then
            return
        code = 1
        try:
            os.setsid()
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
            os.environ["TMPDIR"] = os.environ["PYTEST_DEBUG_TEMPROOT"] = tempfile.tempdir = str(folder)
            null = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(null, descriptor)
            code = 0 if work(folder / "said") else 1
        finally:
            os._exit(code)

    def finish(self) -> None:
        """Waits for all copies."""
        while self.running:
            self._look()

    def _look(self) -> None:
        for pid, (folder, deadline, then) in list(self.running.items()):
            late = time.monotonic() > deadline
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended and not late:
                continue
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            if not ended:
                os.waitpid(pid, 0)
            del self.running[pid]
            said = (folder / "said").read_text(encoding="utf-8") if (folder / "said").exists() else ""
            shutil.rmtree(folder, ignore_errors=True)
            then("timeout" if not ended else "failed" if status else "passed", said)
        time.sleep(0.01)


class Tests:
    """The tests that pytest found, and what is known about them: a plug-in of pytest."""

    def __init__(self, then: Callable[[], None], files: Iterable[str]) -> None:
        self.then = then
        self.lines = {str(ROOT / file): (file, functions_by_line(ROOT, file)) for file in files}
        self.items: dict[str, list[pytest.Item]] = defaultdict(list)
        self.reports: list[pytest.TestReport] = []
        self.in_setup: set[tuple[str, int]] = set()
        self.seen = self.in_setup

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Takes the place of pytest's loop over all tests."""
        for item in session.items:
            self.items[item.nodeid.partition("::")[0]].append(item)
        self.then()
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Iterator[None]:
        """Tells what a test calls from what its fixtures call, which other tests may share."""
        before, self.seen = self.seen, set()
        try:
            return (yield)
        finally:
            self.called, self.seen = self.seen, before

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notes what became of a test."""
        self.reports.append(report)

    def run(self, items: list[pytest.Item]) -> Iterator[tuple[pytest.Item, bool, float]]:
        """Runs tests; each one's outcome (skipped ones fail) and seconds follow it."""
        for item, following in zip(items, [*items[1:], None], strict=True):
            self.reports, self.called = [], set()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            passed = all(one.passed for one in self.reports)
            yield item, passed, sum(one.duration for one in self.reports)

    def measure(self, items: list[pytest.Item], out: Path) -> bool:
        """Writes of each test that passes how long it takes and which functions it calls."""
        lines = self.lines

        def note(frame: types.FrameType, event: str, _: object) -> None:
            if event == "call" and frame.f_code.co_filename in lines:
                self.seen.add((frame.f_code.co_filename, frame.f_code.co_firstlineno))

        sys.setprofile(note)
        threading.setprofile(note)
        calls, known = {}, {}
        for item, passed, seconds in self.run(items):
            if passed:
                calls[item.nodeid] = self.called
                known[item.nodeid] = {"seconds": round(seconds, 3)}
        for name, one in known.items():
            places = [(*lines[path], line) for path, line in calls[name] | self.in_setup]
            one["calls"] = sorted({f"{file}::{names[line]}" for file, names, line in places if line in names})
        out.write_text(json.dumps(known), encoding="utf-8")
        return True


class Search:
    """One run of this tool, over what an earlier one left."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.files = sorted(_python_files(options.sources or SOURCES))
        self.tests = Tests(self.run, self.files)
        self.copies = Copies(options.jobs)
        self.deadline = time.monotonic() + 60 * options.minutes
        self.state: dict[str, Any] = {"tests": {}, "sources": {}, "mutants": {}}
        if options.out.exists():
            self.state = read_json(options.out)
        self.saved = time.monotonic()

    def start(self) -> int:
        """Loads tests and package and does all the rest from there."""
        tests = [str(ROOT / "tests" / name) for name in self.options.tests or TESTS]
        for file in self.files:
            importlib.import_module(file.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
        return pytest.main(["-q", "-s", "-n0", "-p", "no:cacheprovider", "--no-header", *tests], plugins=[self.tests])

    def run(self) -> None:
        """Measures the tests that are new and tries the faults that are."""
        loaded = defaultdict(list)
        for one in gc.get_objects():
            if type(one) is types.FunctionType and one.__code__.co_filename in self.tests.lines:
                loaded[one.__code__.co_filename, one.__code__.co_name, one.__code__.co_firstlineno].append(one)
        gc.collect()
        gc.freeze()
        self.measure_tests()
        mutations = self.choose()
        print(f"{len(mutations)} faults to try")
        for mutation in mutations:
            if time.monotonic() > self.deadline:
                print("the time is over")
                break
            self.try_out(mutation, loaded)
        self.copies.finish()
        self.save()
        self.report()

    def measure_tests(self) -> None:
        """Runs the files of tests that are new or changed."""
        known = self.state["tests"]
        for file, items in self.tests.items.items():
            sha256 = hash_file(ROOT / file)
            if known.get(file, {}).get("sha256") == sha256:
                continue

            def keep(outcome: str, said: str, file: str = file, sha256: str = sha256) -> None:
                if outcome == "passed":
                    known[file] = {"sha256": sha256, "tests": json.loads(said)}
                    left_out = len(self.tests.items[file]) - len(known[file]["tests"])
                    print(
                        f"{file}: " + (f"{left_out} tests skipped or failed" if left_out else "all tests pass"),
                        flush=True,
                    )
                else:
                    print(f"{file}: {outcome}", flush=True)

            self.copies.start(lambda out, items=items: self.tests.measure(items, out), 600, keep)  # type: ignore[misc]
        self.copies.finish()
        self.save()

    def choose(self) -> list[Mutation]:
        """Draws the faults, and drops what is known of files that have changed."""
        mutations, results = [], self.state["mutants"]
        for file in self.files:
            if self.state["sources"].get(file) != hash_file(ROOT / file):
                self.state["mutants"] = results = {k: v for k, v in results.items() if v["file"] != file}
                self.state["sources"][file] = hash_file(ROOT / file)
            mutations += list_mutations(ROOT, file)
        random.Random(self.options.seed).shuffle(mutations)
        known = {key for key, one in results.items() if not self.options.again or one["outcome"] == "killed"}
        drawn = mutations[: self.options.sample or None]
        if self.options.again:
            drawn = [one for one in mutations if _key(one) in results]
        return [one for one in drawn if _key(one) not in known]

    def try_out(self, mutation: Mutation, loaded: dict[tuple[str, str, int], list[types.FunctionType]]) -> None:
        """Runs the tests that call the function of a fault."""
        items, seconds = self.find_tests(mutation)

        def work(out: Path) -> bool:
            if not install(ROOT, mutation, loaded):
                out.write_text("invalid", encoding="utf-8")
                return False
            for item, passed, _ in self.tests.run(items):
                if not passed:
                    out.write_text(item.nodeid, encoding="utf-8")
                    return False
            return True

        def keep(outcome: str, said: str) -> None:
            found = {"passed": "survived", "timeout": "killed", "failed": "killed"}[outcome]
            if said == "invalid":
                found = said
            elif not items:
                found = "untested"
            by = said or (outcome if found == "killed" else "")
            self.state["mutants"][_key(mutation)] = {**dataclasses.asdict(mutation), "outcome": found, "by": by}
            if time.monotonic() - self.saved > 20:
                self.save()

        self.copies.start(work, 20 + 5 * seconds, keep)

    def find_tests(self, mutation: Mutation) -> tuple[list[pytest.Item], float]:
        """The quickest tests that call a function, those of its own room first, and their seconds in all."""
        name, room = f"{mutation.file}::{mutation.function}", mutation.file.split("/")[1]
        known = {
            test: one["seconds"]
            for file in self.tests.items
            for test, one in self.state["tests"].get(file, {"tests": {}})["tests"].items()
            if name in one["calls"]
        }
        chosen: dict[str, float] = {}
        for test in sorted(known, key=lambda test: known[test]):
            if not chosen or sum(chosen.values()) + known[test] <= self.options.seconds:
                chosen[test] = known[test]
        by_file: dict[str, list[pytest.Item]] = defaultdict(list)
        for file, items in self.tests.items.items():
            by_file[file] = sorted((one for one in items if one.nodeid in chosen), key=lambda one: chosen[one.nodeid])
        order = sorted(by_file, key=lambda file: (room not in file, sum(chosen[one.nodeid] for one in by_file[file])))
        return [one for file in order for one in by_file[file]], sum(chosen.values())

    def save(self) -> None:
        """Writes what is known, aside first."""
        with file_written_aside(self.options.out, overwrite=True) as aside:
            write_json(aside, self.state)
        self.saved = time.monotonic()

    def report(self) -> None:
        """Prints what survived, and counts by file."""
        results = [
            one for one in self.state["mutants"].values() if one["file"] in self.files and one["outcome"] != "invalid"
        ]
        for one in sorted(results, key=lambda one: (one["file"], one["number"])):
            if one["outcome"] != "killed":
                print(f"{one['file']}:{one['line']} {one['function']}: {one['change']} ({one['outcome']})")
        for name in (*self.files, "all"):
            found = [one for one in results if name in (one["file"], "all")]
            counts = Counter(one["outcome"] for one in found)
            killed, untested = counts["killed"], counts["untested"]
            if found:
                print(f"{name:40} {killed:5} of {len(found):5} killed {killed / len(found):6.1%}, {untested} untested")


def _key(mutation: Mutation) -> str:
    return f"{mutation.file}:{mutation.number}"


def _python_files(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        path = ROOT / name
        for one in path.rglob("*.py") if path.is_dir() else [path]:
            yield str(one.relative_to(ROOT))


def main() -> int:
    """Reads the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("sources", nargs="*", help="files and folders to make faults in, from the checkout's root")
    parser.add_argument("--tests", action="append", help="file or folder in tests/; may be repeated")
    parser.add_argument(
        "--out", type=Path, default=Path("mutants.json"), help="results; a further run goes on from them"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--seed", type=int, default=0, help="of the order in which faults are tried")
    parser.add_argument("--sample", type=int, default=0, help="how many faults; 0: all")
    parser.add_argument(
        "--minutes", type=float, default=10**6, help="when to stop, with the tests' first run counted in"
    )
    parser.add_argument("--seconds", type=float, default=60, help="of tests for a fault, the quickest ones")
    parser.add_argument("--again", action="store_true", help="try those that survived, and no others")
    return Search(parser.parse_args()).start()


if __name__ == "__main__":
    sys.exit(main())
