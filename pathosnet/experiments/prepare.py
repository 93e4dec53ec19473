"""Options and a corpus → extractors, word vectors, and the features of all utterances."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pathosnet.audio.augmentation import RECORDING_CHANGES, change_recording
from pathosnet.audio.level import Level
from pathosnet.corpora import Corpus, read_manifest
from pathosnet.corpora.contents import identify
from pathosnet.corpora.manifest import VOTES
from pathosnet.errors import InputError
from pathosnet.experiments.config import AUTO, NONE, TrainConfig
from pathosnet.features import FastTextVectors, TextEmbedder, TextTable, WordVectors, load_encoder
from pathosnet.features.acoustic.encoders.low_rank import import_peft
from pathosnet.features.acoustic.extractors import (
    AcousticExtractor,
    GhostVLADExtractor,
    LogMelExtractor,
    Part,
    SpeechEncoderExtractor,
    VGGishExtractor,
)
from pathosnet.features.acoustic.extractors.opensmile import make_opensmile_extractor
from pathosnet.features.acoustic.extractors.speech_encoder import make_encoder_extractor
from pathosnet.features.extract import extract, extract_features, hidden_features
from pathosnet.features.registry import (
    Registry,
    acoustic_features,
    feature_name,
    names_encoder,
    names_opensmile,
    text_embeddings,
)
from pathosnet.features.store import FeatureStore, default_store
from pathosnet.features.table import FeatureTable
from pathosnet.features.text.contextual import PREFIX
from pathosnet.features.text.embedder import ANY_LANGUAGE, LanguageIdentifier
from pathosnet.features.text.word_vectors import load_language_map
from pathosnet.files import is_main_process, say_note
from pathosnet.options import parse_pairs
from pathosnet.targets import DimensionTarget, MultiTaskTarget
from pathosnet.weights import load_thin_resnet34, load_vggish
from pathosnet.weights.catalogue import file_or_known

TEXT_DIM = 300
GHOSTVLAD_OPTIONS = ("window_frames", "hop_frames", "stft_hop", "silence_removal", "top_db")


@dataclass(frozen=True)
class PreparedCorpus:
    """A corpus with the features of all its utterances, and what made them."""

    corpus: Corpus
    extractors: dict[str, AcousticExtractor]
    text: TextEmbedder | None
    table: FeatureTable


def prepare(corpus: Corpus, config: TrainConfig, trained_on: Sequence[int] | None = None) -> PreparedCorpus:
    """Extracts the features of a corpus as the options say.

    Args:
        corpus: to be read.
        config: the options.
        trained_on: positions of the utterances that a training part holds; None for all.

    Raises:
        InputError: a file or an option cannot be used.
    """
    text = build_text_embedder(config)
    return prepare_with(corpus, build_extractors(config), text, config=config, trained_on=trained_on)


def prepare_with(
    corpus: Corpus,
    extractors: dict[str, AcousticExtractor],
    text: TextEmbedder | None,
    *,
    config: TrainConfig,
    trained_on: Sequence[int] | None = None,
) -> PreparedCorpus:
    """Extracts the features of a corpus with given extractors; see ``prepare``."""
    table = extract_features(
        corpus,
        extractors,
        text,
        progress=config.progress,
        workers=config.workers,
        store=open_store(config),
        device=extraction_device(config),
    )
    trained_on = range(len(corpus)) if trained_on is None else trained_on
    table = replace(table, shares=learned_shares(corpus, config.labels_from))
    copies = tuple(
        replace(table, sequences={**table.sequences, **changed})
        for changed in extract_copies(corpus, extractors, config, positions=trained_on, originals=table.sequences)
    )
    return PreparedCorpus(
        corpus, extractors, text, table=replace(table, copies=copies, groups=profile_groups(corpus, config.normalize))
    )


def learned_shares(corpus: Corpus, labels_from: str) -> Tensor | None:
    """Returns the shares of classes that the loss learns, ``(utterances, classes)`` float32; None for the labels.

    Not a number (NaN) of utterances without votes and label, which there are only beside dimensions.

    Args:
        corpus: with raters' votes.
        labels_from: ``hard``, ``votes`` or ``mixed``.

    Raises:
        InputError: nobody voted.
    """
    if labels_from == "hard":
        return None
    if not any(utterance.votes for utterance in corpus.utterances):
        raise InputError(
            f"{corpus.title}: has no votes for any of the labels; labels_from {labels_from} needs columns "
            f"{VOTES}{corpus.target.classes[0]} and so on, or train with --labels-from hard"
        )
    positions = range(len(corpus))
    shares = corpus.vote_shares(positions)
    if labels_from == "mixed":
        labels = np.array([corpus.one_hot(i) for i in positions])
        shares = np.where(labels.any(axis=1, keepdims=True), (shares + labels) / 2, shares)
    shares[~shares.any(axis=1)] = np.nan
    return torch.from_numpy(shares).float()


def profile_groups(corpus: Corpus, normalize: str) -> tuple[str, ...]:
    """Returns whose profile each utterance is adapted to; an utterance without a speaker is alone. Empty for nobody's.

    Args:
        corpus: with speakers.
        normalize: ``none``, ``speaker`` or ``corpus``.
    """
    if normalize == "none":
        return ()
    if normalize == "corpus":
        return tuple(utterance.corpus for utterance in corpus.utterances)
    return tuple(
        f"{utterance.corpus}/{utterance.speaker}" if utterance.speaker else f"row {i}"
        for i, utterance in enumerate(corpus.utterances)
    )


def hidden_versions(
    corpus: Corpus, extractor: AcousticExtractor, config: TrainConfig, *, trained_on: Sequence[int]
) -> list[list[Tensor]]:
    """Computes what an extractor's unlocked layer reads, for the recordings and for their changed copies."""
    store, device = open_store(config), extraction_device(config)
    hidden = hidden_features(corpus, extractor, config.progress, workers=config.workers, store=store, device=device)
    named = {extractor.name: extractor}
    copies = extract_copies(
        corpus, named, config, positions=trained_on, originals={extractor.name: hidden}, part="frozen"
    )
    return [hidden, *(changed[extractor.name] for changed in copies)]


