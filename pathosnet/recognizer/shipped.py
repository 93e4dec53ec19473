"""Models that come with the package: ``base``, ``small``, and ``default``, which is whichever can answer here."""

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from pathosnet.errors import InputError
from pathosnet.files import to_path

FOLDER = Path(__file__).parent / "shipped"
CONFIG_FILE = "config.json"
FILES = (CONFIG_FILE, "model.safetensors", "run.json")
"""One of them at least is in the folder of a model, however damaged it is."""
DEFAULT = "default"
SHIPPED = ("base", "small")
"""``base`` hears with Whisper-base's encoder, which is fetched once; ``small`` needs nothing but the package."""
ENCODER_OF_BASE = "whisper-base"
TABLE_SUFFIX = ".csv"
STDIN = "-"


def is_shipped(name: str) -> bool:
    """Whether a name stands for a model of the package. A folder of that name is meant by ``./base``."""
    return name == DEFAULT or name in SHIPPED


def shipped_folder(name: str) -> Path:
    """Returns the folder of a model of the package.

    Raises:
        InputError: it is not there.
    """
    folder = FOLDER / name
    if not _is_there(name):
        raise InputError(
            f"{name}: this installation of pathosnet holds no such model ({folder / CONFIG_FILE} is missing); "
            "take another model, or install pathosnet again"
        )
    return folder


def _is_there(name: str) -> bool:
    return (FOLDER / name / CONFIG_FILE).is_file()


def names_model(name: str) -> bool:
    """Whether a person means a model by a name, rather than something to predict or to train on.

    A model is a name of the package's, the folder of a run or a model, or what is not there and is no recording, table
    or pattern: a name on the hub, or a mistake.
    """
    if is_shipped(name) or name == STDIN:
        return name != STDIN
    from pathosnet.audio.decoding import audio_suffixes  # help is to answer without loading what reads recordings

    path = to_path(name)
    if path.is_dir():
        return any((path / name).is_file() for name in FILES)
    is_input = path.suffix.lower() in {*audio_suffixes(), TABLE_SUFFIX} or glob.has_magic(name)
    return not (path.exists() or is_input)


def split_model(names: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Divides arguments into the model, ``default`` if the first one names none, and the rest.

    Raises:
        InputError: the rest holds the folder of a model.
    """
    named = bool(names) and names_model(names[0])
    model, rest = (names[0], names[1:]) if named else (DEFAULT, names)
    for name in rest:
        if all(os.path.isfile(to_path(name) / file) for file in FILES[:2]):  # no error where that is locked
            raise InputError(f"{name}: is a model; expected it first, and only one")
    return model, tuple(rest)


def split_model_and_tables(names: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Divides arguments into the model, ``default`` if the first one names none, and labeled corpora.

    Raises:
        InputError: a recording or a folder is where a model or a table should be.
    """
    from pathosnet.audio.decoding import audio_suffixes

    model, tables = split_model(names)
    for i, name in enumerate(tables):
        is_recording = to_path(name).suffix.lower() in audio_suffixes()
        if is_recording or to_path(name).is_dir():
            is_first = i == 0 and model == DEFAULT and len(tables) > 1
            expected = f"a model before {tables[1]}" if is_first else "a CSV file as for training"
            raise InputError(f"{name}: is a {'recording' if is_recording else 'folder'}; expected {expected}")
    return model, tables


def choose_default() -> tuple[str, str]:
    """Returns the name of the model that answers where none is named, and a line that says which.

    Raises:
        InputError: none of them can.
    """
    from pathosnet.features.acoustic.encoders.opening import find_encoder

    try:
        find_encoder(ENCODER_OF_BASE)
    except InputError as error:
        if not _is_there("small"):
            raise InputError(f"{DEFAULT}: the model base needs the encoder {error}") from error
        card = FOLDER / "small" / "README.md"
        return "small", f"model: small, since base cannot hear: {error}. base is right more often. Card: {card}"
    return "base", f"model: base. Card: {FOLDER / 'base' / 'README.md'}"
