"""The folder of a run: the model, and all that is known about how it was made and how it did."""

import hashlib
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from torch import Tensor

from pathosnet.corpora import Corpus, Split
from pathosnet.corpora.known import IMPORTERS
from pathosnet.corpora.splits import PARTS, describe_leak, describe_split, find_leak, read_parts, write_folds
from pathosnet.errors import InputError
from pathosnet.evaluation import DimensionMetrics, Metrics
from pathosnet.evaluation.calibration import Calibration
from pathosnet.evaluation.embeddings import plot_embeddings
from pathosnet.evaluation.predictions import PredictionTable, tested_kind
from pathosnet.experiments.config import SETTLED_BY_MODEL, TrainConfig
from pathosnet.experiments.examples import keep_examples
from pathosnet.experiments.groups import card_groups
from pathosnet.files import is_main_process, read_json, write_json, written_aside
from pathosnet.options import Mark
from pathosnet.recognizer.card import CorpusFacts, Facts
from pathosnet.recognizer.folder import CONFIG_FILE
from pathosnet.recognizer.recognizer import PathosNet
from pathosnet.training import StageResult
from pathosnet.training.probe import Probe

RUN_FILE = "run.json"
SPLIT_FILE = "split.csv"
EARLIER_SPLITS = "split-before-{}.csv"
"""Split files of the models that a fine-tuned one began with, the latest first."""
METRICS_FILE = "metrics.json"
PREDICTIONS_FILE = "predictions.csv"
EMBEDDINGS_PICTURE = "embeddings.png"
MACHINE_PATH = re.compile(r"(?<![^=:])(?:/(?!/)|~|[A-Za-z]:[\\\\/])[^=]+")
"""A whole path, alone or after ``LANGUAGE=`` or ``hf:``."""


@dataclass(frozen=True)
class Run:
    """A finished training run."""

    folder: Path
    model: PathosNet
    split: Split
    metrics: Metrics | DimensionMetrics | None
    """On the test part; None if there is none."""
    leak: dict[str, int]
    """How many of the test part's speakers and texts also occur in the training part."""
    calibration: Calibration | None = None
    probe: Probe | None = None
    stages: tuple[StageResult, ...] = ()
    adapted: str = ""
    """How features were adapted to unlabeled recordings, in words; empty if they were not."""

    def kept(self) -> str:
        """Says of which epoch each stage's weights were kept."""

        def describe(stage: StageResult) -> str:
            figures = [f"{n} {stage.best[n]:.3f}" for n in ("val_loss", "val_uar", "val_ccc") if n in stage.best]
            return ", ".join([f"{stage.name}: epoch {stage.best_epoch + 1} of {stage.epochs}", *figures])

        return "; ".join(map(describe, self.stages))


@dataclass(frozen=True)
class FoldRun:
    """Result of training on one fold."""

    model: PathosNet
    stages: list[StageResult]
    outputs: Tensor | None
    """Probabilities or estimates of the test part, ``(utterances, labels)``; None if there is none."""
    joined: Callable[[Sequence[int]], Tensor]
    """Computes what the classifier reads of utterances, ``(utterances, feature_dim)``."""
    calibration: Calibration | None = None
    probe: Probe | None = None
    """A linear model on the same features and parts; None of dimensions, or without a test part."""

    def finished(
        self, folder: Path, split: Split, metrics: Metrics | DimensionMetrics | None, *, leak: dict[str, int]
    ) -> Run:
        """Makes the run that it led to."""
        return Run(
            folder,
            self.model,
            split,
            metrics=metrics,
            leak=leak,
            calibration=self.calibration,
            probe=self.probe,
            stages=tuple(self.stages),
        )


def output_folder(out: str | Path, overwrite: bool) -> AbstractContextManager[Path]:
    """Gives a folder that appears under its name when all is written; a throw-away one to all but the first process."""
    return written_aside(out, overwrite, marker=CONFIG_FILE) if is_main_process() else _discarded_folder()


@contextmanager
def _discarded_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pathosnet-") as folder:
        yield Path(folder)


def identity(corpus: Corpus, config: TrainConfig) -> dict[str, Any]:
    """Returns what two runs have in common that give the same numbers, as JSON values."""
    manifests = [[path.name, hashlib.sha256(path.read_bytes()).hexdigest()[:16]] for path in corpus.paths]
    unimportant = TrainConfig.marked(Mark.CONTINUABLE)
    return {"manifests": manifests} | {k: v for k, v in config.to_dict().items() if k not in unimportant}


