"""The command ``pathosnet``: one module a command, each with its ``COMMAND``, imported when it is needed."""

import importlib
import os
import sys
from typing import NoReturn

import click

from pathosnet import __version__
from pathosnet.errors import InputError, find_full_disk, lacks_memory, printable

INPUT_ERROR = 2
INTERRUPTED = 130
COMMANDS = (
    *("demo", "corpora", "train", "finetune", "evaluate", "predict", "explain", "listen", "app", "cross-validate"),
    *("baseline", "compare", "audit", "tune", "robustness", "transcribe", "export", "features", "weights"),
)


class Program(click.Group):
    """All commands, in the order in which a person meets them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Lists the commands' names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Finds a command by its name."""
        return find_command(cmd_name) if cmd_name in COMMANDS else None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Shows the help if nothing is given."""
        return super().parse_args(ctx, args or ["--help"])


def find_command(name: str) -> click.Command:
    """Imports a command."""
    return importlib.import_module(f"pathosnet.cli.{name.replace('-', '_')}").COMMAND


def make_program() -> Program:
    """Makes the command ``pathosnet``."""
    from pathosnet.cli.arguments import everywhere

    version = click.version_option(__version__, message="%(prog)s %(version)s", help="Print the version and exit.")
    program = Program(
        "pathosnet",
        params=everywhere(),
        help="Recognizes emotions in speech and its transcript.",
        context_settings={
            "help_option_names": ["-h", "--help"],
            "token_normalize_func": lambda name: name.replace("_", "-"),  # YAML's names are options, too
            "max_content_width": 110,
        },
    )
    return version(program)


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line. A person's mistake ends in one line on stderr and exit code 2."""
    # Before PyTorch is loaded: OpenMP's threads else wait in a busy loop for each other, and training becomes ten times
    # slower as soon as another program wants the same cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for stream in (sys.stdout, sys.stderr):  # a terminal that lacks a letter must not undo what was done
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    state = {"debug": False}
    try:
        _run(sys.argv[1:] if arguments is None else arguments, state)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output has gone: `pathosnet predict … | head`
        _drop_output()
        sys.exit(0)
    except KeyboardInterrupt as error:
        if state["debug"]:
            raise
        print(f"interrupted; {error or 'nothing was written'}", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except Exception as error:
        if state["debug"] or not (message := _explain(error)):
            raise
        _fail(message)


def _run(arguments: list[str], state: dict[str, bool]) -> None:
    try:
        with make_program().make_context("pathosnet", list(arguments), obj=state) as context:
            context.command.invoke(context)
    except click.exceptions.Exit as done:
        sys.stdout.flush()
        sys.exit(done.exit_code)
    except click.NoSuchOption as error:
        name = error.option_name.lstrip("-").replace("-", "_")
        meant = f"; did you mean {error.possibilities[0]}?" if error.possibilities else ""
        _fail(f"{name}: there is no such option{meant}{_see_help(error)}")
    except click.UsageError as error:
        _fail(f"{error.format_message().rstrip('.')}{_see_help(error)}")


def _explain(error: Exception) -> str:
    """Says what a person can do about an error; empty if it is a bug of this library."""
    if isinstance(error, InputError):
        return str(error)
    if lacks_memory(error):
        return "there is not enough memory; close other programs, or give less at once, such as --batch-size 8"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if reason := find_full_disk(error):
        _drop_output()  # perhaps it is what stdout is written to
        return f"the output cannot be written ({reason}); make room"
    return ""


def _drop_output() -> None:
    """Lets what stdout has not taken yet go nowhere, so that the program's end does not try again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _see_help(error: click.UsageError) -> str:
    return f"; see {error.ctx.command_path if error.ctx else 'pathosnet'} --help"


def _fail(message: str) -> NoReturn:
    print(f"error: {printable(' '.join(message.split()))}", file=sys.stderr)
    sys.exit(INPUT_ERROR)
