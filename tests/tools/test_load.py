"""``tools/load.py`` and ``tools/kill_runs.py`` run, with as little work as they can be given."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"


def said_by(tool: str, *options: str) -> list[dict]:
    command = [sys.executable, str(TOOLS / tool), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.skipif(sys.platform != "linux", reason="reads memory from /proc")
def test_load_is_measured():
    (found,) = said_by("load.py", "--only", "batch", "--clips", "40")
    assert found["clips"] == 40
    assert found["files_left_open"] == 0
    assert 0 < found["end_mb"] <= found["peak_mb"] < 1000


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
def test_a_killed_download_goes_on():
    (found,) = said_by("kill_runs.py", "--only", "weights get", "--kills", "1")
    assert (found["kills"], found["found"]) == (1, [])
