"""``pathosnet predict``."""

import json

from jsonargparse import ArgumentParser, Namespace

from pathosnet.errors import InputError

HELP = "Recognise the emotions of recordings."


def make_parser() -> ArgumentParser:
    """Makes the command's parser."""
    parser = ArgumentParser(
        usage="pathosnet predict MODEL [AUDIO …] [options]",
        exit_on_error=False,
        description="Recognises the emotions of recordings. A model that reads text and voice answers from one of "
        "them, too, but reliably only if it was trained with --modality_dropout.",
    )
    parser.add_argument("model", type=str, help="Folder of a run or a model.")
    parser.add_argument("audio", type=str, nargs="*", help="Audio files; none with --text predicts from text alone.")
    parser.add_argument("--text", type=str, help="What is said (in all of the files).")
    parser.add_argument("--language", type=str, help="Of the text, such as it; found out if not given.")
    parser.add_argument("--json", action="store_true", help="Print one JSON object a line.")
    return parser


def run(options: Namespace) -> None:
    """Runs the command."""
    from pathosnet.recognizer import PathosNet

    if not options.audio and options.text is None:
        raise InputError("expected at least one audio file, or --text")
    model = PathosNet.from_pretrained(options.model)
    for audio in options.audio or [None]:
        prediction = model.predict(audio, options.text, options.language)
        if options.json:
            print(json.dumps({"audio": audio, **prediction.to_dict()}, ensure_ascii=False), flush=True)
        else:
            shown = ", ".join(f"{label} {value:.2f}" for label, value in prediction.probabilities.items())
            print(f"{audio or options.text}: {prediction.label} ({shown})", flush=True)
