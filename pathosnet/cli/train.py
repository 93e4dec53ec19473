"""``pathosnet train``."""

from pathlib import Path

from pathosnet.cli.arguments import Command
from pathosnet.cli.output import quieten_libraries, say_run
from pathosnet.experiments.config import TrainConfig
from pathosnet.options import Values


def train(
    corpus: Values,
    *,
    out: Path,
    overwrite: bool = False,
    resume: bool = False,
    config: TrainConfig,
) -> None:
    """Train on a labeled corpus.

    Trains on a CSV with the columns audio, emotion and, where known, text, speaker, language, corpus, split; tests on
    the part that is held out; writes the model and all that is known about the run.

    Args:
        corpus: CSV files; audio paths are relative to them.
        out: Folder to write; it appears when the run has ended.
        overwrite: Replace the folder if it exists.
        resume: Go on where the same run was interrupted or killed, if it was.
        config: the options of training.
    """
    from pathosnet.experiments.train import train

    quieten_libraries()
    say_run(train(corpus, out, config, overwrite=overwrite, resume=resume))


COMMAND = Command(train, interrupted="nothing was written but checkpoints; the same command with --resume goes on")
