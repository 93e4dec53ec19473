"""From recordings on disk to acoustic features: worker processes read ahead, the backbones see full batches."""

import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from pathosnet.audio import SAMPLE_RATE, load_audio
from pathosnet.corpora import Utterance
from pathosnet.errors import InputError
from pathosnet.extractors import AcousticExtractor, Part, extract_together

FEW_BYTES = 64 << 20  # read before worker processes would pay for their start
FEW_PROCESSORS = 3  # which the backbones keep busy: there, workers only take turns with them
MAX_WORKERS = 8


def extract(
    sources: Sequence[Utterance],
    extractors: Mapping[str, AcousticExtractor],
    part: Part = "features",
    workers: int | None = None,
    progress: bool = True,
    title: str = "features",
    change: Callable[[Tensor, int], Tensor] | None = None,
) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """Extracts from recordings.

    Args:
        sources: utterances, each with its audio.
        extractors: acoustic feature → extractor.
        part: the features, or what the backbone's unlocked layer reads.
        workers: processes that read and resample; 0 for this one, None for as many as suit.
        progress: show a progress bar, if there is a terminal to show it.
        title: of the progress bar.
        change: makes another recording of a waveform ``(samples,)`` and its position in ``sources``.

    Yields:
        The position in ``sources`` and name → ``(time, …)``, in the order of the sources.

    Raises:
        InputError: a recording cannot be used; it names file and row.
    """
    bar = tqdm(total=len(sources), desc=title, unit="utterance", leave=False, disable=None if progress else True)
    heard, started = 0.0, time.perf_counter()

    def waveforms() -> Iterator[Tensor]:
        nonlocal heard
        loaded = _loaded(sources, suitable_workers(sources) if workers is None else workers)
        for i, waveform in enumerate(loaded):
            yield waveform if change is None else change(waveform, i)
            heard += len(waveform) / SAMPLE_RATE

    with bar:
        for i, found in enumerate(extract_together(waveforms(), extractors, part)):
            bar.set_postfix_str(f"{heard / (time.perf_counter() - started):.0f} s of audio a second", refresh=False)
            bar.update()
            yield i, found


def suitable_workers(sources: Sequence[Utterance]) -> int:
    """Returns how many processes shall read: none for little to read, few processors, or where none can be forked."""
    if not sys.platform.startswith("linux"):
        return 0  # elsewhere a new process imports the caller's script again, which may not be made for it
    num_bytes = sum(source.audio.stat().st_size for source in sources if source.audio and source.audio.is_file())
    num_cpus = len(os.sched_getaffinity(0))
    return 0 if num_bytes < FEW_BYTES or num_cpus <= FEW_PROCESSORS else min(num_cpus - 1, MAX_WORKERS)


@contextmanager
def naming_row(utterance: Utterance) -> Iterator[None]:
    """Adds file and row of the manifest to an error."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{utterance.where}: {error}") from error


class _Recordings(Dataset[Tensor | InputError]):
    """Waveforms, or the error that reading one led to: a worker's exception would lose its message's form."""

    def __init__(self, sources: Sequence[Utterance]) -> None:
        self.sources = sources

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, index: int) -> Tensor | InputError:
        source = self.sources[index]
        assert source.audio is not None
        try:
            with naming_row(source):
                return load_audio(source.audio)
        except InputError as error:
            return error


def _leave_interrupts_to_the_first_process(_: int) -> None:
    """Ctrl-C reaches every process; one that it ends halfway may leave its queue such that the others wait for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _loaded(sources: Sequence[Utterance], workers: int) -> Iterator[Tensor]:
    context = "fork" if workers and sys.platform.startswith("linux") else None
    loader = DataLoader(
        _Recordings(sources),
        batch_size=None,
        num_workers=workers,
        multiprocessing_context=context,
        worker_init_fn=_leave_interrupts_to_the_first_process,
    )
    with warnings.catch_warnings():
        # Python ≥ 3.12 warns of forking beside threads; the workers use none of this process' threads.
        warnings.filterwarnings("ignore", message=".*multi-threaded.*fork", category=DeprecationWarning)
        # Torch warns of more workers than processors; who asks for them gets them.
        warnings.filterwarnings("ignore", message="This DataLoader will create", category=UserWarning)
        waveforms = iter(loader)
    for waveform in waveforms:
        if isinstance(waveform, InputError):
            raise waveform
        yield waveform
