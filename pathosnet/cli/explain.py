"""``pathosnet explain``."""

import sys
from pathlib import Path

from pathosnet.cli.arguments import Command
from pathosnet.cli.output import print_json, say, say_written
from pathosnet.errors import InputError
from pathosnet.options import Values
from pathosnet.recognizer.shipped import split_model


def explain(
    clip: Values = Values(),
    *,
    text: str | None = None,
    language: str | None = None,
    label: str | None = None,
    seconds: float | None = None,
    plot: Path | None = None,
    json: bool = False,
) -> None:
    """Show what an answer rests on: which moments and words.

    Takes away stretches of sound and words, one after the other, and tells what the model would have said without them;
    and what it says of the voice alone and of the text alone. Names the nearest utterances of the training part, where
    the run kept them.

    Args:
        clip: A model first, if it is not to be the default one: the folder of a run or a model, base, small, or a name
            on the hub. Then a recording; none with --text explains the answer to a text alone.
        text: What is said.
        language: Of the text, such as it; found out if not given.
        label: Emotion or dimension to explain; the most probable emotion, or the first dimension, if not given.
        seconds: Length of what is taken away at once; an eighth of the recording, from 0.25 to 1 s, if not given.
        plot: Draw it into a .png, .svg or .pdf file.
        json: Print JSON.
    """
    from pathosnet.evaluation import check_plot_path
    from pathosnet.prediction.explanation import explain
    from pathosnet.prediction.explanation_plot import plot_explanation
    from pathosnet.recognizer.recognizer import PathosNet

    model, clips = split_model(clip)
    if len(clips) > 1 or not (clips or (text and text.strip())):
        raise InputError(f"expected one recording, or --text, got {len(clips)} recordings")
    if plot:
        check_plot_path(plot)
    audio = clips[0] if clips else None
    found = explain(PathosNet.from_pretrained(model), audio, text, language=language, label=label, seconds=seconds)
    if plot:
        plot_explanation(found, plot, audio)
    if json:
        print_json(found.to_dict())
        say_written(plot, file=sys.stderr)
        return
    said, *warnings = found.text().split("\nwarning: ")
    say(said)
    for warning in warnings:
        say(f"warning: {warning}", sys.stderr)
    say_written(plot)


COMMAND = Command(explain)
