"""From options to extractors and word vectors, and from a corpus to the features of all its utterances."""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from pathosnet.config import AUTO, NONE, TrainConfig, parse_pairs
from pathosnet.corpora import Corpus, Utterance
from pathosnet.errors import InputError
from pathosnet.extraction import extract, extract_all, naming_row
from pathosnet.extractors import AcousticExtractor, Part
from pathosnet.feature_store import FeatureStore, Recipe, Shelf, default_store
from pathosnet.features import FastTextVectors, TextEmbedder, TextTable, WordVectors, load_encoder, tokenize
from pathosnet.features.contextual_embedding import PREFIX, ContextualEmbedding
from pathosnet.features.text_embedder import ANY_LANGUAGE, LanguageIdentifier
from pathosnet.features.word_vectors import load_language_map
from pathosnet.models import TEXT
from pathosnet.registry import Registry, acoustic_features, text_embeddings
from pathosnet.training import FeatureTable
from pathosnet.training.augmentation import RECORDING_CHANGES, change_recording
from pathosnet.weights.catalogue import file_or_known

TEXT_DIM = 300
TEXTS_AT_ONCE = 512


def build_extractors(config: TrainConfig) -> dict[str, AcousticExtractor]:
    """Makes the extractors that the options name, in their order, with the weights from their files."""
    return {
        name: _make(acoustic_features, name, lambda made, **own: made.from_options(config, **own), config)
        for name in config.acoustic
    }


def _make(registry: Registry[Any], name: str, make: Callable[..., Any], config: TrainConfig) -> Any:
    """Makes a feature, with the arguments that the options have for it."""
    own = config.feature_options.get(name, {})
    try:
        return make(registry.find(name), **own)
    except TypeError as error:
        raise InputError(
            f"{registry.kind} {name!r}: cannot be made with feature_options {own or 'not given'} ({error})"
        ) from error


def build_text_embedder(config: TrainConfig) -> TextEmbedder | None:
    """Makes the text embedder that the options name; None for no text."""
    if not config.text:
        return None
    maps = parse_pairs(config.text_map, "--text_map")
    tables: dict[str, TextTable] = {}
    for value in config.text:
        language, separator, file = value.partition("=")
        language, file = (language, file) if separator else (ANY_LANGUAGE, value)
        if language in tables:
            raise InputError(f"text: expected each language once, got {language!r} twice; name it, LANGUAGE=FILE")
        if file in text_embeddings:
            tables[language] = _make(text_embeddings, file, lambda made, **own: made(**own), config)
            continue
        if file.startswith(PREFIX):
            tables[language] = load_encoder(file.removeprefix(PREFIX), config.text_layer)
            continue
        file = file_or_known(file)
        if Path(file).suffix in (".bin", ".ftz"):
            mapping = load_language_map(maps[language]) if language in maps else None
            tables[language] = FastTextVectors(file, mapping, TEXT_DIM)
        else:
            tables[language] = WordVectors.load(file, config.max_words, config.oov, TEXT_DIM, open_store(config))
    unknown = maps.keys() - tables.keys()
    if unknown:
        raise InputError(f"text_map: no --text for the language {', '.join(sorted(unknown))}")
    identifier = config.language_identifier
    return TextEmbedder(tables, LanguageIdentifier(file_or_known(identifier)) if identifier else None)


def extract_features(
    corpus: Corpus,
    extractors: dict[str, AcousticExtractor],
    text: TextEmbedder | None,
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
                utterances, extractors, "features", workers, shown, "features", lambda w, i: change(w, positions[i])
            )
        ]
        sequences = {name: [found[name] for found in changed] for name in extractors}
    elif extractors:
        sequences = extract_all(utterances, extractors, "features", workers, shown, "features", store, device)
    if text is not None:
        sequences[TEXT] = _embed_texts(utterances, text, shown, device, store)
    targets = torch.from_numpy(corpus.truth(positions))
    return FeatureTable(sequences, targets.float() if corpus.dimensional else targets)


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
        key: store.shelf(Recipe("text", "pieces", table.config(), table.fingerprint(), table.version))
        for key, table in text.tables.items()
        if isinstance(table, ContextualEmbedding)
    }


