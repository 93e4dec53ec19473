"""``pathosnet finetune``."""

from pathlib import Path
from typing import Literal

from pathosnet.cli.arguments import Command
from pathosnet.cli.output import quieten_libraries, say_run
from pathosnet.errors import InputError
from pathosnet.experiments.config import FINETUNE_DEFAULTS, SETTLED_BY_MODEL, TrainConfig
from pathosnet.options import Values
from pathosnet.recognizer.shipped import split_model_and_tables

DEFAULTS = TrainConfig(**FINETUNE_DEFAULTS)


def finetune(
    corpus: Values,
    *,
    out: Path,
    overwrite: bool = False,
    train: Literal["classifier", "branches", "top-layer"] = "branches",
    config: TrainConfig = DEFAULTS,
) -> None:
    """Train a model further on another corpus.

    Trains a model further on a CSV as for training. Where the corpus has other labels, the model's classifier is
    replaced; labels that stay keep their weights.

    Args:
        corpus: The model to begin with, if it is not to be the default one; then CSV files, to which audio paths are
            relative.
        out: Folder to write; it appears when the run has ended.
        overwrite: Replace the folder if it exists.
        train: What is trained: the classifier alone, the branches as well, or also the top layers of pre-trained
            networks.
        config: the options of training.
    """
    from pathosnet.experiments.finetune import finetune

    model, tables = split_model_and_tables(corpus)
    if not tables:
        raise InputError("expected a CSV file to train on")
    quieten_libraries()
    say_run(finetune(model, tables, out, config=config, train=train, overwrite=overwrite))


COMMAND = Command(finetune, without=SETTLED_BY_MODEL)
