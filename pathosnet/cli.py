"""The command ``pathosnet``."""

import json
import logging
import os
import sys
from pathlib import Path

from jsonargparse import ArgumentError, ArgumentParser, Namespace, set_parsing_settings
from jsonargparse.typing import register_type

from pathosnet import __version__
from pathosnet.config import Names, TrainConfig, Values
from pathosnet.errors import InputError

INPUT_ERROR = 2
REPEATED = ("--text", "--text_map", "--label")  # options of `train` that may be given several times


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line. A person's mistake ends in one line on stderr and exit code 2."""
    # Before PyTorch is loaded: OpenMP's threads else wait in a busy loop for each other, and training becomes ten times
    # slower as soon as another program wants the same cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    arguments = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        options = build_parser().parse_args(_normalised(arguments))
    except ArgumentError as error:
        command = next((f" {argument}" for argument in arguments if argument in COMMANDS), "")
        message = " ".join(str(error).split()).rstrip(".").replace(f" {command.strip()}.", " --")
        print(f"error: {message}; see pathosnet{command} --help", file=sys.stderr)
        sys.exit(INPUT_ERROR)
    try:
        COMMANDS[options.subcommand](options[options.subcommand])
    except InputError as error:
        if options.debug:
            raise
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(INPUT_ERROR)
    except KeyboardInterrupt:
        if options.debug:
            raise
        print("interrupted; nothing was written", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone: `pathosnet predict … | head`
        sys.exit(0)


def build_parser() -> ArgumentParser:
    """Makes the parser of all commands."""
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    for kind in (Names, Values):
        register_type(kind, serializer=list, deserializer=kind.parse, deserializer_exceptions=(TypeError, ValueError))
    parser = ArgumentParser(
        prog="pathosnet",
        description="Recognises emotions in speech and its transcript.",
        version=__version__,
        exit_on_error=False,
    )
    parser.add_argument("--debug", action="store_true", help="Show the traceback of an error.")
    commands = parser.add_subcommands(title="commands", metavar="COMMAND")
    commands.add_subcommand("demo", _demo_parser(), help="Train, test and predict on a small synthetic corpus.")
    commands.add_subcommand("train", _train_parser(), help="Train on a labelled corpus.")
    commands.add_subcommand("evaluate", _evaluate_parser(), help="Measure a model on a labelled corpus.")
    commands.add_subcommand("predict", _predict_parser(), help="Recognise the emotions of recordings.")
    return parser


def _demo_parser() -> ArgumentParser:
    parser = ArgumentParser(
        usage="pathosnet demo [--out FOLDER]",
        exit_on_error=False,
        description="Trains on a small synthetic corpus that comes with the package (under two minutes), tests on "
        "voices that were held out, saves the model, draws the confusion matrix, and predicts one clip.",
    )
    parser.add_argument("--out", default="runs/demo", help="Folder to write; an earlier demo there is replaced.")
    return parser


def _train_parser() -> ArgumentParser:
    parser = ArgumentParser(
        usage="pathosnet train CORPUS.csv --out FOLDER [options]",
        exit_on_error=False,
        description="Trains on a CSV with the columns audio, emotion and, where known, text, speaker, language, "
        "corpus, split; tests on the part that is held out; writes the model and all that is known about the run. "
        "Options may be written with dashes (--batch-size) or, as in YAML, with underscores.",
    )
    parser.add_argument("corpus", type=str, help="The CSV file; audio paths are relative to it.")
    parser.add_argument("--out", type=str, required=True, help="Folder to write; it appears when the run has ended.")
    parser.add_argument("--overwrite", action="store_true", help="Replace the folder if it exists.")
    parser.add_argument("--config", action="config", help="YAML file of the options below.")
    parser.add_class_arguments(TrainConfig, None)
    return parser


def _evaluate_parser() -> ArgumentParser:
    parser = ArgumentParser(
        usage="pathosnet evaluate MODEL CORPUS.csv [options]",
        exit_on_error=False,
        description="Measures a saved model on a labelled corpus.",
    )
    parser.add_argument("run", type=str, help="Folder of a run or a model.")
    parser.add_argument("corpus", type=str, help="CSV file as for training.")
    parser.add_argument(
        "--part",
        choices=["auto", "train", "validation", "test", "all"],
        default="auto",
        help="Which rows; auto: the test part of the corpus that the model was trained on, all rows of any other.",
    )
    parser.add_argument("--label", action="append", type=str, help="SPELLING=EMOTION; may be repeated.")
    parser.add_argument("--drop_labels", type=Names, default=Names(), help="Spellings whose rows are left out.")
    parser.add_argument("--without", choices=["text", "audio"], help="Take one of the inputs away from the model.")
    parser.add_argument("--plot", type=str, help="Draw the confusion matrix into this .png or .svg file.")
    parser.add_argument("--json", action="store_true", help="Print JSON.")
    return parser


def _predict_parser() -> ArgumentParser:
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


def _run_demo(options: Namespace) -> None:
    from pathosnet.demo import run_demo

    run_demo(Path(options.out))


def _run_train(options: Namespace) -> None:
    given = options.as_dict()
    corpus, out, overwrite = given.pop("corpus"), given.pop("out"), given.pop("overwrite")
    given.pop("config")
    config = TrainConfig(**given)

    from pathosnet.experiment import is_main_process, train

    _quieten_libraries()
    run = train(corpus, out, config, overwrite)
    if is_main_process():
        parts = ", ".join(f"{name} {len(part)}" for name, part in run.split.parts().items())
        print(f"split:  {run.split.strategy} ({parts})")
        if run.metrics is not None:
            print(f"test:   {run.metrics.summary()}")
            print(f"leak:   {describe_leak(run.leak)}")
        print(f"saved:  {run.folder}")


def _run_evaluate(options: Namespace) -> None:
    from dataclasses import asdict

    from pathosnet.evaluation import check_plot_path, plot_confusion_matrix
    from pathosnet.experiment import evaluate

    if options.plot:
        check_plot_path(options.plot)
    metrics, what = evaluate(
        options.run,
        options.corpus,
        options.part,
        options.label or (),
        options.drop_labels,
        use_audio=options.without != "audio",
        use_text=options.without != "text",
        progress=not options.json,
    )
    if options.plot:
        plot_confusion_matrix(metrics.confusion, list(metrics.recalls), options.plot)
    if options.json:
        print(json.dumps({"what": what, **asdict(metrics)}, ensure_ascii=False))
        return
    print(f"{what}\n{metrics.summary()}\n")
    width = max(len(label) for label in metrics.recalls) + 2
    print("true \\ predicted".ljust(width + 8) + "".join(label.rjust(width) for label in metrics.recalls) + "  recall")
    for (label, recall), row in zip(metrics.recalls.items(), metrics.confusion, strict=True):
        shown = "–" if recall is None else f"{recall:.3f}"
        print(label.ljust(width + 8) + "".join(str(count).rjust(width) for count in row) + shown.rjust(8))


def _run_predict(options: Namespace) -> None:
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


COMMANDS = {"demo": _run_demo, "train": _run_train, "evaluate": _run_evaluate, "predict": _run_predict}


def describe_leak(leak: dict[str, int]) -> str:
    """Says in words how much of the test part the training part has seen."""
    return (
        "; ".join(
            f"{leak[f'test_{name}s_in_training']} of {leak[f'test_{name}s']} test {name}s also occur in training"
            for name in ("speaker", "text")
            if leak[f"test_{name}s"]
        )
        or "the manifest names neither speakers nor texts"
    )


def _normalised(arguments: list[str]) -> list[str]:
    """Lets options be written with dashes as well as underscores, and joins those of ``train`` that may be repeated."""
    arguments = [_with_underscores(argument) for argument in arguments]
    command = next((argument for argument in arguments if argument in COMMANDS), "")
    debug = [argument for argument in arguments if argument == "--debug"]  # may stand behind the command, too
    rest = [argument for argument in arguments if argument != "--debug"]
    return debug[:1] + (_joined(rest) if command == "train" else rest)


def _with_underscores(argument: str) -> str:
    option, separator, value = argument.partition("=")
    if option.startswith("--") and not any(character.isspace() for character in option):
        return "--" + option[2:].replace("-", "_") + separator + value
    return argument


def _joined(arguments: list[str]) -> list[str]:
    """Makes one list of an option's values: ``--text a --text b`` → ``--text=["a", "b"]``."""
    kept: list[str] = []
    values: dict[str, list[str]] = {}
    remaining = iter(arguments)
    for argument in remaining:
        option, separator, value = argument.partition("=")
        if option not in REPEATED:
            kept.append(argument)
        elif (found := value if separator else next(remaining, None)) is None:
            kept.append(argument)  # its value is missing: the parser says so
        else:
            values.setdefault(option, []).append(found)
    return kept + [f"{option}={json.dumps(found, ensure_ascii=False)}" for option, found in values.items()]


def _quieten_libraries() -> None:
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
