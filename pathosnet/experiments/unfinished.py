"""The hidden folder in which an unfinished run keeps its checkpoints."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pathosnet.errors import InputError
from pathosnet.experiments.run_folder import RUN_FILE, differences
from pathosnet.files import is_main_process, make_folder, read_json, write_json

LOCK_FILE = "lock"


@contextmanager
def unfinished(out: Path, wanted: Mapping[str, Any], resume: bool) -> Iterator[Path]:
    """Gives a hidden folder beside a run's for its checkpoints, which outlives an interruption, but not the run.

    Args:
        out: the run's folder.
        wanted: what the run is, see ``identity``.
        resume: take what an earlier attempt has left there; else it is removed.

    Raises:
        InputError: what is there belongs to another run, or to one that is at work.
    """
    folder = out.with_name(f".{out.name}.unfinished")
    begun = folder / RUN_FILE
    if not is_main_process():
        yield folder
        return
    make_folder(folder)
    lock = FileLock(folder / LOCK_FILE)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise InputError(f"{out}: another process is training it now; choose another folder") from error
    is_kept = False
    try:
        if resume and begun.is_file() and (differing := differences(read_json(begun), wanted)):
            is_kept = True
            raise InputError(
                f"{folder}: holds a run with other {', '.join(differing)}; give the same options, or leave --resume out"
            )
        if not resume:
            _empty(folder)
        write_json(begun, wanted)
        yield folder
    except KeyboardInterrupt:
        is_kept = not {path.name for path in folder.iterdir()} <= {RUN_FILE, LOCK_FILE}  # else nothing was trained
        raise
    finally:
        lock.release()
        if not is_kept:
            shutil.rmtree(folder, ignore_errors=True)


def _empty(folder: Path) -> None:
    """Removes what an earlier attempt left; not the lock, which is this one's."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != LOCK_FILE:
            path.unlink()
