"""``pathosnet transcribe``."""

import sys
from pathlib import Path

from pathosnet.cli.arguments import Command
from pathosnet.cli.output import print_json, say
from pathosnet.errors import InputError


def transcribe(
    corpus: Path,
    *,
    out: Path,
    recognizer: str,
    all: bool = False,
    timeout: float = 600.0,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Let a speech recognizer write the texts of a corpus.

    Writes a copy of a corpus' CSV file with the texts that a speech recognizer has heard, and keeps the texts that were
    there in the column reference_text. Where both are known, word and character error rates are measured after removing
    case, punctuation and tags such as [LAUGHTER]. A run that was interrupted or killed goes on when the same command is
    given again.

    Args:
        corpus: CSV file with the column audio and, if known, text and language.
        out: CSV file to write; it appears when all is done.
        recognizer: hf:openai/whisper-small (a model of the Hugging Face hub, or a folder; needs pathosnet[asr]);
            'command:my-asr --lang {language} {audio}' (a program that prints the text, run without a shell); or
            python:my_module:my_function (called with samples at 16 kHz and the language).
        all: Transcribe every row, not only those without a text.
        timeout: Seconds that a command may take for a recording.
        overwrite: Replace the file if it exists.
        json: Print JSON.
    """
    from pathosnet.experiments.transcribe import transcribe

    if timeout <= 0:
        raise InputError(f"timeout: expected seconds above 0, got {timeout:g}")
    done = transcribe(
        corpus, out, recognizer, all_rows=all, overwrite=overwrite, timeout_seconds=timeout, progress=not json
    )
    if json:
        print_json(done.to_dict())
    else:
        counts = f"{done.rows} rows, {done.transcribed} transcribed, {len(done.failures)} failed"
        say(f"{done.out}: {counts}\n\n{done.table()}")
    for failure in done.failures:
        say(f"{corpus}, row {failure.row}: {' '.join(failure.error.split())}", sys.stderr)
    if done.failures:
        raise InputError(
            f"{len(done.failures)} of {done.rows} recordings could not be transcribed and have no text in {done.out}; "
            "the same command with --overwrite tries them again"
        )


COMMAND = Command(
    transcribe,
    interrupted="the same command goes on from here",
    aliases={"recognizer": ("--recogniser",)},  # as it was spelled first
)
