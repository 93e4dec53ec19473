"""A saved model, measured on a labelled corpus."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from pathosnet.corpora import read_manifest
from pathosnet.corpora.contents import identify
from pathosnet.corpora.manifest import check_column
from pathosnet.errors import InputError
from pathosnet.evaluation.embeddings import plot_embeddings as draw_embeddings
from pathosnet.evaluation.groups import GroupFigures, measure_groups
from pathosnet.evaluation.predictions import PredictionTable
from pathosnet.experiments.config import AUTO, TrainConfig
from pathosnet.experiments.prepare import extraction_device, open_store, profile_groups, say_notes
from pathosnet.experiments.run_folder import RUN_FILE, choose_part, to_table
from pathosnet.features.extract import extract_features
from pathosnet.features.profile import adapt_table, describe_adaptation
from pathosnet.features.table import FeatureTable
from pathosnet.files import read_json, to_path
from pathosnet.options import parse_pairs
from pathosnet.recognizer.recognizer import PathosNet


@dataclass(frozen=True)
class Tested:
    """Answers of a model about a labelled corpus.

    Args:
        predictions: beside the truth.
        what: whether features were adapted, what was measured, and how much of it the model was trained on.
        columns: name → the cell of each utterance, of the columns of the manifest that were asked for.
    """

    predictions: PredictionTable
    what: str
    columns: Mapping[str, Sequence[str]]

    def by_group(self) -> list[GroupFigures]:
        """Returns the figures of each group that the columns make; see ``pathosnet.evaluation.groups``."""
        return measure_groups(self.predictions, self.columns)


def evaluate(run: str | Path, corpus_path: str | Path, part: str = "auto", **options: Any) -> tuple[Any, str]:
    """Measures a saved model on a labelled corpus.

    Args:
        run: folder of the run or the model.
        corpus_path: the manifest.
        part: see ``predict_corpus``.
        **options: see ``predict_corpus``.

    Returns:
        The ``Metrics`` or ``DimensionMetrics``, and a line that says whether features were adapted, what was measured,
        and how much of it the model was trained on.

    Raises:
        InputError: a file, a row or an option cannot be used.
    """
    tested = predict_corpus(run, corpus_path, part, **options)
    return tested.predictions.measure(), tested.what


def predict_corpus(
    run: str | Path,
    corpus_path: str | Path,
    part: str = "auto",
    *,
    by: Sequence[str] = (),
    label: Sequence[str] = (),
    drop_labels: Sequence[str] = (),
    use_audio: bool = True,
    use_text: bool = True,
    progress: bool = True,
    plot: str | Path | None = None,
    plot_embeddings: str | Path | None = None,
    normalize: Literal["none", "speaker", "corpus"] | None = None,
    workers: int | None = None,
    feature_store: str = AUTO,
    accelerator: str = AUTO,
) -> Tested:
    """Asks a saved model about a labelled corpus.

    Args:
        run: folder of the run or the model.
        corpus_path: the manifest.
        part: ``train``, ``validation``, ``test`` (recordings that were in this part when the model was trained,
            wherever they are now), ``all`` rows, or ``auto``: the test part of the corpus that the model was trained
            on, with what has come to it since; all rows of any other.
        by: columns of the manifest whose groups are to be told apart, such as sex or speaker.
        label: the corpus' own spellings, SPELLING=EMOTION.
        drop_labels: spellings whose rows are left out.
        use_audio: False takes the voice away.
        use_text: False takes the text away.
        progress: show a progress bar.
        plot: a picture to draw: the confusion matrix, or estimates over the truth.
        plot_embeddings: another one: what the classifier reads, see ``pathosnet.evaluation.embeddings``.
        normalize: adapt the features to the unlabeled recordings of each speaker or corpus, among the rows that are
            measured; None for what the run was trained with, which is none of models without a ``run.json``.
        workers: processes that read recordings; see ``TrainConfig``, as for the following.
        feature_store: folder that keeps the features of recordings; auto, or none.
        accelerator: where to compute: auto, cpu, gpu, …

    Raises:
        InputError: a file, a row or an option cannot be used.
    """
    hardware = TrainConfig(workers=workers, feature_store=feature_store, accelerator=accelerator)
    device = extraction_device(hardware)
    model = PathosNet.from_pretrained(run)
    use_audio = use_audio and bool(len(model.acoustic))
    use_text = use_text and model.text is not None
    if not (use_audio or use_text):
        raise InputError(f"{run}: nothing is left that this model reads; leave it its audio or its text")
    adaptation = _choose_normalization(run, model, normalize, use_audio=use_audio)
    spellings = parse_pairs(tuple(label), "--label")
    corpus = read_manifest(corpus_path, model.target, spellings, drop_labels=drop_labels, needs_audio=use_audio)
    for name in by:
        check_column(corpus, name)
    corpus = identify(corpus, drop_useless=False) if use_audio else corpus
    say_notes(corpus)
    positions, what = choose_part(to_path(run), corpus, part)
    table = extract_features(
        corpus,
        dict(model.acoustic.items()) if use_audio else {},  # type: ignore[arg-type]
        model.text if use_text else None,
        progress=progress,
        positions=positions,
        workers=workers,
        store=open_store(hardware),
        device=device,
    )
    if groups := profile_groups(corpus, adaptation):
        table = replace(table, groups=tuple(groups[i] for i in positions))
        what = f"{describe_adaptation(adaptation)}; {what}"
    model.to(device)
    said = to_table(corpus, positions, compute_outputs(model, table, range(len(table))), config=TrainConfig())
    if plot is not None:
        said.plot(plot)
    if plot_embeddings is not None:
        draw_embeddings(said, compute_joined(model, table, range(len(table))).numpy(), plot_embeddings)
    chosen = [corpus.utterances[i] for i in positions]
    return Tested(said, what, {name: [utterance.cell(name) for utterance in chosen] for name in by})


def _choose_normalization(run: str | Path, model: PathosNet, asked: str | None, use_audio: bool) -> str:
    """Returns whose recordings features are adapted to: as asked, else as the run was trained."""
    if asked not in (None, "none", "speaker", "corpus"):
        raise InputError(f"normalize: expected none, speaker or corpus, got {asked!r}")
    if asked is None:
        described = to_path(run) / RUN_FILE
        known = read_json(described) if described.is_file() else {}
        return str(known.get("config", {}).get("normalize", "none")) if use_audio else "none"
    if asked != "none" and not (use_audio and model.network.centers):
        raise InputError(
            f"normalize: {asked} needs a model with acoustic features that were standardized in training, and its "
            f"audio; evaluate {run} with --normalize none"
        )
    return asked


def compute_outputs(model: PathosNet, table: FeatureTable, positions: Sequence[int]) -> Tensor:
    """Returns probabilities or estimates, ``(utterances, labels)``; inputs that the table lacks count as missing.

    Of an utterance that is adapted, the temperature is that of a profile of so many recordings as its group has.
    """
    logits = compute_logits(model, table, positions)
    if not (table.groups and model.profile_calibration):
        return model.target.decode(logits, model.calibration_temperature)
    sizes = Counter(table.groups[i] for i in positions)
    temperatures = [
        model.profile_calibration.temperature_of(model.calibration_temperature, sizes[table.groups[i]])
        for i in positions
    ]
    rows = zip(logits.split(1), temperatures, strict=True)
    return torch.cat([model.target.decode(row, temperature) for row, temperature in rows])


def compute_logits(model: PathosNet, table: FeatureTable, positions: Sequence[int]) -> Tensor:
    """Returns logits or estimates, ``(utterances, labels)``; inputs that the table lacks count as missing.

    Where the table has ``groups``, each utterance is adapted to the profile of its group's recordings at the positions.
    """
    return _by_batches(model.logits, model, table, positions)


def compute_joined(model: PathosNet, table: FeatureTable, positions: Sequence[int]) -> Tensor:
    """Returns what the classifier reads, ``(utterances, feature_dim)``, of utterances as in ``compute_logits``."""
    return _by_batches(model.joined, model, table, positions)


def _by_batches(
    compute: Callable[[Sequence[Mapping[str, Tensor]]], Tensor],
    model: PathosNet,
    table: FeatureTable,
    positions: Sequence[int],
    *,
    batch_size: int = 32,
) -> Tensor:
    if table.groups and positions:
        table, positions = adapt_table(table.subset(positions), model.network.centers), range(len(positions))
    dims, device = model.network.input_dims, model.device
    batches = []
    for start in range(0, len(positions), batch_size):
        rows = positions[start : start + batch_size]
        features = [
            {
                name: (table.sequences[name][i] if name in table.sequences else torch.zeros(0, dims[name])).to(device)
                for name in dims
            }
            for i in rows
        ]
        batches.append(compute(features))
    return torch.cat(batches)
