"""``pathosnet demo``."""

from pathlib import Path

from pathosnet.cli.arguments import Command


def demo(*, out: Path = Path("runs/demo"), overwrite: bool = False) -> None:
    """Train, test and predict on a small synthetic corpus.

    Trains on a small synthetic corpus that comes with the package (under two minutes), tests on voices that were held
    out, saves the model, draws the confusion matrix, and predicts one clip.

    Args:
        out: Folder to write.
        overwrite: Replace an earlier demo there.
    """
    from pathosnet.experiments.demo import run_demo

    run_demo(out, overwrite=overwrite)


COMMAND = Command(demo)
