"""Options declared once, as the fields of frozen dataclasses: type, range, topic and description.

The command line, YAML files and Python read them from here; the pages of the documentation list them.
"""

import dataclasses
import difflib
import enum
import inspect
import json
import math
import numbers
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin

from pathosnet.errors import InputError, shown
from pathosnet.plain_yaml import parse_yaml

Own = TypeVar("Own", bound="Options")


class Names(tuple[str, ...]):
    """Several names; on the command line separated by commas."""

    @classmethod
    def parse(cls, value: Any) -> "Names":
        """Reads ``"a,b"`` or a list of strings."""
        parts = value.split(",") if isinstance(value, str) else list(value)
        return cls(str(part).strip() for part in parts if str(part).strip())


class Values(tuple[str, ...]):
    """Several values, each of which may hold commas; on the command line the option is repeated."""

    @classmethod
    def parse(cls, value: Any) -> "Values":
        """Reads one string, a list of strings, or a list as JSON."""
        if isinstance(value, str):
            value = json.loads(value) if value.startswith("[") else [value]
        return cls(str(part) for part in value or ())


@dataclass(frozen=True)
class Range:
    """Numbers that an option can have."""

    expected: str
    """The range in words, for messages."""
    holds: Callable[[float], bool]


ABOVE_ZERO = Range("a number above 0", lambda value: value > 0)
ZERO_OR_MORE = Range("0 or more", lambda value: value >= 0)
SHARE = Range("a number from 0 to below 1", lambda value: 0 <= value < 1)
FRACTION = Range("a number between 0 and 1", lambda value: 0 < value < 1)


class Mark(enum.Enum):
    """Further facts about an option."""

    COMMON = "shown first in a command's help"
    CLASSES_ONLY = "has no meaning where numbers are estimated; its default asks for nothing"
    TUNABLE = "changes neither the features nor what the validation loss means"
    CONTINUABLE = "may change when a run that was interrupted is continued"


def option(default: Any, *about: Range | Mark) -> Any:
    """Declares a field: its default, its range and its marks."""
    metadata = {
        "range": next((one for one in about if isinstance(one, Range)), None),
        "marks": frozenset(one for one in about if isinstance(one, Mark)),
    }
    if isinstance(default, dict):
        return field(default_factory=dict, metadata=metadata)
    return field(default=default, metadata=metadata)


def has_mark(one: "dataclasses.Field[Any]", mark: Mark) -> bool:
    """Whether a field has a mark."""
    return mark in one.metadata.get("marks", ())


