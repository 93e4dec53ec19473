"""``pathosnet transcribe``."""

import json
import sys

from jsonargparse import ArgumentParser, Namespace

from pathosnet.errors import InputError

HELP = "Let a speech recogniser write the texts of a corpus."
INTERRUPTED = "the same command goes on from here"


def make_parser() -> ArgumentParser:
    """Makes the command's parser."""
    parser = ArgumentParser(
        usage="pathosnet transcribe CORPUS.csv --out TRANSCRIBED.csv --recogniser RECOGNISER [--all] [options]",
        exit_on_error=False,
        description="Writes a copy of a corpus' CSV file with the texts that a speech recogniser has heard, and keeps "
        "the texts that were there in the column reference_text. Where both are known, word and character error rates "
        "are measured after removing case, punctuation and tags such as [LAUGHTER]. A run that was interrupted or "
        "killed goes on when the same command is given again.",
    )
    parser.add_argument("corpus", type=str, help="CSV file with the column audio and, if known, text and language.")
    parser.add_argument("--out", type=str, required=True, help="CSV file to write; it appears when all is done.")
    parser.add_argument(
        "--recogniser",
        type=str,
        required=True,
        help="hf:openai/whisper-small (a model of the Hugging Face hub, or a folder; needs pathosnet[asr]); "
        "'command:my-asr --lang {language} {audio}' (a program that prints the text, run without a shell); or "
        "python:my_module:my_function (called with samples at 16 kHz and the language).",
    )
    parser.add_argument("--all", action="store_true", help="Transcribe every row, not only those without a text.")
    parser.add_argument("--timeout", type=float, default=600.0, help="Seconds that a command may take for a recording.")
    parser.add_argument("--overwrite", action="store_true", help="Replace the file if it exists.")
    parser.add_argument("--json", action="store_true", help="Print JSON.")
    return parser


def run(options: Namespace) -> None:
    """Runs the command."""
    from pathosnet.transcription import transcribe

    if options.timeout <= 0:
        raise InputError(f"timeout: expected seconds above 0, got {options.timeout:g}")
    done = transcribe(
        options.corpus,
        options.out,
        options.recogniser,
        options.all,
        options.overwrite,
        options.timeout,
        progress=not options.json,
    )
    if options.json:
        print(json.dumps(done.to_dict(), ensure_ascii=False))
    else:
        print(f"{done.out}: {done.rows} rows, {done.transcribed} transcribed, {len(done.failures)} failed\n")
        print(done.table())
    for failure in done.failures:
        print(f"{options.corpus}, row {failure.row}: {' '.join(failure.error.split())}", file=sys.stderr)
    if done.failures:
        raise InputError(
            f"{len(done.failures)} of {done.rows} recordings could not be transcribed and have no text in {done.out}; "
            "the same command with --overwrite tries them again"
        )
