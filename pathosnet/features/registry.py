"""Features by name: the library's own, and those of its users, which plug-ins register."""

import importlib
import importlib.util
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from pathosnet.errors import InputError
from pathosnet.features.acoustic.encoders.known import KNOWN_ENCODERS
from pathosnet.files import importing_from_here, to_path

NAME = re.compile(r"[a-z][a-z0-9_-]*")
RESERVED = ("joined", "lengths", "masks", "none", "self", "text")  # names that networks or options use themselves

Class = TypeVar("Class")


class Registry(Generic[Class]):
    """Classes by the names that options and saved models call them.

    Args:
        kind: what is registered, for messages.
        how: the call that registers one, for messages.
        announced: names that are registered as soon as PyTorch is needed; options can be checked without it.
        families: classes that stand for many features, each of which has a name of its own; a saved feature says
            which of them it is by its entry ``extractor``.
    """

    def __init__(self, kind: str, how: str, announced: tuple[str, ...], families: tuple[str, ...] = ()) -> None:
        self.kind = kind
        self.how = how
        self._announced = announced
        self.families = families
        self._classes: dict[str, Class] = {}

    def __contains__(self, name: object) -> bool:
        return name in self.names

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in the order of their registration."""
        return tuple(name for name in dict.fromkeys((*self._announced, *self._classes)) if name not in self.families)

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

    def kind_of(self, name: str, config: Mapping[str, Any]) -> str:
        """Returns the name that a saved feature's class is registered under: its own, or its family's."""
        family = config.get("extractor")
        return str(family) if name not in self and family in self.families else name

    def name_of(self, made: Class) -> str | None:
        """Returns the name that a class was registered under."""
        return next((name for name, known in self._classes.items() if known is made), None)

    def advice(self) -> str:
        """Says how to register one's own."""
        return f"import the module that registers it ({self.how}), or name it on the command line, --plugin FILE.py"


def _origin(made: Any) -> tuple[str, str]:
    return made.__module__, made.__qualname__


acoustic_features: Registry[Any] = Registry(
    "acoustic feature",
    "@register_extractor",
    ("logmel", "vggish", "ghostvlad"),
    families=("speech-encoder", "opensmile", "mel-cnn"),
)
text_embeddings: Registry[Any] = Registry("text embedding", "register_text_embedding(NAME, CLASS)", ("hashed",))


ENCODER_PREFIXES = ("hf:", "torchaudio:")
OPENSMILE_PREFIX = "opensmile:"


def names_encoder(value: str) -> bool:
    """Whether an option asks for a speech encoder."""
    is_prefixed = any(value.startswith(prefix) and value != prefix for prefix in ENCODER_PREFIXES)
    return is_prefixed or (value in KNOWN_ENCODERS and value not in acoustic_features)


def names_opensmile(value: str) -> bool:
    """Whether an option asks for openSMILE's parameters."""
    return value.startswith(OPENSMILE_PREFIX) and value != OPENSMILE_PREFIX


def feature_name(value: str) -> str:
    """Makes the name that networks and saved models give to the feature that an option asks for.

    >>> feature_name("hf:openai/Whisper_Base.en@main"), feature_name("torchaudio:WAVLM_BASE_PLUS")
    ('whisper_base-en', 'wavlm_base_plus')
    >>> feature_name("opensmile:ComParE_2016"), feature_name("logmel")
    ('opensmile-compare_2016', 'logmel')
    """
    if names_opensmile(value):
        return re.sub(r"[^a-z0-9_]+", "-", value.lower())
    if not names_encoder(value):
        return value
    last = value.partition(":")[2].partition("@")[0] if ":" in value else value
    slug = re.sub(r"[^a-z0-9_-]+", "-", last.rstrip("/\\").replace("\\", "/").rpartition("/")[2].lower()).strip("-")
    is_free = NAME.fullmatch(slug) and slug not in RESERVED and slug not in acoustic_features
    return slug if is_free else f"encoder-{slug}"


_loaded: dict[str, None] = {}


def load_plugins(names: Iterable[str]) -> None:
    """Imports plug-ins, each once.

    Args:
        names: files (``mine.py``) or modules (``package.mine``); modules in the current folder are found, too.

    Raises:
        InputError: one cannot be imported.
    """
    for name in names:
        is_file = name.endswith(".py")
        name = str(to_path(name).resolve()) if is_file else name
        if name in _loaded:
            continue
        try:
            _import_file(Path(name)) if is_file else _import_module(name)
        except InputError:
            raise
        except Exception as error:  # it is somebody's program: anything can go wrong
            raise InputError(f"--plugin {name}: cannot be imported ({type(error).__name__}: {error})") from error
        _loaded[name] = None


def loaded_plugins() -> tuple[str, ...]:
    """Returns what was loaded, for another process to load it, too."""
    return tuple(_loaded)


def _import_file(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"--plugin {path}: no such file")
    name = f"pathosnet_plugin_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # it ends with .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # classes are pickled by the name of their module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


def _import_module(name: str) -> None:
    with importing_from_here():
        importlib.import_module(name)
