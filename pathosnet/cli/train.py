"""``pathosnet train``."""

import logging
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from pathosnet.config import TrainConfig
from pathosnet.presets import preset_names

if TYPE_CHECKING:
    from pathosnet.experiment import Run

HELP = "Train on a labelled corpus."
REPEATED = ("--text", "--text_map", "--label")
"""Options that may be given several times."""


def make_parser() -> ArgumentParser:
    """Makes the command's parser."""
    parser = ArgumentParser(
        usage="pathosnet train CORPUS.csv [CORPUS.csv …] --out FOLDER [options]",
        exit_on_error=False,
        description="Trains on a CSV with the columns audio, emotion and, where known, text, speaker, language, "
        "corpus, split; tests on the part that is held out; writes the model and all that is known about the run. "
        "Options may be written with dashes (--batch-size) or, as in YAML, with underscores.",
    )
    parser.add_argument("corpus", type=str, nargs="+", help="CSV files; audio paths are relative to them.")
    parser.add_argument("--out", type=str, required=True, help="Folder to write; it appears when the run has ended.")
    parser.add_argument("--overwrite", action="store_true", help="Replace the folder if it exists.")
    add_config_arguments(parser)
    parser.add_class_arguments(TrainConfig, None)
    return parser


def add_config_arguments(parser: ArgumentParser) -> None:
    """Adds the options that take many others from a file."""
    names = ", ".join(preset_names())
    parser.add_argument("--preset", type=str, help=f"Configuration by name: {names}. Other options change it.")
    parser.add_argument("--config", action="config", help="YAML file of the options below.")


def run(options: Namespace) -> None:
    """Runs the command."""
    given = options.as_dict()
    corpus, out, overwrite = given.pop("corpus"), given.pop("out"), given.pop("overwrite")
    del given["config"], given["preset"]
    config = TrainConfig(**given)

    from pathosnet.experiment import train

    quieten_libraries()
    report_run(train(corpus, out, config, overwrite))


def report_run(run: "Run") -> None:
    """Prints what a run led to."""
    from pathosnet.corpora.leaks import describe_leak
    from pathosnet.corpus_features import is_main_process

    if not is_main_process():
        return
    parts = ", ".join(f"{name} {len(part)}" for name, part in run.split.parts().items())
    print(f"split:  {run.split.strategy} ({parts})")
    if run.metrics is not None:
        print(f"test:   {run.metrics.summary()}")
        print(f"leak:   {describe_leak(run.leak)}")
    if run.calibration is not None:
        print(f"trust:  {run.calibration.summary()}")
    print(f"saved:  {run.folder}")


def quieten_libraries() -> None:
    """Leaves it to this library to say what happens."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
