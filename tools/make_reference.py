"""Writes docs/commands.md and docs/training.md from the commands' signatures and the options' docstrings.

Run it after an option was added or described anew: ``python tools/make_reference.py``. A test compares the pages.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import click

from pathosnet.cli import COMMANDS, find_command
from pathosnet.cli.arguments import EVERYWHERE, Argument, Command, Option, show
from pathosnet.experiments.config import GROUPS, TrainConfig
from pathosnet.options import descriptions

DOCS = Path(__file__).resolve().parents[1] / "docs"
NOTE = "<!-- Made by tools/make_reference.py of what the code says; change it there. -->"
TRAINING = {one.name for one in dataclasses.fields(TrainConfig)}
ABOUT_COMMANDS = """
`pathosnet COMMAND --help` shows the same in a terminal. Options may stand before, between and behind the arguments,
with dashes or, as in YAML, with underscores (`--batch-size`, `--batch_size`). Lists are joined with commas or
repeated. `~` is the home folder. Mistakes end in one line and exit code 2; `predict` ends with 1 where some
recordings could not be used.

Before or behind every command: `--plugin FILE.py` (or a module) imports what registers features of yours, `--debug`
shows the traceback of an error, `--help` the help.
"""
ABOUT_TRAINING = """
Every option of training, by topic. On the command line they are flags (`--learning-rate 1e-4`), in YAML files keys
(`learning_rate: 1e-4`, for `--config`), in Python arguments of `pathosnet.TrainConfig`. What stands first wins:
flags, then YAML files, then the preset, then the defaults; `null` in YAML is the default. Unknown names and values
that do not fit are errors.

```python
from pathosnet import TrainConfig

config = TrainConfig(epochs=10, learning_rate=1e-4, split="speaker")
quicker = config.replace(epochs=3)
print(quicker.epochs, quicker.to_dict()["learning_rate"])
```

`pathosnet train corpus.csv --out runs/x --print-config` writes them all as YAML. `finetune` takes features and
network from the model: their options are not among its own. It takes the corpus' labels (`labels: [corpus]`) and
begins with a learning rate of 3e-4, unless told otherwise.
"""


def commands_page() -> str:
    """Describes every command."""
    parts = ["# Commands", NOTE, ABOUT_COMMANDS.strip()]
    for name in COMMANDS:
        command = find_command(name)
        parts.append(f"## {name}\n\n{_unwrapped(command.help)}")
        if isinstance(command, click.Group):
            for own, one in command.commands.items():
                parts.append(f"### {name} {own}\n\n{_described(one, f'{name} {own}')}")
        else:
            parts[-1] = f"## {name}\n\n{_described(command, name)}"
    return "\n\n".join(parts) + "\n"


def training_page() -> str:
    """Describes every option of training."""
    parts = ["# Options of training", NOTE, ABOUT_TRAINING.strip()]
    for group in GROUPS:
        title, _, about = (group.__doc__ or "").splitlines()[0].partition(": ")
        texts = descriptions(group)
        rows = [
            _row(f"`{one.name}`", f"`{show(getattr(TrainConfig(), one.name))}`", texts[one.name])
            for one in dataclasses.fields(group)
        ]
        head = f"## {title}\n\n{about[0].upper()}{about[1:]}\n\n| option | default | |\n|---|---|---|\n"
        parts.append(head + "\n".join(rows))
    return "\n\n".join(parts) + "\n"


def _described(command: click.Command, name: str) -> str:
    assert isinstance(command, Command)
    context = click.Context(command, info_name=f"pathosnet {name}")
    usage = " ".join(["pathosnet", name, *command.collect_usage_pieces(context)])
    rows = list(_rows(command, context))
    table = "| | |\n|---|---|\n" + "\n".join(rows)
    trains = "config" in command.signature.parameters
    more = "\n\nBesides, the [options of training](training.md)." if trains else ""
    return f"{_unwrapped(command.help)}\n\n`{usage}`\n\n{table}{more}"


def _rows(command: Command, context: click.Context) -> Iterator[str]:
    for one in command.params:
        is_own = isinstance(one, Argument) or (isinstance(one, Option) and one.topic != EVERYWHERE)
        config_option = "config" in command.signature.parameters and one.name in TRAINING
        if is_own and not config_option:
            name, text = one.get_help_record(context)  # type: ignore[misc]
            yield _row(f"`{name}`", text)


def _row(*cells: str) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def _unwrapped(text: str | None) -> str:
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in (text or "").split("\n\n"))


if __name__ == "__main__":
    (DOCS / "commands.md").write_text(commands_page(), encoding="utf-8")
    (DOCS / "training.md").write_text(training_page(), encoding="utf-8")
