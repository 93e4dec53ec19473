"""A training run from a manifest to a saved model, and the evaluation of one."""

import csv
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from pytorch_lightning.loggers import Logger
from torch import Tensor
from tqdm import tqdm

from pathosnet.audio import load_audio
from pathosnet.config import HASHED, TrainConfig, parse_pairs
from pathosnet.corpora import Corpus, Split, Utterance, read_manifest, split_corpus
from pathosnet.errors import InputError
from pathosnet.evaluation import Metrics, measure, plot_confusion_matrix
from pathosnet.extractors import AcousticExtractor, GhostVLADExtractor, LogMelExtractor, VGGishExtractor
from pathosnet.features import FastTextVectors, HashedWords, TextEmbedder, WordEmbedding, WordVectors
from pathosnet.features.text_embedder import ANY_LANGUAGE, LanguageIdentifier
from pathosnet.features.word_vectors import load_language_map
from pathosnet.files import read_json, write_json, written_aside
from pathosnet.models import TEXT
from pathosnet.recognizer import PathosNet
from pathosnet.saved_model import CONFIG_FILE
from pathosnet.training import FeatureTable, train_stages
from pathosnet.weights import load_thin_resnet34, load_vggish

TEXT_DIM = 300
RUN_FILE = "run.json"
SPLIT_FILE = "split.csv"
METRICS_FILE = "metrics.json"
PREDICTIONS_FILE = "predictions.csv"
CONFUSION_FILE = "confusion_matrix.png"


@dataclass(frozen=True)
class Run:
    """A finished training run."""

    folder: Path
    model: PathosNet
    split: Split
    metrics: Metrics | None
    """On the test part; None if there is none."""
    leak: dict[str, int]
    """How many of the test part's speakers and texts also occur in the training part."""


def train(
    corpus_path: str | Path,
    out: str | Path,
    config: TrainConfig | None = None,
    overwrite: bool = False,
    logger: Logger | None = None,
) -> Run:
    """Trains on a labelled corpus, tests on the part that was held out, and saves everything in one folder.

    The folder holds the model (``config.json``, ``model.safetensors``, ``text/``), ``run.json`` (configuration,
    versions, stages), ``split.csv``, ``logs/``, and of the test part ``metrics.json``, ``predictions.csv`` and
    ``confusion_matrix.png``. It appears when the run has ended; a run that fails leaves nothing.

    Args:
        corpus_path: the manifest, see ``read_manifest``.
        out: the folder to make.
        config: the options.
        overwrite: replace the folder if it is there.
        logger: any Lightning logger instead of the configured one.

    Raises:
        InputError: a file, a row or an option cannot be used.
    """
    config = config or TrainConfig()
    started = time.time()
    corpus = read_manifest(
        corpus_path,
        config.labels,
        parse_pairs(config.label, "--label"),
        config.drop_labels,
        needs_audio=bool(config.acoustic),
    )
    if not config.acoustic and not any(utterance.text for utterance in corpus.utterances):
        raise InputError(f"{corpus.path}: has no texts to learn from; fill in the column 'text', or use the audio")
    split = split_corpus(corpus, config.split, config.num_folds, config.fold, config.validation_fraction, config.seed)
    with _output_folder(out, overwrite) as folder:
        text = build_text_embedder(config)
        extractors = build_extractors(config)
        table = extract_features(corpus, extractors, text, config.progress)
        trained = train_stages(
            table,
            split,
            len(corpus.labels),
            extractors,
            config,
            folder / "logs",
            lambda extractor: _hidden_features(corpus, extractor, config.progress),
            logger,
        )
        model = PathosNet(trained.model, extractors, text, corpus.labels)
        model.save_into(folder)
        metrics = None
        if split.test:
            if len(extractors) and any(extractor.backbone is not None for extractor in extractors.values()):
                table = extract_features(corpus, extractors, text, config.progress, split.test)
                positions: Sequence[int] = range(len(split.test))
            else:
                positions = split.test
            probabilities = _classify(model, table, positions)
            metrics = _write_results(folder, corpus, split.test, probabilities)
        leak = find_leak(corpus, split)
        _write_split(folder / SPLIT_FILE, corpus, split)
        write_json(
            folder / RUN_FILE,
            {
                "config": asdict(config),
                "corpus": {"path": str(corpus.path.resolve()), "utterances": len(corpus), "counts": corpus.counts()},
                "split": {"strategy": split.strategy, **{name: len(part) for name, part in split.parts().items()}},
                "leak": leak,
                "stages": [asdict(stage) for stage in trained.stages],
                "seconds": round(time.time() - started, 1),
                "versions": _versions(),
            },
        )
    return Run(Path(out), model, split, metrics, leak)