def differences(ours: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Names what two runs do not have in common; those of older versions have whole paths of manifests."""
    if isinstance(known := ours.get("manifests"), dict):
        ours = {**ours, "manifests": [[Path(path).name, content] for path, content in known.items()]}
    return [name for name in {**ours, **wanted} if ours.get(name) != wanted.get(name)]


def write_run(
    folder: Path,
    corpus: Corpus,
    split: Split,
    *,
    config: TrainConfig,
    run: FoldRun,
    seconds: float,
    origin: Mapping[str, Any] | None = None,
    earlier: Sequence[Path] = (),
) -> Metrics | DimensionMetrics | None:
    """Writes all that is known about a run into an existing folder, and returns the metrics of the test part.

    Args:
        folder: of the run.
        corpus: what it was trained and tested on.
        split: the parts.
        config: the options.
        run: what it led to.
        seconds: how long it took.
        origin: of a model that was fine-tuned.
        earlier: files of the splits that it was trained on before, the latest first.
    """
    metrics = tested = None
    if run.outputs is not None:
        table = to_table(corpus, split.test, run.outputs, config=config)
        metrics = write_results(folder, table)
        if config.plot_embeddings:
            plot_embeddings(table, run.joined(split.test).numpy(), folder / EMBEDDINGS_PICTURE)
        tested = asdict(metrics) | card_groups(table, [corpus.utterances[i] for i in split.test])
    leak = find_leak(corpus, split)
    facts = facts_of_training(corpus, split, config, leak=leak, metrics=tested)
    if origin:
        before = run.model.facts
        facts = replace(facts, vectors=before.vectors, earlier=(*before.earlier, *before.corpora))
    run.model.facts = facts
    run.model.save_into(folder)
    keep_examples(folder, corpus, split.train, run.joined(split.train))
    write_folds(folder / SPLIT_FILE, corpus, {"part": split})
    for number, path in enumerate(earlier, start=1):
        shutil.copyfile(path, folder / EARLIER_SPLITS.format(number))
    described = describe_run(
        corpus,
        split,
        config,
        stages=run.stages,
        seconds=seconds,
        origin=origin,
        calibration=run.calibration,
        probe=run.probe,
        layer_weights=run.model.network.layer_weights,
    )
    write_json(folder / RUN_FILE, described)
    return metrics


def describe_run(
    corpus: Corpus,
    split: Split,
    config: TrainConfig,
    *,
    stages: Sequence[StageResult],
    seconds: float,
    origin: Mapping[str, Any] | None = None,
    calibration: Calibration | None = None,
    probe: Probe | None = None,
    layer_weights: Mapping[str, Sequence[float]] | None = None,
) -> dict[str, Any]:
    """Returns all that is known about a run on one split, as JSON values; of a fine-tuned model also its origin."""
    settled = SETTLED_BY_MODEL if origin else ()
    return {
        "config": {name: _without_folders(v) for name, v in config.to_dict().items() if name not in settled},
        **({"fine_tuned": dict(origin)} if origin else {}),
        "corpus": {
            "manifests": [path.name for path in corpus.paths],
            "utterances": len(corpus),
            "counts": corpus.counts(),
        },
        "split": {
            "strategy": Path(split.strategy).name,
            **{name: len(part) for name, part in split.parts().items()},
            "guarantee": describe_split(corpus, split),
        },
        "leak": find_leak(corpus, split),
        "stages": [asdict(stage) for stage in stages],
        "calibration": None if calibration is None else asdict(calibration),
        "probe": None if probe is None else asdict(probe),
        **({"layer_weights": dict(layer_weights)} if layer_weights else {}),
        "seconds": round(seconds, 1),
        "versions": versions(),
    }


def _without_folders(value: Any) -> Any:
    """Takes the folders of this machine out of options; names of files stay."""
    if isinstance(value, str):
        return MACHINE_PATH.sub(lambda found: Path(found[0]).name, value)
    if isinstance(value, (list, tuple)):
        return [_without_folders(one) for one in value]
    return {key: _without_folders(one) for key, one in value.items()} if isinstance(value, dict) else value


def facts_of_training(
    corpus: Corpus, split: Split, config: TrainConfig, *, leak: Mapping[str, int], metrics: Mapping[str, Any] | None
) -> Facts:
    """Collects what a training run knows about the model that it made; no paths, which are nobody else's business."""
    names = list(dict.fromkeys(utterance.corpus for utterance in corpus.utterances))
    kept = {name: value for name, value in (metrics or {}).items() if name != "confusion"}
    return Facts(
        tuple(facts_of_corpus(corpus, name) for name in names),
        {
            "strategy": Path(split.strategy).name,
            "guarantee": describe_split(corpus, split),
            "seen_in_training": describe_leak(leak),
            **{name: len(part) for name, part in split.parts().items()},
        },
        dict(leak),
        metrics=kept,
        vectors=tuple(Path(value.rpartition("=")[2]).name for value in config.text),
        seed=config.seed,
    )


def facts_of_corpus(corpus: Corpus, name: str) -> CorpusFacts:
    """Collects what is known about one of the corpora that a manifest holds."""
    utterances = [utterance for utterance in corpus.utterances if utterance.corpus == name]
    languages = sorted({utterance.language for utterance in utterances if utterance.language})
    importer = IMPORTERS.get(name.lower())
    return CorpusFacts(
        name,
        tuple(languages),
        replace(corpus, utterances=tuple(utterances)).counts(),
        utterances=len(utterances),
        source=importer.source if importer else "",
        licence=importer.licence if importer else "",
    )


def to_table(corpus: Corpus, positions: Sequence[int], outputs: Tensor, *, config: TrainConfig) -> PredictionTable:
    """Makes a table of a model's outputs for utterances; see ``Predictions.of``."""
    kind = tested_kind(corpus.target)
    return kind.of(corpus, positions, outputs.numpy(), seed=config.seed, fold=config.fold)


def write_results(folder: Path, table: PredictionTable) -> Metrics | DimensionMetrics:
    """Writes predictions, their figures and a picture of them into an existing folder."""
    metrics: Metrics | DimensionMetrics = table.measure()
    write_json(folder / METRICS_FILE, asdict(metrics))
    for _, part in table.parts():
        part.plot(folder / f"{part.picture}.png")
    table.write(folder / PREDICTIONS_FILE)
    return metrics


def splits_of(run: Path) -> list[Path]:
    """Returns the files of the splits that a run's model was trained on: its own, then those before fine-tuning."""
    found: list[Path] = []
    path = run / SPLIT_FILE
    while path.is_file():
        found.append(path)
        path = run / EARLIER_SPLITS.format(len(found))
    return found


def knows_training(run: Path) -> bool:
    """Whether a folder says of all training of its model, before fine-tuning too, which recordings it saw."""
    described = read_json(run / RUN_FILE) if (run / RUN_FILE).is_file() else {}
    before = described.get("fine_tuned")
    return (run / SPLIT_FILE).is_file() and (not before or bool(before.get("training_known")))


def describe_earlier_training(earlier: Sequence[Path], corpus: Corpus, positions: Sequence[int]) -> str:
    """Says how many of some utterances trained the model that a fine-tuned one began with; empty if none of them."""
    trained = {i for path in earlier for i, part in enumerate(read_parts(path, corpus)[0]) if part == "train"}
    count = len(trained.intersection(positions))
    return f"the model that it was fine-tuned from was trained on {count} of them" if count else ""


def choose_part(run: Path, corpus: Corpus, part: str) -> tuple[Sequence[int], str]:
    """Finds the utterances to evaluate a model on; see ``evaluate``.

    Returns:
        Their positions in the corpus, and a line that says which they are, and how many the model was trained on.

    Raises:
        InputError: the run knows no such part of this corpus.
    """
    if not (run / SPLIT_FILE).is_file():
        if part not in ("all", "auto"):
            raise InputError(f"{run}: holds no {SPLIT_FILE}, so that its {part} part is not known; evaluate --part all")
        said = f"all {len(corpus)} utterances of {corpus.title}; which of them the model was trained on is not known"
        return range(len(corpus)), said
    parts, by_name = read_parts(run / SPLIT_FILE, corpus)
    known = any(one is not None for one in parts)
    # What is new to the run may be tested; what its split left out, because it would join parts, may not.
    wanted = {"all": (*PARTS, "", None), "auto": ("test", None)}.get(part, (part,))
    chosen = [i for i, one in enumerate(parts) if one in wanted]
    name = "test" if part == "auto" else part
    if not known and not chosen:
        raise InputError(
            f"{run}: was not trained on {corpus.title}, so that it has no {name} part; evaluate --part all"
        )
    if not chosen:
        raise InputError(f"{run}: of {corpus.title} it has no {name} part; evaluate --part all, or another corpus")
    new = sum(parts[i] is None for i in chosen)
    if part == "all" or not known:
        which = f"all {len(corpus)} utterances of {corpus.title}"
    else:
        which = f"the {name} part of {corpus.title}" + (
            f" and {new} utterances that are new to the model" if new else ""
        )
        which += f", {len(chosen)} of {len(corpus)} utterances"
    trained, validated = (sum(parts[i] == name for i in chosen) for name in ("train", "validation"))
    said = f"{which}; the model was trained on {trained or 'none'} of them"
    said += f" and validated on {validated}" if validated else ""
    if told := describe_earlier_training(splits_of(run)[1:], corpus, chosen):
        said += f"; {told}"
    if not knows_training(run):
        origin = read_json(run / RUN_FILE)["fine_tuned"]["model"]
        said += f"; which of them the model was trained on before it was fine-tuned ({origin}) is not known"
    return chosen, said + (", told by their names: the run is of an older version" if by_name else "")


def versions() -> dict[str, str]:
    """Returns the versions of what a run depends on, without importing any of it; what is not installed is left out."""
    packages = ("pathosnet", "torch", "torchaudio", "pytorch-lightning", "numpy", "soundfile", "soxr")
    installed = {name: found for name in packages if (found := _installed_version(name))}
    return {"python": platform.python_version(), **installed}


def _installed_version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