def is_main_process() -> bool:
    """Whether this process writes: with several processes (DDP) only the first does."""
    names = ("LOCAL_RANK", "SLURM_LOCALID", "NODE_RANK", "GROUP_RANK", "SLURM_NODEID")
    return all(os.environ.get(name, "0") == "0" for name in names)


def hidden_features(
    corpus: Corpus,
    extractor: AcousticExtractor,
    progress: bool,
    workers: int | None = None,
    store: FeatureStore | None = None,
    device: torch.device | None = None,
) -> list[Tensor]:
    """Computes what the unlocked layer of an extractor's backbone reads, for every utterance of a corpus."""
    name, shown = extractor.name, progress and is_main_process()
    title = f"{name} below its unlocked layer"
    return extract_all(corpus.utterances, {name: extractor}, "frozen", workers, shown, title, store, device)[name]


def extract_copies(
    corpus: Corpus,
    extractors: Mapping[str, AcousticExtractor],
    config: TrainConfig,
    positions: Sequence[int],
    originals: Mapping[str, Sequence[Tensor]],
    part: Part = "features",
) -> Iterator[dict[str, list[Tensor]]]:
    """Extracts from changed recordings, where the options ask for some (``augmentation``, ``augmented_copies``).

    Args:
        corpus: to be read.
        extractors: acoustic feature → extractor.
        config: the options.
        positions: of the utterances to change, those of the training part.
        originals: name → one sequence an utterance, of which the others are taken.
        part: see ``extract``.

    Yields:
        For each copy, name → one sequence an utterance.
    """
    if not extractors or not set(config.augmentation) & set(RECORDING_CHANGES):
        return
    chosen = [corpus.utterances[i] for i in positions]
    for number in range(1, config.augmented_copies + 1):

        def change(waveform: Tensor, i: int, number: int = number) -> Tensor:
            generator = np.random.default_rng((config.seed, number, positions[i]))
            return change_recording(waveform, config.augmentation, generator)

        shown, title = config.progress and is_main_process(), f"changed recordings, copy {number}"
        sequences = {name: list(originals[name]) for name in extractors}
        found = extract(chosen, extractors, part, config.workers, shown, title, change, extraction_device(config))
        for i, features in found:
            for name, sequence in features.items():
                sequences[name][positions[i]] = sequence
        yield sequences


def fill_store(corpus: Corpus, config: TrainConfig) -> None:
    """Computes all that the store keeps for a run on this corpus, so that several processes find it there."""
    store, device = open_store(config), extraction_device(config)
    if store is None:
        return
    extractors = {name: e for name, e in build_extractors(config).items() if e.version is not None}
    extract_features(corpus, extractors, None, config.progress, workers=config.workers, store=store, device=device)
    if config.fine_tune:
        for extractor in extractors.values():
            if extractor.unlockable is not None:
                hidden_features(corpus, extractor, config.progress, config.workers, store, device)


def open_store(config: TrainConfig) -> FeatureStore | None:
    """Opens the store of features that the options name; None for none.

    Raises:
        InputError: the folder cannot be written to.
    """
    if config.feature_store == NONE:
        return None
    return default_store() if config.feature_store == AUTO else FeatureStore(config.feature_store)


def extraction_device(config: TrainConfig) -> torch.device:
    """Returns where features are extracted: on this process' GPU, if training uses one, else on the CPU."""
    if config.accelerator not in ("auto", "gpu", "cuda") or not torch.cuda.is_available():
        return torch.device("cpu")
    own = config.devices.split(",")[0] if "," in config.devices else os.environ.get("LOCAL_RANK", "0")
    return torch.device("cuda", int(own) % torch.cuda.device_count())
