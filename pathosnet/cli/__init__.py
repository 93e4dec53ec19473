"""The command ``pathosnet``: one module a command, each with ``HELP``, ``make_parser`` and ``run``.

One that consists of several (``pathosnet corpora import``) also has ``add_actions``.
"""

import json
import os
import sys
from types import ModuleType

from jsonargparse import ArgumentError, ArgumentParser, set_parsing_settings
from jsonargparse.typing import register_type

from pathosnet import __version__
from pathosnet.cli import (
    compare,
    corpora,
    cross_validate,
    demo,
    evaluate,
    export,
    features,
    finetune,
    predict,
    robustness,
    train,
    transcribe,
    tune,
    weights,
)
from pathosnet.config import Names, Values
from pathosnet.errors import InputError
from pathosnet.plugins import load_plugins
from pathosnet.presets import preset_path

INPUT_ERROR = 2
COMMANDS: dict[str, ModuleType] = {
    "demo": demo,
    "corpora": corpora,
    "train": train,
    "finetune": finetune,
    "evaluate": evaluate,
    "predict": predict,
    "cross-validate": cross_validate,
    "compare": compare,
    "tune": tune,
    "robustness": robustness,
    "transcribe": transcribe,
    "export": export,
    "features": features,
    "weights": weights,
}


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line. A person's mistake ends in one line on stderr and exit code 2."""
    # Before PyTorch is loaded: OpenMP's threads else wait in a busy loop for each other, and training becomes ten times
    # slower as soon as another program wants the same cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    arguments = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    debug = "--debug" in arguments
    arguments, plugins = _without_plugins(arguments)
    command = next((argument for argument in arguments if argument in COMMANDS), "")
    try:
        load_plugins(plugins)
        options = build_parser().parse_args(_normalised(arguments, command))
        COMMANDS[options.subcommand].run(options[options.subcommand])
    except ArgumentError as error:
        message = " ".join(str(error).split()).rstrip(".").replace(f" {command}.", " --").replace(" --import.", " --")
        print(f"error: {message}; see pathosnet {command} --help".replace("  ", " "), file=sys.stderr)
        sys.exit(INPUT_ERROR)
    except InputError as error:
        if debug:
            raise
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(INPUT_ERROR)
    except KeyboardInterrupt:
        if debug:
            raise
        print(f"interrupted; {getattr(COMMANDS[command], 'INTERRUPTED', 'nothing was written')}", file=sys.stderr)
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
    parser.add_argument(
        "--plugin", type=str, help="FILE.py or module to import first: it registers features of yours; repeatable."
    )
    commands = parser.add_subcommands(title="commands", metavar="COMMAND")
    for name, command in COMMANDS.items():
        own = command.make_parser()
        commands.add_subcommand(name, own, help=command.HELP)
        if hasattr(command, "add_actions"):
            command.add_actions(own)
    return parser


def _without_plugins(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Takes ``--plugin`` out, wherever it stands: what it registers may be needed to understand the rest."""
    kept: list[str] = []
    plugins: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        option, separator, value = argument.partition("=")
        if option != "--plugin":
            kept.append(argument)
        elif (found := value if separator else next(remaining, "")) == "":
            kept.append(argument)  # its value is missing: the parser says so
        else:
            plugins.append(found)
    return kept, plugins


def _normalised(arguments: list[str], command: str) -> list[str]:
    """Lets options be written with dashes as well as underscores, and joins those that may be repeated."""
    arguments = [_with_underscores(argument) for argument in arguments]
    debug = [argument for argument in arguments if argument == "--debug"]  # may stand behind the command, too
    rest = [argument for argument in arguments if argument != "--debug"]
    repeated = getattr(COMMANDS.get(command), "REPEATED", ())
    return debug[:1] + _joined(_with_preset(rest), repeated)


def _with_preset(arguments: list[str]) -> list[str]:
    """Puts a preset's file before all other options, which change what it says."""
    for i, argument in enumerate(arguments):
        option, separator, value = argument.partition("=")
        if option == "--preset" and (separator or i + 1 < len(arguments)):
            rest = arguments[:i] + arguments[i + 1 + (not separator) :]
            path = preset_path(value if separator else arguments[i + 1])
            return [*rest[:1], f"--config={path}", *rest[1:]]
    return arguments


def _with_underscores(argument: str) -> str:
    option, separator, value = argument.partition("=")
    if option.startswith("--") and not any(character.isspace() for character in option):
        return "--" + option[2:].replace("-", "_") + separator + value
    return argument


def _joined(arguments: list[str], repeated: tuple[str, ...]) -> list[str]:
    """Makes one list of an option's values: ``--text a --text b`` → ``--text=["a", "b"]``."""
    kept: list[str] = []
    values: dict[str, list[str]] = {}
    remaining = iter(arguments)
    for argument in remaining:
        option, separator, value = argument.partition("=")
        if option not in repeated:
            kept.append(argument)
        elif (found := value if separator else next(remaining, None)) is None:
            kept.append(argument)  # its value is missing: the parser says so
        else:
            values.setdefault(option, []).append(found)
    return kept + [f"{option}={json.dumps(found, ensure_ascii=False)}" for option, found in values.items()]