@dataclass(frozen=True, kw_only=True)
class Options:
    """Base of groups of options. Unknown names, wrong types and values out of range are refused."""

    def __new__(cls: type[Own], **given: Any) -> Own:
        """Refuses unknown names before the constructor would raise a ``TypeError``."""
        check_names(given, [one.name for one in fields(cls)])
        return super().__new__(cls)

    def __post_init__(self) -> None:
        """Brings every value into its type and checks its range."""
        for one in fields(self):
            value = read_value(one.name, one.type, getattr(self, one.name))
            object.__setattr__(self, one.name, value)
            within = one.metadata.get("range")
            if within is not None and value is not None and not within.holds(value):
                raise InputError(f"{one.name}: expected {within.expected}, got {value}")

    @classmethod
    def read(cls: type[Own], given: Mapping[str, Any]) -> Own:
        """Makes options of what a file or a command line says: numbers may be spelled out, None is the default.

        Raises:
            InputError: a name is unknown, or a value cannot be used.
        """
        return cls(**cls.converted(given))

    @classmethod
    def converted(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what a file or a command line says with every value in its type, without what is None.

        Raises:
            InputError: a name is unknown, or a value is of another type.
        """
        kinds = {one.name: one.type for one in fields(cls)}
        check_names(given, list(kinds))
        said = {name: value for name, value in given.items() if value is not None}
        return {name: read_value(name, kinds[name], value, spelled=True) for name, value in said.items()}

    @classmethod
    def marked(cls, mark: Mark) -> tuple[str, ...]:
        """Returns the names of the options that have a mark."""
        return tuple(one.name for one in fields(cls) if has_mark(one, mark))

    def replace(self: Own, **changes: Any) -> Own:
        """Returns a copy with other values.

        >>> from pathosnet.experiments.config import TrainConfig
        >>> TrainConfig().replace(seed=1).seed
        1
        """
        return type(self)(**{**{one.name: getattr(self, one.name) for one in fields(self)}, **changes})

    def to_dict(self) -> dict[str, Any]:
        """Returns name → value as JSON and YAML can say them; ``read`` takes it back."""
        values = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def check_names(given: Mapping[str, Any], known: list[str]) -> None:
    """Refuses options that do not exist, and says which one may have been meant.

    Raises:
        InputError: one is unknown.
    """
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(str(name).replace("-", "_"), known, n=1)
            meant = f"did you mean {close[0]}?" if close else "`pathosnet train --help` shows all"
            raise InputError(f"{name}: there is no such option; {meant}")


PLAIN = (str, numbers.Real, os.PathLike)
"""Types that accept text."""
WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", dict: "names with values"}


def read_value(name: str, kind: Any, value: Any, *, spelled: bool = False) -> Any:
    """Returns a value in an option's type.

    Args:
        name: of the option, for messages.
        kind: the type, as it is annotated.
        value: what was given.
        spelled: whether numbers, true and false may be text, as on a command line and in YAML (1e-4 is text there).

    Raises:
        InputError: the value is of another type, or not finite.

    >>> read_value("epochs", int, "3", spelled=True)
    3
    """
    kinds = get_args(kind) if NoneType in get_args(kind) else (kind,)
    if NoneType in kinds and (value is None or ((spelled or str in kinds) and value in ("null", "none"))):
        return None
    kind = next(one for one in kinds if one is not NoneType)
    if get_origin(kind) is Literal:
        if str(value) not in get_args(kind):
            raise InputError(f"{name}: expected {' or '.join(get_args(kind))}, got {shown(value)}")
        return str(value)
    kind = get_origin(kind) or kind
    if kind in (Names, Values):
        return _read_list(name, kind, value)
    found = _converted(kind, value, spelled)
    if found is None:
        hint = "" if (meant := _converted(kind, value, True)) is None else f"; write {name}={meant!r}"
        raise InputError(f"{name}: expected {WORDS[kind]}, got {'null' if value is None else shown(value)}{hint}")
    if kind is float and not math.isfinite(found):
        raise InputError(f"{name}: expected a finite number, got {shown(value)}")
    return found


def _read_list(name: str, kind: type[Names] | type[Values], value: Any) -> Any:
    parts = [value] if isinstance(value, str | os.PathLike) else value
    try:
        usable = not isinstance(parts, Mapping) and all(isinstance(part, PLAIN) for part in parts)
        if usable and not any(isinstance(part, bool) for part in parts):
            return kind.parse(value if isinstance(value, str) else parts)
    except (TypeError, ValueError, RecursionError):  # it cannot be iterated over, or is no JSON
        pass
    raise InputError(f"{name}: expected a list of names, got {'null' if value is None else shown(value)}")


def _converted(kind: Any, value: Any, spelled: bool) -> Any:
    """Returns the value in a simple type; None if it is none of it."""
    if spelled and isinstance(value, str) and kind is not str:
        return _spelled(kind, value)
    if kind is str:
        return str(value) if isinstance(value, PLAIN) and not isinstance(value, bool) else None
    if kind is bool or isinstance(value, bool):
        return value if isinstance(value, bool) and kind is bool else None
    if kind is int:
        return int(value) if isinstance(value, numbers.Integral) else None
    if kind is float:
        return _to_float(value) if isinstance(value, numbers.Real) else None
    return dict(value) if kind is dict and isinstance(value, Mapping) else None


def _to_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number of hundreds of digits
        return math.inf


def _spelled(kind: Any, text: str) -> Any:
    if kind is bool:
        return {"true": True, "yes": True, "false": False, "no": False}.get(text.strip().lower())
    if kind is dict:
        try:
            found = json.loads(text) if text.startswith('{"') else parse_yaml(text)
        except (ValueError, RecursionError):  # of JSON that is nested too deeply
            return None
        return found if isinstance(found, dict) else None
    try:
        return kind(text)
    except ValueError:
        return None


def descriptions(group: type) -> dict[str, str]:
    """Returns field → the text beneath it, of a dataclass and the dataclasses that it is made of."""
    import docstring_parser

    found = {}
    for one in reversed(group.__mro__):
        if dataclasses.is_dataclass(one):
            for parameter in docstring_parser.parse_from_object(one).params:
                found[parameter.arg_name] = inspect.cleandoc(parameter.description or "")
    return found


def parse_pairs(values: tuple[str, ...], option: str) -> dict[str, str]:
    """Reads ``KEY=VALUE`` options.

    >>> parse_pairs(("ira=anger",), "--label")
    {'ira': 'anger'}
    """
    pairs = {}
    for value in values:
        key, separator, meaning = value.partition("=")
        if not separator or not key or not meaning:
            raise InputError(f"{option}: expected KEY=VALUE, got {value!r}")
        pairs[key] = meaning
    return pairs
