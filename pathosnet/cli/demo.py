"""``pathosnet demo``."""

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

HELP = "Train, test and predict on a small synthetic corpus."


def make_parser() -> ArgumentParser:
    """Makes the command's parser."""
    parser = ArgumentParser(
        usage="pathosnet demo [--out FOLDER]",
        exit_on_error=False,
        description="Trains on a small synthetic corpus that comes with the package (under two minutes), tests on "
        "voices that were held out, saves the model, draws the confusion matrix, and predicts one clip.",
    )
    parser.add_argument("--out", default="runs/demo", help="Folder to write; an earlier demo there is replaced.")
    return parser


def run(options: Namespace) -> None:
    """Runs the command."""
    from pathosnet.demo import run_demo

    run_demo(Path(options.out))
