"""Output of the commands on the terminal."""

import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from pathosnet.errors import printable

if TYPE_CHECKING:
    from pathosnet.experiments.run_folder import Run


def print_json(value: Any) -> None:
    """Prints JSON on one line; where stdout cannot say every letter, in escapes."""
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "")
    say(json.dumps(value, ensure_ascii=not encoding.startswith("utf")))


def say(line: str, file: TextIO | None = None) -> None:
    """Prints a line above the progress bar, if there is one."""
    from tqdm import tqdm

    file = file or sys.stdout
    with tqdm.external_write_mode(file):
        print(printable(line), file=file, flush=True)


def say_written(*paths: Path | None, file: TextIO | None = None) -> None:
    """Names the files that were written."""
    for path in paths:
        if path is not None:
            say(f"written: {path}", file)


def say_run(run: "Run") -> None:
    """Prints what a run led to."""
    from pathosnet.corpora.splits import describe_leak
    from pathosnet.files import is_main_process

    if not is_main_process():
        return
    parts = ", ".join(f"{name} {len(part)}" for name, part in run.split.parts().items())
    if run.adapted:
        say(f"note:   {run.adapted}")
    say(f"split:  {run.split.strategy} ({parts})")
    if run.metrics is not None:
        say(f"test:   {run.metrics.summary()}")
        say(f"leak:   {describe_leak(run.leak)}")
    say(f"kept:   {run.kept()}")
    if run.calibration is not None:
        say(f"trust:  {run.calibration.summary()}")
    if run.probe is not None:
        say(f"probe:  {run.probe.summary()}")
    for name, weights in run.model.network.layer_weights.items():
        say(f"layers: {name} " + ", ".join(f"{layer}: {weight:.2f}" for layer, weight in enumerate(weights)))
    say(f"saved:  {run.folder}")


def quieten_libraries() -> None:
    """Leaves it to this library to say what happens."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