def read_corpus(corpus_paths: str | Path | Sequence[str | Path], config: TrainConfig) -> Corpus:
    """Reads manifests as the options say; see ``read_manifest``.

    Raises:
        InputError: a file or a row cannot be used, or there is nothing to learn from.
    """
    corpus = read_labelled(corpus_paths, config, bool(config.acoustic))
    if not config.acoustic and not any(utterance.text for utterance in corpus.utterances):
        raise InputError(f"{corpus.title}: has no texts to learn from; fill in the column 'text', or use the audio")
    return corpus


def read_labelled(corpus_paths: str | Path | Sequence[str | Path], config: TrainConfig, needs_audio: bool) -> Corpus:
    """Reads manifests with the emotions and the numbers that the options name; what is odd is said on stderr."""
    corpus = read_manifest(
        corpus_paths,
        config.labels or DimensionTarget(config.targets),
        parse_pairs(config.label, "--label"),
        dimensions=config.targets,
        drop_labels=config.drop_labels,
        needs_audio=needs_audio,
    )
    if isinstance(corpus.target, MultiTaskTarget):
        corpus = replace(corpus, target=replace(corpus.target, dimension_weight=config.dimension_weight))
    corpus = identify(corpus) if needs_audio else corpus
    say_notes(corpus)
    return corpus


def say_notes(corpus: Corpus) -> None:
    """Prints what is odd about a corpus' recordings."""
    for note in corpus.notes:
        say_note(note)


def build_extractors(config: TrainConfig) -> dict[str, AcousticExtractor]:
    """Makes the extractors that the options name, in their order, with the weights from their files.

    Raises:
        InputError: one cannot be made, or layers are to be unlocked that none of them has.
    """
    if config.unlock and not (config.fine_tune and any(map(names_encoder, config.acoustic))):
        raise InputError(
            f"unlock: expected a speech encoder, such as --acoustic whisper-base, and --fine-tune true, got "
            f"{','.join(config.acoustic) or 'none'} and {str(config.fine_tune).lower()}"
        )
    if config.lora:
        import_peft()
    return {
        feature_name(value): _make(acoustic_features, value, _from_options(value, config), config=config)
        for value in config.acoustic
    }


def _from_options(name: str, config: TrainConfig) -> Callable[..., AcousticExtractor]:
    """Returns what makes an extractor of a run: the library's own from their options, a plug-in's from its hook."""
    made: dict[str, Callable[..., AcousticExtractor]] = {
        "logmel": _make_logmel,
        "vggish": _make_vggish,
        "ghostvlad": _make_ghostvlad,
    }
    if name in made:
        return partial(made[name], config)
    if names_encoder(name):
        return partial(_make_encoder, config, name)
    if names_opensmile(name):
        return partial(make_opensmile_extractor, name, level=_level(config, "none"))
    return partial(acoustic_features.find(name).from_options, config)


