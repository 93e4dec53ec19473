"""``pathosnet predict``."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from jsonargparse import ArgumentParser, Namespace

from pathosnet.errors import InputError
from pathosnet.prediction.segmentation import Cutting

if TYPE_CHECKING:
    from pathosnet.prediction.inputs import PredictionInput
    from pathosnet.recognizer import PathosNet, Prediction

HELP = "Recognise the emotions of recordings, or of one long recording over time."
SOME_FAILED = 1
"""The exit code where something could not be used and the rest was predicted."""


def make_parser() -> ArgumentParser:
    """Makes the command's parser."""
    parser = ArgumentParser(
        usage="pathosnet predict MODEL [INPUT …] [--out FILE] [options], "
        "or pathosnet predict MODEL RECORDING --timeline FILE [--plot FILE] [options]",
        exit_on_error=False,
        description="Recognises the emotions of recordings. Inputs are recordings, folders, quoted patterns "
        "('clips/**/*.wav') and CSV files with the columns audio, text and language, as far as they are known. "
        "Recordings that cannot be used do not stop the others; the exit code is then 1. "
        "A model that reads text and voice answers from one of them, too, but reliably only if it was trained with "
        "--modality_dropout. With --timeline or --plot, one long recording is cut into segments.",
    )
    parser.add_argument("model", type=str, help="Folder of a run or a model.")
    parser.add_argument("inputs", type=str, nargs="*", help="What to predict; nothing with --text predicts text alone.")
    parser.add_argument("--text", type=str, help="What is said (where no row of a CSV file says it).")
    parser.add_argument("--language", type=str, help="Of the text, such as it; found out if not given.")
    parser.add_argument("--json", action="store_true", help="Print one JSON object a line.")
    parser.add_argument("--out", type=str, help="Write a .csv or .jsonl file; it appears when all is done.")
    parser.add_argument("--overwrite", action="store_true", help="Replace files that exist.")
    parser.add_argument("--device", type=str, default="cpu", help="Where to compute: cpu, cuda, cuda:1, mps …")
    parser.add_argument("--workers", type=int, help="Processes that read recordings; as many as suit if not given.")
    parser.add_argument("--timeline", type=str, help="Write the segments of one recording to a .csv or .jsonl file.")
    parser.add_argument("--plot", type=str, help="Draw the segments of one recording into a .png, .svg or .pdf file.")
    parser.add_argument("--transcript", type=str, help="What is said in it and when, an .srt or .vtt file.")
    parser.add_class_arguments(Cutting, None)
    return parser


def run(options: Namespace) -> None:
    """Runs the command."""
    cutting = Cutting(**{name: options[name] for name in Cutting.__dataclass_fields__})
    if options.timeline or options.plot:
        _predict_timeline(options, cutting)
        return
    if options.transcript or cutting != Cutting():
        raise InputError("options for segments need --timeline FILE or --plot FILE")
    _predict_inputs(options)


def _predict_inputs(options: Namespace) -> None:
    from contextlib import ExitStack

    from pathosnet.prediction.inputs import PredictionInput, find_inputs, predict_inputs
    from pathosnet.prediction.tables import check_table_path, table_written

    if not options.inputs and not (options.text and options.text.strip()):
        raise InputError("expected at least one recording, folder or CSV file, or --text")
    if options.workers is not None and options.workers < 0:
        raise InputError(f"workers: expected 0 or more, got {options.workers}")
    if options.out:
        check_table_path(options.out)
    model = _load(options)
    inputs = find_inputs(options.inputs, options.text, options.language)
    inputs = inputs or [PredictionInput(None, options.text, options.language)]
    failed = 0
    with ExitStack() as stack:
        if options.out:
            columns = _columns(inputs, model)
            add = stack.enter_context(table_written(options.out, columns, options.overwrite))
        for one, answer in predict_inputs(model, inputs, options.workers):
            if isinstance(answer, InputError):
                failed += 1
                _say(f"error: {' '.join(str(answer).split())}", sys.stderr)
            if options.out:
                add(_record(one, answer, model, Path(options.out)))
            elif options.json:
                _say(json.dumps(_record(one, answer, model), ensure_ascii=False), sys.stdout)
            elif not isinstance(answer, InputError):
                _say(f"{one.name}: {_shown(answer)}", sys.stdout)
    if options.out and options.json:
        print(json.dumps({"out": options.out, "predicted": len(inputs) - failed, "failed": failed}))
    elif options.out:
        print(f"{options.out}: {len(inputs) - failed} predicted, {failed} failed")
    if failed:
        sys.exit(SOME_FAILED)


