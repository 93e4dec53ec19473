"""Many recordings, read in worker processes before they are asked for."""

import os
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from torch.utils.data import DataLoader, Dataset

from pathosnet.audio.reading import Recording, read_recording
from pathosnet.errors import InputError

FEW_BYTES = 64 << 20  # read before worker processes would pay for their start
FEW_PROCESSORS = 3  # which the backbones keep busy: there, workers only take turns with them
MAX_WORKERS = 8


class Source(Protocol):
    """A recording, and how messages name it."""

    @property
    def audio(self) -> Path | None:
        """The file, if there is one."""

    @property
    def where(self) -> str:
        """Table and row that name it; empty if none does."""


def read_ahead(sources: Sequence[Source], workers: int | None = None) -> Iterator[Recording | InputError | None]:
    """Reads recordings in worker processes, some before they are asked for.

    Args:
        sources: what to read.
        workers: processes; 0 for this one, None for as many as suit.

    Yields:
        For each source, in order: the recording at 16 kHz, why there is none, or None if it names no file.
    """
    workers = suitable_workers(sources) if workers is None else workers
    context = "fork" if workers and sys.platform.startswith("linux") else None
    with warnings.catch_warnings():
        # Python ≥ 3.12 warns of forking beside threads; the workers use none of this process' threads.
        warnings.filterwarnings("ignore", message=".*multi-threaded.*fork", category=DeprecationWarning)
        # Torch warns of more workers than processors; who asks for them gets them.
        warnings.filterwarnings("ignore", message="This DataLoader will create", category=UserWarning)
        loader = DataLoader(
            _Recordings(sources),
            batch_size=None,
            num_workers=workers,
            multiprocessing_context=context,
            worker_init_fn=_leave_interrupts_to_the_first_process,
        )
        recordings = iter(loader)
    yield from recordings


def suitable_workers(sources: Sequence[Source]) -> int:
    """Returns how many processes shall read: none for little to read, few processors, or where none can be forked."""
    if not sys.platform.startswith("linux"):
        return 0  # elsewhere a new process imports the caller's script again, which may not be made for it
    num_bytes = sum(source.audio.stat().st_size for source in sources if source.audio and source.audio.is_file())
    num_cpus = len(os.sched_getaffinity(0))
    return 0 if num_bytes < FEW_BYTES or num_cpus <= FEW_PROCESSORS else min(num_cpus - 1, MAX_WORKERS)


@contextmanager
def naming_row(source: Source) -> Iterator[None]:
    """Adds file and row of the manifest to an error."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{source.where}: {error}" if source.where else str(error)) from error


class _Recordings(Dataset[Recording | InputError | None]):
    """Recordings, or the error that reading one led to: a worker's exception would lose its message's form."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = sources

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, index: int) -> Recording | InputError | None:
        source = self.sources[index]
        try:
            with naming_row(source):
                return None if source.audio is None else read_recording(source.audio)
        except InputError as error:
            return error


def _leave_interrupts_to_the_first_process(_: int) -> None:
    """Ctrl-C reaches every process; one that it ends halfway may leave its queue such that the others wait for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