def _level(config: TrainConfig, usual: Level) -> Level:
    """Returns how a feature's recordings get their level: as the option says, or as usual for it."""
    return usual if config.level == "auto" else config.level


def _make_logmel(config: TrainConfig, **own: Any) -> LogMelExtractor:
    return LogMelExtractor(**{"stack": config.logmel_stack, "level": _level(config, "rms"), **own})


def _make_vggish(config: TrainConfig, **own: Any) -> VGGishExtractor:
    backbone = load_vggish(file_or_known(str(config.vggish)), config.vggish_output)
    given: dict[str, Any] = {"precision": config.extraction_precision, "level": _level(config, "rms")}
    return VGGishExtractor(backbone, **{**given, **own})


def _make_ghostvlad(config: TrainConfig, **own: Any) -> GhostVLADExtractor:
    given = {name: getattr(config, name) for name in GHOSTVLAD_OPTIONS} | {"level": _level(config, "rms")}
    backbone = load_thin_resnet34(file_or_known(str(config.ghostvlad)))
    return GhostVLADExtractor(backbone, **{**given, "precision": config.extraction_precision, **own})


def _make_encoder(config: TrainConfig, value: str, **own: Any) -> SpeechEncoderExtractor:
    given = {
        "layers": config.encoder_layers,
        "rate": config.encoder_rate,
        "level": _level(config, "peak"),
        "precision": config.extraction_precision,
        "unlocked": config.unlock,
    }
    return make_encoder_extractor(value, **{**given, **own})


def _make(registry: Registry[Any], name: str, make: Callable[..., Any], config: TrainConfig) -> Any:
    """Makes a feature, with the arguments that the options have for it."""
    own = config.feature_options.get(name) or config.feature_options.get(feature_name(name), {})
    try:
        return make(**own)
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
            tables[language] = _make(text_embeddings, file, text_embeddings.find(file), config=config)
            continue
        if file.startswith(PREFIX):
            tables[language] = load_encoder(file.removeprefix(PREFIX), config.text_layer)
            continue
        file = file_or_known(file)
        if Path(file).suffix in (".bin", ".ftz"):
            mapping = load_language_map(maps[language]) if language in maps else None
            tables[language] = FastTextVectors(file, mapping, TEXT_DIM)
        else:
            tables[language] = WordVectors.load(
                file, config.max_words, config.oov, dim=TEXT_DIM, store=open_store(config)
            )
    unknown = maps.keys() - tables.keys()
    if unknown:
        raise InputError(f"text_map: no --text for the language {', '.join(sorted(unknown))}")
    identifier = config.language_identifier
    return TextEmbedder(tables, LanguageIdentifier(file_or_known(identifier)) if identifier else None)


def extract_copies(
    corpus: Corpus,
    extractors: Mapping[str, AcousticExtractor],
    config: TrainConfig,
    *,
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
        found = extract(
            chosen,
            extractors,
            part,
            workers=config.workers,
            progress=shown,
            title=title,
            change=change,
            device=extraction_device(config),
        )
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
    extract_features(
        corpus, extractors, None, progress=config.progress, workers=config.workers, store=store, device=device
    )
    if config.fine_tune:
        for extractor in extractors.values():
            if extractor.unlockable is not None and extractor.keeps_hidden:
                hidden_features(corpus, extractor, config.progress, workers=config.workers, store=store, device=device)


def open_store(config: TrainConfig) -> FeatureStore | None:
    """Opens the store of features that the options name; None for none.

    Raises:
        InputError: the folder cannot be written to.
    """
    if config.feature_store == NONE:
        return None
    halves = config.feature_store_precision == "16"
    return default_store(halves) if config.feature_store == AUTO else FeatureStore(config.feature_store, halves=halves)


def extraction_device(config: TrainConfig) -> torch.device:
    """Returns where features are extracted: on this process' GPU, if training uses one, else on the CPU."""
    if config.accelerator not in ("auto", "gpu", "cuda") or not torch.cuda.is_available():
        return torch.device("cpu")
    own = config.devices.split(",")[0] if "," in config.devices else os.environ.get("LOCAL_RANK", "0")
    return torch.device("cuda", int(own) % torch.cuda.device_count())