def _load(options: Namespace) -> "PathosNet":
    import torch

    from pathosnet.recognizer import PathosNet

    try:
        torch.zeros(1, device=options.device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # PyTorch has no kind of its own for this
        reason = str(error).splitlines()[0]
        raise InputError(f"device: expected one that PyTorch has here, got {options.device!r} ({reason})") from error
    return PathosNet.from_pretrained(options.model).to(options.device)


def _columns(inputs: "list[PredictionInput]", model: "PathosNet") -> list[str]:
    """Returns the output's columns: those that the inputs have, then the predictions."""
    known = dict.fromkeys(name for one in inputs for name in one.columns)
    audio = ["audio"] if any(one.audio for one in inputs) else []
    return [*audio, *known, *_answer_columns(model), "error"]


def _answer_columns(model: "PathosNet") -> list[str]:
    return [*([] if model.dimensional else ["label"]), *model.labels]


def _record(
    one: "PredictionInput", answer: "Prediction | InputError", model: "PathosNet", out: Path | None = None
) -> dict[str, Any]:
    """Returns a row of the output as JSON values; paths in a CSV file are relative to it."""
    from pathosnet.prediction.inputs import relative_audio

    is_csv = out is not None and out.suffix.lower() == ".csv"
    audio = relative_audio(one.audio, out.parent) if out and is_csv else one.audio and str(one.audio)
    if isinstance(answer, InputError):
        found: dict[str, Any] = {"error": " ".join(str(answer).split())}
        found |= {} if model.dimensional else {"label": None}
    else:
        found = answer.to_dict()
    return {"audio": audio, **found, **({"columns": dict(one.columns)} if one.columns else {})}


def _say(line: str, file: TextIO) -> None:
    """Prints a line above the progress bar, if there is one."""
    from tqdm import tqdm

    with tqdm.external_write_mode(file):
        print(line, file=file, flush=True)


def _shown(answer: "Prediction") -> str:
    return f"{answer.label} ({_named(answer.probabilities)})" if answer.label else _named(answer.dimensions)


def _named(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in values.items())


def _predict_timeline(options: Namespace, cutting: Cutting) -> None:
    from contextlib import ExitStack

    from pathosnet.evaluation import check_plot_path
    from pathosnet.prediction.tables import check_table_path, table_written
    from pathosnet.prediction.timeline import COLUMNS, overview, predict_timeline
    from pathosnet.prediction.timeline_plot import plot_timeline

    if len(options.inputs) != 1:
        raise InputError(f"--timeline and --plot take one recording, got {len(options.inputs)}")
    if options.text is not None:
        raise InputError("--text is for short recordings; give the words of a long one with --transcript FILE.srt")
    if options.out:
        raise InputError("--out is for several recordings; the segments of one are written to --timeline")
    if options.timeline:
        check_table_path(options.timeline)
    if options.plot:
        check_plot_path(options.plot)
    model = _load(options)
    (audio,) = options.inputs
    segments = []
    with ExitStack() as stack:
        if options.timeline:
            columns = [*COLUMNS, *_answer_columns(model), "text"]
            add = stack.enter_context(table_written(options.timeline, columns, options.overwrite))
        for segment in predict_timeline(model, audio, cutting, options.transcript, options.language, progress=True):
            segments.append(segment)
            if options.timeline:
                add(segment.to_dict())
    if options.plot:
        plot_timeline(segments, options.plot)
    told = overview(segments)
    if options.json:
        print(json.dumps({"audio": audio, **told}, ensure_ascii=False))
        return
    if model.dimensional:
        shown = f"means: {_named(told['means'])}"
    else:
        shown = ", ".join(f"{label} {share:.0%}" for label, share in told["shares"].items()) + " of it"
    print(f"{audio}: {told['segments']} segments, {told['seconds']:.1f} s ({shown})")
