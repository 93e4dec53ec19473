"""Recordings and transcripts of many utterances → their features: read ahead, batched, kept in a store."""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor
from tqdm import tqdm

from pathosnet.audio.read_ahead import naming_row, read_ahead
from pathosnet.audio.reading import SAMPLE_RATE
from pathosnet.corpora import Corpus, Utterance
from pathosnet.errors import InputError
from pathosnet.features.acoustic.extractors import AcousticExtractor, Part, extract_together
from pathosnet.features.store import FeatureStore, Recipe, Shelf, hash_weights
from pathosnet.features.table import FeatureTable
from pathosnet.features.text.contextual import ContextualEmbedding
from pathosnet.features.text.embedder import TextEmbedder
from pathosnet.features.text.tokens import tokenize
from pathosnet.files import hash_file, is_main_process
from pathosnet.models import TEXT

TEXTS_AT_ONCE = 512


def extract(
    sources: Sequence[Utterance],
    extractors: Mapping[str, AcousticExtractor],
    part: Part = "features",
    *,
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
        for i, recording in enumerate(read_ahead(sources, workers)):
            if isinstance(recording, InputError):
                raise recording
            assert recording is not None
            waveform = recording.waveform
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
    *,
    workers: int | None = None,
    progress: bool = True,
    title: str = "features",
    store: FeatureStore | None = None,
    device: torch.device | None = None,
) -> dict[str, list[Tensor]]:
    """Extracts from all recordings; features that have a version are taken from a store, and put there.

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
        sequences |= _through_store(
            sources, stored, part, workers=workers, progress=progress, title=title, store=store, device=device
        )
    if computed:
        for _, found in extract(
            sources, computed, part, workers=workers, progress=progress, title=title, device=device
        ):
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
    states = [_state(source) for source in sources]
    keys = _hash_recordings(sources)
    shelves = {
        name: store.shelf(
            Recipe(name, part, extractor.recipe(), weights=hash_weights(extractor), format=extractor.version)
        )
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
        for i, made in extract(there, wanted, part, workers=workers, progress=progress, title=title, device=device):
            if _state(there[i]) != states[missing[i]]:  # else the store would have it under another recording's hash
                with naming_row(there[i]):
                    raise InputError(f"{there[i].audio}: changed while it was read; run the command again")
            for name, sequence in made.items():
                writers[name](keys[missing[i]], sequence)
    found |= {name: shelves[name].find(keys) for name in unknown}
    return {name: [by_key[key] for key in keys] for name, by_key in found.items()}


def _state(source: Utterance) -> tuple[int, int, int] | None:
    """Returns what tells whether a recording is still the same file; None if it is not there, which reading it says."""
    assert source.audio is not None
    try:
        state = source.audio.stat()
    except OSError:
        return None
    return state.st_ino, state.st_size, state.st_mtime_ns


def _hash_recordings(sources: Sequence[Utterance]) -> list[str]:
    def hash_one(source: Utterance) -> str:
        assert source.audio is not None
        with naming_row(source):
            return hash_file(source.audio)

    with ThreadPoolExecutor() as pool:
        return list(pool.map(hash_one, sources))


def extract_features(
    corpus: Corpus,
    extractors: dict[str, AcousticExtractor],
    text: TextEmbedder | None,
    *,
    progress: bool = True,
    positions: Sequence[int] | None = None,
    change: Callable[[Tensor, int], Tensor] | None = None,
    workers: int | None = None,
    store: FeatureStore | None = None,
    device: torch.device | None = None,
) -> FeatureTable:
    """Extracts the features of a corpus' utterances.

    Args:
        corpus: to be read.
        extractors: acoustic feature → extractor.
        text: embeds the transcripts; None for no text.
        progress: show a progress bar.
        positions: of the utterances; all if None.
        change: makes another recording of a waveform ``(samples,)`` and its utterance's position.
        workers: processes that read recordings; see ``extract``.
        store: of features; see ``extract_all``. Not used for changed recordings.
        device: where the extractors compute.

    Raises:
        InputError: a recording cannot be used; it names file and row.
    """
    positions = range(len(corpus)) if positions is None else positions
    utterances = [corpus.utterances[i] for i in positions]
    shown = progress and is_main_process()
    sequences: dict[str, list[Tensor]] = {}
    if change is not None:
        changed = [
            found
            for _, found in extract(
                utterances,
                extractors,
                "features",
                workers=workers,
                progress=shown,
                title="features",
                change=lambda w, i: change(w, positions[i]),
                device=device,
            )
        ]
        sequences = {name: [found[name] for found in changed] for name in extractors}
    elif extractors:
        sequences = extract_all(
            utterances,
            extractors,
            "features",
            workers=workers,
            progress=shown,
            title="features",
            store=store,
            device=device,
        )
    if text is not None:
        sequences[TEXT] = _embed_texts(utterances, text, shown, device=device, store=store)
    targets = torch.from_numpy(corpus.truth(positions))
    names = tuple(utterance.where for utterance in utterances)
    return FeatureTable(sequences, targets.float() if targets.is_floating_point() else targets, names=names)


def hidden_features(
    corpus: Corpus,
    extractor: AcousticExtractor,
    progress: bool,
    *,
    workers: int | None = None,
    store: FeatureStore | None = None,
    device: torch.device | None = None,
) -> list[Tensor]:
    """Computes what the unlocked layer of an extractor's backbone reads, for every utterance of a corpus."""
    name, shown = extractor.name, progress and is_main_process()
    title = f"{name} below its unlocked layer"
    return extract_all(
        corpus.utterances,
        {name: extractor},
        "frozen",
        workers=workers,
        progress=shown,
        title=title,
        store=store if extractor.keeps_hidden else None,
        device=device,
    )[name]