def evaluate(
    run: str | Path,
    corpus_path: str | Path,
    part: str = "auto",
    label: Sequence[str] = (),
    drop_labels: Sequence[str] = (),
    use_audio: bool = True,
    use_text: bool = True,
    progress: bool = True,
) -> tuple[Metrics, str]:
    """Measures a saved model on a labelled corpus.

    Args:
        run: folder of the run or the model.
        corpus_path: the manifest.
        part: ``train``, ``validation``, ``test`` (of the corpus that the model was trained on), ``all`` rows, or
            ``auto``: the test part of that corpus, all rows of any other.
        label: the corpus' own spellings, SPELLING=EMOTION.
        drop_labels: spellings whose rows are left out.
        use_audio: False takes the voice away.
        use_text: False takes the text away.
        progress: show a progress bar.

    Returns:
        The metrics, and a line that says what was measured.

    Raises:
        InputError: a file, a row or an option cannot be used.
    """
    model = PathosNet.from_pretrained(run)
    use_audio = use_audio and bool(len(model.acoustic))
    use_text = use_text and model.text is not None
    if not (use_audio or use_text):
        raise InputError(f"{run}: nothing is left that this model reads; leave it its audio or its text")
    corpus = read_manifest(corpus_path, model.labels, parse_pairs(tuple(label), "--label"), drop_labels, use_audio)
    positions, what = _choose_part(Path(run), corpus, part)
    table = extract_features(
        corpus,
        dict(model.acoustic.items()) if use_audio else {},  # type: ignore[arg-type]
        model.text if use_text else None,
        progress,
        positions,
    )
    return measure(table.targets.tolist(), _classify(model, table, range(len(table))).numpy(), model.labels), what


def build_extractors(config: TrainConfig) -> dict[str, AcousticExtractor]:
    """Makes the extractors that the options name, in their order, with the weights from their files."""
    makers: dict[str, Callable[[], AcousticExtractor]] = {
        "logmel": lambda: LogMelExtractor(config.logmel_stack),
        "vggish": lambda: VGGishExtractor(load_vggish(str(config.vggish), config.vggish_output)),
        "ghostvlad": lambda: GhostVLADExtractor(
            load_thin_resnet34(str(config.ghostvlad)),
            config.window_frames,
            config.hop_frames,
            config.stft_hop,
            config.silence_removal,
            config.top_db,
        ),
    }
    return {name: makers[name]() for name in config.acoustic}


def build_text_embedder(config: TrainConfig) -> TextEmbedder | None:
    """Makes the text embedder that the options name; None for no text."""
    if not config.text:
        return None
    maps = parse_pairs(config.text_map, "--text_map")
    tables: dict[str, WordEmbedding] = {}
    for value in config.text:
        language, separator, file = value.partition("=")
        language, file = (language, file) if separator else (ANY_LANGUAGE, value)
        if language in tables:
            raise InputError(f"text: expected each language once, got {language!r} twice; name it, LANGUAGE=FILE")
        if file == HASHED:
            tables[language] = HashedWords(TEXT_DIM)
        elif Path(file).suffix in (".bin", ".ftz"):
            mapping = load_language_map(maps[language]) if language in maps else None
            tables[language] = FastTextVectors(file, mapping, TEXT_DIM)
        else:
            tables[language] = WordVectors.load(file, config.max_words, config.oov, TEXT_DIM)
    unknown = maps.keys() - tables.keys()
    if unknown:
        raise InputError(f"text_map: no --text for the language {', '.join(sorted(unknown))}")
    identifier = LanguageIdentifier(config.language_identifier) if config.language_identifier else None
    return TextEmbedder(tables, identifier)


