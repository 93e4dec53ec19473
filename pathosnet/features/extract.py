"""From recordings on disk to acoustic features: worker processes read ahead, the backbones see full batches."""

import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from pathosnet.audio import SAMPLE_RATE, load_audio
from pathosnet.corpora import Utterance
from pathosnet.errors import InputError
from pathosnet.extractors import AcousticExtractor, Part, extract_together
from pathosnet.feature_store import FeatureStore, Recipe, hash_weights
from pathosnet.files import hash_file

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


def extract(
    sources: Sequence[Utterance],
    extractors: Mapping[str, AcousticExtractor],
    part: Part = "features",
    workers: int | None = None,
    progress: bool = True,
    title: str = "features",
    change: Callable[[Tensor, int], Tensor] | None = None,
    device: torch.device | None = None,
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
        device: where the extractors compute; None leaves them where they are.

    Yields:
        The position in ``sources`` and name → ``(time, …)`` on the CPU, in the order of the sources.

    Raises:
        InputError: a recording cannot be used; it names file and row.
    """
    bar = tqdm(total=len(sources), desc=title, unit="utterance", leave=False, disable=None if progress else True)
    heard, started = 0.0, time.perf_counter()

    def waveforms() -> Iterator[Tensor]:
        nonlocal heard
        for i, waveform in enumerate(read_ahead(sources, workers)):
            if isinstance(waveform, InputError):
                raise waveform
            assert waveform is not None
            heard += len(waveform) / SAMPLE_RATE
            yield (waveform if change is None else change(waveform, i)).to(device)

    with bar, _on_device(extractors, device):
        for i, found in enumerate(extract_together(waveforms(), extractors, part)):
            bar.set_postfix_str(f"{heard / (time.perf_counter() - started):.0f} s of audio a second", refresh=False)
            bar.update()
            yield i, {name: sequence.cpu() for name, sequence in found.items()}


@contextmanager
def _on_device(extractors: Mapping[str, AcousticExtractor], device: torch.device | None) -> Iterator[None]:
    """Moves extractors to a device, and back to the CPU in the end."""
    for extractor in extractors.values():
        extractor.to(device)
    try:
        yield
    finally:
        if device is not None:
            for extractor in extractors.values():
                extractor.cpu()


def extract_all(
    sources: Sequence[Utterance],
    extractors: Mapping[str, AcousticExtractor],
    part: Part = "features",
    workers: int | None = None,
    progress: bool = True,
    title: str = "features",
    store: FeatureStore | None = None,
    device: torch.device | None = None,
) -> dict[str, list[Tensor]]:
    """Extracts from all recordings; what pre-trained networks make of them is taken from a store, and put there.

    Args:
        sources: see ``extract``, as for the following.
        extractors: acoustic feature → extractor.
        part: what to compute.
        workers: processes that read.
        progress: show a progress bar.
        title: of the progress bar.
        store: of features; None computes everything and keeps it in memory.
        device: where the extractors compute.

    Returns:
        Name → ``(time, …)`` for each source; what the store has is memory-mapped.

    Raises:
        InputError: a recording cannot be used, or the store cannot be written to.
    """
    stored = {name: e for name, e in extractors.items() if store is not None and e.version is not None}
    computed = {name: e for name, e in extractors.items() if name not in stored}
    sequences: dict[str, list[Tensor]] = {name: [] for name in extractors}
    if store is not None and stored:
        sequences |= _through_store(sources, stored, part, workers, progress, title, store, device)
    if computed:
        for _, found in extract(sources, computed, part, workers, progress, title, device=device):
            for name, sequence in found.items():
                sequences[name].append(sequence)
    return sequences


def _through_store(
    sources: Sequence[Utterance],
    extractors: Mapping[str, AcousticExtractor],
    part: Part,
    workers: int | None,
    progress: bool,
    title: str,
    store: FeatureStore,
    device: torch.device | None,
) -> dict[str, list[Tensor]]:
    keys = _hash_recordings(sources)
    shelves = {
        name: store.shelf(Recipe(name, part, extractor.config(), hash_weights(extractor), extractor.version))
        for name, extractor in extractors.items()
        if extractor.version is not None
    }
    with ExitStack() as stack:
        if any(len(shelf.find(keys)) < len(set(keys)) for shelf in shelves.values()):
            for name in sorted(shelves):  # in one order everywhere: two processes never wait for each other
                stack.enter_context(shelves[name].claimed(keys))
        found = {name: shelf.find(keys) for name, shelf in shelves.items()}  # another process may have made them
        unknown = [name for name in found if len(found[name]) < len(set(keys))]
        missing = [i for i, key in enumerate(keys) if any(key not in found[name] for name in unknown)]
        writers = {name: stack.enter_context(shelves[name].writing()) for name in unknown}
        wanted = {name: extractors[name] for name in unknown}
        there = [sources[i] for i in missing]
        for i, made in extract(there, wanted, part, workers, progress, title, device=device):
            for name, sequence in made.items():
                writers[name](keys[missing[i]], sequence)
    found |= {name: shelves[name].find(keys) for name in unknown}
    return {name: [by_key[key] for key in keys] for name, by_key in found.items()}


def _hash_recordings(sources: Sequence[Utterance]) -> list[str]:
    def hash_one(source: Utterance) -> str:
        assert source.audio is not None
        with naming_row(source):
            return hash_file(source.audio)

    with ThreadPoolExecutor() as pool:
        return list(pool.map(hash_one, sources))


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


class _Recordings(Dataset[Tensor | InputError | None]):
    """Waveforms, or the error that reading one led to: a worker's exception would lose its message's form."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = sources

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, index: int) -> Tensor | InputError | None:
        source = self.sources[index]
        try:
            with naming_row(source):
                return None if source.audio is None else load_audio(source.audio)
        except InputError as error:
            return error


def _leave_interrupts_to_the_first_process(_: int) -> None:
    """Ctrl-C reaches every process; one that it ends halfway may leave its queue such that the others wait for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def read_ahead(sources: Sequence[Source], workers: int | None = None) -> Iterator[Tensor | InputError | None]:
    """Reads recordings in worker processes, some before they are asked for.

    Args:
        sources: what to read.
        workers: processes; 0 for this one, None for as many as suit.

    Yields:
        For each source, in order: ``(samples,)`` at 16 kHz, why there is none, or None if it names no file.
    """
    workers = suitable_workers(sources) if workers is None else workers
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
    yield from waveforms
