"""Support vector machines and logistic regression on pooled features: what a network has to beat, on the same folds."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from pathosnet.corpora import Split, make_folds
from pathosnet.errors import InputError
from pathosnet.experiments.config import TrainConfig
from pathosnet.experiments.cross_validate import CrossValidation, fold_folder, open_run, summarize
from pathosnet.experiments.prepare import PreparedCorpus, prepare, read_corpus
from pathosnet.experiments.run_folder import RUN_FILE, describe_run, to_table, write_results
from pathosnet.features.table import FeatureTable
from pathosnet.files import write_json
from pathosnet.options import Values


@dataclass(frozen=True)
class Classifier:
    """A classifier of scikit-learn.

    Args:
        about: for people.
        strength: its usual ``C``; smaller is more regularized.
        make: makes one with a given ``C``, classes weighted inversely to their frequency.
    """

    about: str
    strength: float
    make: Callable[[float], Any]


CLASSIFIERS = {
    "svm": Classifier(
        "support vector machine with an RBF kernel",
        1.0,
        lambda strength: SVC(C=strength, class_weight="balanced"),
    ),
    "linear-svm": Classifier(
        "linear support vector machine",
        0.1,
        lambda strength: SVC(C=strength, kernel="linear", class_weight="balanced"),
    ),
    "logistic": Classifier(
        "logistic regression",
        0.003,
        lambda strength: LogisticRegression(C=strength, class_weight="balanced", max_iter=2000),
    ),
}


def baseline(
    corpora: Sequence[str | Path],
    out: str | Path,
    config: TrainConfig | None = None,
    *,
    classifier: str = "svm",
    strength: float | None = None,
    overwrite: bool = False,
    command: str | None = None,
) -> CrossValidation:
    """Fits a classifier to pooled acoustic features on every fold, tests on the fold that was held out, and reports.

    Features are averaged over time, those of several kinds put side by side, and standardized by the training and the
    validation part, which the classifier is fitted to together: it has no epochs to choose. Texts are not read. The
    folder holds what ``cross_validate`` writes, so that ``compare`` pairs the two.

    Args:
        corpora: manifests, see ``read_manifest``.
        out: folder of the run.
        config: labels, folds (``split``) and features; options of networks and their training are not used.
        classifier: ``svm``, ``linear-svm`` or ``logistic``.
        strength: scikit-learn's ``C``; 1, 0.1 and 0.003 if None.
        overwrite: replace another run in the folder.
        command: for the report.

    Raises:
        InputError: a file, a row or an option cannot be used, or the folder holds another run.
    """
    if classifier not in CLASSIFIERS:
        raise InputError(f"classifier: expected {', '.join(CLASSIFIERS)}, got {classifier!r}")
    strength = CLASSIFIERS[classifier].strength if strength is None else strength
    if not 0 < strength < float("inf"):
        raise InputError(f"strength: expected a number above 0, got {strength}")
    config = replace(config or TrainConfig(), text=Values())
    if config.targets:
        raise InputError("baseline: classifies emotions; with targets expected none. Leave --targets out")
    out = Path(out)
    corpus = read_corpus(corpora, config)
    splits = make_folds(
        corpus, config.split, config.num_folds, validation_fraction=config.validation_fraction, seed=config.seed
    )
    if not all(split.test for split in splits):
        raise InputError(f"{corpus.title}: a fold has no test part; expected one to evaluate")
    open_run(
        out,
        corpus,
        splits,
        config=config,
        seeds=[config.seed],
        overwrite=overwrite,
        further={"classifier": classifier, "strength": strength},
    )
    missing = [k for k in range(len(splits)) if not fold_folder(out, config.seed, k).is_dir()]
    if missing:
        prepared = prepare(corpus, config)
        pooled = pool(prepared.table)
        for k in missing:
            model = CLASSIFIERS[classifier].make(strength)
            _run_fold(
                fold_folder(out, config.seed, k),
                prepared,
                splits[k],
                config=replace(config, fold=k),
                pooled=pooled,
                classifier=model,
            )
    return summarize(out, corpus, splits, config=config, seeds=[config.seed], command=command)


def pool(table: FeatureTable) -> np.ndarray:
    """Averages every sequence over time, and puts those of an utterance side by side; empty ones become zeros.

    Returns:
        ``(utterances, features)``.
    """
    columns = []
    for sequences in table.sequences.values():
        rows = [row.float().mean(dim=0) if len(row) else torch.zeros(row.shape[1]) for row in sequences]
        columns.append(torch.stack(rows))
    return torch.cat(columns, dim=1).numpy()


def _run_fold(
    folder: Path, prepared: PreparedCorpus, split: Split, config: TrainConfig, pooled: np.ndarray, classifier: Any
) -> None:
    aside = folder.with_name(f"{folder.name}.partial")
    aside.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    seen, tested = list(split.train + split.validation), list(split.test)
    truth = prepared.table.targets.numpy()
    model = make_pipeline(StandardScaler(), classifier).fit(pooled[seen], truth[seen])
    outputs = _probabilities(model, pooled[tested], len(prepared.corpus.labels))
    write_results(aside, to_table(prepared.corpus, split.test, outputs, config=config))
    write_json(
        aside / RUN_FILE, describe_run(prepared.corpus, split, config, stages=[], seconds=time.monotonic() - started)
    )
    os.rename(aside, folder)


def _probabilities(model: Any, features: np.ndarray, num_labels: int) -> torch.Tensor:
    """Makes something like probabilities of decision values; the largest is that of the label that is predicted.

    A support vector machine predicts by votes of pairs of labels, and of equal votes the first label, whatever its
    decision values say.
    """
    decided = np.asarray(model.decision_function(features))
    if decided.ndim == 1:  # of two labels, for the second
        decided = decided[:, None] * np.array([-0.5, 0.5])
    predicted = np.searchsorted(model.classes_, model.predict(features))
    rows = np.arange(len(features))
    decided[rows, predicted] = np.maximum(decided[rows, predicted], decided.max(axis=1) + 1e-6)
    scores = np.full((len(features), num_labels), -np.inf)
    scores[:, model.classes_] = decided
    return torch.softmax(torch.from_numpy(scores), dim=1)
