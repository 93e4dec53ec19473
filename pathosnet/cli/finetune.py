"""``pathosnet finetune``."""

from jsonargparse import ArgumentParser, Namespace

from pathosnet.cli.train import quieten_libraries, report_run
from pathosnet.config import FINETUNE_DEFAULTS, SETTLED_BY_MODEL, TrainConfig

HELP = "Train a model further on a corpus of one's own."
REPEATED = ("--label",)


def make_parser() -> ArgumentParser:
    """Makes the command's parser."""
    parser = ArgumentParser(
        usage="pathosnet finetune MODEL CORPUS.csv [CORPUS.csv …] --out FOLDER [--train PART] [options]",
        exit_on_error=False,
        description="Trains a model further on a CSV as for training. Where the corpus has other labels, the model's "
        "classifier is replaced; labels that stay keep their weights.",
    )
    parser.add_argument("model", type=str, help="The model to begin with.")
    parser.add_argument("corpus", type=str, nargs="+", help="CSV files; audio paths are relative to them.")
    parser.add_argument("--out", type=str, required=True, help="Folder to write; it appears when the run has ended.")
    parser.add_argument("--overwrite", action="store_true", help="Replace the folder if it exists.")
    parser.add_argument(
        "--train",
        choices=["classifier", "branches", "top-layer"],
        default="branches",
        help="What learns: the classifier alone, the branches as well, or also the top layers of pre-trained networks.",
    )
    parser.add_argument("--config", action="config", help="YAML file of the options below.")
    parser.add_class_arguments(TrainConfig, None, skip=set(SETTLED_BY_MODEL))
    parser.set_defaults(FINETUNE_DEFAULTS)
    return parser


def run(options: Namespace) -> None:
    """Runs the command."""
    given = options.as_dict()
    model, corpus, out, overwrite, part = (given.pop(name) for name in ("model", "corpus", "out", "overwrite", "train"))
    del given["config"]
    config = TrainConfig(**given)

    from pathosnet.finetuning import finetune

    quieten_libraries()
    report_run(finetune(model, corpus, out, config, part, overwrite))
