"""From a function's signature and docstring to a command of click: arguments, options, help.

Parameters before ``*`` are arguments, those behind it options. A parameter that is a dataclass stands for all its
fields, each an option; those of a ``TrainConfig`` may also come from ``--preset`` and ``--config``. What an option is
called, what it takes and what it does is said by the signature, the fields and their docstrings alone.
"""

import dataclasses
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, NoneType
from typing import Any, Literal, get_args, get_origin

import click
import docstring_parser

from pathosnet.errors import InputError
from pathosnet.experiments.config import GROUPS, TrainConfig
from pathosnet.experiments.presets import preset_names, preset_path
from pathosnet.files import read_yaml, to_path
from pathosnet.options import Mark, Names, Values, check_names, descriptions, has_mark, read_value

METAVARS = {int: "N", float: "X", str: "TEXT", bool: "true|false", Path: "PATH", Names: "A,B,...", Values: "TEXT"}
INTERRUPTED = "nothing was written"
OWN, COMMON, EVERYWHERE = "Options", "Common options", "Everywhere"
REQUIRED = inspect.Parameter.empty


class Option(click.Option):
    """An option that knows its type, its default and the topic under which the help shows it.

    Args:
        name: of the parameter.
        kind: its type, as it is annotated.
        default: what holds where the option is not given; ``REQUIRED`` for none.
        text: what it does.
        topic: heading in the help.
        aliases: other spellings.
        more: for click.
    """

    def __init__(
        self,
        name: str,
        kind: Any,
        default: Any,
        text: str,
        topic: str,
        aliases: Sequence[str] = (),
        **more: Any,
    ) -> None:
        self.kind, self.shown_default, self.topic = kind, default, topic
        is_flag = kind is bool and default is False and topic in (OWN, EVERYWHERE)
        super().__init__(
            [f"--{name.replace('_', '-')}", *aliases, name],
            help=text,
            required=default is REQUIRED,
            is_flag=is_flag or None,
            multiple=_simple(kind) in (Names, Values),
            type=None if is_flag else click.UNPROCESSED,
            metavar=None if is_flag else _metavar(kind),
            **more,
        )

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        """Returns what stands left and right in the help."""
        value = self.shown_default
        shown = "required" if value is REQUIRED else "" if self.is_flag else f"default: {show(value)}"
        if value in (None, "", ()) or value == {}:
            shown = ""
        name = self.opts[0] + (f" {self.metavar}" if self.metavar else "")
        return name, f"{self.help}{f' ({shown})' if shown else ''}"


class Argument(click.Argument):
    """An argument with a description."""

    def __init__(self, name: str, kind: Any, required: bool, text: str) -> None:
        several = _simple(kind) in (Names, Values)
        super().__init__([name], nargs=-1 if several else 1, required=required, type=click.UNPROCESSED)
        self.kind, self.text = kind, text

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        """Returns what stands left and right in the help."""
        return self.make_metavar(ctx), self.text


