"""Features by name: the library's own, and those of its users."""

import re
from typing import Any, Generic, TypeVar

from pathosnet.errors import InputError

NAME = re.compile(r"[a-z][a-z0-9_-]*")
RESERVED = ("joined", "lengths", "masks", "none", "self", "text")  # names that networks or options use themselves

Class = TypeVar("Class")


class Registry(Generic[Class]):
    """Classes by the names that options and saved models call them.

    Args:
        kind: what is registered, for messages.
        how: the call that registers one, for messages.
        announced: names that are registered as soon as PyTorch is needed; options can be checked without it.
    """

    def __init__(self, kind: str, how: str, announced: tuple[str, ...]) -> None:
        self.kind = kind
        self.how = how
        self._announced = announced
        self._classes: dict[str, Class] = {}

    def __contains__(self, name: object) -> bool:
        return name in self.names

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in the order of their registration."""
        return tuple(dict.fromkeys((*self._announced, *self._classes)))

    @property
    def own(self) -> tuple[str, ...]:
        """Names that are the user's own."""
        return tuple(name for name in self.names if name not in self._announced)

    def add(self, name: str, made: Class) -> None:
        """Gives a class a name. A class that is defined anew, as in a notebook's cell, takes its own place.

        Raises:
            InputError: the name is taken, or cannot be one.
        """
        if not isinstance(name, str) or not NAME.fullmatch(name) or name in RESERVED:
            raise InputError(
                f"{self.kind} {name!r}: expected a name of small letters, digits, - and _, beginning with a letter, "
                f"and none of {', '.join(RESERVED)}; choose another"
            )
        known = self._classes.get(name)
        if known is not None and _origin(known) != _origin(made):
            raise InputError(f"{self.kind} {name!r}: the name belongs to {'.'.join(_origin(known))}; choose another")
        self._classes[name] = made

    def find(self, name: str) -> Class:
        """Returns the class of a name.

        Raises:
            InputError: nothing is registered under it.
        """
        if name not in self._classes:
            raise InputError(f"{self.kind} {name!r} is not registered; {self.advice()}")
        return self._classes[name]

    def name_of(self, made: Class) -> str | None:
        """Returns the name that a class was registered under."""
        return next((name for name, known in self._classes.items() if known is made), None)

    def advice(self) -> str:
        """Says how to register one's own."""
        return f"import the module that registers it ({self.how}), or name it on the command line, --plugin FILE.py"


def _origin(made: Any) -> tuple[str, str]:
    return made.__module__, made.__qualname__


acoustic_features: Registry[Any] = Registry(
    "acoustic feature", "@register_extractor", ("logmel", "vggish", "ghostvlad")
)
text_embeddings: Registry[Any] = Registry("text embedding", "register_text_embedding(NAME, CLASS)", ("hashed",))