def extract_features(
    corpus: Corpus,
    extractors: dict[str, AcousticExtractor],
    text: TextEmbedder | None,
    progress: bool = True,
    positions: Sequence[int] | None = None,
) -> FeatureTable:
    """Extracts the features of a corpus' utterances.

    Args:
        corpus: to be read.
        extractors: acoustic feature → extractor.
        text: embeds the transcripts; None for no text.
        progress: show a progress bar.
        positions: of the utterances; all if None.

    Raises:
        InputError: a recording cannot be used; it names file and row.
    """
    positions = range(len(corpus)) if positions is None else positions
    sequences: dict[str, list[Tensor]] = {name: [] for name in (*extractors, *([TEXT] if text is not None else []))}
    for utterance in _with_progress(
        [corpus.utterances[i] for i in positions], "features", progress and bool(extractors)
    ):
        if extractors:
            waveform = _load(corpus, utterance)
            for name, extractor in extractors.items():
                sequences[name].append(extractor(waveform))
        if text is not None:
            with _naming_row(corpus, utterance):
                sequences[TEXT].append(text.embed(utterance.text, utterance.language or None))
    targets = torch.tensor([corpus.labels.index(corpus.utterances[i].emotion) for i in positions])
    return FeatureTable(sequences, targets)


def find_leak(corpus: Corpus, split: Split) -> dict[str, int]:
    """Counts the speakers and texts of the test part, and how many of them the training part has too."""
    leak = {}
    for name in ("speaker", "text"):
        seen, tested = (
            {(u.corpus if name == "speaker" else "", getattr(u, name)) for u in part if getattr(u, name)}
            for part in ([corpus.utterances[i] for i in positions] for positions in (split.train, split.test))
        )
        leak[f"test_{name}s"] = len(tested)
        leak[f"test_{name}s_in_training"] = len(tested & seen)
    return leak


def is_main_process() -> bool:
    """Whether this process writes: with several processes (DDP) only the first does."""
    names = ("LOCAL_RANK", "SLURM_LOCALID", "NODE_RANK", "GROUP_RANK", "SLURM_NODEID")
    return all(os.environ.get(name, "0") == "0" for name in names)


def _output_folder(out: str | Path, overwrite: bool) -> AbstractContextManager[Path]:
    return written_aside(out, overwrite, marker=CONFIG_FILE) if is_main_process() else _discarded_folder()


@contextmanager
def _discarded_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pathosnet-") as folder:
        yield Path(folder)


def _load(corpus: Corpus, utterance: Utterance) -> Tensor:
    assert utterance.audio is not None
    with _naming_row(corpus, utterance):
        return load_audio(utterance.audio)


@contextmanager
def _naming_row(corpus: Corpus, utterance: Utterance) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise InputError(f"{corpus.where(utterance)}: {error}") from error


def _hidden_features(corpus: Corpus, extractor: AcousticExtractor, progress: bool) -> list[Tensor]:
    utterances = _with_progress(corpus.utterances, f"{extractor.name} below its unlocked layer", progress)
    return [extractor.frozen_part(_load(corpus, utterance)) for utterance in utterances]


def _with_progress(utterances: Sequence[Utterance], what: str, progress: bool) -> Iterator[Utterance]:
    shown = None if progress and is_main_process() else True  # None: if there is a terminal to show it
    yield from tqdm(utterances, desc=what, unit="utterance", leave=False, disable=shown)