class Command(click.Command):
    """A command that calls a function.

    Args:
        function: its signature and docstring are the command's.
        name: of the command; the function's if not given.
        without: fields of dataclasses that are no options here.
        interrupted: what Ctrl-C leaves behind, for a person.
        aliases: other spellings of options, by their names.
    """

    def __init__(
        self,
        function: Callable[..., None],
        *,
        name: str | None = None,
        without: Sequence[str] = (),
        interrupted: str = INTERRUPTED,
        aliases: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        described = docstring_parser.parse(function.__doc__ or "", docstring_parser.DocstringStyle.GOOGLE)
        self.function, self.without, self.interrupted, self.aliases = function, without, interrupted, aliases
        self.signature = inspect.signature(function)
        texts = {one.arg_name: " ".join((one.description or "").split()) for one in described.params}
        super().__init__(
            name or function.__name__.strip("_").replace("_", "-"),
            params=[*self._parameters(texts), *everywhere()],
            help=described.long_description,
            short_help=described.short_description,
            add_help_option=True,
        )

    def _parameters(self, texts: Mapping[str, str]) -> Iterator[click.Parameter]:
        for name, one in self.signature.parameters.items():
            if dataclasses.is_dataclass(one.annotation):
                yield from self._fields(one)
            elif one.kind is one.KEYWORD_ONLY:
                yield Option(
                    name, one.annotation, one.default, text=texts[name], topic=OWN, aliases=self.aliases.get(name, ())
                )
            else:
                yield Argument(name, one.annotation, one.default is REQUIRED, text=texts[name])

    def _fields(self, parameter: inspect.Parameter) -> Iterator[Option]:
        kind = parameter.annotation
        texts = {name: " ".join(text.split()) for name, text in descriptions(kind).items()}
        groups = GROUPS if kind is TrainConfig else (kind,)
        if kind is TrainConfig:
            named = ", ".join(preset_names())
            text = f"Configuration by name: {named}. Other options change it."
            yield Option("preset", str, None, text=text, topic=OWN)
            text = "YAML file of the options below; may be repeated. Options on the command line change it."
            yield Option("config", Values, None, text=text, topic=OWN)
            yield Option(
                "print_config", bool, False, text="Print the options as YAML, for --config, and exit.", topic=OWN
            )
        for group in groups:
            for one in dataclasses.fields(group):
                if one.name not in self.without:
                    base = kind() if parameter.default is REQUIRED else parameter.default
                    default = getattr(base, one.name)
                    topic = COMMON if has_mark(one, Mark.COMMON) else (group.__doc__ or "").splitlines()[0].rstrip(".")
                    yield Option(one.name, one.type, default, text=texts[one.name], topic=topic)

    def invoke(self, ctx: click.Context) -> None:
        """Calls the function with what was given."""
        given = {name: value for name, value in ctx.params.items() if value not in (None, ())}
        if given.get("print_config") and "config" in self.signature.parameters:
            click.echo(_as_yaml(self._config(self.signature.parameters["config"], given)), nl=False)
            return
        arguments = {name: self._value(one, given) for name, one in self.signature.parameters.items()}
        try:
            self.function(**arguments)
        except KeyboardInterrupt as error:
            raise KeyboardInterrupt(self.interrupted) from error

    def _value(self, parameter: inspect.Parameter, given: Mapping[str, Any]) -> Any:
        name, kind = parameter.name, parameter.annotation
        if kind is TrainConfig:
            return self._config(parameter, given)
        if dataclasses.is_dataclass(kind):
            names = {one.name: one.type for one in dataclasses.fields(kind) if one.name not in self.without}
            own = {name: _converted(name, kind, given) for name, kind in names.items()}
            return kind(**{name: value for name, value in own.items() if value is not None})  # type: ignore[operator]
        value = _converted(name, kind, given)
        return parameter.default if value is None and parameter.default is not REQUIRED else value

    def _config(self, parameter: inspect.Parameter, given: Mapping[str, Any]) -> TrainConfig:
        """Joins defaults, preset, files and options; each changes those before it.

        One that names targets alone asks for no labels, whatever was named before.
        """
        known = [one.name for one in dataclasses.fields(TrainConfig) if one.name not in self.without]
        found = {} if parameter.default is REQUIRED else parameter.default.to_dict()
        files = [preset_path(given["preset"])] if "preset" in given else []
        for path in [*files, *map(to_path, given.get("config", ()))]:
            read = read_yaml(path)
            try:
                check_names(read, known)
                found = _changed(found, TrainConfig.converted(read))
            except InputError as error:
                raise InputError(f"{path}: {error}") from error
        kinds = {one.name: one.type for one in dataclasses.fields(TrainConfig)}
        return TrainConfig.read(_changed(found, {n: _converted(n, kinds[n], given) for n in known if n in given}))

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Shows arguments and the options that must be given."""
        arguments = [piece for one in self.get_params(ctx) for piece in one.get_usage_pieces(ctx)]
        needed = [f"{one.opts[0]} {one.metavar}" for one in self.params if isinstance(one, Option) and one.required]
        return [*arguments, *needed, "[OPTIONS]"]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Shows options by topic, common ones first."""
        topics: dict[str, list[tuple[str, str]]] = {"Arguments": [], OWN: [], COMMON: []}
        for one in self.get_params(ctx):
            topic = "Arguments" if isinstance(one, Argument) else getattr(one, "topic", EVERYWHERE)
            record = one.get_help_record(ctx)
            if record is not None and topic != EVERYWHERE:
                topics.setdefault(topic, []).append(record)
        topics[EVERYWHERE] = [one.get_help_record(ctx) for one in self.get_params(ctx) if _is_everywhere(one)]  # type: ignore[misc]
        for topic, records in topics.items():
            if records:
                with formatter.section(topic):
                    _write_columns(formatter, records)


def everywhere() -> list[click.Parameter]:
    """Makes the options that may stand before and behind every command."""

    def see(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
        from pathosnet.features.registry import load_plugins

        if value and parameter.name == "debug":
            ctx.find_root().obj["debug"] = True
        elif value:
            load_plugins(value)

    more: dict[str, Any] = {"is_eager": True, "expose_value": False, "callback": see}
    text = "FILE.py or module to import first: it registers features of yours; may be repeated."
    return [
        Option("plugin", Values, None, text=text, topic=EVERYWHERE, **more),
        Option("debug", bool, False, text="Show the traceback of an error.", topic=EVERYWHERE, **more),
    ]


def show(value: Any) -> str:
    """Writes a value as a person would give it.

    >>> show(("a", "b")), show(True), show(0.001), show(None)
    ('a,b', 'true', '0.001', 'none')
    """
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _write_columns(formatter: click.HelpFormatter, records: Sequence[tuple[str, str]]) -> None:
    """Writes options and what they do side by side; unlike click's own, never divides a word at its hyphens."""
    indent = formatter.current_indent
    column = min(max(len(name) for name, _ in records), 30)
    width = max(formatter.width - indent - column - 2, 20)
    for name, text in records:
        lines = textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False)
        beside = [] if len(name) > column else lines[:1]
        formatter.write(f"{' ' * indent}{name:<{column}}  {''.join(beside)}".rstrip() + "\n")
        for line in lines[len(beside) :]:
            formatter.write(f"{' ' * (indent + column + 2)}{line}\n")


def _is_everywhere(one: click.Parameter) -> bool:
    return not isinstance(one, Argument) and getattr(one, "topic", EVERYWHERE) == EVERYWHERE


def _simple(kind: Any) -> Any:
    """Returns a type without ``| None``."""
    if NoneType in get_args(kind):
        return next(one for one in get_args(kind) if one is not NoneType)
    return get_origin(kind) or kind if get_origin(kind) is dict else kind


def _metavar(kind: Any) -> str:
    kind = _simple(kind)
    return "|".join(get_args(kind)) if get_origin(kind) is Literal else METAVARS.get(kind, "JSON")


def _converted(name: str, kind: Any, given: Mapping[str, Any]) -> Any:
    """Returns an option's value in its type; None if it was not given."""
    value = given.get(name)
    if value is None:
        return None
    for one in (value,) if isinstance(value, str) else value if isinstance(value, tuple) else ():
        if one.startswith("--"):
            raise InputError(f"{name}: expected a value, got the option {one}")
    simple = _simple(kind)
    if simple is Path:
        return to_path(value)
    if simple is Names:
        return Names.parse(",".join(value))
    if simple is Values:
        return Values.parse(value[0] if len(value) == 1 else value)
    return read_value(name, kind, value, spelled=True)


def _changed(before: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    only_targets = said.get("targets") and "labels" not in said
    return {**before, **({"labels": ()} if only_targets else {}), **said}


def _as_yaml(config: TrainConfig) -> str:
    import yaml

    return yaml.safe_dump(config.to_dict(), sort_keys=False, allow_unicode=True)


class Group(click.Group):
    """A command that consists of several.

    Args:
        name: of the command.
        description: what it is for; its first line stands in the list of commands.
        commands: what it consists of; the first one is run if none is named.
    """

    def __init__(self, name: str, description: str, *commands: Command) -> None:
        super().__init__(
            name,
            commands={str(one.name): one for one in commands},
            params=everywhere(),
            help=description,
            short_help=description.splitlines()[0],
            subcommand_metavar=f"[{' | '.join(str(one.name) for one in commands)}] ...",
        )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Takes the first command if none is named."""
        return super().parse_args(ctx, args or [next(iter(self.commands))])

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Lists the commands in their order."""
        return list(self.commands)