def _embed_texts(
    utterances: Sequence[Utterance],
    text: TextEmbedder,
    progress: bool,
    device: torch.device | None,
    store: FeatureStore | None,
) -> list[Tensor]:
    """Embeds transcripts; what networks make of them is taken from the store, and put there."""
    tables = []
    for utterance in utterances:
        with naming_row(utterance):
            tables.append(text.choose_table(tokenize(utterance.text), utterance.language or None))
    shelves = {} if store is None else _shelves_of_texts(text, store)
    keys = [hashlib.sha256(utterance.text.encode()).hexdigest() for utterance in utterances]
    found = {
        table: shelf.find([k for k, own in zip(keys, tables, strict=True) if own == table])
        for table, shelf in shelves.items()
    }
    embedded = {i: found[tables[i]][keys[i]] for i in range(len(keys)) if keys[i] in found.get(tables[i], {})}
    missing = [i for i in range(len(keys)) if i not in embedded]
    with ExitStack() as stack:
        if device is not None and missing:
            text.to(device)
            stack.callback(text.to, "cpu")
        writers = {table: stack.enter_context(shelf.writing()) for table, shelf in shelves.items()}
        shown = None if progress else True
        bar = stack.enter_context(tqdm(total=len(missing), desc="texts", unit="text", leave=False, disable=shown))
        for start in range(0, len(missing), TEXTS_AT_ONCE):
            rows = missing[start : start + TEXTS_AT_ONCE]
            made = text.embed_all([utterances[i].text for i in rows], [tables[i] for i in rows])
            for i, vectors in zip(rows, made, strict=True):
                embedded[i] = vectors.cpu()
                if tables[i] in writers:
                    writers[tables[i]](keys[i], embedded[i])
            bar.update(len(rows))
    return [embedded[i] for i in range(len(keys))]


def _shelves_of_texts(text: TextEmbedder, store: FeatureStore) -> dict[str, Shelf]:
    """Returns the shelves of the tables that are worth keeping."""
    return {
        key: store.shelf(Recipe("text", "pieces", table.config(), weights=table.fingerprint(), format=table.version))
        for key, table in text.tables.items()
        if isinstance(table, ContextualEmbedding)
    }