def _classify(model: PathosNet, table: FeatureTable, positions: Sequence[int], batch_size: int = 32) -> Tensor:
    """Returns probabilities, ``(utterances, classes)``; inputs that the table lacks count as missing."""
    dims = model.network.input_dims
    batches = []
    for start in range(0, len(positions), batch_size):
        rows = positions[start : start + batch_size]
        features = [
            {name: table.sequences[name][i] if name in table.sequences else torch.zeros(0, dims[name]) for name in dims}
            for i in rows
        ]
        batches.append(model.probabilities(features))
    return torch.cat(batches)


def _choose_part(run: Path, corpus: Corpus, part: str) -> tuple[Sequence[int], str]:
    everything = range(len(corpus))
    split_path, run_path = run / SPLIT_FILE, run / RUN_FILE
    described = read_json(run_path) if split_path.is_file() and run_path.is_file() else None
    try:
        trained_on_it = described is not None and described["corpus"]["path"] == str(corpus.path.resolve())
    except (KeyError, TypeError) as error:
        raise InputError(f"{run_path}: names no corpus; it was not written by training, or is damaged") from error
    if part == "all" or (part == "auto" and not trained_on_it):
        note = "; the model was trained on some of them" if trained_on_it else ""
        return everything, f"all {len(corpus)} utterances of {corpus.path}{note}"
    part = "test" if part == "auto" else part
    if not trained_on_it:
        raise InputError(f"{run}: was not trained on {corpus.path}, so that it has no {part} part; evaluate --part all")
    with split_path.open(encoding="utf-8", newline="") as file:
        rows = {int(row["row"]): row for row in csv.DictReader(file)}
    for utterance in corpus.utterances:
        row = rows.get(utterance.row, {})
        if (row.get("audio"), row.get("emotion")) != (str(utterance.audio or ""), utterance.emotion):
            raise InputError(
                f"{corpus.where(utterance)}: is not what it was when {run} was trained, so that its {part} part is not "
                "known any more; evaluate --part all, or restore the manifest"
            )
    positions = [i for i in everything if rows[corpus.utterances[i].row]["part"] == part]
    if not positions:
        raise InputError(f"{run}: has no {part} part; evaluate --part all, or another corpus")
    return positions, f"the {part} part of {corpus.path}, {len(positions)} of {len(corpus)} utterances"


def _write_results(folder: Path, corpus: Corpus, positions: Sequence[int], probabilities: Tensor) -> Metrics:
    utterances = [corpus.utterances[i] for i in positions]
    metrics = measure([corpus.labels.index(u.emotion) for u in utterances], probabilities.numpy(), corpus.labels)
    write_json(folder / METRICS_FILE, asdict(metrics))
    plot_confusion_matrix(metrics.confusion, corpus.labels, folder / CONFUSION_FILE)
    with (folder / PREDICTIONS_FILE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        columns = ("row", "audio", "text", "speaker", "language", "corpus", "emotion", "predicted")
        writer.writerow((*columns, *corpus.labels))
        for utterance, row in zip(utterances, probabilities.tolist(), strict=True):
            predicted = corpus.labels[max(range(len(row)), key=row.__getitem__)]
            known = (utterance.row, utterance.audio or "", utterance.text, utterance.speaker, utterance.language)
            writer.writerow(
                (*known, utterance.corpus, utterance.emotion, predicted, *(f"{value:.8g}" for value in row))
            )
    return metrics


def _write_split(path: Path, corpus: Corpus, split: Split) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("row", "audio", "emotion", "speaker", "part"))
        part_of = {i: name for name, part in split.parts().items() for i in part}
        for i, utterance in enumerate(corpus.utterances):
            audio = utterance.audio or ""
            writer.writerow((utterance.row, audio, utterance.emotion, utterance.speaker, part_of[i]))


def _versions() -> dict[str, str]:
    packages = ("pathosnet", "torch", "torchaudio", "pytorch-lightning", "numpy", "soundfile")
    return {"python": platform.python_version(), **{package: version(package) for package in packages}}
